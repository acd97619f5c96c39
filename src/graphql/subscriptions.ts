/** The live feeds. Event feeds have cursors and lose nothing; state feeds skip to the newest state. */
import type { CanaryStatus } from '../core/lifecycle/state.ts';

import type { DeploymentView } from '../store/deployments/deployments.ts';
import type { EventFilter, LogEntry, LogFilter } from '../store/log/logEntry.ts';
import { formatCursor, parseCursor } from '../store/log/position.ts';
import { builder, type Context } from './builder.ts';
import { StatusType } from './deployment.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { DecisionRef, type DecisionView, decisionOf, EventRef, EventTypeEnum } from './event.ts';
import { CanaryComparison, CanaryMetrics, comparisonView, sideView } from './metrics.ts';
import { badInput, readCursor } from './paging.ts';
import { closing } from './stream.ts';

interface StateChange {
  readonly entry: LogEntry;
  readonly change: { readonly previousStatus: CanaryStatus; readonly status: CanaryStatus };
}

const reasonOf = ({ event }: LogEntry): string | null => ('reason' in event ? (event.reason ?? null) : null);

const StateChangeType = builder.objectRef<StateChange>('StateChange').implement({
  description: 'A deployment moved from one status to another.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Pass it as `after` to continue after this change.',
      resolve: ({ entry }) => formatCursor(entry.position),
    }),
    previousStatus: t.field({
      type: StatusType,
      description: 'Status before the change.',
      resolve: ({ change }) => change.previousStatus,
    }),
    status: t.field({
      type: StatusType,
      description: 'Status after the change.',
      resolve: ({ change }) => change.status,
    }),
    at: t.field({
      type: 'DateTime',
      description: 'When it happened.',
      resolve: ({ entry }) => entry.event.at,
    }),
    actor: t.string({
      description: 'Who caused it; `serin` if it happened automatically.',
      resolve: ({ entry }) => entry.event.actor,
    }),
    reason: t.string({
      nullable: true,
      description: 'The reason, if one was given.',
      resolve: ({ entry }) => reasonOf(entry),
    }),
    deploymentId: t.id({ description: 'The deployment.', resolve: ({ entry }) => entry.deploymentId }),
    deployment: t.field({
      type: DeploymentRef,
      nullable: true,
      description: 'The deployment as it is now.',
      resolve: ({ entry }, _args, { loaders }) => loaders.deployment.load(entry.deploymentId),
    }),
  }),
});

const MetricsUpdate = builder.objectRef<DeploymentView>('MetricsUpdate').implement({
  description: "Both sides' latest metrics and the comparison.",
  fields: (t) => ({
    deploymentId: t.id({ description: 'The deployment.', resolve: ({ state }) => state.id }),
    at: t.field({ type: 'DateTime', description: 'When these values were read.', resolve: ({ now }) => now }),
    canaryMetrics: t.field({
      type: CanaryMetrics,
      nullable: true,
      description: "The canary's metrics; null before it is deployed.",
      resolve: (view) => sideView(view, 'CANARY'),
    }),
    stableMetrics: t.field({
      type: CanaryMetrics,
      nullable: true,
      description: "The stable side's metrics; null before it is deployed.",
      resolve: (view) => sideView(view, 'STABLE'),
    }),
    comparison: t.field({
      type: CanaryComparison,
      nullable: true,
      description: 'Canary compared with stable; null before it is deployed.',
      resolve: comparisonView,
    }),
    deployment: t.field({ type: DeploymentRef, description: 'The deployment.', resolve: (view) => view }),
  }),
});

interface FeedArgs {
  readonly deploymentId?: string | null | undefined;
  readonly strategyId?: string | null | undefined;
  readonly after?: string | null | undefined;
}

/** Delivers the log entries after a cursor, mapped by `pick`. Each delivery reads its rows again. */
function followLog<T>(
  { feed, loaders, actor, position }: Context,
  args: FeedArgs,
  narrow: EventFilter,
  pick: (entry: LogEntry) => T | null | Promise<T | null>,
): AsyncIterableIterator<T> {
  const after = readCursor('after', args.after, parseCursor) ?? null;
  const filter: LogFilter = {
    ...narrow,
    scope: actor.strategies,
    deploymentId: args.deploymentId ?? undefined,
    strategyId: args.strategyId ?? undefined,
  };
  return closing(async function* (signal) {
    for await (const entry of feed.follow(filter, after, signal, actor.subject)) {
      loaders.deployment.clearAll();
      loaders.strategy.clearAll();
      loaders.freezes.clearAll();
      const picked = await pick(entry);
      position.at = entry.position;
      if (picked !== null) yield picked;
    }
  });
}

/** The current deployment, then again after every change; always the newest state. Ends if there is no deployment. */
function watchDeployment(
  { loaders }: Context,
  deploymentId: string,
  subscribe: (signal: AbortSignal) => AsyncGenerator<void>,
): AsyncIterableIterator<DeploymentView> {
  const read = () => loaders.deployment.clear(deploymentId).load(deploymentId);
  return closing(async function* (signal) {
    const changes = subscribe(signal);
    // Subscribes before reading, so no change is missed.
    let change = changes.next();
    try {
      for (;;) {
        const view = await read();
        if (!view) throw badInput(`There is no deployment ${deploymentId}`, ['deploymentId']);
        yield view;
        if ((await change).done) return;
        change = changes.next();
      }
    } finally {
      void changes.return(undefined);
    }
  });
}

const after =
  'A cursor of an earlier delivery or of `events`. All later events are replayed first; none is lost and none comes twice. "0" is the beginning of the stored log; if omitted, the feed starts now. `CURSOR_TOO_OLD` if events after the cursor were archived; `HISTORY_REWOUND`, now or later, if the database was set back to a state before it: `extensions.lastCursor` is where to continue.';
const ofDeployment = 'Only events of this deployment.';
const ofStrategy = 'Only events of this strategy.';

builder.subscriptionFields((t) => ({
  deploymentUpdated: t.field({
    type: DeploymentRef,
    description:
      'The current deployment, then again after every change. A slow consumer skips to the newest state.',
    args: { deploymentId: t.arg.id({ required: true, description: 'The deployment.' }) },
    subscribe: (_root, { deploymentId }, context) =>
      watchDeployment(context, deploymentId, (signal) => context.feed.watch(deploymentId, signal)),
    resolve: (view) => view,
  }),
  metricsUpdated: t.field({
    type: MetricsUpdate,
    description: "Both sides' latest metrics and the comparison, at most once per second.",
    args: { deploymentId: t.arg.id({ required: true, description: 'The deployment.' }) },
    subscribe: (_root, { deploymentId }, context) =>
      watchDeployment(context, deploymentId, (signal) => context.feed.watchMetrics(deploymentId, signal)),
    resolve: (view) => view,
  }),
  stateChanged: t.field({
    type: StateChangeType,
    description: 'Every change of status, exactly once, in log order.',
    args: {
      deploymentId: t.arg.id({ description: ofDeployment }),
      strategyId: t.arg.id({ description: ofStrategy }),
      after: t.arg.string({ description: after }),
    },
    subscribe: (_root, args, context) =>
      followLog(context, args, {}, (entry) => entry.change && { entry, change: entry.change }),
    resolve: (change) => change,
  }),
  decisionMade: t.field({
    type: DecisionRef,
    description: 'Every decision, exactly once, in log order.',
    args: {
      deploymentId: t.arg.id({ description: ofDeployment }),
      strategyId: t.arg.id({ description: ofStrategy }),
      after: t.arg.string({ description: after }),
    },
    subscribe: (_root, args, context) =>
      followLog(context, args, { types: ['DECISION_MADE'] }, async (entry): Promise<DecisionView | null> => {
        const deployment = await context.loaders.deployment.load(entry.deploymentId);
        return deployment && decisionOf(entry, deployment);
      }),
    resolve: (decision) => decision,
  }),
  eventAppended: t.field({
    type: EventRef,
    description: 'The timeline: every event exactly once, in log order.',
    args: {
      deploymentId: t.arg.id({ description: ofDeployment }),
      strategyId: t.arg.id({ description: ofStrategy }),
      types: t.arg({ type: [EventTypeEnum], description: 'Only events of these types.' }),
      after: t.arg.string({ description: after }),
    },
    subscribe: (_root, args, context) =>
      followLog(context, args, { timelineOnly: true, types: args.types ?? undefined }, (entry) => entry),
    resolve: (entry) => entry,
  }),
}));
