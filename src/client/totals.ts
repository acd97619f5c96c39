/**
 * What a bot reports: running totals of its own run, from zero. A bot that restarts has lost what it counted before, so
 * its totals are added to what Serin knew of the side when this run began, or, where the server knows sessions, sent
 * under a session of this run and added up by the server.
 */
import { divide, fromUnits, multiply, toUnits } from './decimals.ts';
import type { SideFigures } from './operations.ts';

/** Running totals since this run of the bot began. What is left out stays as it was. */
export interface Totals {
  /** Net profit and loss, USD: realised and unrealised together, or realised alone if `unrealizedPnlUsd` is given. */
  readonly pnlUsd?: string | number | undefined;
  /** Profit and loss of positions that are still open, USD. Needs `pnlUsd` in the same report. */
  readonly unrealizedPnlUsd?: string | number | undefined;
  /** Gross profit and loss, USD. */
  readonly totalPnlUsd?: string | number | undefined;
  /** Closed trades. They never fall within a run. */
  readonly trades?: number | undefined;
  /** Errors. They never fall within a run. */
  readonly errors?: number | undefined;
  /** Largest fall from a high, as a fraction of capital: 0.05 is five percent. */
  readonly drawdown?: string | number | undefined;
  /** The Sharpe ratio of this run. */
  readonly sharpeRatio?: string | number | null | undefined;
  /** Winning trades over all trades, 0 to 1. */
  readonly winRate?: string | number | null | undefined;
  /** Gas and fees, USD. They never fall within a run. */
  readonly totalGasUsd?: string | number | undefined;
  /** Mean size of the trades, USD. */
  readonly avgTradeSizeUsd?: string | number | undefined;
  /** Seconds the bot has run. They never fall within a run. */
  readonly uptimeSeconds?: number | undefined;
}

type Field = keyof Totals;
/** The fields of a report as they are sent. */
export type Figures = Readonly<Partial<Record<Field, string | number>>>;

const COUNTS = ['trades', 'errors', 'uptimeSeconds'] as const;
const SUMS = ['pnlUsd', 'totalPnlUsd', 'totalGasUsd'] as const;

/**
 * The figures of a report, checked: JSON would turn NaN into null, which means "as before".
 * @throws {TypeError} that names the field
 */
export function readTotals(totals: Totals, sendsUnrealized: boolean): Figures {
  const figures: Partial<Record<Field, string | number>> = {};
  for (const [name, value] of Object.entries(totals) as [Field, Totals[Field]][]) {
    if (value === undefined || value === null) continue;
    if (COUNTS.some((count) => count === name)) figures[name] = readCount(value, name);
    else figures[name] = fromUnits(toUnits(value, name));
  }
  const { unrealizedPnlUsd, ...rest } = figures;
  if (unrealizedPnlUsd === undefined) return rest;
  if (rest.pnlUsd === undefined) throw new TypeError('unrealizedPnlUsd needs pnlUsd in the same report');
  if (sendsUnrealized) return figures;
  // An older server has one figure for both: the net result, which is what it compares.
  return { ...rest, pnlUsd: add(rest.pnlUsd, unrealizedPnlUsd, 'pnlUsd') };
}

function readCount(value: string | number, name: Field): number {
  // Number alone would make 0 of '', 1 of true and 16 of '0x10'.
  const count = Number(fromUnits(toUnits(value, name)));
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new TypeError(`${name} must be a whole number from 0, got ${String(value)}`);
  }
  return count;
}

/** The totals of the side: what it had before this run, and this run's. */
export function continueFrom(base: SideFigures, figures: Figures): Figures {
  const { metrics } = base;
  const before = {
    pnlUsd: metrics.netPnlUsd,
    totalPnlUsd: metrics.totalPnlUsd,
    totalGasUsd: metrics.totalGasUsd,
    trades: base.tradeCount,
    errors: base.errorCount,
    uptimeSeconds: metrics.uptimeSeconds,
  };
  const all: Partial<Record<Field, string | number>> = { ...figures };
  for (const name of SUMS) {
    const value = figures[name];
    if (value !== undefined) all[name] = add(before[name], value, name);
  }
  for (const name of COUNTS) {
    const value = figures[name];
    if (value !== undefined) all[name] = before[name] + Number(value);
  }
  const { drawdown, winRate, avgTradeSizeUsd } = figures;
  if (drawdown !== undefined) all.drawdown = larger(metrics.maxDrawdown, drawdown);
  const trades = [base.tradeCount, Number(figures.trades ?? 0)] as const;
  if (winRate !== undefined && metrics.winRate !== null) {
    all.winRate = mean(metrics.winRate, winRate, trades, 'winRate');
  }
  if (avgTradeSizeUsd !== undefined) {
    all.avgTradeSizeUsd = mean(metrics.avgTradeSizeUsd, avgTradeSizeUsd, trades, 'avgTradeSizeUsd');
  }
  return all;
}

const add = (one: string | number, other: string | number, name: Field) =>
  fromUnits(toUnits(one, name) + toUnits(other, name));

function larger(one: string | number, other: string | number): string {
  return String(toUnits(one, 'drawdown') < toUnits(other, 'drawdown') ? other : one);
}

/** The mean of two means, weighted by the trades of each. */
function mean(
  one: string | number,
  other: string | number,
  [first, second]: readonly [number, number],
  name: Field,
): string {
  if (first === 0) return String(other);
  if (second === 0) return String(one);
  const [left, right] = [toUnits(first, name), toUnits(second, name)];
  const sum = multiply(toUnits(one, name), left) + multiply(toUnits(other, name), right);
  return fromUnits(divide(sum, left + right));
}
