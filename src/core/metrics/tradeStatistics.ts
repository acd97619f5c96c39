/**
 * What the trades of one side add up to. Sums are exact and do not depend on the order of their terms; the equity
 * curve does, so it is folded in the order of time, where trades of one instant have no order and move it once.
 * Any order of arrival, in any batches, leads to the same figures. A batch in time order costs its own length; a late
 * trade costs the trades since the last checkpoint before it.
 *
 * Sources: the Sharpe ratio is W. F. Sharpe's of 1994 ("The Sharpe Ratio", Journal of Portfolio Management 21), mean
 * over sample standard deviation, here of the returns of single trades. It is not annualised: by A. W. Lo ("The
 * Statistics of Sharpe Ratios", Financial Analysts Journal 58, 2002) that is a factor, the square root of the trades in a
 * year, and only where returns are independent.
 */
import {
  Decimal,
  decimal,
  MAX_INTEGER_DIGITS,
  toStoredFraction,
  toStoredPrecision,
  ZERO,
} from '../values/decimal.ts';
import { extendRunCurve, runOf, type SideRun } from './run.ts';
import type { SideMetrics } from './sideMetrics.ts';
import type { ReportFacts, SideRecord } from './takeReport.ts';
import { netPnlUsd, type RecordedTrade } from './trade.ts';

/** A return is rounded to this number of decimals, once; everything after that is exact. */
const RETURN_DECIMALS = 30;
/** Trades between two checkpoints, at least. */
const CHECKPOINT_EVERY = 1000;

/** Sums over all trades and errors. */
export interface TradeTotals {
  readonly trades: number;
  readonly errors: number;
  /** Trades with a net PnL above 0. */
  readonly wins: number;
  readonly pnlUsd: Decimal;
  readonly feesUsd: Decimal;
  readonly gasUsd: Decimal;
  /** Sizes, of the trades whose size is known, and how many those are. */
  readonly notionalUsd: Decimal;
  readonly sized: number;
  /** Returns of trades, and their squares; errors are not among them. */
  readonly returns: Decimal;
  readonly squares: Decimal;
}

/** The equity curve as a fraction of capital, 1 at the start, up to its latest instant. */
export interface Curve {
  /** The latest instant, epoch milliseconds; 0 before the first trade. */
  readonly at: number;
  /** What the trades of that instant moved the curve by, as far as they are known. */
  readonly moved: Decimal;
  /** The curve before that instant, its high-water mark, and its largest fall as a fraction of the mark it fell from. */
  readonly equity: Decimal;
  readonly peak: Decimal;
  readonly maxDrawdown: Decimal;
  /** Trades and errors since the last checkpoint. */
  readonly sinceCheckpoint: number;
}

export interface TradeStatistics {
  readonly totals: TradeTotals;
  readonly curve: Curve;
}

const ONE = decimal(1);

export const CURVE_START: Curve = {
  at: 0,
  moved: ZERO,
  equity: ONE,
  peak: ONE,
  maxDrawdown: ZERO,
  sinceCheckpoint: 0,
};

export const NO_TRADES: TradeStatistics = {
  totals: {
    trades: 0,
    errors: 0,
    wins: 0,
    pnlUsd: ZERO,
    feesUsd: ZERO,
    gasUsd: ZERO,
    notionalUsd: ZERO,
    sized: 0,
    returns: ZERO,
    squares: ZERO,
  },
  curve: CURVE_START,
};

/** Net PnL over the capital the side worked with when the trade was closed. */
function returnOf(trade: RecordedTrade): Decimal {
  return netPnlUsd(trade).div(trade.capitalUsd).toDecimalPlaces(RETURN_DECIMALS);
}

/** The sums with further trades in them, in any order. */
export function addTotals(totals: TradeTotals, trades: readonly RecordedTrade[]): TradeTotals {
  return trades.reduce(addTrade, totals);
}

function addTrade(totals: TradeTotals, trade: RecordedTrade): TradeTotals {
  const feesUsd = totals.feesUsd.plus(trade.feesUsd);
  const gasUsd = totals.gasUsd.plus(trade.gasUsd);
  if (trade.error !== null) return { ...totals, errors: totals.errors + 1, feesUsd, gasUsd };
  const earned = returnOf(trade);
  return {
    trades: totals.trades + 1,
    errors: totals.errors,
    wins: totals.wins + (netPnlUsd(trade).gt(0) ? 1 : 0),
    pnlUsd: totals.pnlUsd.plus(trade.pnlUsd ?? ZERO),
    feesUsd,
    gasUsd,
    notionalUsd: totals.notionalUsd.plus(trade.notionalUsd ?? ZERO),
    sized: totals.sized + (trade.notionalUsd === null ? 0 : 1),
    returns: totals.returns.plus(earned),
    squares: totals.squares.plus(earned.times(earned)),
  };
}

/** A curve that went on, and the places on the way from which it can be folded again. */
export interface Extended {
  readonly curve: Curve;
  readonly checkpoints: readonly Curve[];
}

/**
 * Folds further trades into the curve.
 * @param trades in the order of time, none before the curve's latest instant
 */
export function extendCurve(curve: Curve, trades: readonly RecordedTrade[]): Extended {
  const checkpoints: Curve[] = [];
  let now = curve;
  for (const trade of trades) {
    if (trade.at < now.at) throw new Error(`a trade of ${trade.at} cannot follow ${now.at}`);
    if (trade.at > now.at) {
      now = advanceTo(now, trade.at);
      if (now.sinceCheckpoint >= CHECKPOINT_EVERY) {
        now = { ...now, sinceCheckpoint: 0 };
        checkpoints.push(now);
      }
    }
    now = { ...now, moved: now.moved.plus(returnOf(trade)), sinceCheckpoint: now.sinceCheckpoint + 1 };
  }
  return { curve: now, checkpoints };
}

/** The book of trades that are all there, in any order, and its checkpoints. */
export function addTrades(trades: readonly RecordedTrade[]): TradeStatistics & Pick<Extended, 'checkpoints'> {
  const inTime = [...trades].sort((one, other) => one.at - other.at);
  return { totals: addTotals(NO_TRADES.totals, inTime), ...extendCurve(CURVE_START, inTime) };
}

/** The curve at the beginning of a later instant: what happened before is final, unless a late trade comes. */
function advanceTo(curve: Curve, at: number): Curve {
  const equity = curve.equity.plus(curve.moved);
  const peak = equity.gt(curve.peak) ? equity : curve.peak;
  const fall = peak.minus(equity);
  const deeper = fall.gt(curve.maxDrawdown.times(peak));
  const maxDrawdown = deeper ? toStoredFraction(fall.div(peak)) : curve.maxDrawdown;
  return { ...curve, at, moved: ZERO, equity, peak, maxDrawdown };
}

/** The metrics of a side that is measured by its trades. */
export function metricsOf({ totals, curve }: TradeStatistics, reportedAt: number): SideMetrics {
  const { trades, errors, wins, pnlUsd, feesUsd, gasUsd, notionalUsd, sized } = totals;
  return {
    netPnlUsd: pnlUsd.minus(feesUsd).minus(gasUsd),
    totalPnlUsd: pnlUsd,
    maxDrawdown: advanceTo(curve, curve.at).maxDrawdown,
    sharpeRatio: sharpeRatio(totals),
    winRate: trades === 0 ? null : toStoredPrecision(decimal(wins).div(trades)),
    trades,
    errors,
    totalGasUsd: gasUsd,
    avgTradeSizeUsd: sized === 0 ? ZERO : toStoredPrecision(notionalUsd.div(sized)),
    uptimeSeconds: 0,
    reportedAt,
  };
}

/** Mean over sample standard deviation of the trades' returns; null below two trades, or where all are alike. */
function sharpeRatio({ trades: n, returns, squares }: TradeTotals): Decimal | null {
  // n (n - 1) times the variance: exact, so that nothing cancels.
  const spread = squares.times(n).minus(returns.times(returns));
  if (n < 2 || !spread.gt(0)) return null;
  return toStoredPrecision(returns.times(decimal(n - 1).sqrt()).div(spread.times(n).sqrt()));
}

/**
 * The figures of a side that is measured by its trades, with the value of its open positions.
 * @param given the value that came with the batch; without it the value before stands, and ages
 */
export function withOpenPositions(
  before: SideRecord,
  closed: SideMetrics,
  given: Decimal | undefined,
  facts: ReportFacts,
): { readonly metrics: SideMetrics; readonly run: SideRun | null } {
  const { metrics: known } = before;
  const unrealizedPnlUsd = given ?? known?.unrealizedPnlUsd;
  if (unrealizedPnlUsd === undefined) return { metrics: closed, run: before.run };
  const netPnlUsd = closed.netPnlUsd.plus(unrealizedPnlUsd);
  const run = runOf(null, before.run);
  const curve = extendRunCurve(run.curve, facts.returned(netPnlUsd));
  const maxDrawdown = Decimal.max(closed.maxDrawdown, curve.maxDrawdown);
  const asOf = given === undefined ? known?.asOf : facts.now;
  return {
    metrics: { ...closed, netPnlUsd, maxDrawdown, unrealizedPnlUsd, asOf },
    run: { ...run, curve },
  };
}

/** The first figure that has more digits than can be kept; null when all fit. */
export function oversizedFigure(metrics: SideMetrics): string | null {
  const limit = decimal(10).pow(MAX_INTEGER_DIGITS);
  const { netPnlUsd: net, totalPnlUsd, totalGasUsd, avgTradeSizeUsd } = metrics;
  const figures = { netPnlUsd: net, totalPnlUsd, totalGasUsd, avgTradeSizeUsd };
  const found = Object.entries(figures).find(([, value]) => value.abs().gte(limit));
  return found?.[0] ?? null;
}
