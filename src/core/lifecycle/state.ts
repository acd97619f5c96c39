/**
 * The state of a deployment as a union over its status, and what can be read off it.
 * `evolve` is the only writer of these values; everything here is a pure reading.
 */
import type { CanaryConfig, Step } from '../config/config.ts';
import { afterOpenMs, openMsBetween, withinHours } from '../config/tradingCalendar.ts';
import type { MetricsBySide, SideMetrics } from '../metrics/sideMetrics.ts';
import { type Comparison, type ComparisonInput, compare, decisionOf } from '../rule/comparison.ts';
import { evidenceFiguresOf } from '../rule/evidenceFigures.ts';
import type { CanaryDecision } from '../rule/gate.ts';
import type { GuardedFigures } from '../rule/guardrails.ts';
import type { RuleVersion } from '../rule/ruleVersion.ts';
import type { Decimal } from '../values/decimal.ts';
import { ZERO } from '../values/decimal.ts';
import type { SerinInstant } from '../values/instant.ts';
import { type BySide, SIDES, type Side } from '../values/side.ts';
import type { UnknownField } from '../values/stored.ts';
import type { Allocation } from './allocation.ts';
import { comparedReturns, type Evidence, isFirstForm } from './evidence.ts';
import type { Hold } from './freeze.ts';
import type { ApprovalRequest } from './secondPerson.ts';

export const STATUSES = [
  'PENDING',
  'RUNNING',
  'PAUSED',
  'OBSERVATION_COMPLETE',
  'PROMOTED',
  'ROLLED_BACK',
  'CANCELLED',
  'FAILED',
] as const;
export type CanaryStatus = (typeof STATUSES)[number];

/** Statuses of a deployment that has not ended: a strategy has at most one such deployment a chain. */
export const LIVE_STATUSES = ['PENDING', 'RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'] as const;
/** Statuses in which capital is with the canary, so that it is watched. */
export const WATCHED_STATUSES = ['RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'] as const;

/** What every deployment has, whatever its status. */
interface DeploymentIdentity {
  readonly id: string;
  readonly strategyId: string;
  readonly chain: string;
  readonly stableVersionId: string;
  readonly canaryVersionId: string;
  readonly config: CanaryConfig;
  /** The version of the decision rule that it is under. */
  readonly rule: RuleVersion;
  /** That version, if only a later version of Serin knows it: this one reads the deployment and decides nothing on it. */
  readonly laterRule?: number | undefined;
  readonly createdAt: SerinInstant;
  readonly createdBy: string;
  /** Counts the commands that changed the deployment. */
  readonly revision: number;
  /** The number of its latest event. */
  readonly eventCount: number;
  /** A change of the configuration that another person must approve; absent where there is none. */
  readonly configRequest?: ConfigRequest | undefined;
  /** Its latest import; absent for a deployment that was created here. */
  readonly imported?: Imported | undefined;
  /** Fields that a later version of Serin stored with it; absent if there are none. */
  readonly unknown?: readonly UnknownField[] | undefined;
}

/** A change that somebody has asked for. */
export interface ConfigRequest extends ApprovalRequest {
  /** The hash of the configuration that it is to change. */
  readonly before: string;
  /** The whole configuration after it. */
  readonly config: CanaryConfig;
}

/** Who imported a deployment, and when: epoch milliseconds. */
export interface Imported {
  readonly by: string;
  readonly at: SerinInstant;
}

/** What a side's return is computed from: an earlier part, and the interval that runs now. */
export interface ReturnAccount {
  /**
   * What the side works with in the running interval, USD; always above 0. What is earned while nothing, or dust only,
   * is held comes from positions opened before, so it counts on the capital before.
   */
  readonly capitalUsd: Decimal;
  /** Since when it is this capital, epoch milliseconds. */
  readonly since: number;
  /** Net PnL when the running interval began, USD. */
  readonly pnlFromUsd: Decimal;
  /** The return of the intervals before, a fraction. */
  readonly returnBefore: Decimal;
}

export interface Observation {
  readonly startedAt: SerinInstant;
  /** The running step of the ramp, counted from 0, and when it is over. */
  readonly step: {
    readonly index: number;
    readonly startedAt: SerinInstant;
    readonly endsAt: SerinInstant;
    /** Time since it began that does not count: paused, unwatched or held, milliseconds; absent if there was none. */
    readonly idleMs?: number | undefined;
  };
  readonly checks: number;
  readonly lastCheckAt: SerinInstant;
  /** When checks went on after the latest gap; absent where there was none. */
  readonly resumedAt?: SerinInstant | undefined;
  /** Since when the lease of the canary's capital counts anew; absent where Serin was never away for it. */
  readonly leaseFrom?: SerinInstant | undefined;
  /** The end of the lease that ended the trial, epoch milliseconds, and whether the bot says that it has stood down. */
  readonly leaseExpired?: { readonly at: SerinInstant; readonly stoodDown: boolean } | undefined;
  /** Watched time without news of a side, in milliseconds; unwatched time does not count. */
  readonly silentMs: BySide<number>;
  /** How often the observation was extended automatically. */
  readonly extensions: number;
  readonly evidence: Evidence;
  /** Each side's return at the latest sample: where the next pair starts. */
  readonly sampled: BySide<Decimal>;
  readonly basis: BySide<ReturnAccount>;
  /** A guardrail has tripped and the capital is held for a person. */
  readonly tripped: boolean;
  /** When the report arrived that broke it; epoch milliseconds. */
  readonly breachedAt?: SerinInstant | undefined;
  /** Somebody has asked for a promotion that another must approve. */
  readonly promotionRequest: ApprovalRequest | null;
  /** What waits for the end of a freeze; absent where nothing does. */
  readonly held?: Hold | undefined;
}

/** A deployment whose canary holds capital, or held it. */
interface Deployed {
  readonly observation: Observation;
  readonly allocation: Allocation;
}

export type Pending = DeploymentIdentity & { readonly status: 'PENDING' };
export type Running = DeploymentIdentity & Deployed & { readonly status: 'RUNNING' };
export type Paused = DeploymentIdentity &
  Deployed & { readonly status: 'PAUSED'; readonly pausedAt: SerinInstant };
export type ObservationComplete = DeploymentIdentity &
  Deployed & {
    readonly status: 'OBSERVATION_COMPLETE';
    readonly completedAt: SerinInstant;
    readonly decision: CanaryDecision;
  };
/** Still watched: capital is with the canary. */
export type Watched = Running | Paused | ObservationComplete;
export type Ended = DeploymentIdentity & {
  readonly status: 'PROMOTED' | 'ROLLED_BACK' | 'CANCELLED' | 'FAILED';
  readonly endedAt: SerinInstant;
  /** Null when it was cancelled before it was deployed. */
  readonly observation: Observation | null;
  readonly allocation: Allocation | null;
};

export type DeploymentState = Pending | Watched | Ended;

export function isWatched(state: DeploymentState): state is Watched {
  return state.status === 'RUNNING' || state.status === 'PAUSED' || state.status === 'OBSERVATION_COMPLETE';
}

export function isEnded(state: DeploymentState): state is Ended {
  return !isWatched(state) && state.status !== 'PENDING';
}

export function observationOf(state: DeploymentState): Observation | null {
  return state.status === 'PENDING' ? null : state.observation;
}

export function allocationOf(state: DeploymentState): Allocation | null {
  return state.status === 'PENDING' ? null : state.allocation;
}

/** The ramp's step with this index. */
export function stepAt(config: CanaryConfig, index: number): Step | null {
  return config.steps[index] ?? null;
}

/** By how much a step lasts longer under another configuration, milliseconds. */
export function longerStepMs(before: CanaryConfig, after: CanaryConfig, index: number): number {
  const minutes = (config: CanaryConfig) => stepAt(config, index)?.minutes ?? 0;
  return (minutes(after) - minutes(before)) * 60_000;
}

/** When the whole ramp is over, if every step takes its time; epoch milliseconds. */
export function observationDeadline({ config }: DeploymentIdentity, { step }: Observation): number {
  const later = config.steps.slice(step.index + 1).reduce((sum, { minutes }) => sum + minutes, 0);
  return afterOpenMs(config, step.endsAt, later * 60_000);
}

/**
 * Milliseconds of observation left, within trading hours where there are any. A pause stops this clock. Zero once the
 * observation is over.
 */
export function observationRemainingMs(state: DeploymentState, now: SerinInstant): number {
  if (state.status === 'PENDING') return state.config.observationPeriodMinutes * 60_000;
  if (state.status !== 'RUNNING' && state.status !== 'PAUSED') return 0;
  const from = state.status === 'RUNNING' ? now : state.pausedAt;
  return Math.max(0, openMsBetween(state.config, from, observationDeadline(state, state.observation)));
}

/** The latest return of each account: a check asks for the same one six times, and a quotient has 120 digits. */
const latestReturns = new WeakMap<ReturnAccount, { readonly netPnlUsd: Decimal; readonly value: Decimal }>();

/** The return of a side since the deployment started: net PnL over capital, each interval on its own capital. */
export function sideReturn(basis: ReturnAccount, netPnlUsd: Decimal): Decimal {
  const known = latestReturns.get(basis);
  if (known?.netPnlUsd === netPnlUsd) return known.value;
  const gained = netPnlUsd.minus(basis.pnlFromUsd);
  const value = basis.returnBefore.plus(gained.isZero() ? ZERO : gained.div(basis.capitalUsd));
  latestReturns.set(basis, { netPnlUsd, value });
  return value;
}

/** The canary as the guardrails see it: its figures, and its return on what it held while it earned or lost. */
export function canaryFigures(basis: ReturnAccount, metrics: SideMetrics | null): GuardedFigures | null {
  return metrics && { metrics, returned: sideReturn(basis, metrics.netPnlUsd) };
}

export function returnsOf(observation: Observation, metrics: MetricsBySide): BySide<Decimal> {
  return forSides((side) => {
    const basis = observation.basis[side];
    return sideReturn(basis, metrics[side]?.netPnlUsd ?? basis.pnlFromUsd);
  });
}

interface Compared extends MetricsBySide {
  readonly config: CanaryConfig;
  readonly comparison: Comparison;
}

/** The latest comparison of an observation: a check asks for it twice, and many ask for it who all see the same. */
const compared = new WeakMap<Observation, Compared>();

/** What a comparison as of these metrics is made of. */
export function comparisonInput(
  observation: Observation,
  metrics: MetricsBySide,
  config: CanaryConfig,
): ComparisonInput {
  const { evidence } = observation;
  return {
    metrics,
    returns: comparedReturns(observation, returnsOf(observation, metrics)),
    evidence: isFirstForm(evidence) ? evidence : evidenceFiguresOf(evidence),
    config,
  };
}

/**
 * The comparison as of these metrics; null for a deployment that was never deployed, or is under a later version of the
 * rule than this program knows.
 */
export function comparisonOf(state: DeploymentState, metrics: MetricsBySide): Comparison | null {
  const observation = observationOf(state);
  if (!observation || state.laterRule !== undefined) return null;
  const { config } = state;
  const { CANARY, STABLE } = metrics;
  const known = compared.get(observation);
  if (known?.config === config && known.CANARY === CANARY && known.STABLE === STABLE) return known.comparison;
  const comparison = compare(comparisonInput(observation, metrics, config));
  compared.set(observation, { config, CANARY, STABLE, comparison });
  return comparison;
}

/** The decision of {@link comparisonOf}, without what explains it. */
export function comparedDecision({ observation, config }: Watched, metrics: MetricsBySide): CanaryDecision {
  return decisionOf(comparisonInput(observation, metrics, config));
}

/**
 * The instant of the next check: an interval later, or at the end of the step or of a trading session if that comes first. A
 * step that has ended unchecked is checked immediately; if a check could not decide, the next one comes an interval later.
 * Outside of trading hours the next check is at the opening.
 */
export function nextCheckAt(state: DeploymentState, from: SerinInstant): number | null {
  if (!isWatched(state)) return null;
  const { config } = state;
  const next = from + config.checkIntervalSeconds * 1000;
  const { lastCheckAt, step } = state.observation;
  const waits = state.status !== 'RUNNING' || lastCheckAt >= step.endsAt;
  return withinHours(config, from, waits ? next : Math.max(from, Math.min(next, step.endsAt)));
}

/**
 * The instant of the next check after a command. Checks keep a fixed cadence: after a check the next one is an interval after the one that
 * was due, or after now where that has passed. What is still to come stands, or comes sooner.
 */
export function reschedule(
  after: DeploymentState,
  {
    due,
    now,
    wasCheck,
  }: { readonly due: number | null; readonly now: SerinInstant; readonly wasCheck: boolean },
): number | null {
  const next = nextCheckAt(after, now);
  if (next === null || due === null) return next;
  if (due > now || !wasCheck) return Math.min(due, next);
  const beat = nextCheckAt(after, due);
  return beat !== null && beat > now ? beat : next;
}

/** An observation at its very start. */
export function freshObservation(
  at: SerinInstant,
  endsAt: SerinInstant,
  capitalUsd: BySide<Decimal>,
  evidence: Evidence,
): Observation {
  const basis = (side: Side): ReturnAccount => ({
    capitalUsd: capitalUsd[side],
    since: at,
    pnlFromUsd: ZERO,
    returnBefore: ZERO,
  });
  return {
    startedAt: at,
    step: { index: 0, startedAt: at, endsAt },
    checks: 0,
    lastCheckAt: at,
    silentMs: { CANARY: 0, STABLE: 0 },
    extensions: 0,
    evidence,
    sampled: { CANARY: ZERO, STABLE: ZERO },
    basis: forSides(basis),
    tripped: false,
    promotionRequest: null,
  };
}

/** The same computation for both sides. */
export function forSides<T>(compute: (side: Side) => T): BySide<T> {
  const [canary, stable] = SIDES;
  return { CANARY: compute(canary), STABLE: compute(stable) };
}
