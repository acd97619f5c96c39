/**
 * What a simulated side has done so far. Money is kept in whole micro-dollars, which doubles hold exactly, so that a
 * return computed here and one computed by the engine from the same metrics are the same number.
 */

import type { SideMetrics } from '../metrics/sideMetrics.ts';
import { type Decimal, decimal } from '../values/decimal.ts';

const MICROS = 1_000_000;

/** The figures of one side, in the units of the simulation. */
export interface SimulatedSide {
  /** What the side works with now, micro-dollars. */
  capital: number;
  /** Net PnL since the trial began, micro-dollars. */
  pnl: number;
  trades: number;
  wins: number;
  /** Largest fall of the cumulative return from a high. */
  drawdown: number;
  /** Cumulative return, each trade on the capital of its time. */
  curve: number;
  high: number;
  /** Returns of the checks: count, mean and sum of squared deviations (Welford 1962). */
  checks: number;
  mean: number;
  m2: number;
}

export function startSimulatedSide(): SimulatedSide {
  return {
    capital: 0,
    pnl: 0,
    trades: 0,
    wins: 0,
    drawdown: 0,
    curve: 0,
    high: 0,
    checks: 0,
    mean: 0,
    m2: 0,
  };
}

/** Books one trade; what it earned is rounded to a micro-dollar. */
export function addTrade(book: SimulatedSide, earned: number): void {
  const gained = Math.round(earned * book.capital);
  book.pnl += gained;
  book.trades += 1;
  if (gained > 0) book.wins += 1;
  book.curve += gained / book.capital;
  if (book.curve > book.high) book.high = book.curve;
  const fall = book.high - book.curve;
  if (fall > book.drawdown) book.drawdown = fall;
}

/** Closes a check with its return. */
export function addCheck(book: SimulatedSide, checkReturn: number): void {
  book.checks += 1;
  const delta = checkReturn - book.mean;
  book.mean += delta / book.checks;
  book.m2 += delta * (checkReturn - book.mean);
}

/** Mean return of a check over its deviation, not annualised; null before there is a deviation. */
export function sharpeOf({ checks, mean, m2 }: SimulatedSide): number | null {
  return checks > 1 && m2 > 0 ? mean / Math.sqrt(m2 / (checks - 1)) : null;
}

/** Winning trades over trades; null before the first trade. */
export function winRateOf({ trades, wins }: SimulatedSide): number | null {
  return trades > 0 ? wins / trades : null;
}

export const toMicros = (usd: Decimal): number => usd.times(MICROS).toNumber();
export const fromMicros = (micros: number): Decimal => decimal(micros).div(MICROS);

/** The figures as a side would report them now. Simulated versions make no errors and pay no gas. */
export function metricsOf(book: SimulatedSide, now: number): SideMetrics {
  const optional = (value: number | null) => (value === null ? null : decimal(value));
  const pnlUsd = fromMicros(book.pnl);
  return {
    netPnlUsd: pnlUsd,
    totalPnlUsd: pnlUsd,
    maxDrawdown: decimal(book.drawdown),
    sharpeRatio: optional(sharpeOf(book)),
    winRate: optional(winRateOf(book)),
    trades: book.trades,
    errors: 0,
    totalGasUsd: decimal(0),
    avgTradeSizeUsd: decimal(0),
    uptimeSeconds: 0,
    reportedAt: now,
  };
}
