/** The comparison: the faults of the first implementation, every gate, what people read, and the laws of the rule. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CanaryConfigInput } from '../../src/core/config/parseConfig.ts';
import { applyReport, type SideMetrics } from '../../src/core/metrics/sideMetrics.ts';
import {
  type Comparison,
  type ComparisonInput,
  compare,
  decisionOf,
} from '../../src/core/rule/comparison.ts';
import { evidenceFiguresOf } from '../../src/core/rule/evidenceFigures.ts';
import type { CanaryDecision, GateName } from '../../src/core/rule/gate.ts';
import { GATE_ORDER } from '../../src/core/rule/gates.ts';
import { addPair, type EvidenceState, startEvidence } from '../../src/core/rule/pairedEvidence.ts';
import { type Decimal, decimal } from '../../src/core/values/decimal.ts';
import { configOf, type Figures, figures } from '../harness/trial.ts';

function side(given: Figures): SideMetrics {
  const report = figures({ trades: 50, ...given });
  const { unrealizedPnlUsd } = report;
  return { ...applyReport(null, report, 0), ...(unrealizedPnlUsd && { unrealizedPnlUsd }) };
}

interface Given {
  readonly canary: Figures | null;
  readonly stable: Figures | null;
  readonly config?: CanaryConfigInput;
  /** $10,000 and $90,000 unless given. */
  readonly capitalUsd?: readonly [canary: number, stable: number];
  readonly evidence?: EvidenceState;
  readonly ends?: boolean;
}

const NO_EVIDENCE = startEvidence(60);

/** Compares sides that held their capital all the time. The decision alone must always be that of the comparison. */
function compared({
  canary,
  stable,
  config,
  capitalUsd = [10_000, 90_000],
  evidence,
  ends = false,
}: Given): Comparison {
  // Without evidence the gates are on their own.
  const alone = evidence === undefined && config?.evidence === undefined;
  const metrics = { CANARY: canary && side(canary), STABLE: stable && side(stable) };
  const over = (given: SideMetrics | null, capital: number) => (given?.netPnlUsd ?? decimal(0)).div(capital);
  const input: ComparisonInput = {
    metrics,
    returns: { CANARY: over(metrics.CANARY, capitalUsd[0]), STABLE: over(metrics.STABLE, capitalUsd[1]) },
    evidence: evidenceFiguresOf(evidence ?? NO_EVIDENCE),
    ends,
    config: configOf(alone ? { ...config, evidence: { mode: 'OFF' } } : config),
  };
  const comparison = compare(input);
  expect(decisionOf(input)).toBe(comparison.decision);
  return comparison;
}

const gate = (comparison: Comparison, name: GateName) => {
  const found = comparison.gates.find((each) => each.name === name);
  if (!found) throw new Error(`no gate ${name}`);
  return found;
};

/** Pairs whose mean difference is so many of their standard deviations. */
function pairs(count: number, shift: number, stillFrom = count): EvidenceState {
  const state = startEvidence(60);
  for (let index = 0; index < count; index += 1) {
    const noise = index % 2 === 0 ? 0.001 : -0.001;
    addPair(state, noise + shift * 0.001, index < stillFrom ? 0.00001 * (index % 3) : 0, {
      rho: 0.9,
      comparison: 'RAW',
    });
  }
  return state;
}
const WORSE = pairs(60, -2);
const NOT_WORSE = pairs(60, 2);
const OPEN = pairs(60, 0);
const FEW = pairs(19, -2);
const FEW_OPEN = pairs(19, 0);
/** The canary earns, and nothing has come of the stable side in the latest 20 pairs. */
const STILL = pairs(60, 2, 40);

test.each(['AUTO', 'OFF'] as const)(
  'open positions that nobody reports are no promotion where they must be (%s)',
  (mode) => {
    const config = { requireUnrealized: true, evidence: { mode } };
    const earning = { pnlUsd: 100 };
    const hidden = compared({
      canary: earning,
      stable: { ...earning, unrealizedPnlUsd: 0 },
      config,
      evidence: NOT_WORSE,
    });
    expect(hidden.decision).toBe('MANUAL_REVIEW');
    expect(gate(hidden, 'EVIDENCE').reason).toBe(
      'Evidence: no unrealizedPnlUsd of the canary side, and the configuration requires it',
    );
    const open = { pnlUsd: 1000, unrealizedPnlUsd: 5 };
    expect(compared({ canary: open, stable: open, config, evidence: NOT_WORSE }).decision).toBe('PROMOTE');
  },
);

describe('what the first implementation decided wrongly', () => {
  test('the same strategy on both sides, capital 10/90: promoted', () => {
    const comparison = compared({ canary: { pnlUsd: 100 }, stable: { pnlUsd: 900 } });
    expect(comparison.decision).toBe('PROMOTE');
    expect(comparison.pnlRatio?.toString()).toBe('1');
  });

  test('stable -100, canary -200 on the same capital: rolled back', () => {
    const comparison = compared({
      canary: { pnlUsd: -200 },
      stable: { pnlUsd: -100 },
      capitalUsd: [50_000, 50_000],
    });
    expect(comparison.decision).toBe('ROLLBACK');
    expect(comparison.decisionReasons[0]).toBe(
      'PnL: canary -0.40 % against stable -0.20 %, at least -0.22 % needed',
    );
    expect(comparison.pnlRatio).toBeNull();
  });

  test('canary Sharpe -3 against -1: manual review', () => {
    const comparison = compared({ canary: { sharpeRatio: -3 }, stable: { sharpeRatio: -1 } });
    expect(comparison.decision).toBe('MANUAL_REVIEW');
    expect(comparison.decisionReasons[0]).toBe('Sharpe: canary -3 against stable -1, at least -1.2 needed');
    expect(comparison.sharpeRatio).toBeNull();
  });

  test('a Sharpe of 0, or a win rate of 0 in 50 trades, is a value', () => {
    const sharpe = compared({ canary: { sharpeRatio: 0 }, stable: { sharpeRatio: 1 } });
    expect(sharpe.decision).toBe('MANUAL_REVIEW');
    expect(sharpe.sharpeRatio?.toString()).toBe('0');
    const wins = compared({ canary: { winRate: 0 }, stable: { winRate: '0.5' } });
    expect(wins.decision).toBe('MANUAL_REVIEW');
    expect(gate(wins, 'WIN_RATE').reason).toBe('Win rate: canary 0 against stable 0.5, at least 0.4 needed');
  });

  test('500 errors and no trade: rolled back', () => {
    const comparison = compared({ canary: { trades: 0, errors: 500 }, stable: {} });
    expect(comparison.decision).toBe('ROLLBACK');
    expect(comparison.decisionReasons[0]).toBe(
      'Error rate: canary 500 errors in 0 trades (100.00 %), at most 10.00 % allowed',
    );
  });

  test('1 trade and 500 errors: rolled back', () => {
    expect(compared({ canary: { trades: 1, errors: 500 }, stable: {} }).decision).toBe('ROLLBACK');
    expect(compared({ canary: { trades: 1, errors: 3 }, stable: {} }).decision).toBe('CONTINUE');
    // From minTrades trades on errors are held against trades, as ever: 11 of 100 is too many.
    expect(compared({ canary: { trades: 100, errors: 11 }, stable: {} }).decision).toBe('ROLLBACK');
  });

  test('errors of a venue that hit both sides: not the canary’s fault where a ratio is given', () => {
    const given = { canary: { errors: 20 }, stable: { errors: 20 } };
    expect(compared(given).decision).toBe('ROLLBACK');
    const config = { promotionCriteria: { maxErrorRateRatio: 1.5 } };
    expect(compared({ ...given, config }).decision).toBe('PROMOTE');
    expect(gate(compared({ ...given, config }), 'ERROR_RATE').reason).toBe(
      'Error rate: canary 20 errors in 50 trades (40.00 %), at most 60.00 % allowed; the stable side has 40.00 %',
    );
    expect(compared({ ...given, canary: { errors: 31 }, config }).decision).toBe('ROLLBACK');
  });

  test('a drawdown of 0.1 % against none: within the floor', () => {
    const comparison = compared({ canary: { drawdown: '0.001' }, stable: { drawdown: 0 } });
    expect(comparison.decision).toBe('PROMOTE');
    expect(comparison.drawdownRatio).toBeNull();
  });
});

/** Each gate at its threshold and just beyond it; what fails leads to the decision. */
const AT_THE_GATE: [GateName, CanaryDecision, Given, Given][] = [
  ['TRADES', 'CONTINUE', { canary: { trades: 5 }, stable: {} }, { canary: { trades: 4 }, stable: {} }],
  [
    'ERROR_RATE',
    'ROLLBACK',
    { canary: { trades: 50, errors: 5 }, stable: {} },
    { canary: { trades: 50, errors: 6 }, stable: {} },
  ],
  [
    'POSITIVE_PNL',
    'ROLLBACK',
    { canary: { pnlUsd: '0.01' }, stable: {}, config: { promotionCriteria: { requirePositivePnl: true } } },
    { canary: { pnlUsd: 0 }, stable: {}, config: { promotionCriteria: { requirePositivePnl: true } } },
  ],
  [
    'PNL',
    'ROLLBACK',
    { canary: { pnlUsd: 90 }, stable: { pnlUsd: 900 } },
    { canary: { pnlUsd: '89.99' }, stable: { pnlUsd: 900 } },
  ],
  [
    'DRAWDOWN',
    'ROLLBACK',
    { canary: { drawdown: '0.12' }, stable: { drawdown: '0.1' } },
    { canary: { drawdown: '0.1200001' }, stable: { drawdown: '0.1' } },
  ],
  [
    'SHARPE',
    'MANUAL_REVIEW',
    { canary: { sharpeRatio: '0.8' }, stable: { sharpeRatio: 1 } },
    { canary: { sharpeRatio: '0.79' }, stable: { sharpeRatio: 1 } },
  ],
  [
    'WIN_RATE',
    'MANUAL_REVIEW',
    { canary: { winRate: '0.48' }, stable: { winRate: '0.6' } },
    { canary: { winRate: '0.47' }, stable: { winRate: '0.6' } },
  ],
];

describe.each(AT_THE_GATE)('gate %s', (name, decision, inside, outside) => {
  test('passes at its threshold', () => {
    const comparison = compared(inside);
    expect(gate(comparison, name).outcome).toBe('PASSED');
    expect(comparison.decision).toBe('PROMOTE');
    expect(comparison.decisionReasons[0]).toBe('Every gate passed');
  });

  test(`beyond it leads to ${decision}, and says why`, () => {
    const comparison = compared(outside);
    expect(gate(comparison, name)).toMatchObject({ outcome: 'FAILED', severity: decision });
    expect(comparison.decision).toBe(decision);
    expect(comparison.decisionReasons[0]).toBe(gate(comparison, name).reason);
  });
});

describe('gates', () => {
  test('are all evaluated and reported in order; the first that fails decides', () => {
    const comparison = compared({
      canary: { trades: 4, errors: 4, pnlUsd: -500, drawdown: '0.5', sharpeRatio: -1, winRate: 0 },
      stable: { pnlUsd: 900, drawdown: '0.01', sharpeRatio: 2, winRate: '0.6' },
    });
    expect(comparison.gates.map(({ name }) => name)).toEqual(GATE_ORDER);
    expect(comparison.decision).toBe('ROLLBACK');
    const failed = ['ERROR_RATE', 'TRADES', 'PNL', 'DRAWDOWN', 'SHARPE', 'WIN_RATE'];
    expect(comparison.gates.filter(({ outcome }) => outcome === 'FAILED').map(({ name }) => name)).toEqual(
      failed,
    );
    expect(comparison.decisionReasons).toHaveLength(failed.length);
  });

  test('a figure that is no finite number wants a person', () => {
    const metrics = { CANARY: side({}), STABLE: { ...side({}), sharpeRatio: decimal(Number.NaN) } };
    const returns = { CANARY: decimal(0), STABLE: decimal(0) };
    const comparison = compare({
      metrics,
      returns,
      evidence: evidenceFiguresOf(NO_EVIDENCE),
      config: configOf(),
    });
    expect(comparison.decision).toBe('MANUAL_REVIEW');
    expect(comparison.decisionReasons[0]).toBe('Metrics: stable sharpeRatio not a finite number');
  });

  test('without metrics of a side there is nothing to decide yet', () => {
    for (const [canary, stable] of [
      [null, null],
      [{}, null],
      [null, {}],
    ] as const) {
      expect(compared({ canary, stable })).toMatchObject({ decision: 'CONTINUE', gates: [] });
    }
  });

  test('a soft figure that stable lacks is not asked of the canary; one that only the canary lacks is', () => {
    expect(compared({ canary: { sharpeRatio: -9 }, stable: {} }).decision).toBe('PROMOTE');
    const lacking = compared({ canary: {}, stable: { sharpeRatio: -9 } });
    expect(lacking.decision).toBe('MANUAL_REVIEW');
    expect(lacking.decisionReasons[0]).toContain('Sharpe: canary has none against stable -9');
    expect(compared({ canary: {}, stable: { winRate: 0 } }).decision).toBe('MANUAL_REVIEW');
  });

  test('a losing stable side lowers the bar by its margin, it does not turn it round', () => {
    expect(compared({ canary: { pnlUsd: -110 }, stable: { pnlUsd: -900 } }).decision).toBe('PROMOTE');
    expect(compared({ canary: { pnlUsd: -111 }, stable: { pnlUsd: -900 } }).decision).toBe('ROLLBACK');
  });

  test('dollars are compared where the basis says so', () => {
    const config = { promotionCriteria: { pnlBasis: 'USD' as const } };
    const given = { canary: { pnlUsd: 90 }, stable: { pnlUsd: 100 }, config };
    expect(compared(given).decision).toBe('PROMOTE');
    expect(gate(compared(given), 'PNL').reason).toBe(
      'PnL: canary +$90 against stable +$100, at least +$90 needed',
    );
    expect(compared({ ...given, canary: { pnlUsd: '89.99' } }).decision).toBe('ROLLBACK');
  });

  test('small returns are shown with the digits that tell them apart', () => {
    const { reason } = gate(compared({ canary: { pnlUsd: '0.11' }, stable: { pnlUsd: '0.9' } }), 'PNL');
    expect(reason).toBe('PnL: canary +0.0011 % against stable +0.0010 %, at least +0.00090 % needed');
  });
});

const BEHIND = { canary: { pnlUsd: 50 }, stable: { pnlUsd: 900 } };
const AHEAD = { canary: { pnlUsd: 150 }, stable: { pnlUsd: 900 } };
const DEEP = { canary: { pnlUsd: 150, drawdown: '0.3' }, stable: { pnlUsd: 900, drawdown: '0.1' } };

/** What each mode decides on each verdict of the test. */
const BY_EVIDENCE: [string, CanaryConfigInput['evidence'], EvidenceState, Given, CanaryDecision][] = [
  ['AUTO, few pairs, behind', {}, FEW, BEHIND, 'MANUAL_REVIEW'],
  ['AUTO, few pairs, ahead', {}, FEW, AHEAD, 'MANUAL_REVIEW'],
  ['AUTO, few pairs, deep', {}, FEW, DEEP, 'MANUAL_REVIEW'],
  ['AUTO, few pairs, clearly worse at the end', {}, FEW, { ...BEHIND, ends: true }, 'ROLLBACK'],
  ['AUTO, few pairs, not clearly worse at the end', {}, FEW_OPEN, { ...BEHIND, ends: true }, 'MANUAL_REVIEW'],
  ['AUTO, four pairs, at the end', {}, pairs(4, -9), { ...BEHIND, ends: true }, 'MANUAL_REVIEW'],
  ['AUTO, stable stands still, ahead', {}, STILL, AHEAD, 'MANUAL_REVIEW'],
  ['REQUIRED, stable stands still, ahead', { mode: 'REQUIRED' }, STILL, AHEAD, 'MANUAL_REVIEW'],
  ['OFF, stable stands still, ahead', { mode: 'OFF' }, STILL, AHEAD, 'PROMOTE'],
  ['AUTO, open, behind', {}, OPEN, BEHIND, 'MANUAL_REVIEW'],
  ['AUTO, open, ahead', {}, OPEN, AHEAD, 'PROMOTE'],
  ['AUTO, open, deep', {}, OPEN, DEEP, 'MANUAL_REVIEW'],
  ['AUTO, worse, behind', {}, WORSE, BEHIND, 'ROLLBACK'],
  ['AUTO, worse, ahead', {}, WORSE, AHEAD, 'ROLLBACK'],
  ['AUTO, not worse, behind', {}, NOT_WORSE, BEHIND, 'PROMOTE'],
  ['AUTO, not worse, deep', {}, NOT_WORSE, DEEP, 'MANUAL_REVIEW'],
  ['REQUIRED, few pairs, behind', { mode: 'REQUIRED' }, FEW, BEHIND, 'MANUAL_REVIEW'],
  ['REQUIRED, few pairs, ahead', { mode: 'REQUIRED' }, FEW, AHEAD, 'MANUAL_REVIEW'],
  ['REQUIRED, open, ahead', { mode: 'REQUIRED' }, OPEN, AHEAD, 'MANUAL_REVIEW'],
  ['REQUIRED, worse, ahead', { mode: 'REQUIRED' }, WORSE, AHEAD, 'ROLLBACK'],
  ['REQUIRED, not worse, ahead', { mode: 'REQUIRED' }, NOT_WORSE, AHEAD, 'PROMOTE'],
  ['OFF, worse, ahead', { mode: 'OFF' }, WORSE, AHEAD, 'PROMOTE'],
  ['OFF, not worse, behind', { mode: 'OFF' }, NOT_WORSE, BEHIND, 'ROLLBACK'],
  ['OFF, open, deep', { mode: 'OFF' }, OPEN, DEEP, 'ROLLBACK'],
];

describe('evidence in the decision', () => {
  test('the vectors of this table are what they are called', () => {
    const verdict = (evidence: EvidenceState) => compared({ ...AHEAD, evidence }).evidence.verdict;
    expect([WORSE, NOT_WORSE, OPEN, FEW].map(verdict)).toEqual(['WORSE', 'NOT_WORSE', 'OPEN', 'OPEN']);
  });

  test.each(BY_EVIDENCE)('%s', (_name, settings, evidence, given, decision) => {
    expect(compared({ ...given, evidence, config: { evidence: settings } }).decision).toBe(decision);
  });

  test('is said in plain words with its figures', () => {
    const said = (evidence: EvidenceState, mode: 'AUTO' | 'OFF' = 'AUTO') =>
      compared({ ...AHEAD, evidence, config: { evidence: { mode } } }).decisionReasons.at(-1);
    expect(said(FEW)).toBe('Evidence: too early to say: 19 of 20 effective pairs');
    expect(said(WORSE)).toMatch(
      /^Evidence: the canary is worse, beyond chance: -0\.20 % a check against the least acceptable, between -0\.\d+ % and -0\.\d+ % \(60 pairs, 60 effective, 60 checks planned\)$/,
    );
    expect(said(OPEN)).toContain('still open, the difference is within noise');
    expect(said(WORSE, 'OFF')).toBe('Every gate passed');
    const behind = compared({ ...BEHIND, evidence: OPEN });
    expect(behind.decisionReasons[0]).toContain('the shortfall is within noise');
  });
});

const money = (max: number) => fc.integer({ min: -max * 100, max: max * 100 }).map((cents) => cents / 100);
const maybe = (values: fc.Arbitrary<number>) => fc.option(values, { nil: undefined });

/** A side that has something to say, within the bounds of what reports may say. */
const anySide = fc
  .record({
    pnlUsd: money(5000),
    trades: fc.integer({ min: 0, max: 40 }),
    errors: fc.integer({ min: 0, max: 6 }),
    drawdown: fc.integer({ min: 0, max: 400 }).map((permille) => permille / 1000),
    sharpeRatio: maybe(fc.integer({ min: -30, max: 30 }).map((tenths) => tenths / 10)),
    winRate: maybe(fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100)),
  })
  .map(
    (given): Figures => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  );

const anyConfig = fc.record({
  promotionCriteria: fc.record({
    minPnlRatio: fc.constantFrom('0', '0.5', '0.9', '1').map(decimal),
    maxDrawdownRatio: fc.constantFrom('1', '1.2', '3').map(decimal),
    minSharpeRatio: fc.constantFrom('0', '0.8', '1').map(decimal),
    minWinRateRatio: fc.constantFrom('0', '0.8', '1').map(decimal),
    requirePositivePnl: fc.boolean(),
  }),
  evidence: fc.record({ mode: fc.constantFrom('AUTO' as const, 'REQUIRED' as const, 'OFF' as const) }),
});

const anyEvidence = fc.constantFrom(NO_EVIDENCE, WORSE, NOT_WORSE, OPEN, FEW);
const anyGiven = fc.record({
  canary: anySide,
  stable: anySide,
  config: anyConfig,
  evidence: anyEvidence,
});

/** Better is more; a trial that goes on is better than one that needs a person. */
const RANK: Record<CanaryDecision, number> = { ROLLBACK: 0, MANUAL_REVIEW: 1, CONTINUE: 2, PROMOTE: 3 };

/** The same figures, and for each of them how a worse one looks. */
const WORSENED: Record<string, (value: number) => number> = {
  pnlUsd: (value) => value - 250,
  errors: (value) => value + 3,
  drawdown: (value) => value + 0.1,
  sharpeRatio: (value) => value - 0.7,
  winRate: (value) => Math.max(0, value - 0.2),
};

describe('laws', () => {
  test('scaling both sides’ capital and PnL changes no decision on the return basis', () => {
    fc.assert(
      fc.property(anyGiven, fc.constantFrom(0.001, 0.37, 3, 1e6), (given, factor) => {
        const scaled = (figure: Figures): Figures => ({
          ...figure,
          pnlUsd: decimal(figure.pnlUsd ?? 0)
            .times(factor)
            .toFixed(),
        });
        const capital = ([10_000, 90_000] as const).map((usd) => usd * factor);
        const [canaryUsd = 0, stableUsd = 0] = capital;
        const after = compared({
          ...given,
          canary: scaled(given.canary),
          stable: scaled(given.stable),
          capitalUsd: [canaryUsd, stableUsd],
        });
        const before = compared(given);
        expect(after.decision).toBe(before.decision);
        expect(after.gates.map(({ outcome }) => outcome)).toEqual(before.gates.map(({ outcome }) => outcome));
      }),
      { numRuns: 200 },
    );
  });

  test('a worse figure of the canary never improves the decision', () => {
    fc.assert(
      fc.property(anyGiven, fc.constantFrom(...Object.keys(WORSENED)), (given, name) => {
        const known = Object.entries(given.canary).find(([figure]) => figure === name)?.[1];
        fc.pre(known !== undefined);
        const canary = { ...given.canary, [name]: WORSENED[name]?.(Number(known)) };
        expect(RANK[compared({ ...given, canary }).decision]).toBeLessThanOrEqual(
          RANK[compared(given).decision],
        );
      }),
      { numRuns: 300 },
    );
  });

  test('a better stable side never improves the decision', () => {
    fc.assert(
      fc.property(anyGiven, fc.integer({ min: 1, max: 2000 }), (given, more) => {
        const stable = { ...given.stable, pnlUsd: Number(given.stable.pnlUsd) + more };
        expect(RANK[compared({ ...given, stable }).decision]).toBeLessThanOrEqual(
          RANK[compared(given).decision],
        );
      }),
      { numRuns: 200 },
    );
  });

  test('losing figures it had reported does not improve it either', () => {
    fc.assert(
      fc.property(anyGiven, fc.constantFrom('sharpeRatio', 'winRate'), (given, name) => {
        const canary = Object.fromEntries(Object.entries(given.canary).filter(([figure]) => figure !== name));
        expect(RANK[compared({ ...given, canary }).decision]).toBeLessThanOrEqual(
          RANK[compared(given).decision],
        );
      }),
      { numRuns: 200 },
    );
  });

  test('a canary at least as good in every figure and within the absolute limits is never rolled back', () => {
    const series = fc.array(fc.tuple(money(50), money(20).map(Math.abs)), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(anySide, anyConfig, series, anySide, (base, config, steps, lead) => {
        // Both sides hold $10,000; in every interval the canary earns what stable earns and a little more.
        const evidence = startEvidence(60);
        let [canaryUsd, stableUsd] = [decimal(0), decimal(0)];
        const rho = config.promotionCriteria.minPnlRatio.toNumber();
        for (const [stableGain, extra] of steps) {
          addPair(evidence, (stableGain + extra) / 10_000, stableGain / 10_000, { rho, comparison: 'RAW' });
          canaryUsd = canaryUsd.plus(stableGain).plus(extra);
          stableUsd = stableUsd.plus(stableGain);
        }
        fc.pre(!config.promotionCriteria.requirePositivePnl || canaryUsd.gt(0));
        const stable: Figures = { ...base, pnlUsd: stableUsd.toFixed() };
        const { comparison } = {
          comparison: compared({
            canary: { ...atLeast(stable, lead), pnlUsd: canaryUsd.toFixed(), errors: 0 },
            stable,
            config,
            capitalUsd: [10_000, 10_000],
            evidence,
          }),
        };
        expect(comparison.decision).not.toBe('ROLLBACK');
        expect(comparison.evidence.verdict).not.toBe('WORSE');
      }),
      { numRuns: 200 },
    );
  });
});

/** Figures at least as good as `than`, with some of `lead`'s advantage. */
function atLeast(than: Figures, lead: Figures): Figures {
  const best = (name: 'sharpeRatio' | 'winRate') =>
    than[name] === undefined ? {} : { [name]: Math.max(Number(than[name]), Number(lead[name] ?? -99)) };
  return {
    ...lead,
    drawdown: Math.min(Number(than.drawdown), Number(lead.drawdown)),
    ...best('sharpeRatio'),
    ...best('winRate'),
  };
}

test('every reason names both values and the threshold', () => {
  const { gates } = compared(DEEP);
  const shows = (value: Decimal | null) => value !== null;
  for (const { measured, threshold, name } of gates) {
    if (['PNL', 'DRAWDOWN', 'TRADES', 'ERROR_RATE'].includes(name)) {
      expect([shows(measured), shows(threshold)]).toEqual([true, true]);
    }
  }
  expect(gate(compared(DEEP), 'DRAWDOWN').reason).toBe(
    'Drawdown: canary 30.00 % against stable 10.00 %, at most 12.00 % allowed',
  );
});
