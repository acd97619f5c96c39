/** The Sharpe gate on the checks' returns: its figures against the textbook, and what the noise may excuse. */
import { describe, expect, test } from 'vitest';
import type { CanaryConfigInput } from '../../../src/core/config/parseConfig.ts';
import { applyReport } from '../../../src/core/metrics/sideMetrics.ts';
import { compare } from '../../../src/core/rule/comparison.ts';
import { evidenceFiguresOf } from '../../../src/core/rule/evidenceFigures.ts';
import { addPair, startEvidence } from '../../../src/core/rule/pairedEvidence.ts';
import { sharpeOfChecks } from '../../../src/core/rule/sharpe.ts';
import { decimal } from '../../../src/core/values/decimal.ts';
import { type Pair, pairedReturns } from '../../harness/pairedReturns.ts';
import { configOf, figures } from '../../harness/trial.ts';

function evidenceOf(pairs: readonly Pair[]) {
  const state = startEvidence(60);
  for (const [canary, stable] of pairs) addPair(state, canary, stable, { rho: 0.9, comparison: 'RAW' });
  return evidenceFiguresOf(state);
}
const sharpe = (pairs: readonly Pair[]) => sharpeOfChecks(evidenceOf(pairs));

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviation = (values: readonly number[]) =>
  Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1));
const ratio = (values: readonly number[]) => mean(values) / deviation(values);

describe('the ratios', () => {
  test('are mean over standard deviation of each side’s returns', () => {
    const pairs = pairedReturns(3, 80, { shift: () => 0.4 });
    const found = sharpe(pairs);
    expect(found?.canary).toBeCloseTo(ratio(pairs.map(([canary]) => canary)), 12);
    expect(found?.stable).toBeCloseTo(ratio(pairs.map(([, stable]) => stable)), 12);
  });

  test('are none where one side has not varied', () => {
    const moves = Array.from({ length: 30 }, (_, index) => (index % 2 === 0 ? 0.001 : -0.0005));
    expect(sharpe(moves.map((move): Pair => [move, 0]))).toBeNull();
    expect(sharpe(moves.map((move): Pair => [0, move]))).toBeNull();
    expect(sharpe(moves.map((move): Pair => [move, 0.001]))).toBeNull();
    expect(sharpe([[0.001, 0.002]])).toBeNull();
    expect(sharpe([])).toBeNull();
  });
});

describe('the standard error', () => {
  // Asset returns without serial correlation: Memmel's formula alone, by hand.
  test('is that of Jobson, Korkie and Memmel', () => {
    const figures = {
      ...evidenceOf(pairedReturns(1, 100)),
      pairs: 100,
      returns: {
        canaryMean: 0.3,
        stableMean: 0.2,
        canaryDeviation: 1,
        stableDeviation: 0.5,
        correlation: 0.6,
      },
    };
    const series = { ...figures.whenEarning, variance: 1, longRunVariance: 1 };
    const independent = { ...figures, whenEarning: series, whenLosing: series };
    // 2 - 2 * 0.6 + (0.09 + 0.16 - 2 * 0.3 * 0.4 * 0.36) / 2 = 0.8 + 0.0818
    expect(sharpeOfChecks(independent)?.standardError).toBeCloseTo(Math.sqrt(0.8818 / 100), 12);
    // The larger of both inflations counts, and none below 1.
    const inflated = { ...series, longRunVariance: 4 };
    const deflated = { ...series, longRunVariance: 0.25 };
    for (const [whenEarning, whenLosing, factor] of [
      [inflated, series, 2],
      [series, inflated, 2],
      [deflated, deflated, 1],
    ] as const) {
      const { standardError } = sharpeOfChecks({ ...figures, whenEarning, whenLosing }) ?? {};
      expect(standardError).toBeCloseTo(factor * Math.sqrt(0.8818 / 100), 12);
    }
  });

  test('is what the difference scatters by, also in an autocorrelated market', () => {
    for (const phi of [0, 0.3]) {
      const runs = Array.from({ length: 150 }, (_, seed) => sharpe(pairedReturns(seed + 1, 80, { phi })));
      const differences = runs.map((run) => (run?.canary ?? 0) - (run?.stable ?? 0));
      const scatter = deviation(differences);
      const said = mean(runs.map((run) => run?.standardError ?? 0));
      expect(said / scatter).toBeGreaterThan(0.9);
      expect(said / scatter).toBeLessThan(1.3);
    }
  });
});

describe('the gate', () => {
  /** Canary and stable side with what they report themselves, and the pairs of their checks. */
  function gate(
    pairs: readonly Pair[],
    reported: { readonly canary?: number; readonly stable?: number } = { canary: 9, stable: 1 },
    config: CanaryConfigInput = {},
  ) {
    const side = (sharpeRatio?: number) => {
      const report = figures({
        trades: 50,
        pnlUsd: 100,
        ...(sharpeRatio === undefined ? {} : { sharpeRatio }),
      });
      return applyReport(null, report, 0);
    };
    const { gates } = compare({
      metrics: { CANARY: side(reported.canary), STABLE: side(reported.stable) },
      returns: { CANARY: decimal('0.01'), STABLE: decimal('0.01') },
      evidence: evidenceOf(pairs),
      ends: false,
      config: configOf(config),
    });
    const found = gates.find(({ name }) => name === 'SHARPE');
    if (!found) throw new Error('no Sharpe gate');
    return found;
  }
  /** Returns of exactly these means, with a deviation of nearly 1 % and nothing in common but the mean. */
  const steady = (canaryMean: number, stableMean: number, checks = 64): Pair[] =>
    Array.from({ length: checks }, (_, check): Pair => {
      const [first, second] = [check % 2 === 0 ? 0.01 : -0.01, check % 4 < 2 ? 0.01 : -0.01];
      return [canaryMean + first, stableMean + second];
    });

  test('judges the ratio of the checks, and shows what the owners report', () => {
    const better = gate(steady(0.002, 0.001), { canary: -5, stable: 1 });
    expect(better).toMatchObject({ outcome: 'PASSED' });
    expect(better.reason).toBe(
      'Sharpe: canary 0.1984 against stable 0.0992 a check, at least 0.0794 needed (reported: -5 against 1)',
    );
    expect(Number(better.measured)).toBeCloseTo(0.2 * Math.sqrt(63 / 64), 6);
    expect(Number(better.threshold)).toBeCloseTo(0.08 * Math.sqrt(63 / 64), 6);
    const worse = gate(steady(-0.02, 0.001));
    expect(worse).toMatchObject({ outcome: 'FAILED', severity: 'MANUAL_REVIEW' });
    expect(worse.reason).toContain('(reported: 9 against 1)');
    expect(worse.reason).not.toContain('within noise');
  });

  test('passes at its threshold and fails just below it', () => {
    const at = (share: number) => gate(steady(0.001 * share, 0.001)).outcome;
    expect([at(0.801), at(0.799)]).toEqual(['PASSED', 'FAILED']);
  });

  test('lets the owners’ figures decide where the checks say nothing', () => {
    const few = gate(steady(-0.02, 0.001, 12));
    expect(few).toMatchObject({
      outcome: 'PASSED',
      reason: 'Sharpe: canary 9 against stable 1, at least 0.8 needed',
    });
    const still = gate(steady(0, 0).map(([canary]): Pair => [canary, 0]));
    expect(still.reason).toBe('Sharpe: canary 9 against stable 1, at least 0.8 needed');
    const off = gate(steady(-0.02, 0.001), undefined, { evidence: { mode: 'OFF' } });
    expect(off.reason).toBe('Sharpe: canary 9 against stable 1, at least 0.8 needed');
  });

  test('is asked for by the stable side’s report or by the configuration', () => {
    const worse = steady(-0.02, 0.001);
    expect(gate(worse, { canary: 9 }).outcome).not.toBe('FAILED');
    expect(gate(worse, { stable: 1 }).outcome).toBe('FAILED');
    expect(gate(worse, {}, { promotionCriteria: { minSharpeRatio: 0.5 } }).outcome).toBe('FAILED');
  });

  test('excuses a shortfall within twice the standard error, of a canary that is not worse', () => {
    // Both sides earn alike, and twice the stable side's ratio is asked for. Twice the standard error is 0.13.
    const alike = (ratio: number) =>
      pairedReturns(5, 200).map(([canary, stable]): Pair => [canary + ratio / 1000, stable + ratio / 1000]);
    const outcome = (ratio: number, margin: number) => {
      const config = { promotionCriteria: { minSharpeRatio: 2 }, evidence: { margin } };
      const { outcome, reason } = gate(alike(ratio), undefined, config);
      return { outcome, excused: reason.endsWith('; the shortfall is within noise') };
    };
    expect(outcome(0.05, 10_000)).toEqual({ outcome: 'PASSED', excused: true });
    expect(outcome(0.3, 10_000)).toEqual({ outcome: 'FAILED', excused: false });
    // Without a margin nothing says that it is not worse.
    expect(outcome(0.05, 0)).toEqual({ outcome: 'FAILED', excused: false });
  });
});
