/** Simulated trials: repeatable, the engine's own decisions, and in the order of what the canaries are worth. */
import { describe, expect, test } from 'vitest';
import type { CanaryConfig } from '../../src/core/config/config.ts';
import { type CanaryConfigInput, parseConfig } from '../../src/core/config/parseConfig.ts';
import { type AssumptionsInput, parseAssumptions } from '../../src/core/policy/assumptions.ts';
import { createMarket, streams } from '../../src/core/policy/market.ts';
import { simulateTrial } from '../../src/core/policy/simulatedTrial.ts';
import { simulatePolicy } from '../../src/core/policy/simulation.ts';
import { decimal } from '../../src/core/values/decimal.ts';

function policy(input: CanaryConfigInput = {}): CanaryConfig {
  const parsed = parseConfig(input);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return parsed.value;
}

function assume(config: CanaryConfig, input: AssumptionsInput = {}) {
  const parsed = parseAssumptions(input, config, 3);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return parsed.value;
}

/** Policies that reach every corner of the engine: ramps, gates of people, extensions, early ends, guardrails. */
const POLICIES: Readonly<Record<string, CanaryConfigInput>> = {
  'the default': {},
  'early promotion': { earlyPromote: true, observationPeriodMinutes: 120 },
  'proof required, extended': {
    evidence: { mode: 'REQUIRED' },
    onInconclusive: 'EXTEND',
    maxExtensions: 2,
    observationPeriodMinutes: 30,
  },
  'gates alone, inconclusive rolled back': { evidence: { mode: 'OFF' }, onInconclusive: 'ROLLBACK' },
  'a ramp with a manual gate and odd shares': {
    checkIntervalSeconds: 40,
    steps: [
      { canaryPercent: decimal('3.7'), minutes: 21 },
      { canaryPercent: decimal('33.333'), minutes: 20, gate: 'MANUAL' },
      { canaryPercent: decimal(100), minutes: 25 },
    ],
  },
  'tight guardrails that must be broken twice': {
    guardrails: {
      maxLossPercent: decimal('0.4'),
      maxDrawdown: decimal('0.01'),
      breaches: { maxLossPercent: 2 },
    },
    autoRollback: false,
  },
};

describe.each(Object.entries(POLICIES))('under %s', (_name, input) => {
  test.each([0, 0.5, -0.5])(
    'a canary that earns %d sigma more: the quick way is what the engine does',
    (shift) => {
      const config = policy(input);
      const assumptions = assume(config, { tradesPerCheck: 1.4 });
      const randomness = streams(5);
      for (let run = 0; run < 5; run += 1) {
        const stream = randomness.next().value;
        const market = () => createMarket(assumptions, shift, stream.clone());
        const quick = simulateTrial(config, assumptions, market());
        expect(quick).toEqual(simulateTrial(config, assumptions, market(), 'ENGINE'));
      }
    },
  );
});

test('the same seed gives the same answer, another seed another', () => {
  const config = policy();
  const once = simulatePolicy(config, assume(config, { runs: 40, seed: 9 }));
  expect(simulatePolicy(config, assume(config, { runs: 40, seed: 9 }))).toEqual(once);
  expect(simulatePolicy(config, assume(config, { runs: 40, seed: 10 }))).not.toEqual(once);
});

test('the better a canary is, the more often it is promoted and the less often rolled back', () => {
  const config = policy();
  const { canaries } = simulatePolicy(config, assume(config, { runs: 150 }));
  const [identical, better, worse] = canaries;
  if (!identical || !better || !worse) throw new Error('a kind is missing');
  expect(better.promoted.value).toBeGreaterThan(identical.promoted.value);
  expect(identical.promoted.value).toBeGreaterThan(worse.promoted.value);
  expect(worse.rolledBack.value).toBeGreaterThan(0.8);
  expect(identical.rolledBack.value).toBeLessThan(0.06);
  for (const { promoted, rolledBack, review, outcomes } of canaries) {
    expect(promoted.value + rolledBack.value + review.value).toBeCloseTo(1, 12);
    expect(outcomes.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
  }
  expect(worse.lossBeforeRollback?.value).toBeLessThan((worse.lossOfWaiting?.value ?? 0) / 2);
});

test('the market has the volatility, the correlation and the tails it promises', () => {
  const config = policy();
  const assumptions = assume(config, { volatility: 0.01, correlation: 0.6, edge: 0 });
  const returns: [number, number][] = [];
  const randomness = streams(3);
  for (let run = 0; run < 200; run += 1) {
    const market = createMarket(assumptions, 0, randomness.next().value);
    for (let check = 0; check < 300; check += 1) market.nextCheck((rc, rs) => returns.push([rc, rs]));
  }
  const mean = (values: readonly number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;
  const variance = mean(returns.map(([rc]) => rc * rc));
  const covariance = mean(returns.map(([rc, rs]) => rc * rs));
  const beyond = mean(returns.map(([rc]) => (Math.abs(rc) > 4 * Math.sqrt(variance) ? 1 : 0)));
  expect(Math.sqrt(variance)).toBeGreaterThan(0.009);
  expect(Math.sqrt(variance)).toBeLessThan(0.0115);
  expect(covariance / variance).toBeGreaterThan(0.55);
  expect(covariance / variance).toBeLessThan(0.65);
  // A normal distribution has 0.006 % beyond four sigma.
  expect(beyond).toBeGreaterThan(0.003);
});

test.each([0.6, -0.3])('an autocorrelated market keeps its volatility (%s)', (autocorrelation) => {
  const assumptions = assume(policy(), { volatility: 0.01, edge: 0, autocorrelation, tradesPerCheck: 2 });
  const randomness = streams(5);
  let [squares, products, checks] = [0, 0, 0];
  for (let run = 0; run < 200; run += 1) {
    const market = createMarket(assumptions, 0, randomness.next().value);
    let before = 0;
    for (let check = 0; check < 300; check += 1) {
      let earned = 0;
      market.nextCheck((rc) => {
        earned += rc;
      });
      if (check >= 20) {
        squares += earned * earned;
        products += earned * before;
        checks += 1;
      }
      before = earned;
    }
  }
  expect(products / squares).toBeCloseTo(autocorrelation, 1);
  expect(Math.sqrt(squares / checks)).toBeGreaterThan(0.009);
  expect(Math.sqrt(squares / checks)).toBeLessThan(0.0115);
});

test('assumptions out of bounds are refused by field, and so is too much work', () => {
  const config = policy();
  const paths = (input: AssumptionsInput, of = config) => {
    const parsed = parseAssumptions(input, of, 3);
    return parsed.ok ? [] : parsed.violations.map(({ path }) => path.join('.'));
  };
  expect(paths({ correlation: 1, volatility: 0, seed: 1.5 })).toEqual([
    'assumptions.volatility',
    'assumptions.correlation',
    'assumptions.seed',
  ]);
  expect(paths({ volatility: Number.NaN })).toEqual(['assumptions.volatility']);
  expect(paths({ runs: 100_000 }, policy({ observationPeriodMinutes: 1440 }))).toEqual(['assumptions.runs']);
  expect(paths({ runs: 1 }, policy({ observationPeriodMinutes: 500_000, checkIntervalSeconds: 10 }))).toEqual(
    [],
  );
});
