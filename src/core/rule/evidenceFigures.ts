/**
 * What of the evidence a decision is made on: a few figures of each series, read off the state. A decision record keeps
 * them, so that the decision can be made again years later without the thirty lags that they came from.
 */
import { z } from 'zod';
import { driftLevel } from './driftDetector.ts';
import { varianceOf } from './longRunVariance.ts';
import { type EvidenceState, pairsOf, type TestedSeries } from './pairedEvidence.ts';

const count = z.int().min(0);

const seriesFigures = z.strictObject({
  mean: z.number(),
  variance: z.number(),
  longRunVariance: z.number(),
  /** Effective pairs of this series. */
  effective: z.number(),
  /** The drift detector's level, a natural logarithm. */
  logDrift: z.number(),
});
export type SeriesFigures = Readonly<z.output<typeof seriesFigures>>;

/** The sides' own returns a check: what Sharpe ratios and the outlook are computed from. */
const returnFigures = z.strictObject({
  canaryMean: z.number(),
  stableMean: z.number(),
  canaryDeviation: z.number(),
  stableDeviation: z.number(),
  /** Between -1 and 1; 0 while a side has not moved. */
  correlation: z.number(),
});
export type ReturnFigures = Readonly<z.output<typeof returnFigures>>;

export const figuresCodec = z.strictObject({
  planned: count,
  pairs: count,
  stepPairs: count,
  whenEarning: seriesFigures,
  whenLosing: seriesFigures,
  returns: returnFigures,
  /** Skewness of the difference canary - stable; 0 before three pairs. */
  skewness: z.number(),
  stableStill: count,
  canaryStill: count.optional(),
});
export type EvidenceFigures = Readonly<z.output<typeof figuresCodec>>;

/** The figures of a state. Computed once for a state, however often they are asked for. */
export function evidenceFiguresOf(state: EvidenceState): EvidenceFigures {
  const pairs = pairsOf(state);
  return {
    planned: state.planned,
    pairs,
    stepPairs: pairs - state.pairsBeforeStep,
    whenEarning: seriesOf(state.whenEarning),
    whenLosing: seriesOf(state.whenLosing),
    returns: returnsOf(state, pairs),
    skewness: skewnessOf(state, pairs),
    stableStill: state.stableStill,
    canaryStill: state.canaryStill,
  };
}

function seriesOf({ sums, drift }: TestedSeries): SeriesFigures {
  return { mean: sums.mean, ...varianceOf(sums), logDrift: driftLevel(drift) };
}

function returnsOf({ returns }: EvidenceState, pairs: number): ReturnFigures {
  const { canaryMean, stableMean, canaryM2, stableM2, coM } = returns;
  const deviation = (m2: number) => (pairs > 1 ? Math.sqrt(m2 / (pairs - 1)) : 0);
  const both = Math.sqrt(canaryM2) * Math.sqrt(stableM2);
  const correlation = both > 0 ? Math.min(Math.max(coM / both, -1), 1) : 0;
  return {
    canaryMean,
    stableMean,
    canaryDeviation: deviation(canaryM2),
    stableDeviation: deviation(stableM2),
    correlation,
  };
}

function skewnessOf({ difference: { mean, m2, m3 } }: EvidenceState, pairs: number): number {
  if (pairs < 3 || !(Math.sqrt(m2 / pairs) > 1e-12 * Math.abs(mean))) return 0;
  return (Math.sqrt(pairs) * m3) / m2 ** 1.5;
}
