/**
 * Notices a canary that was good and turns bad, which the mean over everything notices late. A Shiryaev-Roberts sum of
 * e-values that are exact for a series symmetric about a value of 0 or more, whatever its tails and volatility (de la
 * Pena 1999; Shin, Ramdas and Rinaldo, "E-detectors", 2023). Sums are kept as natural logarithms.
 */
import { planLength } from './confidenceSequence.ts';
import { clip, type SeriesSums, varianceOf } from './longRunVariance.ts';

/** One e-value each: small bets notice small drifts late, large ones large drifts soon. */
const BETS = [0.05, 0.1, 0.2, 0.4, 0.8] as const;

/** Values before the first e-value: their mean square is the scale of the next. */
const WARM_UP = 10;

/** Serial correlation stretches the time of the sum by V / g0, at most this often. */
const MOST_STRETCH = 20;

/** The sums start at the threshold over this, so that a canary that is bad from the beginning is noticed sooner. */
const HEAD_START = 200;

/**
 * The level at which the detector alarms: ln(N^1.5). Calibrated by simulation (0.5 to 0.9 % false alarms at 60, 288
 * and 1,440 checks), not derived.
 */
export function driftThreshold(planned: number): number {
  return 1.5 * Math.log(planLength(planned));
}

/** The sums before the first value, one for each bet. */
export function startDrift(planned: number): number[] {
  return BETS.map(() => driftThreshold(planned) - Math.log(HEAD_START));
}

/**
 * Takes the next value of a series in place.
 * @param before the series without that value: what the bet is sized on must not know it
 */
export function addToDrift(logs: number[], before: SeriesSums, value: number): void {
  const { n, mean, m2 } = before;
  if (n < WARM_UP) return;
  const scale = Math.sqrt((m2 + n * mean * mean) / n);
  const { variance, longRunVariance } = varianceOf(before);
  const stretch = variance > 0 ? clip(longRunVariance / variance, 1, MOST_STRETCH) : 1;
  const z = scale > 0 ? value / scale : 0;
  for (let index = 0; index < BETS.length; index += 1) {
    logs[index] = logOnePlusExp(logs[index] ?? 0) + logEValue((BETS[index] ?? 0) * z) / stretch;
  }
}

/** The detector's level: the natural logarithm of the mean of the sums. */
export function driftLevel(logs: readonly number[]): number {
  const highest = Math.max(...logs);
  const sum = logs.reduce((total, log) => total + Math.exp(log - highest), 0);
  return highest + Math.log(sum / logs.length);
}

/** ln(exp(-x) / cosh(x)), without overflow. */
function logEValue(x: number): number {
  const size = Math.abs(x);
  return Math.LN2 - x - size - Math.log1p(Math.exp(-2 * size));
}

function logOnePlusExp(x: number): number {
  return x > 36 ? x : Math.log1p(Math.exp(x));
}
