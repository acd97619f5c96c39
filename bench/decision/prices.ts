/** Moving-average strategies on the S&P 500, 2000 to 2020: real returns for both sides, a trading day a check. */
import { readFileSync } from 'node:fs';
import type { Market } from '../../src/core/policy/market.ts';

/** Hold the index while its fast average was above the slow one at yesterday's close; else hold cash. */
export interface Averages {
  readonly fast: number;
  readonly slow: number;
}

export interface Pair {
  readonly name: string;
  readonly stable: Averages;
  readonly canary: Averages;
  /** What the canary loses against its own strategy each day, in standard deviations of it. */
  readonly handicap: number;
}

const SAME = { fast: 20, slow: 100 };
export const PAIRS: readonly Pair[] = [
  { name: '20/100 against itself', stable: SAME, canary: SAME, handicap: 0 },
  { name: '20/100, canary 22/100', stable: SAME, canary: { fast: 22, slow: 100 }, handicap: 0 },
  { name: '50/200, canary 20/100', stable: { fast: 50, slow: 200 }, canary: SAME, handicap: 0 },
  { name: '20/100, canary 5/20', stable: SAME, canary: { fast: 5, slow: 20 }, handicap: 0 },
  { name: '20/100, canary half a sigma worse', stable: SAME, canary: SAME, handicap: 0.5 },
];

const COST_OF_A_SWITCH = 0.0005;
/** Days before the first return: the longest average. */
const FIRST_DAY = 200;
/** Days from one window to the next. */
export const STRIDE = 5;

export function readCloses(): number[] {
  const lines = readFileSync('data/sp500-2000.csv', 'utf8').trim().split('\n').slice(1);
  return lines.map((line) => Number(line.split(',')[4]));
}

/** Windows of a number of days in the prices. */
export function windowStarts(closes: readonly number[], days: number): number[] {
  const last = closes.length - FIRST_DAY - days;
  return Array.from({ length: Math.max(0, Math.floor(last / STRIDE)) }, (_, index) => index * STRIDE);
}

/** The daily returns of both sides, as a market that begins at a window. */
export function marketOf(
  closes: readonly number[],
  { stable, canary, handicap }: Pair,
): (start: number) => Market {
  const stableReturns = returnsOf(closes, stable);
  const plain = returnsOf(closes, canary);
  const mean = plain.reduce((sum, each) => sum + each, 0) / plain.length;
  const sigma = Math.sqrt(plain.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (plain.length - 1));
  const canaryReturns = plain.map((each) => each - handicap * sigma);
  return (start) => {
    let day = start;
    return {
      nextCheck(onTrade) {
        onTrade(canaryReturns[day] ?? 0, stableReturns[day] ?? 0);
        day += 1;
      },
    };
  };
}

function returnsOf(closes: readonly number[], { fast, slow }: Averages): number[] {
  const average = (day: number, length: number) =>
    closes.slice(day - length, day).reduce((sum, each) => sum + each, 0) / length;
  const returns: number[] = [];
  let held = false;
  for (let day = FIRST_DAY; day < closes.length; day += 1) {
    const holds = average(day, fast) > average(day, slow);
    const change = (closes[day] ?? 0) / (closes[day - 1] ?? 1) - 1;
    returns.push((holds ? change : 0) - (holds === held ? 0 : COST_OF_A_SWITCH));
    held = holds;
  }
  return returns;
}
