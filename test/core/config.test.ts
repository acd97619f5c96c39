/** The configuration: defaults, every bound with the field it names, and input that no compiler has checked. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { POSITION_PLANS } from '../../src/core/config/capital.ts';
import { configCodec } from '../../src/core/config/codec.ts';
import { configHash, plannedChecks } from '../../src/core/config/config.ts';
import { type CanaryConfigInput, parseConfig } from '../../src/core/config/parseConfig.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { configOf } from '../harness/trial.ts';

/** As a program without types may call it. */
const parse = (input: unknown) => parseConfig(input as CanaryConfigInput);

function paths(input: unknown): string[] {
  const parsed = parse(input);
  return parsed.ok ? [] : parsed.violations.map(({ path }) => path.join('.'));
}

test('an empty configuration is the contract’s defaults', () => {
  for (const nothing of [undefined, null, {}])
    expect(parse(nothing)).toEqual({ ok: true, value: configOf() });
  expect(configOf()).toMatchObject({
    observationPeriodMinutes: 60,
    autoPromote: true,
    autoRollback: true,
    checkIntervalSeconds: 60,
    emitEvents: true,
    onInconclusive: 'WAIT',
    earlyPromote: false,
    guardrails: { maxStaleSeconds: 300, maxLossUsd: null },
  });
});

/** A field, values at its bounds, and values beyond them. */
const BOUNDS: [string, (value: unknown) => unknown, unknown[], unknown[]][] = [
  ['canaryPercent', (canaryPercent) => ({ canaryPercent }), [1, 50, '12.5'], [0.99, 50.01, 0, -5, 'ten']],
  [
    'observationPeriodMinutes',
    (observationPeriodMinutes) => ({ observationPeriodMinutes }),
    [5, 527_040],
    [4, 527_041, 5.5, '60'],
  ],
  [
    'checkIntervalSeconds',
    (checkIntervalSeconds) => ({ checkIntervalSeconds }),
    [10, 3600],
    [9, 3601, 86_401, 10.5],
  ],
  ['maxExtensions', (maxExtensions) => ({ maxExtensions }), [0, 100], [-1, 101, 0.5]],
  ['autoPromote', (autoPromote) => ({ autoPromote }), [true, false, null], ['yes', 1, {}]],
  ['onInconclusive', (onInconclusive) => ({ onInconclusive }), ['WAIT', 'EXTEND'], ['wait', 'PROMOTE', 5]],
  ['metricsProvider', (metricsProvider) => ({ metricsProvider }), ['desk', null], [5, () => ({})]],
  ['settlement', (settlement) => ({ settlement }), [null, {}], ['yes', 5, []]],
  [
    'settlement.tolerancePercent',
    (tolerancePercent) => ({ settlement: { tolerancePercent } }),
    [0, 100, '0.5', null],
    [-0.1, 101, 'half'],
  ],
  [
    'settlement.deadlineSeconds',
    (deadlineSeconds) => ({ settlement: { deadlineSeconds } }),
    [1, 604_800, null],
    [0, 604_801, 1.5],
  ],
  ['settlement.required', (required) => ({ settlement: { required } }), [true, false, null], ['yes', 1]],
  [
    'rollbackPlan.positions',
    (positions) => ({ rollbackPlan: { positions } }),
    ['HAND_OVER', 'REDUCE_ONLY', 'CLOSE'],
    ['KEEP', null, undefined],
  ],
  [
    'rollbackPlan.maxSlippageBps',
    (maxSlippageBps) => ({ rollbackPlan: { positions: 'CLOSE', maxSlippageBps } }),
    [0, 10_000, '2.5', null],
    [-1, 10_001],
  ],
  [
    'rollbackPlan.deadlineSeconds',
    (deadlineSeconds) => ({ rollbackPlan: { positions: 'CLOSE', deadlineSeconds } }),
    [1, 604_800, null],
    [0, 604_801],
  ],
  [
    'capitalLeaseSeconds',
    (capitalLeaseSeconds) => ({ capitalLeaseSeconds }),
    [10, 604_800, null],
    [9, 604_801, 30.5],
  ],
  [
    'promotionCriteria.minPnlRatio',
    (minPnlRatio) => ({ promotionCriteria: { minPnlRatio } }),
    [0, 2, '0.9'],
    [-0.1, 2.1, Number.NaN, decimal(Number.POSITIVE_INFINITY)],
  ],
  [
    'promotionCriteria.maxDrawdownRatio',
    (maxDrawdownRatio) => ({ promotionCriteria: { maxDrawdownRatio } }),
    [0, 1000],
    [-1, 1001],
  ],
  [
    'promotionCriteria.minSharpeRatio',
    (minSharpeRatio) => ({ promotionCriteria: { minSharpeRatio } }),
    [0, 2],
    [-1, 2.5],
  ],
  [
    'promotionCriteria.minWinRateRatio',
    (minWinRateRatio) => ({ promotionCriteria: { minWinRateRatio } }),
    [0, 10],
    [-1, 11],
  ],
  [
    'promotionCriteria.minTrades',
    (minTrades) => ({ promotionCriteria: { minTrades } }),
    [0, 1_000_000],
    [-1, 1_000_001, 1.5],
  ],
  [
    'promotionCriteria.maxErrorRate',
    (maxErrorRate) => ({ promotionCriteria: { maxErrorRate } }),
    [0, 1000],
    [-0.1, 1000.1],
  ],
  [
    'promotionCriteria.drawdownFloor',
    (drawdownFloor) => ({ promotionCriteria: { drawdownFloor } }),
    [0, 1],
    [-0.1, 1.1],
  ],
  [
    'promotionCriteria.pnlBasis',
    (pnlBasis) => ({ promotionCriteria: { pnlBasis } }),
    ['USD', 'RETURN_ON_CAPITAL'],
    ['EUR'],
  ],
  ['evidence.mode', (mode) => ({ evidence: { mode } }), ['AUTO', 'REQUIRED', 'OFF'], ['ON', true]],
  [
    'evidence.alpha',
    (alpha) => ({ evidence: { alpha } }),
    [0.001, 0.1, '0.05'],
    [0, 0.0009, 0.11, 1, 'five'],
  ],
  ['evidence.minSamples', (minSamples) => ({ evidence: { minSamples } }), [10, 10_000], [9, 10_001, 10.5]],
  ['evidence.margin', (margin) => ({ evidence: { margin } }), [0, 10_000, '2.5'], [-1, 10_001, 'wide']],
  ['comparison', (comparison) => ({ comparison }), ['RAW', 'RISK_MATCHED'], ['MATCHED', 1]],
  [
    'promotionCriteria.maxErrorRateRatio',
    (maxErrorRateRatio) => ({ promotionCriteria: { maxErrorRateRatio } }),
    ['0.5', 1000],
    [0, -1, 1001],
  ],
  [
    'steps.0.minMinutes',
    (minMinutes) => ({ steps: [{ canaryPercent: 5, minutes: 30, minMinutes }] }),
    [0, 30],
    [-1, 31, 2.5],
  ],
  ['guardrails.maxLossUsd', (maxLossUsd) => ({ guardrails: { maxLossUsd } }), [0.01, null], [0, -5]],
  [
    'guardrails.maxLossPercent',
    (maxLossPercent) => ({ guardrails: { maxLossPercent } }),
    [1, null],
    [0, 1001],
  ],
  ['guardrails.maxDrawdown', (maxDrawdown) => ({ guardrails: { maxDrawdown } }), [0.1, 10], [0, 10.1]],
  ['guardrails.maxErrorRate', (maxErrorRate) => ({ guardrails: { maxErrorRate } }), [0.1, 1000], [0, 1001]],
  [
    'guardrails.maxStaleSeconds',
    (maxStaleSeconds) => ({ guardrails: { maxStaleSeconds } }),
    [60, null],
    [59, 60.5, '300'],
  ],
  [
    'guardrails.breaches.maxDrawdown',
    (maxDrawdown) => ({ guardrails: { breaches: { maxDrawdown } } }),
    [1, 1000],
    [0, 1001],
  ],
  [
    'steps.0.canaryPercent',
    (canaryPercent) => ({
      steps: [
        { canaryPercent, minutes: 30 },
        { canaryPercent: 60, minutes: 30 },
      ],
    }),
    [1, 50],
    [0, 51, undefined],
  ],
  [
    'steps.1.canaryPercent',
    (canaryPercent) => ({
      steps: [
        { canaryPercent: 10, minutes: 30 },
        { canaryPercent, minutes: 30 },
      ],
    }),
    [11, 100],
    [10, 5, 101],
  ],
  ['steps.0.minutes', (minutes) => ({ steps: [{ canaryPercent: 10, minutes }] }), [5, 60], [0, 1.5, null]],
  [
    'steps.0.gate',
    (gate) => ({ steps: [{ canaryPercent: 10, minutes: 30, gate }] }),
    ['AUTO', 'MANUAL', null],
    ['OPEN'],
  ],
];

describe.each(BOUNDS)('%s', (field, given, inside, outside) => {
  test.each(inside)('takes %s', (value) => {
    expect(paths(given(value))).toEqual([]);
  });

  test.each(outside)('refuses %s and is named', (value) => {
    expect(paths(given(value))).toContain(`config.${field}`);
  });
});

test('a check interval longer than the observation, and a ramp that contradicts itself, are refused', () => {
  expect(paths({ checkIntervalSeconds: 301, observationPeriodMinutes: 5 })).toEqual([
    'config.checkIntervalSeconds',
  ]);
  const steps = [{ canaryPercent: 10, minutes: 60 }];
  expect(paths({ steps, canaryPercent: 20, observationPeriodMinutes: 30 })).toEqual([
    'config.canaryPercent',
    'config.observationPeriodMinutes',
  ]);
  expect(paths({ steps, canaryPercent: 10, observationPeriodMinutes: 60 })).toEqual([]);
  expect(paths({ steps: [] })).toContain('config.steps');
  expect(paths({ steps: [{ canaryPercent: 10, minutes: 4 }] })).toEqual(['config.steps']);
  expect(
    paths({
      steps: Array.from({ length: 51 }, (_, index) => ({ canaryPercent: 1 + index / 2, minutes: 5 })),
    }),
  ).toContain('config.steps');
});

test('a setting that does not exist is refused where it stands, and so is what is no object', () => {
  expect(paths({ observationMinutes: 30 })).toEqual(['config.observationMinutes']);
  expect(paths({ evidence: { sure: true }, guardrails: { maxloss: 5, breaches: { all: 3 } } })).toEqual([
    'config.evidence.sure',
    'config.guardrails.maxloss',
    'config.guardrails.breaches.all',
  ]);
  expect(paths(5)).toEqual(['config']);
  expect(paths({ promotionCriteria: 'strict', steps: [7] })).toEqual(
    expect.arrayContaining(['config.promotionCriteria', 'config.steps.0']),
  );
});

test('all violations are returned together', () => {
  expect(paths({ canaryPercent: 0, maxExtensions: -1, evidence: { alpha: 7 } })).toHaveLength(3);
});

test('planned checks cover the whole ramp', () => {
  expect(plannedChecks(configOf())).toBe(60);
  const steps = [
    { canaryPercent: 5, minutes: 90 },
    { canaryPercent: 10, minutes: 31 },
  ];
  expect(plannedChecks(configOf({ steps, checkIntervalSeconds: 120 }))).toBe(61);
});

test('the hash names a policy: the same after a round trip through JSON, another with any other setting', () => {
  fc.assert(
    fc.property(
      fc.record({
        canaryPercent: fc.integer({ min: 1, max: 50 }),
        maxExtensions: fc.integer({ min: 0, max: 9 }),
        earlyPromote: fc.boolean(),
        evidence: fc.record({ minSamples: fc.integer({ min: 10, max: 40 }) }),
        settlement: fc.option(fc.record({ deadlineSeconds: fc.integer({ min: 1, max: 900 }) })),
        rollbackPlan: fc.option(fc.record({ positions: fc.constantFrom(...POSITION_PLANS) })),
        capitalLeaseSeconds: fc.option(fc.integer({ min: 10, max: 900 })),
      }),
      (input) => {
        const config = configOf(input);
        const stored = configCodec.parse(JSON.parse(JSON.stringify(configCodec.encode(config))));
        expect(configHash(stored)).toBe(configHash(config));
        expect(stored).toEqual(config);
        const other = configOf({ ...input, maxExtensions: input.maxExtensions + 1 });
        expect(configHash(other)).not.toBe(configHash(config));
      },
    ),
    { numRuns: 50 },
  );
});

test('settings about capital that are not given are not in the stored form, so that it and its hash stay', () => {
  const stored = configCodec.encode(configOf());
  for (const name of ['settlement', 'rollbackPlan', 'capitalLeaseSeconds']) {
    expect(stored).not.toHaveProperty(name);
  }
  const given = { settlement: {}, rollbackPlan: { positions: 'CLOSE' as const }, capitalLeaseSeconds: 60 };
  for (const [name, value] of Object.entries(given)) {
    expect(configHash(configOf({ [name]: value }))).not.toBe(configHash(configOf()));
  }
});
