/** What a gate of the comparison is and finds: the words that every version of the rule shares. */
import { type Decimal, decimal, toStoredPrecision } from '../values/decimal.ts';
import { short } from '../values/format.ts';

export const DECISIONS = ['CONTINUE', 'PROMOTE', 'ROLLBACK', 'MANUAL_REVIEW'] as const;
export type CanaryDecision = (typeof DECISIONS)[number];

export const GATES = [
  'FINITE',
  'TRADES',
  'ERROR_RATE',
  'POSITIVE_PNL',
  'PNL',
  'DRAWDOWN',
  'SHARPE',
  'WIN_RATE',
  'EVIDENCE',
] as const;
export type GateName = (typeof GATES)[number];

export const GATE_OUTCOMES = ['PASSED', 'FAILED', 'NOT_APPLICABLE'] as const;
export type GateOutcome = (typeof GATE_OUTCOMES)[number];

export interface GateResult {
  readonly name: GateName;
  /** The decision this gate leads to when it fails. */
  readonly severity: CanaryDecision;
  readonly outcome: GateOutcome;
  readonly measured: Decimal | null;
  readonly threshold: Decimal | null;
  /** The gate, both values and the threshold as a message. */
  readonly reason: string;
}

export interface Ratios {
  readonly pnlRatio: Decimal | null;
  readonly drawdownRatio: Decimal | null;
  readonly sharpeRatio: Decimal | null;
  readonly winRateRatio: Decimal | null;
}

/** The canary's value and what it was held against. */
export type GateValues = Partial<Pick<GateResult, 'measured' | 'threshold'>>;
/** A reason, or how to write it: most checks need the decision only. */
export type Reason = string | (() => string);
/** What a gate finds, before it is named. */
export type GateFinding = Pick<GateResult, 'outcome' | 'severity'> & GateValues & { readonly reason: Reason };

/** The finding with its name, and with its reason as a message. */
export function named(name: GateName, finding: GateFinding): GateResult {
  const { measured = null, threshold = null, reason, ...rest } = finding;
  return { name, measured, threshold, ...rest, reason: inWords(reason) };
}

export function inWords(reason: Reason): string {
  return typeof reason === 'string' ? reason : reason();
}

export function passed(severity: CanaryDecision, reason: Reason, values: GateValues = {}): GateFinding {
  return { outcome: 'PASSED', severity, reason, ...values };
}

export function failed(severity: CanaryDecision, reason: Reason, values: GateValues = {}): GateFinding {
  return { outcome: 'FAILED', severity, reason, ...values };
}

export function passOrFail(
  pass: boolean,
  severity: CanaryDecision,
  reason: Reason,
  values: GateValues = {},
): GateFinding {
  return pass ? passed(severity, reason, values) : failed(severity, reason, values);
}

export function notApplicable(
  severity: CanaryDecision,
  reason: Reason,
  values: GateValues = {},
): GateFinding {
  return { outcome: 'NOT_APPLICABLE', severity, reason, ...values };
}

/** `stable - (1 - ratio) * |stable|`: the least that is acceptable, whichever the sign. */
export function shortfallLimit(stable: Decimal, ratio: Decimal): Decimal {
  return stable.minus(decimal(1).minus(ratio).times(stable.abs()));
}

/** The soft gates: passed when the stable side has no such figure, failed when only the canary lacks it. */
export function mustKeepUp(
  label: string,
  canary: Decimal | null,
  stable: Decimal | null,
  limitFor: (stable: Decimal) => Decimal,
): GateFinding {
  if (stable === null) return passed('MANUAL_REVIEW', `${label}: stable has none`, { measured: canary });
  const threshold = limitFor(stable);
  const reason = () =>
    `${label}: canary ${canary === null ? 'has none' : short(canary)} against stable ${short(stable)}, at least ${short(threshold)} needed`;
  if (canary === null) return failed('MANUAL_REVIEW', reason, { threshold: toStored(threshold) });
  const values = { measured: toStored(canary), threshold: toStored(threshold) };
  return passOrFail(canary.gte(threshold), 'MANUAL_REVIEW', reason, values);
}

/** A quotient for a person: null when the denominator is zero, negative or missing. */
export function quotient(above: Decimal | null, below: Decimal | null): Decimal | null {
  if (!above?.isFinite() || !below?.isFinite() || !below.gt(0)) return null;
  return toStoredPrecision(above.div(below));
}

export function toStored(value: Decimal): Decimal | null {
  return value.isFinite() ? toStoredPrecision(value) : null;
}
