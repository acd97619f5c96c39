/**
 * The long-run variance of a series that may be autocorrelated: the variance that its mean really has, times n. It is
 * the larger of a first-order autoregressive estimate and a Bartlett estimate, so that neither short nor longer
 * dependence makes a mean look more certain than it is. State is bounded: 30 lagged sums and the latest 30 values.
 */

/** Lags kept from the first value on. They serve series of up to 12,300 values in full. */
export const MAX_LAGS = 30;

/** Running sums of one series. Mutable: {@link addValue} is the only writer. */
export interface SeriesSums {
  n: number;
  mean: number;
  /** Sum of squared deviations from the mean (Welford 1962). */
  m2: number;
  /** At index k - 1: the sum of y_i y_(i-k). */
  readonly products: number[];
  /** Value number i (from 0) stands at index i mod 30. */
  readonly recent: number[];
}

/** What a series says about the certainty of its mean. */
export interface SeriesVariance {
  /** The sample variance g0. */
  readonly variance: number;
  /** The long-run variance V: the mean of n values has the variance V / n. */
  readonly longRunVariance: number;
  /** n min(1, g0 / V): how many independent values would say as much about the mean. */
  readonly effective: number;
}

const zeros = (): number[] => new Array<number>(MAX_LAGS).fill(0);

export function emptySeries(): SeriesSums {
  return {
    n: 0,
    mean: 0,
    m2: 0,
    products: zeros(),
    recent: zeros(),
  };
}

export function copySeries({ n, mean, m2, products, recent }: SeriesSums): SeriesSums {
  return { n, mean, m2, products: products.slice(), recent: recent.slice() };
}

/** Adds a value in place, in O(30). */
export function addValue(sums: SeriesSums, value: number): void {
  const { n, products, recent } = sums;
  const known = Math.min(n, MAX_LAGS);
  for (let lag = 1, at = n - 1; lag <= known; lag += 1, at -= 1) {
    const earlier = recent[at % MAX_LAGS] ?? 0;
    products[lag - 1] = (products[lag - 1] ?? 0) + value * earlier;
  }
  recent[n % MAX_LAGS] = value;
  const delta = value - sums.mean;
  sums.n = n + 1;
  sums.mean += delta / sums.n;
  sums.m2 += delta * (value - sums.mean);
}

/**
 * Variances of a series. Zero for fewer than two values; of a series that varies by no more than rounding, what rounding
 * leaves of it.
 *
 * AR(1): g0 (1 + phi) / (1 - phi), phi with Kendall's correction of its bias (Kendall 1954). Bartlett: weights
 * 1 - k / (L + 1) over L = min(floor(1.3 n^(1/3)), 30) lags (Newey and West 1987), raised for the part that few values
 * hide. Never below 0.4 g0: a strongly negative autocorrelation is not taken at its word.
 */
export function varianceOf(sums: SeriesSums): SeriesVariance {
  const { n, mean, m2 } = sums;
  const g0 = n < 2 ? 0 : m2 / (n - 1);
  if (!varies(n, mean, m2)) return { variance: g0, longRunVariance: g0, effective: n };
  const longRunVariance = Math.max(autoregressive(sums, g0), bartlett(sums, g0), 0.4 * g0);
  return { variance: g0, longRunVariance, effective: n * Math.min(1, g0 / longRunVariance) };
}

function varies(n: number, mean: number, m2: number): boolean {
  return n > 1 && variesBeyondRounding({ mean, variance: m2 / (n - 1) });
}

/** Whether a series varies by more than rounding; a constant one has no error to estimate. */
export function variesBeyondRounding({ mean, variance }: { mean: number; variance: number }): boolean {
  return Math.sqrt(variance) > 1e-12 * Math.abs(mean);
}

function autocovariance({ n, mean, products }: SeriesSums, lag: number): number {
  return (products[lag - 1] ?? 0) / n - (mean * mean * (n - lag)) / n;
}

/** The correlation of neighbouring values, with Kendall's correction of its bias; 0 for a series that does not vary. */
export function autocorrelationOf(sums: SeriesSums): number {
  const { n, mean, m2 } = sums;
  return varies(n, mean, m2) ? correctedLagOne(sums, m2 / (n - 1)) : 0;
}

function autoregressive(sums: SeriesSums, g0: number): number {
  const phi = correctedLagOne(sums, g0);
  return (g0 * (1 + phi)) / (1 - phi);
}

function correctedLagOne(sums: SeriesSums, g0: number): number {
  const p = clip(autocovariance(sums, 1) / g0, -0.9, 0.9);
  return clip(p + (1 + 3 * p) / sums.n, -0.5, 0.9);
}

function bartlett(sums: SeriesSums, g0: number): number {
  const { n } = sums;
  const lags = Math.min(Math.floor(1.3 * Math.cbrt(n)), MAX_LAGS);
  let sum = g0;
  for (let lag = 1; lag <= lags; lag += 1) {
    sum += 2 * (1 - lag / (lags + 1)) * autocovariance(sums, lag);
  }
  return Math.max(sum, 0.2 * g0) / Math.max(1 - (lags + 1) / n, 0.3);
}

export function clip(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
