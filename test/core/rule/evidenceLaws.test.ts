/** Laws of the evidence: what must hold for every series of pairs, and what is bounded. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { ComparisonMode } from '../../../src/core/config/config.ts';
import { tradingDay } from '../../../src/core/config/tradingHours.ts';
import { evidenceStateCodec } from '../../../src/core/rule/evidenceCodec.ts';
import { evidenceFiguresOf } from '../../../src/core/rule/evidenceFigures.ts';
import { outlookOf } from '../../../src/core/rule/outlook.ts';
import {
  addPair,
  copyEvidence,
  type EvidenceState,
  pairsOf,
  startEvidence,
  withPair,
} from '../../../src/core/rule/pairedEvidence.ts';
import { isClearlyWorse, judgeEvidence, type TestResult } from '../../../src/core/rule/sequentialTest.ts';
import { normalProbability, studentProbability } from '../../../src/core/rule/studentT.ts';
import { decimal } from '../../../src/core/values/decimal.ts';
import { type Pair, pairedReturns } from '../../harness/pairedReturns.ts';

const SETTINGS = { alpha: 0.03, minSamples: 20, margin: 0 };

function fed(pairs: readonly Pair[], comparison: ComparisonMode = 'RAW', rho = 0.9): EvidenceState {
  const state = startEvidence(60);
  for (const [canary, stable] of pairs) addPair(state, canary, stable, { rho, comparison });
  return state;
}
const judged = (pairs: readonly Pair[], settings = SETTINGS) =>
  judgeEvidence(evidenceFiguresOf(fed(pairs)), settings);

const millionths = fc.integer({ min: -5000, max: 5000 }).map((value) => value / 1e6);
const anyPairs = fc.array(fc.tuple(millionths, millionths), { minLength: 1, maxLength: 150 });
/** Pairs with the dependence and the drift that real ones have. */
const course = fc
  .record({
    seed: fc.integer({ min: 1, max: 1e6 }),
    checks: fc.integer({ min: 2, max: 150 }),
    phi: fc.constantFrom(0, 0.3, 0.6),
    shift: fc.constantFrom(-1, -0.3, 0, 0.5),
  })
  .map(({ seed, checks, phi, shift }) => pairedReturns(seed, checks, { phi, shift: () => shift }));

const stored = (state: EvidenceState): EvidenceState =>
  z.decode(evidenceStateCodec, JSON.parse(JSON.stringify(z.encode(evidenceStateCodec, state))));

describe('the state', () => {
  test('does not depend on how the pairs are grouped, nor on being stored in between', () => {
    fc.assert(
      fc.property(course, fc.integer({ min: 1, max: 50 }), (pairs, portion) => {
        let portioned = startEvidence(60);
        for (let from = 0; from < pairs.length; from += portion) {
          portioned = stored(portioned);
          for (const [canary, stable] of pairs.slice(from, from + portion)) {
            portioned = withPair(portioned, canary, stable, { rho: 0.9, comparison: 'RAW' });
          }
        }
        expect(portioned).toEqual(fed(pairs));
      }),
      { numRuns: 40 },
    );
  });

  test('counts the latest pairs in which one side stood still while the other moved', () => {
    const moves: Pair[] = [
      [0.001, 0.002],
      [0.001, 0],
      [0.002, 0],
    ];
    expect(fed(moves)).toMatchObject({ stableStill: 2, canaryStill: 0 });
    expect(fed(moves.map(([canary, stable]): Pair => [stable, canary]))).toMatchObject({
      stableStill: 0,
      canaryStill: 2,
    });
    expect(fed([...moves, [0.001, 0.001]])).toMatchObject({ stableStill: 0, canaryStill: 0 });
    expect(fed([...moves, [0, 0]])).toMatchObject({ stableStill: 2, canaryStill: 0 });
  });

  test('leaves out pairs in which neither side moved', () => {
    fc.assert(
      fc.property(anyPairs, fc.integer({ min: 0, max: 20 }), (pairs, at) => {
        const still: Pair[] = [...pairs.slice(0, at), [0, 0], ...pairs.slice(at)];
        expect(fed(still)).toEqual(fed(pairs));
      }),
    );
  });

  test('takes at most 3 KB in JSON, however long and however wild the series', () => {
    const wild = fc.double({ min: -1e12, max: 1e12, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(wild, wild), { minLength: 40, maxLength: 300 }), (pairs) => {
        const json = JSON.stringify(z.encode(evidenceStateCodec, fed(pairs)));
        expect(json.length).toBeLessThanOrEqual(3072);
      }),
      { numRuns: 50 },
    );
  });

  test('that is copied is another one', () => {
    const state = fed(pairedReturns(1, 40));
    const before = copyEvidence(state);
    addPair(copyEvidence(state), 1, -1, { rho: 0.9, comparison: 'RAW' });
    expect(state).toEqual(before);
  });

  test('with lags that do not fit its pairs is refused', () => {
    const json = z.encode(evidenceStateCodec, fed(pairedReturns(1, 10)));
    expect(z.safeDecode(evidenceStateCodec, { ...json, lagged: 'AAAA' }).success).toBe(false);
    expect(z.safeDecode(evidenceStateCodec, { ...json, pairs: 11 }).success).toBe(false);
  });
});

describe('the test', () => {
  const ends = ({ y1, y2 }: TestResult) => [y1?.low, y1?.high, y2?.low, y2?.high];

  test('negated on both sides has its intervals negated, each end for the other', () => {
    fc.assert(
      fc.property(course, (pairs) => {
        const there = judged(pairs);
        const back = judged(pairs.map(([canary, stable]): Pair => [-canary, -stable]));
        const mirrored = [there.y1?.high, there.y1?.low, there.y2?.high, there.y2?.low];
        for (const [index, end] of ends(back).entries()) {
          expect(end).toBeCloseTo(-(mirrored[index] ?? 0), 12);
        }
      }),
    );
  });

  test('has one verdict whatever the unit of returns', () => {
    fc.assert(
      fc.property(course, fc.constantFrom(1e-6, 0.25, 1024, 1e6), (pairs, factor) => {
        const scaled = judged(pairs.map(([canary, stable]): Pair => [canary * factor, stable * factor]));
        const plain = judged(pairs);
        expect([scaled.verdict, scaled.by]).toEqual([plain.verdict, plain.by]);
        expect(scaled.effectivePairs).toBeCloseTo(plain.effectivePairs, 6);
        expect(scaled.drift.value).toBeCloseTo(plain.drift.value, 6);
        expect(scaled.skewness).toBeCloseTo(plain.skewness, 6);
      }),
    );
  });

  test('is never worse and not worse at once, and a margin never makes it stricter', () => {
    fc.assert(
      fc.property(course, fc.constantFrom(0.00001, 0.0003, 0.01), (pairs, margin) => {
        const [without, within] = [judged(pairs), judged(pairs, { ...SETTINGS, margin })];
        if (without.verdict === 'NOT_WORSE') expect(within.verdict).toBe('NOT_WORSE');
        if (without.verdict === 'OPEN') expect(within.verdict).not.toBe('WORSE');
        if (without.by === 'DRIFT') expect(within.by).toBe('DRIFT');
      }),
    );
  });

  test('counts at most as many effective pairs as there are', () => {
    fc.assert(
      fc.property(course, (pairs) => {
        const { effectivePairs, pairs: counted } = judged(pairs);
        expect(effectivePairs).toBeGreaterThan(0);
        expect(effectivePairs).toBeLessThanOrEqual(counted);
      }),
    );
  });

  test('has the interval of the plain difference around it', () => {
    fc.assert(
      fc.property(course, (pairs) => {
        const { difference } = judged(pairs);
        const mean = pairs.reduce((sum, [canary, stable]) => sum + canary - stable, 0) / pairs.length;
        expect(difference?.mean).toBeCloseTo(mean, 12);
        expect(difference?.low).toBeLessThanOrEqual(mean);
      }),
    );
  });

  test('of a constant loss is worse; of a constant gain it is no proof', () => {
    const constant = (value: number) => judged(Array.from({ length: 30 }, (): Pair => [value, 0]));
    expect(constant(-0.001).verdict).toBe('WORSE');
    expect(constant(0.001).verdict).toBe('OPEN');
  });

  test('is not decided by how doubles are rounded: a constant gain over a stable side that moves is no proof', () => {
    fc.assert(
      fc.property(fc.array(millionths, { minLength: 20, maxLength: 60 }), (market) => {
        const ahead = market.map((stable): Pair => [stable + 0.001, stable]);
        const { verdict } = judgeEvidence(evidenceFiguresOf(fed(ahead, 'RAW', 1)), SETTINGS);
        expect(verdict).toBe('OPEN');
      }),
    );
  });
});

describe('risk matched', () => {
  const pairs = pairedReturns(11, 120);

  test('the leverage of the canary changes nothing once it is known', () => {
    const means = [0.5, 1, 2].map((leverage) => {
      const levered = pairs.map(([canary, stable]): Pair => [canary * leverage, stable]);
      const warm = fed(levered.slice(0, 60), 'RISK_MATCHED');
      const more = copyEvidence(warm);
      for (const [canary, stable] of levered.slice(60)) {
        addPair(more, canary, stable, { rho: 0.9, comparison: 'RISK_MATCHED' });
      }
      const total = (state: EvidenceState) => state.whenEarning.sums.mean * pairsOf(state);
      return (total(more) - total(warm)) / 60;
    });
    expect(means[0]).toBeCloseTo(means[1] ?? 0, 12);
    expect(means[2]).toBeCloseTo(means[1] ?? 0, 12);
  });

  test('what the sides earned stays what it was', () => {
    expect(fed(pairs, 'RISK_MATCHED').returns).toEqual(fed(pairs).returns);
  });
});

describe('the moments', () => {
  test('are those of the whole series at once', () => {
    fc.assert(
      fc.property(course, (pairs) => {
        const n = pairs.length;
        const { returns, skewness } = evidenceFiguresOf(fed(pairs));
        const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / n;
        const [canary, stable] = [pairs.map(([value]) => value), pairs.map(([, value]) => value)];
        const moment = (values: readonly number[], power: number) =>
          mean(values.map((value) => (value - mean(values)) ** power));
        expect(returns.canaryDeviation ** 2).toBeCloseTo((moment(canary, 2) * n) / (n - 1), 12);
        const co = mean(
          canary.map((value, index) => (value - mean(canary)) * ((stable[index] ?? 0) - mean(stable))),
        );
        expect(returns.correlation).toBeCloseTo(co / Math.sqrt(moment(canary, 2) * moment(stable, 2)), 8);
        const difference = pairs.map(([one, other]) => one - other);
        if (n >= 3) expect(skewness).toBeCloseTo(moment(difference, 3) / moment(difference, 2) ** 1.5, 6);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the single test at the end', () => {
  test('knows the quantiles of Student’s t', () => {
    // One-sided 1 % points, from the tables.
    for (const [degrees, point] of [
      [2, 6.965],
      [3, 4.541],
      [5, 3.365],
      [10, 2.764],
      [19, 2.539],
      [100, 2.364],
    ] as const) {
      expect(studentProbability(-point, degrees)).toBeCloseTo(0.01, 4);
      expect(studentProbability(point, degrees)).toBeCloseTo(0.99, 4);
    }
    expect(normalProbability(1.6448536)).toBeCloseTo(0.95, 6);
    expect(normalProbability(-1.6448536)).toBeCloseTo(0.05, 6);
  });

  test('is made from five pairs on, and rolls back few of identical versions, correlated ones too', () => {
    const share = (phi: number) => {
      const worse = Array.from({ length: 1500 }, (_, seed) =>
        isClearlyWorse(evidenceFiguresOf(fed(pairedReturns(seed + 1, 20, { phi })))),
      );
      return worse.filter(Boolean).length / worse.length;
    };
    expect(share(0)).toBeLessThan(0.015);
    expect(share(0.6)).toBeLessThan(0.045);
    const four = pairedReturns(1, 4, { shift: () => -9 });
    expect(isClearlyWorse(evidenceFiguresOf(fed(four)))).toBe(false);
    const twelve = pairedReturns(1, 12, { shift: () => -3 });
    expect(isClearlyWorse(evidenceFiguresOf(fed(twelve)))).toBe(true);
  });
});

describe('the outlook', () => {
  const context = {
    checks: 60,
    checksLeft: 0,
    checkIntervalSeconds: 60,
    canaryUsd: decimal(10_000),
    manyPairs: false,
    day: tradingDay(null),
  };
  const look = (pairs: readonly Pair[], more: Partial<typeof context> = {}) =>
    outlookOf(evidenceFiguresOf(fed(pairs)), SETTINGS, { ...context, checks: pairs.length, ...more });

  test('says how many more checks, and is right about it where the difference stays what it is', () => {
    const shift = () => -0.25;
    for (const seed of [2, 3, 5]) {
      const all = pairedReturns(seed, 4000, { shift });
      const { checksToDecide } = look(all.slice(0, 60));
      if (checksToDecide === null || checksToDecide === 0) continue;
      // Within a factor of four: the difference is not known better.
      const worseAt = Array.from({ length: 400 }, (_, tens) => 60 + tens * 10).find(
        (length) => judged(all.slice(0, length)).verdict === 'WORSE',
      );
      expect(worseAt).toBeDefined();
    }
    const decided = pairedReturns(1, 60, { shift: () => -2 });
    expect(look(decided)).toMatchObject({ checksToDecide: 0, decidesBeforeDeadline: true });
  });

  test('says what an hour at 0.1 % a minute can show: about half of the capital a day', () => {
    const { leastDetectablePerDay } = look(pairedReturns(1, 60));
    expect(leastDetectablePerDay).toBeGreaterThan(0.3);
    expect(leastDetectablePerDay).toBeLessThan(0.7);
  });

  test('knows which side is likelier the better one', () => {
    expect(look(pairedReturns(4, 100, { shift: () => 1 })).probabilityBetter).toBeGreaterThan(0.99);
    expect(look(pairedReturns(4, 100, { shift: () => -1 })).probabilityBetter).toBeLessThan(0.01);
  });

  test('puts more at risk the longer it takes, and advises a longer interval where checks move together', () => {
    const [soon, late] = [10, 1000].map((checksLeft) => look(pairedReturns(1, 60), { checksLeft }).usdAtRisk);
    expect(late?.gt(soon ?? 0)).toBe(true);
    expect(look(pairedReturns(6, 150, { phi: 0.6 })).advice[0]).toMatch(/longer check interval/);
    expect(look(pairedReturns(6, 150)).advice).toEqual([]);
  });

  test('does not promise a decision that a series without variance never brings', () => {
    const constant = Array.from({ length: 60 }, (): Pair => [0.001, 0]);
    expect(judged(constant).verdict).toBe('OPEN');
    expect(look(constant)).toMatchObject({ checksToDecide: null, decidesBeforeDeadline: false });
    const loss = Array.from({ length: 15 }, (): Pair => [-0.001, 0]);
    expect(look(loss, { checksLeft: 10 })).toMatchObject({ checksToDecide: 5, decidesBeforeDeadline: true });
  });

  test('says nothing of one pair', () => {
    expect(look(pairedReturns(1, 1))).toMatchObject({ checksToDecide: null, usdAtRisk: null, advice: [] });
  });
});
