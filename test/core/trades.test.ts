/** What trades add up to: exact sums, a curve in the order of time, and the same figures however they arrived. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SideMetrics } from '../../src/core/metrics/sideMetrics.ts';
import {
  firstDifference,
  type RecordedTrade,
  type Trade,
  tradeViolations,
} from '../../src/core/metrics/trade.ts';
import {
  addTotals,
  CURVE_START,
  type Curve,
  extendCurve,
  metricsOf,
  NO_TRADES,
  oversizedFigure,
} from '../../src/core/metrics/tradeStatistics.ts';
import { Decimal, decimal, formatDecimal, parseExactDecimal, ZERO } from '../../src/core/values/decimal.ts';

const START = Date.parse('2026-01-05T00:00:00.000Z');

/** A trade so many seconds after the start. */
function trade(seconds: number, pnlUsd: string | null, more: Partial<RecordedTrade> = {}): RecordedTrade {
  return {
    id: `t-${seconds}-${pnlUsd}`,
    at: START + seconds * 1000,
    pnlUsd: pnlUsd === null ? null : decimal(pnlUsd),
    feesUsd: ZERO,
    gasUsd: ZERO,
    notionalUsd: null,
    error: pnlUsd === null ? 'reverted' : null,
    capitalUsd: decimal(1000),
    recordedAt: START,
    ...more,
  };
}

const byTime = (trades: readonly RecordedTrade[]) => [...trades].sort((one, other) => one.at - other.at);

/** The metrics of trades that came in one batch in the order of time. */
function measure(trades: readonly RecordedTrade[]): SideMetrics {
  const totals = addTotals(NO_TRADES.totals, trades);
  return metricsOf({ totals, curve: extendCurve(CURVE_START, byTime(trades)).curve }, START);
}

function shown(metrics: SideMetrics): Record<string, unknown> {
  const entries = Object.entries(metrics);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Decimal.isDecimal(value) ? formatDecimal(value) : value]),
  );
}

/** The largest drawdown that is kept: there is no more room in the database. */
const LARGEST = decimal('99999999999999999999.999999999999999999');

describe('the metrics of trades', () => {
  test('are exact, to the last decimal', () => {
    const metrics = measure([
      trade(1, '10.000000000000000001', { feesUsd: decimal('0.1'), gasUsd: decimal('0.2') }),
      trade(2, '-4', { feesUsd: decimal('-0.05'), notionalUsd: decimal(100) }),
      trade(3, '0.3', { gasUsd: decimal('0.3'), notionalUsd: decimal(201) }),
      trade(4, null, { gasUsd: decimal('1.5') }),
    ]);
    expect(shown(metrics)).toMatchObject({
      totalPnlUsd: '6.300000000000000001',
      netPnlUsd: '4.250000000000000001',
      totalGasUsd: '2',
      trades: 3,
      errors: 1,
      // The third trade earned nothing after costs.
      winRate: '0.333333333333333333',
      avgTradeSizeUsd: '150.5',
    });
  });

  test('have no figure where there is none', () => {
    expect(shown(measure([]))).toMatchObject({ winRate: null, sharpeRatio: null, maxDrawdown: '0' });
    expect(measure([trade(1, '5')]).sharpeRatio).toBeNull();
    expect(measure([trade(1, '5'), trade(2, '5'), trade(3, '5')]).sharpeRatio).toBeNull();
    expect(measure([trade(1, null)]).winRate).toBeNull();
  });

  test('Sharpe: mean over sample standard deviation of the returns of single trades', () => {
    // Returns 1 %, 2 %, 3 %: mean 2 %, sample standard deviation 1 %.
    const trades = [trade(1, '10'), trade(2, '20'), trade(3, '30')];
    expect(shown(measure(trades)).sharpeRatio).toBe('2');
    const atTwice = trades.map((each) => ({ ...each, capitalUsd: decimal(2000) }));
    expect(shown(measure(atTwice)).sharpeRatio).toBe('2');
    const losing = trades.map((each) => ({ ...each, pnlUsd: each.pnlUsd?.negated() ?? null }));
    expect(shown(measure(losing)).sharpeRatio).toBe('-2');
    expect(shown(measure([...trades, trade(4, null, { gasUsd: decimal(99) })])).sharpeRatio).toBe('2');
  });

  test('drawdown: the largest fall below the high-water mark of the equity, as a fraction of the mark', () => {
    // 1000, 1100, 990, 1200, 1140.
    const trades = [trade(1, '100'), trade(2, '-110'), trade(3, '210'), trade(4, '-60')];
    expect(shown(measure(trades)).maxDrawdown).toBe('0.1');
    expect(shown(measure([trade(1, '-50')])).maxDrawdown).toBe('0.05');
    expect(shown(measure([trade(1, null, { gasUsd: decimal(20) })])).maxDrawdown).toBe('0.02');
    expect(shown(measure([trade(1, '-1500')])).maxDrawdown).toBe('1.5');
  });

  test('trades of one instant have no order: they move the curve once', () => {
    const together = [trade(1, '-100'), trade(1, '100')];
    expect(shown(measure(together)).maxDrawdown).toBe('0');
    expect(shown(measure([trade(1, '-100'), trade(2, '100')])).maxDrawdown).toBe('0.1');
  });

  test('each return is on the capital of its time: a ramp does not blow up the drawdown', () => {
    const capitalUsd = decimal(5000);
    // Up 10 % on 1,000, then down 2 % of 5,000: 1.10 to 1.08.
    const metrics = measure([trade(1, '100'), trade(2, '-100', { capitalUsd })]);
    expect(shown(metrics).maxDrawdown).toBe('0.018181818181818182');
  });

  test('a figure that cannot be kept is named', () => {
    const huge = '99999999999999999999';
    expect(oversizedFigure(measure([trade(1, huge)]))).toBeNull();
    expect(oversizedFigure(measure([trade(1, huge), trade(2, huge)]))).toBe('netPnlUsd');
  });
});

const window = { from: START, to: START + 3_600_000 };
const refusedAt = (change: Partial<Trade>) =>
  tradeViolations({ ...trade(5, '1'), ...change }, window, ['trades', '3']).map(({ path }) => path.join('.'));

describe('what a trade must be', () => {
  test('its own rules, each by its field', () => {
    expect(refusedAt({})).toEqual([]);
    expect(refusedAt({ pnlUsd: null })).toEqual(['trades.3.pnlUsd']);
    expect(refusedAt({ error: 'reverted' })).toEqual(['trades.3.pnlUsd']);
    expect(refusedAt({ error: 'reverted', pnlUsd: null })).toEqual([]);
    expect(refusedAt({ error: 'reverted', pnlUsd: null, notionalUsd: decimal(1) })).toEqual([
      'trades.3.notionalUsd',
    ]);
    expect(refusedAt({ error: '', pnlUsd: null })).toEqual(['trades.3.error']);
    expect(refusedAt({ error: 'x'.repeat(2001), pnlUsd: null })).toEqual(['trades.3.error']);
    expect(refusedAt({ error: 'a\0b', pnlUsd: null })).toEqual(['trades.3.error']);
    expect(refusedAt({ error: 'line\nline', pnlUsd: null })).toEqual([]);
    expect(refusedAt({ gasUsd: decimal(-1) })).toEqual(['trades.3.gasUsd']);
    expect(refusedAt({ feesUsd: decimal(-1) })).toEqual([]);
    expect(refusedAt({ notionalUsd: decimal(-1) })).toEqual(['trades.3.notionalUsd']);
    for (const id of ['', 'x'.repeat(201), 'a\nb', '\0', '\ud800']) {
      expect(refusedAt({ id })).toEqual(['trades.3.id']);
    }
  });

  test('closed at most a minute before the start, and at most a minute ahead of the clock', () => {
    expect(refusedAt({ at: window.from - 60_000 })).toEqual([]);
    expect(refusedAt({ at: window.from - 60_001 })).toEqual(['trades.3.at']);
    expect(refusedAt({ at: window.to + 60_000 })).toEqual([]);
    expect(refusedAt({ at: window.to + 60_001 })).toEqual(['trades.3.at']);
  });

  test('the same id is the same trade, or the first field that differs is named', () => {
    const one = trade(5, '1');
    expect(firstDifference(one, { ...one, pnlUsd: decimal('1.000') })).toBeNull();
    expect(firstDifference(one, { ...one, pnlUsd: decimal('1.1') })).toEqual({
      field: 'pnlUsd',
      booked: '1',
      sent: '1.1',
    });
    expect(firstDifference(one, { ...one, notionalUsd: decimal(7) })).toMatchObject({
      field: 'notionalUsd',
      booked: 'nothing',
    });
    expect(firstDifference(one, { ...one, pnlUsd: null, error: 'no' })).toMatchObject({ field: 'pnlUsd' });
    expect(firstDifference(one, { ...one, at: one.at + 1 })).toMatchObject({ field: 'at' });
  });
});

/** Any amount that a caller may send. */
const amount = fc
  .tuple(fc.bigInt({ min: -(10n ** 14n), max: 10n ** 14n }), fc.integer({ min: 0, max: 18 }))
  .map(([digits, scale]) => parseExactDecimal(`${digits}e-${scale}`))
  .filter(Decimal.isDecimal);
const cost = amount.map((value) => value.abs());

const anyTrade: fc.Arbitrary<RecordedTrade> = fc
  .record({
    seconds: fc.integer({ min: 0, max: 12 }),
    pnlUsd: amount,
    feesUsd: amount,
    gasUsd: cost,
    notionalUsd: fc.option(cost),
    failed: fc.boolean(),
    capitalUsd: fc.constantFrom('1000', '70000', '33.3', '0.000000000000000003').map(decimal),
  })
  .map(({ seconds, failed, ...more }) => {
    const kind = failed ? { pnlUsd: null, notionalUsd: null, error: 'no' } : {};
    return trade(seconds, '0', { ...more, ...kind });
  });
const someTrades = fc.array(anyTrade, { maxLength: 40 });

/** The same figures the slow way: from their definitions, over all trades at once. */
function byDefinition(trades: readonly RecordedTrade[]): Record<string, unknown> {
  const sum = (values: readonly Decimal[]) => values.reduce((all, each) => all.plus(each), ZERO);
  const net = (each: RecordedTrade) => (each.pnlUsd ?? ZERO).minus(each.feesUsd).minus(each.gasUsd);
  const returned = (each: RecordedTrade) => net(each).div(each.capitalUsd).toDecimalPlaces(30);
  const closed = trades.filter(({ error }) => error === null);
  const sizes = closed.flatMap(({ notionalUsd }) => notionalUsd ?? []);
  const returns = closed.map(returned);
  const mean = sum(returns).div(Math.max(1, returns.length));
  const variance = sum(returns.map((each) => each.minus(mean).pow(2))).div(Math.max(1, returns.length - 1));
  const instants = [...new Set(trades.map(({ at }) => at))].sort((one, other) => one - other);
  const curve = [decimal(1)];
  for (const instant of instants) {
    const moved = sum(trades.filter(({ at }) => at === instant).map(returned));
    curve.push(moved.plus(curve.at(-1) ?? 1));
  }
  const falls = curve.map((equity, index) => {
    const peak = Decimal.max(...curve.slice(0, index + 1));
    return peak.minus(equity).div(peak);
  });
  return {
    netPnlUsd: formatDecimal(sum(trades.map(net))),
    totalGasUsd: formatDecimal(sum(trades.map(({ gasUsd }) => gasUsd))),
    trades: closed.length,
    errors: trades.length - closed.length,
    maxDrawdown: formatDecimal(
      Decimal.min(Decimal.max(...falls).toDecimalPlaces(18, Decimal.ROUND_HALF_UP), LARGEST),
    ),
    avgTradeSizeUsd: formatDecimal(
      sum(sizes).div(Math.max(1, sizes.length)).toDecimalPlaces(18, Decimal.ROUND_HALF_UP),
    ),
    // The textbook form cancels; fifteen digits are its due.
    sharpe: variance.lte('1e-50') ? null : mean.div(variance.sqrt()).toSignificantDigits(15).toNumber(),
  };
}

describe('laws', () => {
  test('the figures are those of their definitions', () => {
    fc.assert(
      fc.property(someTrades, (trades) => {
        const { sharpe, ...figures } = byDefinition(trades);
        const metrics = measure(trades);
        expect(shown(metrics)).toMatchObject(figures);
        if (sharpe !== null) expect(metrics.sharpeRatio?.toNumber()).toBeCloseTo(Number(sharpe), 10);
      }),
    );
  });

  test('any order of arrival gives the same sums, and any order within an instant the same curve', () => {
    const orders = someTrades.chain((trades) =>
      fc.tuple(
        fc.constant(trades),
        fc.shuffledSubarray(trades, { minLength: trades.length, maxLength: trades.length }),
      ),
    );
    fc.assert(
      fc.property(orders, ([trades, shuffled]) => {
        expect(shown(measure(shuffled))).toEqual(shown(measure(trades)));
      }),
    );
  });

  test('any batching gives the same book', () => {
    fc.assert(
      fc.property(someTrades, fc.array(fc.nat(40)), (trades, cuts) => {
        const ordered = byTime(trades);
        const places = [
          0,
          ...cuts.filter((cut) => cut < ordered.length).sort((a, b) => a - b),
          ordered.length,
        ];
        let { totals, curve } = NO_TRADES;
        places.slice(1).forEach((end, index) => {
          const batch = ordered.slice(places[index], end);
          totals = addTotals(totals, batch);
          curve = extendCurve(curve, batch).curve;
        });
        expect(shown(metricsOf({ totals, curve }, START))).toEqual(shown(measure(trades)));
      }),
    );
  });

  test('the curve folded again from any checkpoint is the same, also with late trades after it', () => {
    const long = Array.from({ length: 4500 }, (_, index) =>
      trade(Math.floor(index / 3), String(((index * 7919) % 201) - 100)),
    );
    const { curve, checkpoints } = extendCurve(CURVE_START, long);
    expect(checkpoints.length).toBe(4);
    const late = trade(1100, '-777');
    const withLate = byTime([...long, late]);
    const whole = extendCurve(CURVE_START, withLate).curve;
    const from = (checkpoint: Curve, trades: readonly RecordedTrade[]) =>
      extendCurve(
        checkpoint,
        trades.filter(({ at }) => at >= checkpoint.at),
      ).curve;
    const figure = ({ equity, moved, peak, maxDrawdown }: Curve) =>
      [equity, moved, peak, maxDrawdown].map(formatDecimal);
    for (const checkpoint of checkpoints) {
      expect(figure(from(checkpoint, long))).toEqual(figure(curve));
      if (checkpoint.at <= late.at) expect(figure(from(checkpoint, withLate))).toEqual(figure(whole));
    }
  });
});
