/** Relay paging: checks the arguments of a connection and cuts the page they describe. */
import type { ArgBuilder } from '@pothos/core';
import { GraphQLError } from 'graphql';
import type { Scope } from '../store/access/strategyScope.ts';
import { findPosition, HistoryRewound, type LogPosition, parseCursor } from '../store/log/position.ts';
import type { Queries } from '../store/postgres/database.ts';
import { builder, type SchemaTypes } from './builder.ts';

export interface PageArgs {
  readonly first?: number | null | undefined;
  readonly last?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly before?: string | null | undefined;
}

export interface Page {
  readonly limit: number;
  readonly fromEnd: boolean;
}

export const DEFAULT_PAGE = 20;
export const MAX_PAGE = 200;
/** Points of a series. */
export const MAX_POINTS = 1000;

export function badInput(message: string, path: readonly string[]): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', path } });
}

/** Number of items, and from which end of the list. Throws BAD_USER_INPUT. */
export function readPage({ first, last }: PageArgs): Page {
  if (typeof first === 'number' && typeof last === 'number') {
    throw badInput('first and last exclude each other: provide one of them', ['first']);
  }
  const [name, limit] = typeof last === 'number' ? ['last', last] : ['first', first ?? DEFAULT_PAGE];
  if (limit < 0 || limit > MAX_PAGE) {
    throw badInput(`${name} must be between 0 and ${MAX_PAGE}, got ${limit}`, [String(name)]);
  }
  return { limit, fromEnd: name === 'last' };
}

/** Parses a cursor with the list's own parser. Throws BAD_USER_INPUT if it is not a cursor of the list. */
export function readCursor<T>(
  name: 'after' | 'before',
  cursor: string | null | undefined,
  read: (cursor: string) => T | null,
): T | undefined {
  if (cursor === null || cursor === undefined) return undefined;
  const position = read(cursor);
  if (position === null) {
    throw badInput(`${name} is not a valid cursor for this list: ${JSON.stringify(cursor.slice(0, 80))}`, [
      name,
    ]);
  }
  return position;
}

/** The error for a reader who has seen what no longer exists. */
export function historyRewound({ message, lastCursor }: HistoryRewound): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'HISTORY_REWOUND', lastCursor, path: ['after'] } });
}

/** Reads a cursor of the log, and finds its place there. */
export async function readLogCursor(
  db: Queries,
  cursor: string | null | undefined,
  scope: Scope,
  name: 'after' | 'before' = 'after',
): Promise<LogPosition | undefined> {
  const read = readCursor(name, cursor, parseCursor);
  if (!read) return undefined;
  try {
    return await findPosition(db, read, scope);
  } catch (error) {
    throw error instanceof HistoryRewound ? historyRewound(error) : error;
  }
}

export interface Edge<T> {
  readonly cursor: string;
  readonly node: T;
}

export interface Connection<T> {
  readonly edges: readonly Edge<T>[];
  readonly pageInfo: PageInfo;
}

interface PageInfo {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor: string | null;
  readonly endCursor: string | null;
}

/**
 * Creates a connection from the items of a query that read one item more than the page needs, to see whether more follow.
 * @param found at most `limit + 1` items, in order
 */
export function toConnection<T>(
  found: readonly T[],
  { limit, fromEnd }: Page,
  args: PageArgs,
  cursorOf: (item: T) => string,
): Connection<T> {
  const more = found.length > limit;
  const items = fromEnd ? found.slice(more ? 1 : 0) : found.slice(0, limit);
  const [first, last] = [items[0], items.at(-1)];
  return {
    edges: items.map((node) => ({
      node,
      // Most callers ask for the nodes only.
      get cursor() {
        return cursorOf(node);
      },
    })),
    pageInfo: {
      hasNextPage: fromEnd ? Boolean(args.before) : more,
      hasPreviousPage: fromEnd ? more : Boolean(args.after),
      startCursor: first === undefined ? null : cursorOf(first),
      endCursor: last === undefined ? null : cursorOf(last),
    },
  };
}

export const PageInfoType = builder.objectRef<PageInfo>('PageInfo').implement({
  description: 'Position of a page in its list.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Whether more items follow.' }),
    hasPreviousPage: t.exposeBoolean('hasPreviousPage', { description: 'Whether items precede.' }),
    startCursor: t.exposeString('startCursor', { nullable: true, description: 'Cursor of the first item.' }),
    endCursor: t.exposeString('endCursor', { nullable: true, description: 'Cursor of the last item.' }),
  }),
});

export const AFTER = 'Only items after this cursor.';
export const BEFORE = 'Only items before this cursor.';
export const FIRST = `Maximum number of items from the start of the list (0 to ${MAX_PAGE}, default ${DEFAULT_PAGE}).`;
export const LAST = `Maximum number of items from the end of the list (0 to ${MAX_PAGE}).`;

/** The arguments of a list that is paged in both directions. */
export const pageArgs = (t: { readonly arg: ArgBuilder<SchemaTypes> }) => ({
  first: t.arg.int({ description: FIRST }),
  after: t.arg.string({ description: AFTER }),
  last: t.arg.int({ description: LAST }),
  before: t.arg.string({ description: BEFORE }),
});
