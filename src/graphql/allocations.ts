/** Every request to hold capital that a deployment has made, with what became of it. */
import { allocationHistory } from '../core/lifecycle/allocationHistory.ts';
import { readDeploymentEvents } from '../store/log/eventLog.ts';
import { builder } from './builder.ts';
import { AllocationType, type AllocationView } from './deployment.ts';
import { DeploymentRef } from './deploymentRef.ts';
import {
  AFTER,
  BEFORE,
  type Connection,
  type Edge,
  FIRST,
  LAST,
  PageInfoType,
  readCursor,
  readPage,
  toConnection,
} from './paging.ts';

const AllocationEdge = builder.objectRef<Edge<AllocationView>>('AllocationEdge').implement({
  description: 'An allocation in a list.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', { description: 'Its place.' }),
    node: t.expose('node', { type: AllocationType, description: 'The allocation.' }),
  }),
});

const AllocationConnection = builder.objectRef<Connection<AllocationView>>('AllocationConnection').implement({
  description: 'A page of allocations.',
  fields: (t) => ({
    edges: t.field({
      type: [AllocationEdge],
      description: 'The allocations.',
      resolve: ({ edges }) => [...edges],
    }),
    nodes: t.field({
      type: [AllocationType],
      description: 'The allocations without their cursors.',
      resolve: ({ edges }) => edges.map(({ node }) => node),
    }),
    pageInfo: t.expose('pageInfo', { type: PageInfoType, description: 'Where the page stands.' }),
  }),
});

const parseNumber = (cursor: string) => (/^\d{1,9}$/.test(cursor) ? Number(cursor) : null);

builder.objectField(DeploymentRef, 'allocations', (t) =>
  t.field({
    type: AllocationConnection,
    description:
      'Every request to hold capital, in order, each with the answers of both sides until the next one came.',
    args: {
      first: t.arg.int({ description: FIRST }),
      after: t.arg.string({ description: AFTER }),
      last: t.arg.int({ description: LAST }),
      before: t.arg.string({ description: BEFORE }),
    },
    resolve: async ({ state, now }, args, { app }) => {
      const page = readPage(args);
      const after = readCursor('after', args.after, parseNumber) ?? 0;
      const before = readCursor('before', args.before, parseNumber) ?? Number.POSITIVE_INFINITY;
      const log = await readDeploymentEvents(app.db, state.id, {
        filter: { types: ['ALLOCATION_REQUESTED', 'ALLOCATION_ACKNOWLEDGED'] },
      });
      const found = allocationHistory(log.map(({ event }) => event))
        .filter(({ number }) => number > after && number < before)
        .map((allocation) => ({ allocation, now }));
      const limit = page.limit + 1;
      const items = page.fromEnd ? found.slice(Math.max(0, found.length - limit)) : found.slice(0, limit);
      return toConnection(items, page, args, ({ allocation }) => String(allocation.number));
    },
  }),
);
