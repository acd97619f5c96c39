/**
 * What an event recorded, typed: a union with one object type per event type, named after it (`CANARY_STARTED` ->
 * `CanaryStarted`). A field name has one type and one nullability in all members, so that fragments on several members
 * never conflict. An event type without its member does not compile.
 */
import type { CanaryEvent, EventType } from '../core/lifecycle/events.ts';
import type { Totals } from '../core/metrics/run.ts';
import type { LogEntry } from '../store/log/logEntry.ts';
import { AllocationCause } from './allocation.ts';
import { builder } from './builder.ts';
import { RollbackPlanType } from './capitalConfig.ts';
import { CanaryConfigType } from './config.ts';
import { ConfigFieldChangeType } from './configUpdate.ts';
import { DecisionCause, DecisionRef, decisionOf, EventRef } from './event.ts';
import { DecisionType, SideType } from './metrics.ts';

/** A type that this version of Serin can read. */
type KnownType = Exclude<EventType, 'UNKNOWN'>;

type EventOf<T extends EventType> = Extract<CanaryEvent, { readonly type: T }>;

/** The value of a member: the event. A decision comes with its entry, because its comparison needs the deployment. */
type PayloadOf<T extends EventType> = T extends 'DECISION_MADE'
  ? EventOf<T> & { readonly entry: LogEntry }
  : EventOf<T>;

/** `CANARY_STARTED` -> `CanaryStarted`. */
const nameOf = (type: EventType) =>
  type
    .split('_')
    .map((word) => word.charAt(0) + word.slice(1).toLowerCase())
    .join('');

const member = <T extends KnownType>(type: T) => builder.objectRef<PayloadOf<T>>(nameOf(type));

const seconds = (milliseconds: number | undefined) => (milliseconds ?? 0) / 1000;

const REASON = { nullable: true, description: 'The reason, if one was given.' } as const;
const CHECK = { description: 'The number of the check.' } as const;
const CANARY_PERCENT = {
  type: 'Decimal',
  description: "The canary's share of the capital, in percent.",
} as const;
const MINUTES = { description: 'How long, in minutes.' } as const;
const OVERRODE = {
  nullable: true,
  description: 'The freeze that an administrator overrode; null if there was none.',
} as const;
const UNTIL = {
  type: 'DateTime',
  nullable: true,
  description: 'When the freeze ends, as known then; null: when it is lifted.',
} as const;
const FREEZE_ID = { description: 'The freeze that it waits for.' } as const;
const HELD =
  'Seconds before it in which a freeze held a promotion or a step, 0 if none did; the step is extended by them.';
const PERSON = {
  nullable: true,
  description: 'The person who asked; null if the caller was no known person and does not count.',
} as const;
const HASH_BEFORE = {
  description: 'Hash of the configuration before it, as in records of decisions.',
} as const;
const HASH_AFTER = { description: 'Hash of the configuration after it.' } as const;
const CHANGES = { description: 'The settings that differ, each with what it means for the risk.' } as const;
const MESSAGE = { description: 'What was found, as a message for people.' } as const;
const ALLOCATION_NUMBER = { description: 'The number of the allocation, starting at 1.' } as const;
const STABLE_VERSION = { description: 'The stable version of the strategy after it.' } as const;
const UNWATCHED =
  'Unwatched seconds before it, 0 if there were none; the step is extended by them. Negative if the clock ' +
  'was set back.';
const NET_PNL = 'net PnL then, USD; null if it had not reported.';
const SILENT = 'Seconds of watched time without news of the';

const CarriedTotals = builder.objectRef<Totals>('CarriedTotals').implement({
  description: 'What a side had earned before it restarted; its totals continue from there.',
  fields: (t) => ({
    pnlUsd: t.expose('pnlUsd', { type: 'Decimal', description: 'Realised net PnL, USD.' }),
    totalPnlUsd: t.expose('totalPnlUsd', { type: 'Decimal', description: 'PnL before costs, USD.' }),
    totalGasUsd: t.expose('totalGasUsd', { type: 'Decimal', description: 'Gas and fees, USD.' }),
    trades: t.exposeInt('trades', { description: 'Closed trades.' }),
    errors: t.exposeInt('errors', { description: 'Errors.' }),
    uptimeSeconds: t.exposeInt('uptimeSeconds', { description: 'Seconds the side was up.' }),
  }),
});

type OverdueSide = Extract<CanaryEvent, { type: 'ALLOCATION_OVERDUE' }>['sides'][number];

const OverdueSideType = builder.objectRef<OverdueSide>('OverdueSide').implement({
  description: 'A side that does not hold what an overdue allocation asks for.',
  fields: (t) => ({
    side: t.expose('side', { type: SideType, description: 'The side.' }),
    requestedUsd: t.expose('requestedUsd', { type: 'Decimal', description: 'What it should hold, USD.' }),
    heldUsd: t.expose('heldUsd', {
      type: 'Decimal',
      nullable: true,
      description: 'What it last acknowledged that it holds, USD; null if it never did.',
    }),
  }),
});

const MEMBERS = {
  DEPLOYMENT_CREATED: member('DEPLOYMENT_CREATED').implement({
    description: 'The deployment was created.',
    fields: (t) => ({
      strategyId: t.exposeID('strategyId', { description: 'The strategy.' }),
      chain: t.exposeString('chain', { description: 'The network or venue.' }),
      stableVersionId: t.exposeString('stableVersionId', STABLE_VERSION),
      canaryVersionId: t.exposeString('canaryVersionId', { description: 'The version on trial.' }),
      config: t.expose('config', { type: CanaryConfigType, description: 'Its configuration.' }),
    }),
  }),
  CANARY_STARTED: member('CANARY_STARTED').implement({
    description: 'Capital was deployed; the observation began.',
    fields: (t) => ({
      capitalUsd: t.expose('capitalUsd', { type: 'Decimal', description: 'Capital of both sides, USD.' }),
      canaryPercent: t.expose('canaryPercent', CANARY_PERCENT),
      reason: t.exposeString('reason', REASON),
      overrodeFreeze: t.exposeString('overrodeFreeze', OVERRODE),
    }),
  }),
  ALLOCATION_REQUESTED: member('ALLOCATION_REQUESTED').implement({
    description: 'Both sides were asked to hold capital.',
    fields: (t) => ({
      number: t.exposeInt('number', ALLOCATION_NUMBER),
      cause: t.expose('cause', { type: AllocationCause, description: 'Why it was requested.' }),
      canaryPercent: t.expose('canaryPercent', CANARY_PERCENT),
      totalUsd: t.expose('totalUsd', { type: 'Decimal', description: 'Capital of both sides, USD.' }),
      canaryUsd: t.expose('canaryUsd', { type: 'Decimal', description: 'For the canary to hold, USD.' }),
      stableUsd: t.expose('stableUsd', { type: 'Decimal', description: 'For the stable side to hold, USD.' }),
      deadlineSeconds: t.int({
        nullable: true,
        description: 'Seconds until it is overdue; null if version 0.1 requested it.',
        resolve: ({ settlement }) => settlement?.deadlineSeconds,
      }),
      rollbackPlan: t.field({
        type: RollbackPlanType,
        nullable: true,
        description: 'What a side that is to hold less does with its open positions.',
        resolve: ({ rollbackPlan }) => rollbackPlan,
      }),
      leaseUntil: t.field({
        type: 'DateTime',
        nullable: true,
        description:
          "When the lease of the canary's capital ends if its bot is not heard before; null if there is none.",
        resolve: ({ leaseUntil }) => leaseUntil,
      }),
    }),
  }),
  ALLOCATION_ACKNOWLEDGED: member('ALLOCATION_ACKNOWLEDGED').implement({
    description: 'A side said what it holds.',
    fields: (t) => ({
      number: t.exposeInt('number', ALLOCATION_NUMBER),
      side: t.expose('side', { type: SideType, description: 'The side.' }),
      heldUsd: t.expose('heldUsd', { type: 'Decimal', description: 'Capital that it holds, USD.' }),
      netPnlUsd: t.expose('netPnlUsd', { type: 'Decimal', description: 'Its net PnL then, USD.' }),
      openExposureUsd: t.field({
        type: 'Decimal',
        nullable: true,
        description: 'Value of its open positions, USD; null if it did not say.',
        resolve: ({ openExposureUsd }) => openExposureUsd,
      }),
      onBehalf: t.boolean({
        description: 'Whether an administrator acknowledged it in place of the bot.',
        resolve: ({ onBehalf }) => onBehalf ?? false,
      }),
      reason: t.string({ ...REASON, resolve: ({ reason }) => reason }),
    }),
  }),
  ALLOCATION_SETTLED: member('ALLOCATION_SETTLED').implement({
    description: 'Both sides hold what the allocation asks for.',
    fields: (t) => ({
      number: t.exposeInt('number', ALLOCATION_NUMBER),
      tookSeconds: t.float({
        description: 'Seconds since it was requested.',
        resolve: ({ tookMs }) => seconds(tookMs),
      }),
      breachToSafeSeconds: t.float({
        nullable: true,
        description: 'Seconds since the report that broke a guardrail; null if none led to the allocation.',
        resolve: ({ breachToSafeMs }) => (breachToSafeMs === undefined ? null : seconds(breachToSafeMs)),
      }),
    }),
  }),
  ALLOCATION_OVERDUE: member('ALLOCATION_OVERDUE').implement({
    description:
      'A side does not hold what it should after the deadline. Repeated after each doubling of it, for a day.',
    fields: (t) => ({
      number: t.exposeInt('number', ALLOCATION_NUMBER),
      overdueSince: t.expose('overdueSince', { type: 'DateTime', description: 'When the deadline passed.' }),
      sides: t.field({
        type: [OverdueSideType],
        description: 'The sides that do not hold it.',
        resolve: ({ sides }) => [...sides],
      }),
    }),
  }),
  CANARY_METRICS_UPDATED: member('CANARY_METRICS_UPDATED').implement({
    description: 'A check took a sample of both sides.',
    fields: (t) => ({
      check: t.exposeInt('check', CHECK),
      decision: t.expose('decision', { type: DecisionType, description: 'What the comparison said then.' }),
      canaryNetPnlUsd: t.field({
        type: 'Decimal',
        nullable: true,
        description: `The canary's ${NET_PNL}`,
        resolve: ({ netPnlUsd }) => netPnlUsd.CANARY,
      }),
      stableNetPnlUsd: t.field({
        type: 'Decimal',
        nullable: true,
        description: `The stable side's ${NET_PNL}`,
        resolve: ({ netPnlUsd }) => netPnlUsd.STABLE,
      }),
      canarySilentSeconds: t.float({
        description: `${SILENT} canary.`,
        resolve: ({ silentMs }) => seconds(silentMs.CANARY),
      }),
      stableSilentSeconds: t.float({
        description: `${SILENT} stable side.`,
        resolve: ({ silentMs }) => seconds(silentMs.STABLE),
      }),
      pairs: t.int({
        description:
          'Signals on which both sides have traded, and which made pairs of returns at this check.',
        resolve: ({ pairs }) => pairs?.length ?? 0,
      }),
      heldSeconds: t.float({ description: HELD, resolve: ({ held }) => seconds(held?.ms) }),
      unwatchedSeconds: t.float({
        description: UNWATCHED,
        resolve: ({ unwatchedMs }) => seconds(unwatchedMs),
      }),
    }),
  }),
  COUNTER_RESET: member('COUNTER_RESET').implement({
    description: 'A side restarted; its counters count from zero again.',
    fields: (t) => ({
      side: t.expose('side', { type: SideType, description: 'The side.' }),
      session: t.exposeString('session', {
        nullable: true,
        description: 'The session that began; null if the counters of a provider fell.',
      }),
      previousSession: t.exposeString('previousSession', {
        nullable: true,
        description: 'The session before it; null if it had no name.',
      }),
      carried: t.expose('carried', { type: CarriedTotals, description: 'What was earned before it.' }),
    }),
  }),
  WATCH_RESUMED: member('WATCH_RESUMED').implement({
    description: 'Checks continue after a gap.',
    fields: (t) => ({
      unwatchedSeconds: t.float({
        description: UNWATCHED,
        resolve: ({ unwatchedMs }) => seconds(unwatchedMs),
      }),
    }),
  }),
  METRICS_UNAVAILABLE: member('METRICS_UNAVAILABLE').implement({
    description: 'A check could not have the metrics of the provider.',
    fields: (t) => ({
      check: t.exposeInt('check', CHECK),
      message: t.exposeString('message', MESSAGE),
      canarySilentSeconds: t.float({
        description: `${SILENT} canary.`,
        resolve: ({ silentMs }) => seconds(silentMs.CANARY),
      }),
      stableSilentSeconds: t.float({
        description: `${SILENT} stable side.`,
        resolve: ({ silentMs }) => seconds(silentMs.STABLE),
      }),
      heldSeconds: t.float({ description: HELD, resolve: ({ held }) => seconds(held?.ms) }),
      unwatchedSeconds: t.float({
        description: UNWATCHED,
        resolve: ({ unwatchedMs }) => seconds(unwatchedMs),
      }),
    }),
  }),
  LEASE_EXPIRED: member('LEASE_EXPIRED').implement({
    description: "The lease of the canary's capital ran out: the deployment failed.",
    fields: (t) => ({
      leaseUntil: t.expose('leaseUntil', {
        type: 'DateTime',
        nullable: true,
        description: 'When it ran out, for the bot and for Serin.',
      }),
      heartbeatAt: t.expose('heardAt', {
        type: 'DateTime',
        nullable: true,
        description: "When the canary's bot was last heard; null if the clock was set back meanwhile.",
      }),
      stoodDown: t.exposeBoolean('stoodDown', {
        description: 'Whether the bot says that it has stood down.',
      }),
    }),
  }),
  LEASE_RESUMED: member('LEASE_RESUMED').implement({
    description:
      "Serin was away, or the clock was set, when the lease of the canary's capital ended: it counts anew from here on.",
    fields: (t) => ({
      awaySeconds: t.float({
        description: 'How late the end of the lease was noticed, in seconds.',
        resolve: ({ awayMs }) => seconds(awayMs),
      }),
    }),
  }),
  CANARY_PAUSED: member('CANARY_PAUSED').implement({
    description: 'Both allocations are held; the observation clock stands.',
    fields: (t) => ({ reason: t.exposeString('reason', REASON) }),
  }),
  CANARY_RESUMED: member('CANARY_RESUMED').implement({
    description: 'The observation continues after a pause.',
    fields: (t) => ({
      pausedSeconds: t.float({
        description: 'How long it was paused, in seconds; negative if the clock was set back meanwhile.',
        resolve: ({ pausedMs }) => seconds(pausedMs),
      }),
      reason: t.exposeString('reason', REASON),
    }),
  }),
  OBSERVATION_EXTENDED: member('OBSERVATION_EXTENDED').implement({
    description: 'The observation was extended.',
    fields: (t) => ({
      minutes: t.exposeInt('minutes', MINUTES),
      automatic: t.exposeBoolean('automatic', { description: 'Whether Serin did it automatically.' }),
      reason: t.exposeString('reason', REASON),
    }),
  }),
  STEP_STARTED: member('STEP_STARTED').implement({
    description: 'The ramp went on to its next step.',
    fields: (t) => ({
      step: t.int({ description: 'The number of the step, starting at 1.', resolve: ({ step }) => step + 1 }),
      canaryPercent: t.expose('canaryPercent', CANARY_PERCENT),
      minutes: t.exposeInt('minutes', MINUTES),
      canaryNetPnlUsd: t.field({
        type: 'Decimal',
        nullable: true,
        description: `The canary's ${NET_PNL}`,
        resolve: ({ netPnlUsd }) => netPnlUsd.CANARY,
      }),
      stableNetPnlUsd: t.field({
        type: 'Decimal',
        nullable: true,
        description: `The stable side's ${NET_PNL}`,
        resolve: ({ netPnlUsd }) => netPnlUsd.STABLE,
      }),
      reason: t.exposeString('reason', REASON),
      overrodeFreeze: t.exposeString('overrodeFreeze', OVERRODE),
    }),
  }),
  RULE_CHANGED: member('RULE_CHANGED').implement({
    description: 'The deployment went over to a newer version of the decision rule.',
    fields: (t) => ({
      fromRule: t.exposeInt('from', { description: 'The version before.' }),
      toRule: t.exposeInt('to', { description: 'The version from here on.' }),
      pairs: t.exposeInt('pairs', { description: 'Pairs of samples that the evidence was made anew of.' }),
    }),
  }),
  CONFIG_CHANGE_REQUESTED: member('CONFIG_CHANGE_REQUESTED').implement({
    description: 'Somebody asked for a change of the configuration; another person must approve it.',
    fields: (t) => ({
      before: t.exposeString('before', HASH_BEFORE),
      after: t.exposeString('after', HASH_AFTER),
      config: t.expose('config', {
        type: CanaryConfigType,
        description: 'The whole configuration after it.',
      }),
      changes: t.field({ type: [ConfigFieldChangeType], ...CHANGES, resolve: ({ changes }) => [...changes] }),
      reason: t.exposeString('reason', REASON),
      person: t.string({ ...PERSON, resolve: ({ person }) => person?.id }),
    }),
  }),
  CONFIG_UPDATED: member('CONFIG_UPDATED').implement({
    description: 'The configuration was changed; decisions from here on are made under it.',
    fields: (t) => ({
      before: t.exposeString('before', HASH_BEFORE),
      after: t.exposeString('after', HASH_AFTER),
      config: t.expose('config', {
        type: CanaryConfigType,
        description: 'The whole configuration after it.',
      }),
      changes: t.field({ type: [ConfigFieldChangeType], ...CHANGES, resolve: ({ changes }) => [...changes] }),
      reason: t.exposeString('reason', REASON),
      requestedBy: t.string({
        nullable: true,
        description: 'Who had asked for it, if another person approved it.',
        resolve: ({ requestedBy }) => requestedBy,
      }),
    }),
  }),
  PROMOTION_HELD: member('PROMOTION_HELD').implement({
    description: 'Serin would have promoted, and waits for the end of a freeze.',
    fields: (t) => ({
      freezeId: t.exposeID('freezeId', FREEZE_ID),
      until: t.expose('until', UNTIL),
      reason: t.exposeString('reason', REASON),
    }),
  }),
  STEP_HELD: member('STEP_HELD').implement({
    description: 'Serin would have begun the next step of the ramp, and waits for the end of a freeze.',
    fields: (t) => ({
      freezeId: t.exposeID('freezeId', FREEZE_ID),
      until: t.expose('until', UNTIL),
      reason: t.exposeString('reason', REASON),
    }),
  }),
  GUARDRAIL_TRIPPED: member('GUARDRAIL_TRIPPED').implement({
    description: 'A guardrail was broken for as many checks as it allows.',
    fields: (t) => ({
      guardrail: t.exposeString('guardrail', { description: 'Its name in `config.guardrails`.' }),
      side: t.expose('side', { type: SideType, description: 'The side that broke it.' }),
      measured: t.expose('measured', {
        type: 'Decimal',
        nullable: true,
        description: 'What was measured; null if nothing could be.',
      }),
      limit: t.expose('limit', { type: 'Decimal', description: 'The limit.' }),
      message: t.exposeString('message', MESSAGE),
    }),
  }),
  DECISION_MADE: member('DECISION_MADE').implement({
    description: 'A decision was made.',
    fields: (t) => ({
      decision: t.field({
        type: DecisionType,
        description: 'What was decided.',
        resolve: ({ record }) => record.decision,
      }),
      reasons: t.stringList({
        description: 'Why, the deciding reason first.',
        resolve: ({ record }) => [...record.reasons],
      }),
      automatic: t.boolean({
        description: 'Whether Serin did it automatically.',
        resolve: ({ record }) => record.automatic,
      }),
      decisionCause: t.field({
        type: DecisionCause,
        description: 'What caused it.',
        resolve: ({ record }) => record.cause,
      }),
      reason: t.exposeString('reason', REASON),
      record: t.field({
        type: DecisionRef,
        nullable: true,
        description: 'The decision with all its inputs.',
        resolve: async ({ entry }, _args, { loaders }) => {
          const deployment = await loaders.deployment.load(entry.deploymentId);
          return deployment && decisionOf(entry, deployment);
        },
      }),
    }),
  }),
  CANARY_OBSERVATION_COMPLETE: member('CANARY_OBSERVATION_COMPLETE').implement({
    description: 'The observation ended.',
    fields: (t) => ({
      decision: t.expose('decision', { type: DecisionType, description: 'What the comparison said then.' }),
      reasons: t.stringList({
        description: 'Why, the deciding reason first.',
        resolve: ({ reasons }) => [...reasons],
      }),
      waits: t.exposeBoolean('waits', { description: 'Whether a person or a bot must decide now.' }),
    }),
  }),
  PROMOTION_REQUESTED: member('PROMOTION_REQUESTED').implement({
    description: 'Somebody asked for the promotion; another person must approve it.',
    fields: (t) => ({
      reason: t.exposeString('reason', REASON),
      person: t.string({ ...PERSON, resolve: ({ person }) => person?.id }),
    }),
  }),
  CANARY_PROMOTED: member('CANARY_PROMOTED').implement({
    description: 'The canary became the stable version.',
    fields: (t) => ({
      stableVersionId: t.exposeString('stableVersionId', STABLE_VERSION),
      previousStableVersionId: t.exposeString('previousStableVersionId', {
        description: 'The stable version before it.',
      }),
      reason: t.exposeString('reason', REASON),
      overrodeFreeze: t.exposeString('overrodeFreeze', OVERRODE),
    }),
  }),
  CANARY_ROLLED_BACK: member('CANARY_ROLLED_BACK').implement({
    description: 'The canary gave its capital back.',
    fields: (t) => ({
      stableVersionId: t.exposeString('stableVersionId', STABLE_VERSION),
      rolledBackVersionId: t.exposeString('rolledBackVersionId', {
        description: 'The version that was tried.',
      }),
      reason: t.exposeString('reason', REASON),
    }),
  }),
  CANARY_CANCELLED: member('CANARY_CANCELLED').implement({
    description: 'The deployment ended without a decision.',
    fields: (t) => ({ reason: t.exposeString('reason', REASON) }),
  }),
  CANARY_FAILED: member('CANARY_FAILED').implement({
    description: 'The metrics were unavailable for too long, or the lease of the capital ran out.',
    fields: (t) => ({ reason: t.exposeString('reason', REASON) }),
  }),
  DEPLOYMENT_IMPORTED: member('DEPLOYMENT_IMPORTED').implement({
    description: 'The deployment was imported: the events before this one came with the document.',
    fields: (t) => ({
      documentHash: t.exposeString('documentHash', { description: 'SHA-256 of the document, in hex.' }),
      from: t.exposeInt('from', { description: 'Number of the last event that came with the document.' }),
    }),
  }),
} satisfies Record<KnownType, unknown>;

const EventPayload = builder.unionType('CanaryEventPayload', {
  description:
    'What an event recorded: one type per event type, such as `CanaryStarted` for `CANARY_STARTED`.',
  types: Object.values(MEMBERS),
  resolveType: ({ type }) => nameOf(type),
});

builder.objectField(EventRef, 'payload', (t) =>
  t.field({
    type: EventPayload,
    nullable: true,
    description: 'What was recorded, typed. Null only for a type that this version of Serin does not know.',
    resolve: (entry) => {
      const { event } = entry;
      if (event.type === 'UNKNOWN') return null;
      return event.type === 'DECISION_MADE' ? { ...event, entry } : event;
    },
  }),
);
