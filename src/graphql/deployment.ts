/** The type CanaryDeployment: its fields and the lists that belong to it. */
import { may } from '../access/permissions.ts';
import { expiredRequestAt, promotionFrozenMs } from '../app/freezeWindows.ts';
import type { Sample } from '../core/document/document.ts';
import { ACTIONS, type Action } from '../core/lifecycle/command.ts';
import { availableActions } from '../core/lifecycle/decide.ts';
import { describeEvent } from '../core/lifecycle/describe.ts';
import { headlineOf } from '../core/lifecycle/headline.ts';
import {
  allocationOf,
  type DeploymentState,
  isWatched,
  observationDeadline,
  observationOf,
  observationRemainingMs,
  type STATUSES,
  stepAt,
} from '../core/lifecycle/state.ts';
import { type DeploymentWarning, oneReporter, warningsOf } from '../core/lifecycle/warnings.ts';
import { ZERO } from '../core/values/decimal.ts';
import type { Side } from '../core/values/side.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { readDeploymentEvents } from '../store/log/deploymentEvents.ts';
import { formatCursor } from '../store/log/position.ts';
import { readSamples } from '../store/log/samples.ts';
import { AllocationType, DeploymentSettlementType } from './allocation.ts';
import { builder, type Loaders, Node } from './builder.ts';
import { CanaryConfigType } from './config.ts';
import { connectionType } from './connectionType.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { COST_OF_EVENT, DecisionRef, decisionOf, EventConnection, EventTypeEnum } from './event.ts';
import { paceOf, READS } from './fairTurns.ts';
import { CapitalLeaseType, leaseUntilOf } from './lease.ts';
import {
  CanaryComparison,
  CanaryMetrics,
  comparisonView,
  DecisionType,
  SideType,
  sideView,
} from './metrics.ts';
import { pageArgs, readCursor, readLogCursor, readPage, toConnection } from './paging.ts';
import { costs } from './price.ts';
import { StrategyRef } from './strategy.ts';

export const StatusType = builder.enumType('CanaryStatus', {
  description: 'Status of a deployment in its lifecycle.',
  values: {
    PENDING: { description: 'Created; the canary has no capital yet.' },
    RUNNING: { description: 'The canary runs alongside the stable version, and both are checked.' },
    PAUSED: { description: 'Both allocations are held and the observation clock is stopped.' },
    OBSERVATION_COMPLETE: {
      description: 'The observation has ended without a decision; a person or a bot must decide.',
    },
    PROMOTED: { description: 'The canary is now the stable version and has all capital.' },
    ROLLED_BACK: { description: 'All capital was returned to the stable version.' },
    CANCELLED: { description: 'Ended without a decision; the stable version has all capital.' },
    FAILED: {
      description:
        'Metrics were unavailable for too long, or the lease of the capital ran out; all capital was returned to the stable version.',
    },
  } satisfies Record<(typeof STATUSES)[number], { description: string }>,
});

const ActionType = builder.enumType('CanaryAction', {
  description: 'A command that the deployment accepts in its current state.',
  values: ACTIONS,
});

/** The mutation of each action: an action is available to callers with access to its mutation. */
const MUTATION_OF: Record<Action, string> = {
  DEPLOY: 'Mutation.deployCanary',
  PROMOTE: 'Mutation.promoteCanary',
  ROLLBACK: 'Mutation.rollbackCanary',
  CANCEL: 'Mutation.cancelDeployment',
  PAUSE: 'Mutation.pauseDeployment',
  RESUME: 'Mutation.resumeDeployment',
  EXTEND: 'Mutation.extendObservation',
  ADVANCE_STEP: 'Mutation.advanceStep',
  UPDATE_CONFIG: 'Mutation.updateConfig',
};

const DeploymentWarningType = builder.objectRef<DeploymentWarning>('DeploymentWarning').implement({
  description: 'Something an operator should know about the figures of a live deployment.',
  fields: (t) => ({
    side: t.expose('side', { type: SideType, nullable: true, description: 'The side; null for both.' }),
    message: t.exposeString('message', { description: 'What is wrong and what to do.' }),
  }),
});

const StepType = builder.objectRef<DeploymentView>('CurrentStep').implement({
  description: 'The current step of the ramp.',
  fields: (t) => {
    const seen = ({ state }: DeploymentView) => observationOf(state);
    const step = (view: DeploymentView) => stepAt(view.state.config, seen(view)?.step.index ?? 0);
    return {
      number: t.int({
        description: 'Number, starting at 1.',
        resolve: (view) => (seen(view)?.step.index ?? 0) + 1,
      }),
      of: t.int({
        description: 'Number of steps of the ramp.',
        resolve: ({ state }) => state.config.steps.length,
      }),
      canaryPercent: t.field({
        type: 'Decimal',
        description: "The canary's share of the capital, in percent.",
        resolve: (view) => step(view)?.canaryPercent ?? ZERO,
      }),
      minutes: t.int({
        description: 'Its planned length in minutes.',
        resolve: (view) => step(view)?.minutes ?? 0,
      }),
      startedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it began; null before capital is deployed.',
        resolve: (view) => seen(view)?.step.startedAt ?? null,
      }),
      endsAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it ends; null before capital is deployed.',
        resolve: (view) => seen(view)?.step.endsAt ?? null,
      }),
    };
  },
});

interface SampleView {
  readonly sample: Sample;
  readonly deployment: DeploymentView;
}

const SampleType = builder.objectRef<SampleView>('CanarySample').implement({
  description: 'Metrics of both sides at one check.',
  fields: (t) => {
    const side = (name: Side) =>
      t.field({
        type: CanaryMetrics,
        nullable: true,
        description: `The ${name.toLowerCase()} side at that check; null if it had not reported.`,
        resolve: ({ sample, deployment }) =>
          sample.metrics[name] &&
          sideView({ state: deployment.state, metrics: sample.metrics, now: sample.at }, name),
      });
    return {
      check: t.int({ description: 'The number of the check.', resolve: ({ sample }) => sample.check }),
      at: t.field({
        type: 'DateTime',
        description: 'When it was taken.',
        resolve: ({ sample }) => sample.at,
      }),
      decision: t.field({
        type: DecisionType,
        description: 'Decision of the comparison at that check; it is carried out only at the end of a step.',
        resolve: ({ sample }) => sample.decision,
      }),
      canaryMetrics: side('CANARY'),
      stableMetrics: side('STABLE'),
    };
  },
});

const SampleConnection = connectionType('CanarySample', SampleType, { one: 'a sample', many: 'samples' });

const parseCheck = (cursor: string) => (/^\d{1,9}$/.test(cursor) ? Number(cursor) : null);

async function summaryOf(state: DeploymentState, { summaryEvent }: Loaders): Promise<string> {
  const entry = await summaryEvent.load(state.id);
  return entry ? describeEvent(entry.event) : state.status;
}

DeploymentRef.implement({
  description: 'One trial of a canary version alongside a stable version of a strategy.',
  interfaces: [Node],
  extensions: costs(3),
  isTypeOf: (value) => typeof value === 'object' && value !== null && 'state' in value,
  fields: (t) => ({
    id: t.id({ description: 'Readable and stable.', resolve: ({ state }) => state.id }),
    deploymentId: t.id({ description: 'The same as `id`.', resolve: ({ state }) => state.id }),
    strategyId: t.id({ description: 'The strategy.', resolve: ({ state }) => state.strategyId }),
    strategy: t.field({
      type: StrategyRef,
      nullable: true,
      description: 'The strategy as it is now.',
      resolve: ({ state }, _args, { loaders }) => loaders.strategy.load(state.strategyId),
    }),
    chain: t.string({ description: 'The network or venue.', resolve: ({ state }) => state.chain }),
    stableVersionId: t.string({
      description: 'The version that was live when it was created.',
      resolve: ({ state }) => state.stableVersionId,
    }),
    canaryVersionId: t.string({
      description: 'The version on trial.',
      resolve: ({ state }) => state.canaryVersionId,
    }),
    status: t.field({
      type: StatusType,
      description: 'Its status in the lifecycle.',
      resolve: ({ state }) => state.status,
    }),
    config: t.field({
      type: CanaryConfigType,
      description: 'Its configuration.',
      resolve: ({ state }) => state.config,
    }),
    revision: t.int({
      description: 'Increases with every command that changes it; pass it as `expectedRevision`.',
      resolve: ({ state }) => state.revision,
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was created.',
      resolve: ({ state }) => state.createdAt,
    }),
    createdBy: t.string({ description: 'Who created it.', resolve: ({ state }) => state.createdBy }),
    startedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the canary first received capital; null before that.',
      resolve: ({ state }) => observationOf(state)?.startedAt ?? null,
    }),
    endedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it ended; null while it is live.',
      resolve: ({ state }) => ('endedAt' in state ? state.endedAt : null),
    }),
    archivedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When its events and samples were moved from the log to the archive; null while they are in the log. Its own ' +
        'fields read the archive; feeds do not replay it.',
      resolve: ({ state }, _args, { loaders }) => loaders.archivedAt.load(state.id),
    }),
    totalCapitalUsd: t.field({
      type: 'Decimal',
      description: 'Capital of both sides together, USD; 0 before it is deployed.',
      resolve: ({ state }) => allocationOf(state)?.totalUsd ?? ZERO,
    }),
    canaryCapitalUsd: t.field({
      type: 'Decimal',
      description: 'Capital the canary is to hold now, USD.',
      resolve: ({ state }) => allocationOf(state)?.canaryUsd ?? ZERO,
    }),
    stableCapitalUsd: t.field({
      type: 'Decimal',
      description: 'Capital the stable side is to hold now, USD. The two sides add up to the total exactly.',
      resolve: ({ state }) => allocationOf(state)?.stableUsd ?? ZERO,
    }),
    allocation: t.field({
      type: AllocationType,
      nullable: true,
      description: 'The latest request to hold capital; null before it is deployed.',
      resolve: (view) => {
        const allocation = allocationOf(view.state);
        const leaseUntil = leaseUntilOf(view);
        return allocation && { allocation, now: view.now, superseded: false, leaseUntil };
      },
    }),
    lease: t.field({
      type: CapitalLeaseType,
      nullable: true,
      description:
        "The lease of the canary's capital; null without `config.capitalLeaseSeconds`, and before it is deployed.",
      resolve: (view) =>
        view.state.config.capitalLeaseSeconds === null || view.state.status === 'PENDING' ? null : view,
    }),
    settlement: t.field({
      type: DeploymentSettlementType,
      nullable: true,
      description:
        'Whether its capital is where the latest allocation asks for it; null before it is deployed.',
      resolve: ({ state, now }) => {
        const allocation = allocationOf(state);
        return allocation && { allocation, now, superseded: false, leaseUntil: null, config: state.config };
      },
    }),
    canaryMetrics: t.field({
      type: CanaryMetrics,
      nullable: true,
      description: "The canary's latest metrics; null before it is deployed.",
      resolve: (view) => sideView(view, 'CANARY'),
    }),
    stableMetrics: t.field({
      type: CanaryMetrics,
      nullable: true,
      description: "The stable side's latest metrics; null before it is deployed.",
      resolve: (view) => sideView(view, 'STABLE'),
    }),
    comparison: t.field({
      type: CanaryComparison,
      nullable: true,
      description: 'Canary compared with stable, computed now; null before it is deployed.',
      extensions: costs(2),
      resolve: comparisonView,
    }),
    observationDeadline: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the whole ramp ends; null before it is deployed.',
      resolve: ({ state }) => {
        const seen = observationOf(state);
        return seen && observationDeadline(state, seen);
      },
    }),
    observationRemainingSeconds: t.int({
      description: 'Seconds of observation left; a pause stops this clock. 0 once the observation has ended.',
      resolve: ({ state, now }) => Math.ceil(observationRemainingMs(state, now) / 1000),
    }),
    observationComplete: t.boolean({
      description: 'Whether the observation period has ended.',
      resolve: ({ state, now }) => state.status !== 'PENDING' && observationRemainingMs(state, now) === 0,
    }),
    nextCheckAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the next check is due; null if nothing is observed.',
      resolve: ({ nextCheckAt }) => nextCheckAt,
    }),
    step: t.field({
      type: StepType,
      description: 'The current step of the ramp.',
      resolve: (view) => view,
    }),
    availableActions: t.field({
      type: [ActionType],
      description:
        'Commands that the caller can run on it now, so that front ends need no copy of the lifecycle.',
      resolve: ({ state }, _args, { actor }) =>
        availableActions(state).filter((action) => may(actor, MUTATION_OF[action])),
    }),
    decisionHistory: t.field({
      type: [DecisionRef],
      description: 'Every decision with all its inputs, oldest first.',
      extensions: READS,
      resolve: async (view, _args, { reads }) => {
        const log = await readDeploymentEvents(reads.db, view.state.id, {
          filter: { types: ['DECISION_MADE'] },
        });
        return log.flatMap((entry) => decisionOf(entry, view) ?? []);
      },
    }),
    events: t.field({
      type: EventConnection,
      description: 'Its timeline: every event in order. Empty with `emitEvents: false`.',
      args: {
        ...pageArgs(t),
        types: t.arg({ type: [EventTypeEnum], description: 'Only events of these types.' }),
      },
      resolve: async ({ state }, args, { reads: { db }, app, actor }) => {
        const page = readPage(args);
        const found = await readDeploymentEvents(db, state.id, {
          after: await readLogCursor(db, args.after, actor.strategies),
          before: await readLogCursor(db, args.before, actor.strategies, 'before'),
          limit: page.limit + 1,
          fromEnd: page.fromEnd,
          filter: { types: args.types ?? undefined, timelineOnly: true },
          pace: paceOf({ app, actor }),
        });
        return toConnection(found, page, args, ({ position }) => formatCursor(position));
      },
    }),
    samples: t.field({
      type: SampleConnection,
      description: 'Samples taken by its checks, in order.',
      args: pageArgs(t),
      resolve: async (view, args, { reads, app, actor }) => {
        const page = readPage(args);
        const found = await readSamples(reads.db, view.state.id, {
          limit: page.limit + 1,
          after: readCursor('after', args.after, parseCheck),
          before: readCursor('before', args.before, parseCheck),
          fromEnd: page.fromEnd,
          pace: paceOf({ app, actor }),
        });
        const items = found.map((sample) => ({ sample, deployment: view }));
        return toConnection(items, page, args, ({ sample }) => String(sample.check));
      },
    }),
    importedBy: t.string({
      nullable: true,
      description: 'Who imported it from a document; null if it was created here.',
      resolve: ({ state }) => state.imported?.by,
    }),
    importedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it was imported; null if it was created here.',
      resolve: ({ state }) => state.imported?.at,
    }),
    headline: t.string({
      description: 'One sentence for a list: what it does now or waits for, or how it ended.',
      extensions: COST_OF_EVENT,
      resolve: ({ state, metrics, now }, _args, { loaders }) => {
        const headline = (requestFrozenMs: number) =>
          headlineOf(state, metrics, now, requestFrozenMs) ?? summaryOf(state, loaders);
        const requestedAt = expiredRequestAt(state, now);
        if (requestedAt === null) return headline(0);
        return loaders.freezesSince
          .load(requestedAt)
          .then((past) => headline(promotionFrozenMs(past, state, requestedAt, now)));
      },
    }),
    warnings: t.field({
      type: [DeploymentWarningType],
      description: 'What its figures leave out, and what is delayed until newer figures arrive.',
      resolve: ({ state, metrics, now, reporters: { CANARY, STABLE } }) => {
        const isOne = isWatched(state) && CANARY?.subject && CANARY.subject === STABLE?.subject;
        return [...warningsOf(state, metrics, now), ...(isOne ? [oneReporter(CANARY.name)] : [])];
      },
    }),
    summary: t.string({
      description:
        'The latest event as a sentence. Checks and allocations are skipped, so that they never hide a decision.',
      extensions: COST_OF_EVENT,
      resolve: ({ state }, _args, { loaders }) => summaryOf(state, loaders),
    }),
  }),
});
