/**
 * An interval for a mean that may be read after every value: the probability that it ever misses the mean is alpha, at
 * all lengths together. An asymptotic confidence sequence after Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
 * "Time-uniform central limit theory and asymptotic confidence sequences" (2021), with the long-run variance.
 */

/** An interval for a mean per check, in units of return. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export interface SequenceSettings {
  /** N: planned checks of the whole ramp. It tunes where the interval is tightest, never its validity. */
  readonly planned: number;
  readonly alpha: number;
}

/** Plans shorter than this are tuned and tested as if they had as many checks. */
const SHORTEST_PLAN = 20;

export function planLength(planned: number): number {
  return Math.max(SHORTEST_PLAN, planned);
}

/**
 * Half the width of the interval after n values.
 * @param longRunVariance V of the series
 */
export function halfWidth(n: number, longRunVariance: number, settings: SequenceSettings): number {
  const { planned, alpha } = settings;
  const lambda2 = (-2 * Math.log(alpha) + Math.log(-2 * Math.log(alpha)) + 1) / planLength(planned);
  const scaled = n * lambda2 + 1;
  const boundary = ((2 * scaled) / (n * lambda2)) * Math.log(1 + Math.sqrt(scaled) / (2 * alpha));
  return Math.sqrt(longRunVariance / n) * Math.sqrt(boundary);
}

/** The least number of values at which half the width is at most this; null where a billion would not do. */
export function lengthForHalfWidth(
  width: number,
  longRunVariance: number,
  settings: SequenceSettings,
): number | null {
  let low = 1;
  let high = 1e9;
  if (!(halfWidth(high, longRunVariance, settings) <= width)) return null;
  while (high - low > 0.5) {
    const middle = (low + high) / 2;
    if (halfWidth(middle, longRunVariance, settings) <= width) high = middle;
    else low = middle;
  }
  return Math.ceil(low);
}
