/** What a desk asks first, in one answer: how many canaries, what waits for a person, how much money is on trial. */
import { setTimeout as sleep } from 'node:timers/promises';
import { activeWindow } from '../app/freezeWindows.ts';
import { listLossBudgets } from '../app/lossBudgets.ts';
import { readWaiting } from '../app/waiting.ts';
import type { Scope } from '../store/access/strategyScope.ts';
import { type Overview as Counted, readOverview } from '../store/deployments/overview.ts';
import type { Queries } from '../store/postgres/database.ts';
import { builder, type Context, type Reads } from './builder.ts';
import { StatusType } from './deployment.ts';
import { FreezeType } from './freezes.ts';
import { LossBudgetType } from './lossBudgets.ts';
import { closing } from './stream.ts';

/** Overviews of callers who see the same are read once in this time, real ms. */
const KEEP_MS = 900;
/** Money changes without an event: it is read again this often, real ms. */
const REFRESH_MS = 5000;

interface Overview extends Counted {
  readonly waitingForPerson: number;
}

const StatusCount = builder.objectRef<Overview['counts'][number]>('StatusCount').implement({
  description: 'How many deployments are in a status.',
  fields: (t) => ({
    status: t.expose('status', { type: StatusType, description: 'The status.' }),
    count: t.exposeInt('count', { description: 'Deployments in it.' }),
  }),
});

const OverviewType = builder.objectRef<Overview>('Overview').implement({
  description: 'All deployments that the viewer sees, at a glance.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When this was counted, on Serin’s clock.' }),
    counts: t.field({
      type: [StatusCount],
      description: 'Live deployments by status, and those that ended today (UTC) by how they ended.',
      resolve: ({ counts }) => [...counts],
    }),
    waitingForPerson: t.exposeInt('waitingForPerson', {
      description:
        'Deployments that wait for a person: for a decision, or for the approval of a promotion or of another configuration.',
    }),
    capitalOnTrialUsd: t.expose('capitalOnTrialUsd', {
      type: 'Decimal',
      description: 'What live canaries say they hold, or were asked to hold where they never answer, USD.',
    }),
    lossTodayUsd: t.expose('lossTodayUsd', {
      type: 'Decimal',
      description:
        'What canaries have lost since midnight (UTC, on Serin’s clock), USD, at least 0. Gains of other canaries are ' +
        'not set off; one that ended today counts until its end.',
    }),
    freezes: t.field({
      type: [FreezeType],
      description: 'The freezes that block something now, as far as the viewer sees a strategy of theirs.',
      resolve: async (_overview, _args, { loaders }) => {
        const { freezes, at: now } = await loaders.freezes.clearAll().load('standing');
        return freezes.flatMap((freeze) => (activeWindow(freeze, now) ? [{ freeze, now }] : []));
      },
    }),
    lossBudgets: t.field({
      type: [LossBudgetType],
      description:
        'Loss budgets of strategies that the viewer sees, newest first, with the losses in their windows.',
      resolve: (_overview, _args, { app, actor }) => listLossBudgets(app.db, actor),
    }),
    overdueAllocations: t.exposeInt('overdueAllocations', {
      description:
        'Deployments, live or ended, whose latest allocation is OVERDUE: a side does not hold what it should.',
    }),
  }),
});

interface Kept {
  readonly overview: Promise<Overview>;
  readonly until: number;
}

/** One reading for all who see the same at the same time. */
const kept = new WeakMap<Queries, Map<string, Kept>>();

function overviewFor({ app, reads, actor }: Context): Promise<Overview> {
  const now = performance.now();
  const known = kept.get(reads.db) ?? new Map<string, Kept>();
  kept.set(reads.db, known);
  for (const [key, { until }] of known) if (until < now) known.delete(key);
  const key = JSON.stringify(actor.strategies);
  const found = known.get(key);
  if (found) return found.overview;
  const overview = readAll(app.db, reads, actor.strategies);
  known.set(key, { overview, until: now + KEEP_MS });
  overview.catch(() => known.delete(key));
  return overview;
}

/** What waits for a person is read from the primary. */
async function readAll(primary: Queries, { db, now }: Reads, scope: Scope): Promise<Overview> {
  const [overview, { total }] = await Promise.all([
    readOverview(db, scope, now?.()),
    readWaiting(primary, scope),
  ]);
  return { ...overview, waitingForPerson: total };
}

builder.queryField('overview', (t) =>
  t.field({
    type: OverviewType,
    description: 'All deployments that the viewer sees, at a glance.',
    resolve: (_root, _args, context) => overviewFor(context),
  }),
);

builder.subscriptionField('overviewUpdated', (t) =>
  t.field({
    type: OverviewType,
    description: 'The overview now, then after changes: at most once a second, and at least every five.',
    subscribe: (_root, _args, context) =>
      closing(async function* (signal) {
        const changes = context.feed.watchAll(context.actor.strategies, signal);
        do {
          yield await overviewFor(context);
          await sleep(KEEP_MS, undefined, { signal, ref: false }).catch(() => {});
        } while (await changes.next(REFRESH_MS - KEEP_MS));
      }),
    resolve: (overview) => overview,
  }),
);
