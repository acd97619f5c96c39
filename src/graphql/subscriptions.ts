/** The live feeds. Feeds of facts have cursors and lose nothing; feeds of state skip to the newest. */
import { GraphQLError } from 'graphql';
import type { CanaryStatus } from '../core/lifecycle/state.ts';
import { comparisonOf } from '../core/lifecycle/state.ts';
import { CursorTooOld, FeedLagged } from '../feed/feed.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { formatCursor, type LogEntry, type LogFilter, parseCursor } from '../store/log/eventLog.ts';
import { builder, type Context } from './builder.ts';
import { StatusType } from './deployment.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { DecisionRef, type DecisionView, decisionOf, EventRef, EventTypeEnum } from './event.ts';
import { CanaryComparison, CanaryMetrics, sideViews } from './metrics.ts';
import { badInput, readCursor } from './paging.ts';

interface StateChange {
  readonly entry: LogEntry;
  readonly change: { readonly previousStatus: CanaryStatus; readonly status: CanaryStatus };
}

const reasonOf = ({ event }: LogEntry): string | null => ('reason' in event ? event.reason : null);

const StateChangeType = builder.objectRef<StateChange>('StateChange').implement({
  description: 'A deployment moved from one status to another.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Give it as `after` to resume behind this change.',
      resolve: ({ entry }) => formatCursor(entry.position),
    }),
    previousStatus: t.field({
      type: StatusType,
      description: 'Before.',
      resolve: ({ change }) => change.previousStatus,
    }),
    status: t.field({ type: StatusType, description: 'After.', resolve: ({ change }) => change.status }),
    at: t.field({ type: 'DateTime', description: 'When.', resolve: ({ entry }) => entry.event.at }),
    actor: t.string({
      description: 'Who; `serin` when it happened by itself.',
      resolve: ({ entry }) => entry.event.actor,
    }),
    reason: t.string({
      nullable: true,
      description: 'Why, where a reason was given.',
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
    at: t.field({ type: 'DateTime', description: 'The time of this look.', resolve: ({ now }) => now }),
    canaryMetrics: t.field({
      type: CanaryMetrics,
      nullable: true,
      description: "The canary's metrics; null before it is deployed.",
      resolve: ({ state, metrics, now }) => sideViews(state, metrics, now)?.CANARY,
    }),
    stableMetrics: t.field({
      type: CanaryMetrics,
      nullable: true,
      description: "The stable side's metrics; null before it is deployed.",
      resolve: ({ state, metrics, now }) => sideViews(state, metrics, now)?.STABLE,
    }),
    comparison: t.field({
      type: CanaryComparison,
      nullable: true,
      description: 'Canary against stable; null before it is deployed.',
      resolve: ({ state, metrics, now }) => {
        const comparison = comparisonOf(state, metrics);
        const sides = sideViews(state, metrics, now);
        return comparison && sides && { comparison, sides };
      },
    }),
    deployment: t.field({ type: DeploymentRef, description: 'The deployment.', resolve: (view) => view }),
  }),
});

/**
 * A stream that ends when its consumer leaves, or when it fails, even while something in it waits: a generator alone
 * would sit in its `await` until the next event and hold its place for ever.
 */
function closing<T>(open: (signal: AbortSignal) => AsyncGenerator<T>): AsyncIterableIterator<T> {
  const leaving = new AbortController();
  const stream = open(leaving.signal);
  return {
    next: () =>
      stream.next().catch((error) => {
        leaving.abort();
        return explainLag(error);
      }),
    return: () => {
      leaving.abort();
      return stream.return(undefined);
    },
    throw: (error) => {
      leaving.abort();
      return stream.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function explainLag(error: unknown): never {
  if (error instanceof CursorTooOld) {
    throw new GraphQLError(error.message, { extensions: { code: 'CURSOR_TOO_OLD' } });
  }
  if (!(error instanceof FeedLagged)) throw error;
  throw new GraphQLError(error.message, { extensions: { code: 'RESUME_FROM_CURSOR' } });
}

interface FeedArgs {
  readonly deploymentId?: string | null | undefined;
  readonly strategyId?: string | null | undefined;
  readonly after?: string | null | undefined;
}

/** Entries of the log from a cursor, as what the feed delivers; each delivery reads its rows anew. */
function followLog<T>(
  { feed, loaders, actor, position: place }: Context,
  args: FeedArgs,
  narrow: LogFilter,
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
    for await (const entry of feed.follow(filter, after, signal)) {
      loaders.deployment.clearAll();
      loaders.strategy.clearAll();
      const picked = await pick(entry);
      place.at = entry.position;
      if (picked !== null) yield picked;
    }
  });
}

/** The deployment now, and again after every ring; the newest, never a queue. Ends where there is no deployment. */
function watchDeployment(
  { loaders }: Context,
  deploymentId: string,
  rings: (signal: AbortSignal) => AsyncGenerator<void>,
): AsyncIterableIterator<DeploymentView> {
  const read = () => loaders.deployment.clear(deploymentId).load(deploymentId);
  return closing(async function* (signal) {
    const changes = rings(signal);
    // Listens before it looks, so that no change falls between the two.
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
  'A cursor of an earlier delivery or of `events`: everything later is replayed first, nothing is lost and nothing comes twice. "0" is the beginning of what is kept; without it the feed starts now. `CURSOR_TOO_OLD` when events behind it were archived.';
const ofDeployment = 'Only of this deployment.';
const ofStrategy = 'Only of this strategy.';

builder.subscriptionFields((t) => ({
  deploymentUpdated: t.field({
    type: DeploymentRef,
    description: 'The deployment now, then after every change. A slow consumer skips to the newest.',
    args: { deploymentId: t.arg.id({ required: true, description: 'The deployment.' }) },
    subscribe: (_root, { deploymentId }, context) =>
      watchDeployment(context, deploymentId, (signal) => context.feed.watch(deploymentId, signal)),
    resolve: (view) => view,
  }),
  metricsUpdated: t.field({
    type: MetricsUpdate,
    description: "Both sides' latest metrics and the comparison, at most once a second.",
    args: { deploymentId: t.arg.id({ required: true, description: 'The deployment.' }) },
    subscribe: (_root, { deploymentId }, context) =>
      watchDeployment(context, deploymentId, (signal) => context.feed.watchMetrics(deploymentId, signal)),
    resolve: (view) => view,
  }),
  stateChanged: t.field({
    type: StateChangeType,
    description: 'Every change of status, once, in the order of the log.',
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
    description: 'Every decision, once, in the order of the log.',
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
    description: 'The timeline, every event once, in the order of the log.',
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
