/**
 * The sequential test: is the canary worse than the stable version, judged on paired returns and valid at every check.
 * Two intervals say what the mean is, a drift detector notices a canary that turns bad, and the pairs count as many as
 * their serial correlation leaves of them. Formulas, assumptions and limits: docs/evidence.md.
 */
import { halfWidth, type Interval } from './confidenceSequence.ts';
import { driftThreshold } from './driftDetector.ts';
import type { EvidenceFigures, SeriesFigures } from './evidenceFigures.ts';
import { variesBeyondRounding } from './longRunVariance.ts';
import { studentProbability } from './studentT.ts';

export const EVIDENCE_VERDICTS = ['WORSE', 'NOT_WORSE', 'OPEN'] as const;
export type EvidenceVerdict = (typeof EVIDENCE_VERDICTS)[number];

/** What said that the canary is worse. */
export const WORSE_BY = ['INTERVAL', 'DRIFT'] as const;
export type WorseBy = (typeof WORSE_BY)[number];

export interface TestSettings {
  readonly alpha: number;
  /** Effective pairs before the intervals decide. */
  readonly minSamples: number;
  /** What the canary may be worse by and still be good enough, as a return per check. */
  readonly margin: number;
}

/** What the test says now. Intervals are null before two pairs. */
export interface TestResult extends TestSettings {
  readonly verdict: EvidenceVerdict;
  /** Null unless worse. */
  readonly by: WorseBy | null;
  readonly pairs: number;
  readonly effectivePairs: number;
  readonly plannedChecks: number;
  /** The interval of rc - rho rs: the right one when the stable side earns. */
  readonly y1: Interval | null;
  /** The interval of rc - (2 - rho) rs: the right one when it loses. */
  readonly y2: Interval | null;
  /** Of canary - stable. */
  readonly difference: Interval | null;
  /** V / g0: how many times fewer pairs count because neighbours move together; the larger of both series. */
  readonly serialCorrelation: number | null;
  /** The lower of both detectors, and where it alarms: natural logarithms. */
  readonly drift: { readonly value: number; readonly threshold: number };
  /** Of the difference. From +1 on, rare large gains of the canary may not have come yet. */
  readonly skewness: number;
}

/** Judges the figures under settings. */
export function judgeEvidence(figures: EvidenceFigures, settings: TestSettings): TestResult {
  const { whenEarning, whenLosing, pairs, planned, skewness } = figures;
  const { alpha, minSamples, margin } = settings;
  const y1 = intervalOf(whenEarning, figures, alpha);
  const y2 = intervalOf(whenLosing, figures, alpha);
  const effectivePairs = Math.min(whenEarning.effective, whenLosing.effective);
  const enough = pairs >= 2 && effectivePairs >= minSamples;
  const threshold = driftThreshold(planned);
  const value = Math.min(whenEarning.logDrift, whenLosing.logDrift);
  const by = worseBy();
  return {
    verdict: by ? 'WORSE' : isNotWorse() ? 'NOT_WORSE' : 'OPEN',
    by,
    alpha,
    minSamples,
    margin,
    pairs,
    effectivePairs,
    plannedChecks: planned,
    y1,
    y2,
    difference: y1 && y2 && halfway(y1, y2),
    serialCorrelation: pairs < 2 ? null : Math.max(inflation(whenEarning), inflation(whenLosing)),
    drift: { value, threshold },
    skewness,
  };

  function worseBy(): WorseBy | null {
    const below = enough && y1 && y2 && y1.high < 0 && y2.high < 0;
    // Below zero, but by no more than the margin allows: good enough.
    if (below && !(y1.low > -margin || y2.low > -margin)) return 'INTERVAL';
    return value >= threshold ? 'DRIFT' : null;
  }

  /** A series without variance has no error to estimate: it is no evidence of being good enough. */
  function isNotWorse(): boolean {
    const proves = (series: SeriesFigures, interval: Interval | null) =>
      interval !== null && variesBeyondRounding(series) && interval.low > -margin;
    return enough && (proves(whenEarning, y1) || proves(whenLosing, y2));
  }
}

function intervalOf(
  series: SeriesFigures,
  { pairs, planned }: EvidenceFigures,
  alpha: number,
): Interval | null {
  if (pairs < 2) return null;
  const { mean, longRunVariance } = series;
  const half = halfWidth(pairs, longRunVariance, { planned, alpha });
  return { mean, low: mean - half, high: mean + half };
}

/**
 * The interval of the plain difference. It is the mean of both series, and its deviation is at most the mean of their
 * deviations (Minkowski), so halfway between the two intervals lies one that holds at least as often.
 */
function halfway(one: Interval, other: Interval): Interval {
  const middle = (a: number, b: number) => (a + b) / 2;
  return {
    mean: middle(one.mean, other.mean),
    low: middle(one.low, other.low),
    high: middle(one.high, other.high),
  };
}

/** V / g0 of a series; 1 where there is no variance. */
export function inflation({ variance, longRunVariance }: SeriesFigures): number {
  return variance > 0 ? longRunVariance / variance : 1;
}

/** Pairs from which a single test at the end is made. */
const FEWEST_TESTED = 5;

/**
 * The single test for an observation that ends with too few pairs for the sequential one: a paired t-test at 1 %, one
 * side, on both series, with the long-run variance. It holds only where it is made once: at the check that ends the
 * observation.
 */
export function isClearlyWorse({ pairs, whenEarning, whenLosing }: EvidenceFigures): boolean {
  if (pairs < FEWEST_TESTED) return false;
  return [whenEarning, whenLosing].every(({ mean, longRunVariance, effective }) => {
    if (!(mean < 0)) return false;
    if (longRunVariance === 0) return true;
    const t = mean / Math.sqrt(longRunVariance / pairs);
    return studentProbability(t, Math.max(2, Math.floor(effective) - 1)) < 0.01;
  });
}

/** The series that speaks: the canary is judged by the more favourable one. */
export function speakingInterval({ y1, y2 }: Pick<TestResult, 'y1' | 'y2'>): Interval | null {
  if (!y1 || !y2) return y1 ?? y2;
  return y1.mean >= y2.mean ? y1 : y2;
}
