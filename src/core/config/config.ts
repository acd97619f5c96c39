/**
 * The configuration of a deployment. One that exists satisfies all bounds, see `parseConfig.ts`. Names are those of the
 * contract (spec: CanaryConfig, PromotionCriteria).
 */
import { hash } from 'node:crypto';
import { type Decimal, decimal } from '../values/decimal.ts';
import type { RollbackPlan, SettlementConfig } from './capital.ts';
import { type TradingHours, tradingDay } from './tradingHours.ts';

/** What profit is measured on: PnL over the capital of each side, or dollars for sides of equal capital. */
export const PNL_BASES = ['RETURN_ON_CAPITAL', 'USD'] as const;
export type PnlBasis = (typeof PNL_BASES)[number];

/** How much the sequential test weighs in a decision. */
export const EVIDENCE_MODES = ['AUTO', 'REQUIRED', 'OFF'] as const;
export type EvidenceMode = (typeof EVIDENCE_MODES)[number];

/** RISK_MATCHED compares the sides as if the canary ran at the stable version's volatility. */
export const COMPARISONS = ['RAW', 'RISK_MATCHED'] as const;
export type ComparisonMode = (typeof COMPARISONS)[number];

/** What a pair of returns is: both sides over the time between two checks, or on the same signal. */
export const PAIRINGS = ['CHECK', 'SIGNAL'] as const;
export type Pairing = (typeof PAIRINGS)[number];

/** Who opens the way from one step of the ramp to the next. */
export const STEP_GATES = ['AUTO', 'MANUAL'] as const;
export type StepGate = (typeof STEP_GATES)[number];

/** What the end of an observation does with `CONTINUE` or `MANUAL_REVIEW`. */
export const INCONCLUSIVE_ACTIONS = ['WAIT', 'EXTEND', 'ROLLBACK'] as const;
export type InconclusiveAction = (typeof INCONCLUSIVE_ACTIONS)[number];

export const GUARDRAILS = [
  'maxLossUsd',
  'maxLossPercent',
  'maxDrawdown',
  'maxErrorRate',
  'maxStaleSeconds',
] as const;
export type GuardrailName = (typeof GUARDRAILS)[number];

/** Thresholds of the gates. Ratios have no unit; `drawdownFloor` is a fraction of capital. */
export interface PromotionCriteria {
  readonly minPnlRatio: Decimal;
  readonly maxDrawdownRatio: Decimal;
  readonly minSharpeRatio: Decimal;
  readonly minWinRateRatio: Decimal;
  readonly minTrades: number;
  readonly maxErrorRate: Decimal;
  /** Above `maxErrorRate`, the canary may err up to this many times as often as the stable side; null: it may not. */
  readonly maxErrorRateRatio: Decimal | null;
  readonly requirePositivePnl: boolean;
  readonly pnlBasis: PnlBasis;
  readonly drawdownFloor: Decimal;
}

/** Settings of the sequential test: `alpha` is its error rate, `minSamples` the effective pairs it needs. */
export interface EvidenceConfig {
  readonly mode: EvidenceMode;
  readonly alpha: number;
  readonly minSamples: number;
  /** What the canary may be worse by and still be good enough, in basis points of capital a day. */
  readonly margin: number;
  readonly pairing: Pairing;
}

/** Absolute limits; `null` switches one off. `breaches`: consecutive checks that must exceed the limit. */
export interface GuardrailsConfig {
  readonly maxLossUsd: Decimal | null;
  /** Percent of the canary's capital. */
  readonly maxLossPercent: Decimal | null;
  /** Fraction of capital: 0.1 is ten percent. */
  readonly maxDrawdown: Decimal | null;
  readonly maxErrorRate: Decimal | null;
  readonly maxStaleSeconds: number | null;
  readonly breaches: Readonly<Record<GuardrailName, number>>;
}

/** One step of the ramp: this share of the capital for this many minutes. */
export interface Step {
  readonly canaryPercent: Decimal;
  readonly minutes: number;
  readonly gate: StepGate;
  /** The least minutes before evidence may end the step early. */
  readonly minMinutes: number;
}

export interface CanaryConfig {
  /** Share of the first step, in percent of the total capital. */
  readonly canaryPercent: Decimal;
  /** Length of the whole ramp. */
  readonly observationPeriodMinutes: number;
  readonly autoPromote: boolean;
  readonly autoRollback: boolean;
  readonly promotionCriteria: PromotionCriteria;
  readonly checkIntervalSeconds: number;
  readonly emitEvents: boolean;
  readonly comparison: ComparisonMode;
  readonly evidence: EvidenceConfig;
  readonly guardrails: GuardrailsConfig;
  /** At least one; `canaryPercent` and `observationPeriodMinutes` alone are the ramp of one step. */
  readonly steps: readonly Step[];
  readonly onInconclusive: InconclusiveAction;
  readonly maxExtensions: number;
  readonly earlyPromote: boolean;
  /** A promotion needs two people, and is never automatic. */
  readonly requireApproval: boolean;
  /** Whether a canary is promoted only where both sides have reported the value of open positions. */
  readonly requireUnrealized: boolean;
  /** A provider of the server's configuration file, or `null` when bots report. */
  readonly metricsProvider: string | null;
  /** Null: the default settlement applies to the sides that acknowledge allocations. */
  readonly settlement: SettlementConfig | null;
  readonly rollbackPlan: RollbackPlan | null;
  /** Null: the market never closes. */
  readonly tradingHours: TradingHours | null;
  /** How long the canary may hold capital without a request of its bot that is answered; null: without limit. */
  readonly capitalLeaseSeconds: number | null;
}

/** Only a ratio other than this one asks for a Sharpe ratio where the stable side reports none. */
export const DEFAULT_MIN_SHARPE_RATIO = decimal('0.8');
/** News of a side, and figures to act on, are at most this many checks old unless `maxStaleSeconds` says otherwise. */
export const STALE_CHECKS = 5;

/**
 * Settings that 0.1 did not know, with their defaults. They are left out of the stored form where they are at their
 * default, so that a configuration of 0.1 keeps its JSON and its hash.
 */
export const ADDED_SETTINGS: Readonly<Record<string, string | number | boolean | null>> = {
  comparison: 'RAW',
  margin: 0,
  maxErrorRateRatio: null,
  minMinutes: 0,
  pairing: 'CHECK',
  requireUnrealized: false,
  settlement: null,
  rollbackPlan: null,
  tradingHours: null,
  capitalLeaseSeconds: null,
};

/** The number of checks the whole ramp plans: `N` of the evidence formula before its floor of 20. */
export function plannedChecks(config: CanaryConfig): number {
  return Math.ceil((config.observationPeriodMinutes * 60) / config.checkIntervalSeconds);
}

/** `evidence.margin` as a return per check, at the planned interval; a day is one of trading. */
export function marginPerCheck({ evidence, checkIntervalSeconds, tradingHours }: CanaryConfig): number {
  return ((evidence.margin / 10_000) * checkIntervalSeconds) / tradingDay(tradingHours).seconds;
}

/**
 * The configuration on a clock that runs within trading hours only, as a simulation has it: the same checks, and the same
 * margin for each.
 */
export function inTradingTime(config: CanaryConfig): CanaryConfig {
  if (!config.tradingHours) return config;
  const margin = (config.evidence.margin * 86_400) / tradingDay(config.tradingHours).seconds;
  return { ...config, tradingHours: null, evidence: { ...config.evidence, margin } };
}

/** Sixteen hex digits that change with any setting: which policy made a decision. */
export function configHash(config: CanaryConfig): string {
  return hash('sha256', JSON.stringify(config, withoutAdded), 'hex').slice(0, 16);
}

/** A replacer of `JSON.stringify` that leaves added settings out where they are at their default. */
function withoutAdded(name: string, value: unknown): unknown {
  return name in ADDED_SETTINGS && value === ADDED_SETTINGS[name] ? undefined : value;
}
