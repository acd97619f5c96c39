/** The two GraphQL types of a list in pages: its edges and its connection. */
import type { OutputRef } from '@pothos/core';
import { builder } from './builder.ts';
import { type Connection, type Edge, PageInfoType } from './paging.ts';

interface Words {
  /** Such as `a deployment`. */
  readonly one: string;
  /** Such as `deployments`. */
  readonly many: string;
  /** What a cursor of this list is, where there is more to say. */
  readonly cursor?: string;
}

/**
 * Defines `NameEdge` and `NameConnection` (edges, nodes, pageInfo) for the items of a list.
 * @param name of the item's type in the schema
 * @param node the item's type
 */
export function connectionType<Page extends Connection<object> = Connection<object>>(
  name: string,
  node: OutputRef<object>,
  { one, many, cursor = 'Cursor of this item.' }: Words,
) {
  const EdgeType = builder.objectRef<Edge<object>>(`${name}Edge`).implement({
    description: `${one[0]?.toUpperCase()}${one.slice(1)} in a list.`,
    fields: (t) => ({
      cursor: t.exposeString('cursor', { description: cursor }),
      node: t.field({
        type: node,
        description: `The ${one.replace(/^an? /, '')}.`,
        resolve: (edge) => edge.node,
      }),
    }),
  });
  return builder.objectRef<Page>(`${name}Connection`).implement({
    description: `A page of ${many}.`,
    fields: (t) => ({
      edges: t.field({ type: [EdgeType], description: `The ${many}.`, resolve: ({ edges }) => [...edges] }),
      nodes: t.field({
        type: [node],
        description: `The ${many} without their cursors.`,
        resolve: ({ edges }) => edges.map((edge) => edge.node),
      }),
      pageInfo: t.field({
        type: PageInfoType,
        description: 'Position of this page in the list.',
        resolve: ({ pageInfo }) => pageInfo,
      }),
    }),
  });
}
