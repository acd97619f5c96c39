/**
 * The sequential test of the first version of the rule, kept for old logs and records: is the canary worse than the
 * stable version, judged on paired samples with the sample variance. An asymptotic confidence sequence after Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform
 * central limit theory and asymptotic confidence sequences" (2021). Returns are doubles: they have no unit.
 */
import { decimal } from '../../values/decimal.ts';
import { percent } from '../../values/format.ts';
import type { Interval } from '../confidenceSequence.ts';
import { type EvidenceVerdict, speakingInterval } from '../sequentialTest.ts';

/** Count, mean and sum of squared deviations of a series (Welford 1962): updated in constant time, stable. */
export interface RunningSums {
  readonly n: number;
  readonly mean: number;
  readonly m2: number;
}

/** The two series of the test; being acceptable means that one of the two has a mean >= 0. */
export interface EvidenceSums {
  /** rc - rho * rs: the right one when the stable side earns. */
  readonly y1: RunningSums;
  /** rc - (2 - rho) * rs: the right one when it loses. */
  readonly y2: RunningSums;
}

/** What the test says now. `y1` and `y2` are null before two informative pairs. */
export interface Evidence {
  readonly verdict: EvidenceVerdict;
  readonly pairs: number;
  readonly minSamples: number;
  readonly plannedChecks: number;
  readonly alpha: number;
  readonly y1: Interval | null;
  readonly y2: Interval | null;
}

const EMPTY_SUMS: RunningSums = { n: 0, mean: 0, m2: 0 };
export const NO_EVIDENCE: EvidenceSums = { y1: EMPTY_SUMS, y2: EMPTY_SUMS };

function add(sums: RunningSums, value: number): RunningSums {
  const n = sums.n + 1;
  const delta = value - sums.mean;
  const mean = sums.mean + delta / n;
  return { n, mean, m2: sums.m2 + delta * (value - mean) };
}

/**
 * Adds one pair of returns, both over the same interval. A pair in which neither side moved says nothing and is
 * left out.
 * @param rho the canary must earn at least this share of what the stable side earns (`minPnlRatio`)
 */
export function addPair(
  sums: EvidenceSums,
  canaryReturn: number,
  stableReturn: number,
  rho: number,
): EvidenceSums {
  if (canaryReturn === 0 && stableReturn === 0) return sums;
  return {
    y1: add(sums.y1, canaryReturn - rho * stableReturn),
    y2: add(sums.y2, canaryReturn - (2 - rho) * stableReturn),
  };
}

/**
 * The confidence sequence of one series at its present length.
 * @param planned planned checks of the whole ramp; it tunes where the interval is tightest, never its validity
 */
export function confidenceInterval(sums: RunningSums, planned: number, alpha: number): Interval | null {
  const { n, mean, m2 } = sums;
  if (n < 2) return null;
  const deviation = Math.sqrt(m2 / (n - 1));
  const horizon = Math.max(20, planned);
  const lambda2 = (-2 * Math.log(alpha) + Math.log(-2 * Math.log(alpha)) + 1) / horizon;
  const scaled = n * lambda2 + 1;
  const half =
    deviation * Math.sqrt(((2 * scaled) / (n * n * lambda2)) * Math.log(1 + Math.sqrt(scaled) / (2 * alpha)));
  return { mean, low: mean - half, high: mean + half };
}

/** Whether the series varies by more than rounding; a constant series has no error to estimate. */
function varies({ n, mean, m2 }: RunningSums): boolean {
  return Math.sqrt(m2 / (n - 1)) > 1e-12 * Math.abs(mean);
}

/** Judges the sums. A series without variance is no evidence: its verdict stays open. */
export function judge(
  sums: EvidenceSums,
  settings: { readonly alpha: number; readonly minSamples: number; readonly plannedChecks: number },
): Evidence {
  const { alpha, minSamples, plannedChecks } = settings;
  const y1 = confidenceInterval(sums.y1, plannedChecks, alpha);
  const y2 = confidenceInterval(sums.y2, plannedChecks, alpha);
  return { verdict: verdict(), pairs: sums.y1.n, minSamples, plannedChecks, alpha, y1, y2 };

  function verdict(): EvidenceVerdict {
    if (sums.y1.n < minSamples || !y1 || !y2) return 'OPEN';
    const informative1 = varies(sums.y1);
    const informative2 = varies(sums.y2);
    if (informative1 && informative2 && y1.high < 0 && y2.high < 0) return 'WORSE';
    if ((informative1 && y1.low > 0) || (informative2 && y2.low > 0)) return 'NOT_WORSE';
    return 'OPEN';
  }
}

const SAID: Record<EvidenceVerdict, string> = {
  WORSE: 'the canary is worse, beyond chance',
  NOT_WORSE: 'the canary is not worse, beyond chance',
  OPEN: 'still open, the difference is within noise',
};

/** The test as a message, for reasons and screens. */
export function describeEvidence(evidence: Evidence): string {
  const { verdict, pairs, minSamples, plannedChecks: planned } = evidence;
  const interval = speakingInterval(evidence);
  if (pairs < minSamples || !interval) {
    return `Evidence: too early to say (${pairs} of ${minSamples} paired samples)`;
  }
  const [mean, low, high] = [interval.mean, interval.low, interval.high].map((end) => percent(decimal(end)));
  return (
    `Evidence: ${SAID[verdict]}: ${mean} a check against the least acceptable, ` +
    `between ${low} and ${high} (${pairs} paired samples, ${planned} checks planned)`
  );
}
