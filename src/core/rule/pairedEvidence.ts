/**
 * What the paired returns of both sides add up to, fed one pair at a time: two series of the sequential test, the
 * drift detector of each, and the moments that comparisons need. Bounded, whatever the length of the observation.
 * Statistics are doubles; money never enters.
 */
import type { ComparisonMode } from '../config/config.ts';
import { type Decimal, ZERO } from '../values/decimal.ts';
import type { BySide } from '../values/side.ts';
import { addToDrift, startDrift } from './driftDetector.ts';
import { addValue, clip, copySeries, emptySeries, type SeriesSums } from './longRunVariance.ts';

/** One of the two series, with its drift detector's sums as natural logarithms, one for each bet. */
export interface TestedSeries {
  readonly sums: SeriesSums;
  readonly drift: number[];
}

/** Means, squared deviations and their product of the two sides' returns, as the sides earned them. */
export interface ReturnMoments {
  canaryMean: number;
  stableMean: number;
  canaryM2: number;
  stableM2: number;
  /** Sum of the products of both deviations. */
  coM: number;
}

/** Second and third central moments of the difference canary - stable, as sums. */
export interface DifferenceMoments {
  mean: number;
  m2: number;
  m3: number;
}

/** The state of the evidence. {@link addPair} is the only writer; a state that is shared is copied first. */
export interface EvidenceState {
  /** N: the planned checks of the whole ramp, fixed when capital is first allocated. */
  readonly planned: number;
  /** rc - rho rs: the right series when the stable side earns. Being acceptable means one of the two has a mean >= 0. */
  readonly whenEarning: TestedSeries;
  /** rc - (2 - rho) rs: the right series when it loses. */
  readonly whenLosing: TestedSeries;
  readonly returns: ReturnMoments;
  readonly difference: DifferenceMoments;
  /** Pairs since the stable side's figures last changed, and since the canary's did. */
  stableStill: number;
  canaryStill: number;
  /** Pairs before the running step of the ramp. */
  pairsBeforeStep: number;
  /** When the sample was taken that the next pair starts from; null after a pause. */
  sampledAt: number | null;
  /** Whether a side has held nothing since that sample. */
  apart: boolean;
  /** Returns of each side while the other held nothing: they are no comparison. */
  alone: BySide<Decimal>;
}

export interface PairingRule {
  /** The canary must earn at least this share of what the stable side earns (`minPnlRatio`). */
  readonly rho: number;
  readonly comparison: ComparisonMode;
}

/** Pairs before risk matching knows both volatilities well enough. */
const MATCHING_WARM_UP = 10;

/** @param startedAt when the first pair begins, epoch milliseconds */
export function startEvidence(planned: number, startedAt = 0): EvidenceState {
  const series = (): TestedSeries => ({ sums: emptySeries(), drift: startDrift(planned) });
  return {
    planned,
    whenEarning: series(),
    whenLosing: series(),
    returns: { canaryMean: 0, stableMean: 0, canaryM2: 0, stableM2: 0, coM: 0 },
    difference: { mean: 0, m2: 0, m3: 0 },
    stableStill: 0,
    canaryStill: 0,
    pairsBeforeStep: 0,
    sampledAt: startedAt,
    apart: false,
    alone: { CANARY: ZERO, STABLE: ZERO },
  };
}

export function copyEvidence(state: EvidenceState): EvidenceState {
  const series = ({ sums, drift }: TestedSeries): TestedSeries => ({
    sums: copySeries(sums),
    drift: [...drift],
  });
  return {
    ...state,
    whenEarning: series(state.whenEarning),
    whenLosing: series(state.whenLosing),
    returns: { ...state.returns },
    difference: { ...state.difference },
  };
}

export function pairsOf({ whenEarning }: EvidenceState): number {
  return whenEarning.sums.n;
}

/**
 * Adds one pair of returns, both over the same interval, in place. A pair in which neither side moved says nothing and
 * is left out.
 */
export function addPair(
  state: EvidenceState,
  canaryReturn: number,
  stableReturn: number,
  { rho, comparison }: PairingRule,
): void {
  if (canaryReturn === 0 && stableReturn === 0) return;
  const compared = comparison === 'RISK_MATCHED' ? canaryReturn * riskRatio(state) : canaryReturn;
  addDifference(state, compared - stableReturn);
  addToSeries(state.whenEarning, compared - rho * stableReturn);
  addToSeries(state.whenLosing, compared - (2 - rho) * stableReturn);
  addReturns(state, canaryReturn, stableReturn);
  state.stableStill = stableReturn === 0 ? state.stableStill + 1 : 0;
  state.canaryStill = canaryReturn === 0 ? state.canaryStill + 1 : 0;
}

/** The same, leaving the given state as it was. */
export function withPair(
  state: EvidenceState,
  canaryReturn: number,
  stableReturn: number,
  rule: PairingRule,
): EvidenceState {
  const next = copyEvidence(state);
  addPair(next, canaryReturn, stableReturn, rule);
  return next;
}

/** The stable side's standard deviation over the canary's, up to the pair before, between 0.2 and 5. */
function riskRatio(state: EvidenceState): number {
  const { canaryM2, stableM2 } = state.returns;
  if (pairsOf(state) < MATCHING_WARM_UP || canaryM2 === 0) return 1;
  return clip(Math.sqrt(stableM2 / canaryM2), 0.2, 5);
}

function addToSeries({ sums, drift }: TestedSeries, value: number): void {
  addToDrift(drift, sums, value);
  addValue(sums, value);
}

/** One more value of the difference, before the series count it (Terriberry 2007). */
function addDifference(state: EvidenceState, value: number): void {
  const { difference } = state;
  const n = pairsOf(state) + 1;
  const delta = value - difference.mean;
  const share = delta / n;
  const term = delta * share * (n - 1);
  difference.m3 += term * share * (n - 2) - 3 * share * difference.m2;
  difference.m2 += term;
  difference.mean += share;
}

/** One more pair of returns, after the series have counted it. */
function addReturns(state: EvidenceState, canary: number, stable: number): void {
  const { returns } = state;
  const n = pairsOf(state);
  const ofCanary = canary - returns.canaryMean;
  const ofStable = stable - returns.stableMean;
  returns.canaryMean += ofCanary / n;
  returns.stableMean += ofStable / n;
  returns.canaryM2 += ofCanary * (canary - returns.canaryMean);
  returns.stableM2 += ofStable * (stable - returns.stableMean);
  returns.coM += ofCanary * (stable - returns.stableMean);
}
