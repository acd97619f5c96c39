/** The sequential test: its published vectors, its running sums, and what is no evidence. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  addPair,
  confidenceInterval,
  type EvidenceSums,
  judge,
  NO_EVIDENCE,
  type RunningSums,
} from '../../src/core/rule/version1/evidence.ts';

const interval = z.object({ mean: z.number(), low: z.number(), high: z.number() });
const vectors = z
  .array(
    z.object({
      rc: z.array(z.number()),
      rs: z.array(z.number()),
      minPnlRatio: z.number(),
      alpha: z.number(),
      plannedChecks: z.number(),
      intervals: z.object({ y1: interval.nullable(), y2: interval.nullable() }),
      verdict: z.enum(['WORSE', 'NOT_WORSE', 'OPEN']),
    }),
  )
  .parse(JSON.parse(readFileSync(new URL('../vectors/evidence-vectors.json', import.meta.url), 'utf8')));

const settings = { alpha: 0.05, minSamples: 20, plannedChecks: 60 };

function fed(rc: readonly number[], rs: readonly number[], rho = 0.9): EvidenceSums {
  return rc.reduce((sums, value, index) => addPair(sums, value, rs[index] ?? 0, rho), NO_EVIDENCE);
}

/** Within this share of each other. */
const near = (expected: number, relative = 1e-9) => ({
  asymmetricMatch: (given: unknown) =>
    typeof given === 'number' && Math.abs(given - expected) <= relative * Math.abs(expected),
  toString: () => `a number within ${relative} of ${expected}`,
});

describe('the vectors of the specification', () => {
  test('are there', () => expect(vectors.length).toBeGreaterThan(10));

  test.each(vectors.map((vector, index) => [index, vector] as const))(
    'vector %i agrees to 1e-9',
    (_index, vector) => {
      const { rc, rs, minPnlRatio, alpha, plannedChecks, intervals, verdict } = vector;
      const evidence = judge(fed(rc, rs, minPnlRatio), { alpha, plannedChecks, minSamples: 20 });
      expect(evidence.verdict).toBe(verdict);
      for (const series of ['y1', 'y2'] as const) {
        const expected = intervals[series];
        if (expected === null) expect(evidence[series]).toBeNull();
        else {
          const { mean, low, high } = expected;
          expect(evidence[series]).toEqual({ mean: near(mean), low: near(low), high: near(high) });
        }
      }
    },
  );
});

const returns = fc.array(
  fc.tuple(
    fc.integer({ min: -5000, max: 5000 }).map((millionths) => millionths / 1e6),
    fc.integer({ min: -5000, max: 5000 }).map((millionths) => millionths / 1e6),
  ),
  { minLength: 2, maxLength: 200 },
);

/** Count, mean and variance of the whole series at once, in two passes: what the running sums must come to. */
function twoPass(values: readonly number[]): RunningSums {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const m2 = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { n: values.length, mean, m2 };
}

const close = (given: RunningSums, expected: RunningSums, scale: number) => {
  expect(given.n).toBe(expected.n);
  expect(Math.abs(given.mean - expected.mean)).toBeLessThanOrEqual(1e-12 * scale);
  expect(Math.abs(given.m2 - expected.m2)).toBeLessThanOrEqual(1e-9 * scale * scale * Math.max(1, given.n));
};

describe('running sums', () => {
  test('come to the sums of the whole series, far from zero too', () => {
    fc.assert(
      fc.property(returns, fc.constantFrom(0, 1, 1000), (pairs, offset) => {
        const rc = pairs.map(([canary]) => canary + offset);
        const rs = pairs.map(([, stable]) => stable);
        const informative = rc.flatMap((canary, index) => {
          const stable = rs[index] ?? 0;
          return canary === 0 && stable === 0 ? [] : [[canary, stable] as const];
        });
        fc.pre(informative.length > 0);
        const sums = fed(rc, rs);
        close(sums.y1, twoPass(informative.map(([c, s]) => c - 0.9 * s)), Math.max(1, offset));
        close(sums.y2, twoPass(informative.map(([c, s]) => c - 1.1 * s)), Math.max(1, offset));
      }),
    );
  });

  test('are the same however the pairs are handed over: in one go, or in portions with a rest between', () => {
    fc.assert(
      fc.property(returns, fc.integer({ min: 1, max: 50 }), (pairs, portion) => {
        let portioned = NO_EVIDENCE;
        for (let from = 0; from < pairs.length; from += portion) {
          const stored: EvidenceSums = JSON.parse(JSON.stringify(portioned));
          portioned = pairs
            .slice(from, from + portion)
            .reduce((sums, [canary, stable]) => addPair(sums, canary, stable, 0.9), stored);
        }
        const whole = fed(
          pairs.map(([canary]) => canary),
          pairs.map(([, stable]) => stable),
        );
        expect(portioned).toEqual(whole);
      }),
    );
  });

  test('do not care for the order of the pairs, beyond rounding', () => {
    fc.assert(
      fc.property(returns, (pairs) => {
        const backwards = [...pairs].reverse();
        const [there, back] = [pairs, backwards].map((series) =>
          fed(
            series.map(([canary]) => canary),
            series.map(([, stable]) => stable),
          ),
        );
        if (!there || !back) throw new Error('two series');
        close(there.y1, back.y1, 1);
        close(there.y2, back.y2, 1);
      }),
    );
  });

  test('leave out pairs in which neither side moved', () => {
    const sums = fed([0.001, 0, -0.002, 0], [0, 0, 0.001, 0]);
    expect(sums.y1.n).toBe(2);
    expect(sums).toEqual(fed([0.001, -0.002], [0, 0.001]));
  });
});

describe('the verdict', () => {
  const noisy = (count: number, mean: number) =>
    fed(
      Array.from({ length: count }, (_, index) => mean + (index % 2 === 0 ? 1e-4 : -1e-4)),
      Array.from({ length: count }, () => 0),
    );

  test('applies from minSamples on', () => {
    expect(judge(noisy(19, -0.01), settings).verdict).toBe('OPEN');
    expect(judge(noisy(20, -0.01), settings).verdict).toBe('WORSE');
    expect(judge(noisy(20, 0.01), settings).verdict).toBe('NOT_WORSE');
    expect(judge(noisy(20, -0.01), { ...settings, minSamples: 21 }).verdict).toBe('OPEN');
  });

  test('a zero variance is not evidence, however large the difference', () => {
    const constant = fed(
      Array.from({ length: 100 }, () => -0.01),
      Array.from({ length: 100 }, () => 0.003),
    );
    expect(judge(constant, settings).verdict).toBe('OPEN');
    const better = fed(
      Array.from({ length: 100 }, () => 0.1 + 0.2),
      Array.from({ length: 100 }, () => 0.1),
    );
    expect(judge(better, settings).verdict).toBe('OPEN');
  });

  test('a canary that does what stable does is never worse, whichever way the market goes', () => {
    fc.assert(
      fc.property(returns, fc.constantFrom(0, 0.5, 0.9, 1), (pairs, rho) => {
        const market = pairs.map(([, stable]) => stable);
        expect(judge(fed(market, market, rho), settings).verdict).not.toBe('WORSE');
      }),
    );
  });

  test('is only ever both-sided: worse needs both series below zero', () => {
    // Stable loses a lot, the canary half of it: y1 lies below zero, y2 above.
    const rs = Array.from({ length: 60 }, (_, index) => -0.01 + (index % 2 === 0 ? 1e-4 : -1e-4));
    const evidence = judge(
      fed(
        rs.map((value) => value / 2),
        rs,
      ),
      settings,
    );
    expect(evidence.verdict).toBe('NOT_WORSE');
  });
});

test('the interval narrows as pairs come in and widens with a smaller alpha', () => {
  const sums = (n: number): RunningSums => ({ n, mean: 0, m2: (n - 1) * 1e-6 });
  const width = (n: number, planned: number, alpha: number) => {
    const found = confidenceInterval(sums(n), planned, alpha);
    if (!found) throw new Error('no interval');
    return found.high - found.low;
  };
  expect(width(100, 60, 0.05)).toBeLessThan(width(50, 60, 0.05));
  expect(width(50, 60, 0.01)).toBeGreaterThan(width(50, 60, 0.05));
  expect(width(50, 5, 0.05)).toBe(width(50, 20, 0.05));
  expect(confidenceInterval(sums(1), 60, 0.05)).toBeNull();
});
