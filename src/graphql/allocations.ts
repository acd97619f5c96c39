/** Every request to hold capital that a deployment has made, with what became of it. */
import { allocationHistory } from '../core/lifecycle/allocationHistory.ts';
import { allocationOf } from '../core/lifecycle/state.ts';
import { readDeploymentEvents } from '../store/log/deploymentEvents.ts';
import { AllocationType } from './allocation.ts';
import { builder } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { leaseUntilOf } from './lease.ts';
import { pageArgs, readCursor, readPage, toConnection } from './paging.ts';

const AllocationConnection = connectionType('Allocation', AllocationType, {
  one: 'an allocation',
  many: 'allocations',
});

const parseNumber = (cursor: string) => (/^\d{1,9}$/.test(cursor) ? Number(cursor) : null);

builder.objectField(DeploymentRef, 'allocations', (t) =>
  t.field({
    type: AllocationConnection,
    description:
      'Every request to hold capital, in order, each with the answers of both sides until the next one came.',
    args: pageArgs(t),
    resolve: async (view, args, { reads }) => {
      const { state, now } = view;
      const page = readPage(args);
      const after = readCursor('after', args.after, parseNumber) ?? 0;
      const before = readCursor('before', args.before, parseNumber) ?? Number.POSITIVE_INFINITY;
      const log = await readDeploymentEvents(reads.db, state.id, {
        filter: { types: ['ALLOCATION_REQUESTED', 'ALLOCATION_ACKNOWLEDGED'] },
      });
      const latest = allocationOf(state)?.number ?? 0;
      const found = allocationHistory(log.map(({ event }) => event))
        .filter(({ number }) => number > after && number < before)
        .map((allocation) => {
          const superseded = allocation.number < latest;
          const leaseUntil = superseded ? (allocation.leaseUntil ?? null) : leaseUntilOf(view);
          return { allocation, now, superseded, leaseUntil };
        });
      const limit = page.limit + 1;
      const items = page.fromEnd ? found.slice(Math.max(0, found.length - limit)) : found.slice(0, limit);
      return toConnection(items, page, args, ({ allocation }) => String(allocation.number));
    },
  }),
);
