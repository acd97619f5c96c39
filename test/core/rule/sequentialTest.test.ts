/** The sequential test in its second form: the vectors of the specification, and the laws it keeps. */
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ComparisonMode } from '../../../src/core/config/config.ts';
import { driftLevel } from '../../../src/core/rule/driftDetector.ts';
import { evidenceFiguresOf } from '../../../src/core/rule/evidenceFigures.ts';
import { varianceOf } from '../../../src/core/rule/longRunVariance.ts';
import {
  type EvidenceState,
  pairsOf,
  startEvidence,
  withPair,
} from '../../../src/core/rule/pairedEvidence.ts';
import { judgeEvidence, speakingInterval } from '../../../src/core/rule/sequentialTest.ts';

const series = z.object({
  n: z.int(),
  mean: z.number(),
  variance: z.number(),
  longRunVariance: z.number(),
  effective: z.number(),
  low: z.number(),
  high: z.number(),
  logDrift: z.number(),
});
const vectors = z
  .array(
    z.object({
      kind: z.string(),
      planned: z.int(),
      minPnlRatio: z.number(),
      alpha: z.number(),
      minSamples: z.int(),
      margin: z.number(),
      canaryReturns: z.array(z.number()),
      stableReturns: z.array(z.number()),
      expect: z.object({
        whenEarning: series,
        whenLosing: series,
        logDriftThreshold: z.number(),
        drift: z.boolean(),
        verdict: z.enum(['WORSE', 'NOT_WORSE', 'OPEN']),
        by: z.enum(['INTERVAL', 'DRIFT']).nullable(),
      }),
    }),
  )
  .parse(JSON.parse(readFileSync(new URL('../../vectors/evidence2-vectors.json', import.meta.url), 'utf8')));

type Pair = readonly [canary: number, stable: number];

function fed(
  pairs: readonly Pair[],
  { planned = 60, rho = 0.9, comparison = 'RAW' as ComparisonMode, from = startEvidence(planned) } = {},
): EvidenceState {
  return pairs.reduce(
    (state, [canary, stable]) => withPair(state, canary, stable, { rho, comparison }),
    from,
  );
}

/** Within this share of each other. */
const near = (expected: number, relative = 1e-9) => ({
  asymmetricMatch: (given: unknown) =>
    typeof given === 'number' && Math.abs(given - expected) <= relative * Math.abs(expected),
  toString: () => `a number within ${relative} of ${expected}`,
});

describe('the vectors of the specification', () => {
  test('are there', () => expect(vectors.length).toBe(18));

  test.each(vectors.map((vector, index) => [index, vector.kind, vector] as const))(
    'vector %i (%s) agrees to 1e-9, fed pair by pair',
    (_index, _kind, vector) => {
      const { planned, minPnlRatio: rho, alpha, minSamples, margin, canaryReturns, stableReturns } = vector;
      const pairs = canaryReturns.map((canary, index): Pair => [canary, stableReturns[index] ?? 0]);
      const state = fed(pairs, { planned, rho });
      const result = judgeEvidence(evidenceFiguresOf(state), { alpha, minSamples, margin });
      for (const [name, interval] of [
        ['whenEarning', result.y1],
        ['whenLosing', result.y2],
      ] as const) {
        const { sums, drift } = state[name];
        const { n, mean, variance, longRunVariance, effective, low, high, logDrift } = vector.expect[name];
        expect(sums.n).toBe(n);
        expect(varianceOf(sums)).toEqual({
          variance: near(variance),
          longRunVariance: near(longRunVariance),
          effective: near(effective),
        });
        expect(interval).toEqual({ mean: near(mean), low: near(low), high: near(high) });
        expect(driftLevel(drift)).toEqual(near(logDrift));
      }
      expect(result.drift.threshold).toEqual(near(vector.expect.logDriftThreshold));
      expect(result.drift.value >= result.drift.threshold).toBe(vector.expect.drift);
      expect([result.verdict, result.by]).toEqual([vector.expect.verdict, vector.expect.by]);
      expect(pairsOf(state)).toBe(vector.expect.whenEarning.n);
    },
  );
});

test('the interval that speaks is that of the series with the larger mean, or of the only one there is', () => {
  const [low, high] = [
    { mean: -1, low: -2, high: 0 },
    { mean: 1, low: 0, high: 2 },
  ];
  expect(speakingInterval({ y1: low, y2: high })).toBe(high);
  expect(speakingInterval({ y1: high, y2: low })).toBe(high);
  expect(speakingInterval({ y1: low, y2: null })).toBe(low);
  expect(speakingInterval({ y1: null, y2: low })).toBe(low);
  expect(speakingInterval({ y1: null, y2: null })).toBeNull();
  // Of two alike the first one speaks.
  const alike = { ...high };
  expect(speakingInterval({ y1: high, y2: alike })).toBe(high);
});
