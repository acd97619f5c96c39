/**
 * The facts of a deployment's log, and how they look in JSON. A state is its events, replayed.
 * `no` counts from 1 without a gap; all events of one command share its time, actor and revision.
 */
import { z } from 'zod';
import { CONFIG_EFFECTS } from '../config/classify.ts';
import { configCodec, rollbackPlanCodec } from '../config/codec.ts';
import { GUARDRAILS } from '../config/config.ts';
import { totalsCodec } from '../metrics/run.ts';
import { sideMetricsCodec } from '../metrics/sideMetrics.ts';
import { evidenceStateCodec, firstEvidenceCodec } from '../rule/evidenceCodec.ts';
import { figuresCodec } from '../rule/evidenceFigures.ts';
import { DECISIONS, GATE_OUTCOMES, GATES } from '../rule/gate.ts';
import { RULE, RULES } from '../rule/ruleVersion.ts';
import { EVIDENCE_VERDICTS, WORSE_BY } from '../rule/sequentialTest.ts';
import { bySide, countCodec, decimalCodec, instantCodec } from '../values/codecs.ts';
import type { SerinInstant } from '../values/instant.ts';
import { SIDES } from '../values/side.ts';
import { parseStored } from '../values/stored.ts';
import { ALLOCATION_CAUSES } from './allocation.ts';

const interval = z.strictObject({ mean: z.number(), low: z.number(), high: z.number() });

/** What the test of the first version of the rule said. */
const firstResult = z.strictObject({
  verdict: z.enum(EVIDENCE_VERDICTS),
  pairs: countCodec,
  minSamples: countCodec,
  plannedChecks: countCodec,
  alpha: z.number(),
  y1: interval.nullable(),
  y2: interval.nullable(),
});

const testResult = z.strictObject({
  ...firstResult.shape,
  by: z.enum(WORSE_BY).nullable(),
  effectivePairs: z.number(),
  margin: z.number(),
  difference: interval.nullable(),
  serialCorrelation: z.number().nullable(),
  drift: z.strictObject({ value: z.number(), threshold: z.number() }),
  skewness: z.number(),
});

const comparison = z.strictObject({
  pnlRatio: decimalCodec.nullable(),
  drawdownRatio: decimalCodec.nullable(),
  sharpeRatio: decimalCodec.nullable(),
  winRateRatio: decimalCodec.nullable(),
  decision: z.enum(DECISIONS),
  decisionReasons: z.array(z.string()).readonly(),
  gates: z
    .array(
      z.strictObject({
        name: z.enum(GATES),
        severity: z.enum(DECISIONS),
        outcome: z.enum(GATE_OUTCOMES),
        measured: decimalCodec.nullable(),
        threshold: decimalCodec.nullable(),
        reason: z.string(),
      }),
    )
    .readonly(),
  evidence: z.union([testResult, firstResult]),
});

export const DECISION_CAUSES = [
  'OBSERVATION_OVER',
  'EVIDENCE',
  'GUARDRAIL',
  'COMMAND',
  'BUDGET',
  'LEASE',
] as const;

/** A decision with all it was made of, so that it can be made again from its own record. */
const decisionRecord = z.strictObject({
  decision: z.enum(DECISIONS),
  reasons: z.array(z.string()).readonly(),
  automatic: z.boolean(),
  cause: z.enum(DECISION_CAUSES),
  configHash: z.string(),
  /** The strategy's stable version then; not the trial's own where another deployment had moved it. */
  stableVersionId: z.string(),
  comparison,
  /** What the comparison was computed from. */
  metrics: bySide(sideMetricsCodec.nullable()),
  returns: bySide(decimalCodec),
  capitalUsd: bySide(decimalCodec),
  evidence: z.union([figuresCodec, firstEvidenceCodec]),
  /** The version of the rule that it was made under; the first where there is none. */
  rule: z.literal(RULES).optional(),
  /** Whether it was the check that ends the observation. */
  ends: z.boolean().optional(),
});
export type DecisionRecord = z.output<typeof decisionRecord>;

const reason = z.string().nullable();

/** A person, as needed to distinguish two people. */
export const personCodec = z.strictObject({ id: z.string(), madeBy: z.string().nullable() });
/** The freeze that an administrator overrode. */
const overrodeFreeze = z.string().optional();

/** The settings that a change is about. */
const configChanges = z
  .array(
    z.strictObject({
      field: z.string(),
      before: z.string().nullable(),
      after: z.string().nullable(),
      effect: z.enum(CONFIG_EFFECTS),
    }),
  )
  .readonly();

/** A change of the configuration: the hashes of the policy before and after it, and the whole configuration after it. */
const configChange = { before: z.string(), after: z.string(), config: configCodec, changes: configChanges };

/** How an allocation settles; see `core/lifecycle/allocation.ts`. */
export const settlementTerms = z.strictObject({
  tolerancePercent: decimalCodec,
  deadlineSeconds: countCodec,
  expected: z.boolean(),
});

/** Unwatched milliseconds before this check, if any: the step is extended by them. */
const unwatchedMs = z.int().optional();

/** The returns of both sides on the same signal, each a fraction of the side's capital. */
const signalPair = z.strictObject({ signalId: z.string(), canary: z.number(), stable: z.number() });
export type SignalPair = Readonly<z.output<typeof signalPair>>;

/** A hold by a freeze before this check, where there was one: the step is extended by it. */
const held = z.strictObject({ ms: countCodec, over: z.boolean() }).optional();

/**
 * When the step ends, under trading hours: recorded because time zones change by law. Absent where the market never
 * closes, or where the end stays as it is.
 */
const endsAt = instantCodec.optional();
/** The market has opened since the check before: no pair of returns is formed over the time in which it was closed. */
const opened = z.literal(true).optional();

/** An automatic action waits for the end of a freeze; null `until`: it ends when it is lifted. */
const heldByFreeze = { freezeId: z.string(), until: instantCodec.nullable(), reason: z.string() };

const bodies = {
  DEPLOYMENT_CREATED: {
    id: z.string(),
    strategyId: z.string(),
    chain: z.string(),
    stableVersionId: z.string(),
    canaryVersionId: z.string(),
    config: configCodec,
    /** The version of the rule that it begins with; the first where there is none. */
    rule: z.literal(RULES).optional(),
  },
  CANARY_STARTED: { capitalUsd: decimalCodec, canaryPercent: decimalCodec, reason, overrodeFreeze, endsAt },
  /** What each side should hold from now on. */
  ALLOCATION_REQUESTED: {
    number: countCodec,
    cause: z.enum(ALLOCATION_CAUSES),
    canaryPercent: decimalCodec,
    totalUsd: decimalCodec,
    canaryUsd: decimalCodec,
    stableUsd: decimalCodec,
    /** How it settles; absent where 0.1 requested it. */
    settlement: settlementTerms.optional(),
    /** What a side that is to hold less does with its open positions. */
    rollbackPlan: rollbackPlanCodec.optional(),
    /** When the guardrail was broken, where that is why it is requested. */
    breachedAt: instantCodec.optional(),
    /** When the lease of the canary's capital ends, if its bot is not heard before. */
    leaseUntil: instantCodec.optional(),
  },
  /** `netPnlUsd`: the side's net PnL then. What it earned before counts on the capital before. */
  ALLOCATION_ACKNOWLEDGED: {
    number: countCodec,
    side: z.enum(SIDES),
    heldUsd: decimalCodec,
    netPnlUsd: decimalCodec,
    /** Value of its open positions, where the side says it. */
    openExposureUsd: decimalCodec.optional(),
    /** An administrator acknowledged it in place of the bot. */
    onBehalf: z.literal(true).optional(),
    reason: z.string().optional(),
  },
  /** Both sides hold what the allocation asks for. Times since the request, and since the breach that led to it. */
  ALLOCATION_SETTLED: { number: countCodec, tookMs: z.int(), breachToSafeMs: z.int().optional() },
  /** A side does not hold what it should after the deadline. Repeated after each doubling of it, for a day. */
  ALLOCATION_OVERDUE: {
    number: countCodec,
    /** When the deadline passed. */
    overdueSince: instantCodec,
    sides: z
      .array(
        z.strictObject({
          side: z.enum(SIDES),
          requestedUsd: decimalCodec,
          /** What it last acknowledged; null if it never did. */
          heldUsd: decimalCodec.nullable(),
        }),
      )
      .readonly(),
  },
  /** A check took a sample; null where a side has not reported. `silentMs`: watched time without news of a side. */
  CANARY_METRICS_UPDATED: {
    check: countCodec,
    netPnlUsd: bySide(decimalCodec.nullable()),
    silentMs: bySide(countCodec),
    decision: z.enum(DECISIONS),
    /** With the pairing SIGNAL: the signals on which both sides have traded since the check before. */
    pairs: z.array(signalPair).readonly().optional(),
    unwatchedMs,
    held,
    opened,
    endsAt,
  },
  /** A run of a side ended and another began: what it had earned is carried over, and totals count from zero again. */
  COUNTER_RESET: {
    side: z.enum(SIDES),
    /** The session that began; null where a provider's counters fell. */
    session: z.string().nullable(),
    previousSession: z.string().nullable(),
    carried: totalsCodec,
  },
  /** A check could not have the metrics: the failure of the provider as a message. */
  METRICS_UNAVAILABLE: {
    check: countCodec,
    silentMs: bySide(countCodec),
    message: z.string(),
    unwatchedMs,
    held,
    opened,
    endsAt,
  },
  /** Checks go on after a gap: Serin or its database was away, or the clock was set. The sample has the same time. */
  WATCH_RESUMED: { unwatchedMs: z.int() },
  /** The lease of the canary's capital ran out: the trial ends with it. */
  LEASE_EXPIRED: {
    leaseUntil: instantCodec,
    /** When the canary's bot was last heard; null if the clock was set back meanwhile. */
    heardAt: instantCodec.nullable(),
    /** Whether the bot says that it has stood down. */
    stoodDown: z.boolean(),
  },
  /** Serin was away, or the clock was set, when the lease ended: it counts anew from here on. */
  LEASE_RESUMED: { awayMs: z.int() },
  CANARY_PAUSED: { reason },
  /** Negative where the clock was set back meanwhile. Under trading hours, time within them. */
  CANARY_RESUMED: { pausedMs: z.int(), reason, endsAt },
  /** `automatic`: extended automatically, as `onInconclusive` says. */
  OBSERVATION_EXTENDED: { minutes: countCodec, automatic: z.boolean(), reason, endsAt },
  /** The ramp continues; the sides' returns so far are kept and the next interval starts at these PnLs. */
  STEP_STARTED: {
    step: countCodec,
    canaryPercent: decimalCodec,
    minutes: countCodec,
    netPnlUsd: bySide(decimalCodec),
    reason,
    overrodeFreeze,
    endsAt,
  },
  /** The deployment goes over to another version of the decision rule; its evidence is folded anew from its log. */
  RULE_CHANGED: {
    from: z.literal(RULES),
    to: z.literal(RULE),
    evidence: evidenceStateCodec.nullable(),
    pairs: countCodec,
  },
  /** Another person must approve it, by asking for the same. `person` as in PROMOTION_REQUESTED. */
  CONFIG_CHANGE_REQUESTED: { ...configChange, reason, person: personCodec.nullable().optional() },
  /** The configuration from here on. `requestedBy`: who asked for it, where another person approved it. */
  CONFIG_UPDATED: { ...configChange, reason, requestedBy: z.string().optional(), endsAt },
  PROMOTION_HELD: heldByFreeze,
  STEP_HELD: heldByFreeze,
  GUARDRAIL_TRIPPED: {
    guardrail: z.enum(GUARDRAILS),
    side: z.enum(SIDES),
    measured: decimalCodec.nullable(),
    limit: decimalCodec,
    message: z.string(),
    /** When the report arrived that broke it; absent in logs of 0.1. */
    breachedAt: instantCodec.optional(),
  },
  DECISION_MADE: { record: decisionRecord, reason },
  CANARY_OBSERVATION_COMPLETE: {
    decision: z.enum(DECISIONS),
    reasons: z.array(z.string()).readonly(),
    /** Whether the deployment now waits for a person (or a bot) to decide. */
    waits: z.boolean(),
  },
  /** Another person must approve. `person` is null if the caller was no known one; absent where people are names. */
  PROMOTION_REQUESTED: { reason, person: personCodec.nullable().optional() },
  CANARY_PROMOTED: {
    stableVersionId: z.string(),
    previousStableVersionId: z.string(),
    reason,
    overrodeFreeze,
  },
  CANARY_ROLLED_BACK: { stableVersionId: z.string(), rolledBackVersionId: z.string(), reason },
  CANARY_CANCELLED: { reason },
  CANARY_FAILED: { reason: z.string() },
  /** Imported from a document: the events before this one, `from` in number, came with it. */
  DEPLOYMENT_IMPORTED: {
    /** SHA-256 of the document, in hex. */
    documentHash: z.string(),
    from: countCodec,
  },
  /** Of a later version of Serin, and unreadable for this one: `stored` is all of it. It is passed on and never written. */
  UNKNOWN: { stored: z.record(z.string(), z.unknown()) },
};

const envelope = {
  no: z.int().min(1),
  at: instantCodec,
  actor: z.string(),
  revision: z.int().min(1),
};

type Bodies = typeof bodies;
export type EventType = keyof Bodies;

/** What happened, before it is numbered. */
export type EventBody = {
  [K in EventType]: { readonly type: K } & Readonly<z.output<z.ZodObject<Bodies[K]>>>;
}[EventType];

export interface Envelope {
  readonly no: number;
  /** Epoch milliseconds of the database's clock. */
  readonly at: SerinInstant;
  /** Who caused it; `serin` when the loop did. */
  readonly actor: string;
  /** The deployment's revision after the command that caused it. */
  readonly revision: number;
}

export type CanaryEvent = EventBody & Envelope;

const eventTypes = Object.keys(bodies);

const member = <K extends Exclude<EventType, 'UNKNOWN'>>(type: K) =>
  z.strictObject({ type: z.literal(type), ...envelope, ...bodies[type] });

/** One event of this version in JSON and back; see {@link readEvent} for stored ones. */
export const eventCodec = z.discriminatedUnion('type', [
  member('DEPLOYMENT_CREATED'),
  member('CANARY_STARTED'),
  member('ALLOCATION_REQUESTED'),
  member('ALLOCATION_ACKNOWLEDGED'),
  member('ALLOCATION_SETTLED'),
  member('ALLOCATION_OVERDUE'),
  member('CANARY_METRICS_UPDATED'),
  member('COUNTER_RESET'),
  member('WATCH_RESUMED'),
  member('METRICS_UNAVAILABLE'),
  member('LEASE_EXPIRED'),
  member('LEASE_RESUMED'),
  member('CANARY_PAUSED'),
  member('CANARY_RESUMED'),
  member('OBSERVATION_EXTENDED'),
  member('STEP_STARTED'),
  member('RULE_CHANGED'),
  member('CONFIG_CHANGE_REQUESTED'),
  member('CONFIG_UPDATED'),
  member('PROMOTION_HELD'),
  member('STEP_HELD'),
  member('GUARDRAIL_TRIPPED'),
  member('DECISION_MADE'),
  member('CANARY_OBSERVATION_COMPLETE'),
  member('PROMOTION_REQUESTED'),
  member('CANARY_PROMOTED'),
  member('CANARY_ROLLED_BACK'),
  member('CANARY_CANCELLED'),
  member('CANARY_FAILED'),
  member('DEPLOYMENT_IMPORTED'),
]) satisfies z.ZodType<CanaryEvent>;

const unknownCodec = z.looseObject({ type: z.string(), ...envelope });

/** Reads a stored event: one of a later version is unknown, and unknown fields of an event are left out. */
export function readEvent(stored: unknown): CanaryEvent {
  const { no, at, actor, revision } = unknownCodec.parse(stored);
  try {
    return parseStored(eventCodec, stored);
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    return { type: 'UNKNOWN', stored: bodies.UNKNOWN.stored.parse(stored), no, at, actor, revision };
  }
}

/** The JSON of an event, as it is stored. */
export const writeEvent = (event: CanaryEvent): Readonly<Record<string, unknown>> =>
  event.type === 'UNKNOWN' ? event.stored : z.encode(eventCodec, event);

export const EVENT_TYPES = eventTypes.filter((type): type is EventType => type in bodies);

/** The type as this version knows it: UNKNOWN for one that only a later version knows. */
export function knownType(stored: string): EventType {
  return EVENT_TYPES.find((type) => type === stored) ?? 'UNKNOWN';
}

/** Facts of observing, not of deciding: they are numbered in the log but leave the revision as it is. */
const OBSERVATIONS: ReadonlySet<EventType> = new Set([
  'CANARY_METRICS_UPDATED',
  'METRICS_UNAVAILABLE',
  'COUNTER_RESET',
  'RULE_CHANGED',
  'WATCH_RESUMED',
  'PROMOTION_HELD',
  'STEP_HELD',
  'ALLOCATION_OVERDUE',
  'LEASE_RESUMED',
]);

export function isObservation(event: Pick<EventBody, 'type'>): boolean {
  return OBSERVATIONS.has(event.type);
}

/** The signals that made pairs at a check; none for other events. */
export function pairedSignals(event: CanaryEvent): string[] {
  return event.type === 'CANARY_METRICS_UPDATED' ? (event.pairs ?? []).map(({ signalId }) => signalId) : [];
}
