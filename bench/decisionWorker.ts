/** A thread of the decision table: runs the trials it is given under every rule. */
import { parentPort } from 'node:worker_threads';
import { type Assumptions, defaultAssumptions } from '../src/core/policy/assumptions.ts';
import { createMarket, streams } from '../src/core/policy/market.ts';
import { LIMITS, MARKETS, turning } from './decision/markets.ts';
import { marketOf, PAIRS, readCloses } from './decision/prices.ts';
import { type Endings, endingsOf, endingUnder, policyOf, type Rule } from './decision/rules.ts';

/** Trials in simulated markets, from one number of run to before another, or in windows of the real prices. */
export type Task =
  | SimulatedTask
  | { readonly checks: number; readonly pair: number; readonly starts: readonly number[] }
  | MarketTask;

/** Trials in the default market, from one number of run to before another. */
export interface SimulatedTask {
  readonly checks: number;
  readonly shift: number;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** Other than the defaults, where given. */
  readonly assume?: Partial<Assumptions>;
  readonly rules?: readonly Rule[];
}

/** Trials in one of the markets of `markets.ts`: a canary of constant worth, or one that turns bad. */
export interface MarketTask {
  readonly checks: number;
  readonly market: string;
  readonly shift: number | { readonly from: number; readonly to: number };
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

parentPort?.on('message', (task: Task) => {
  parentPort?.postMessage(endingsFor(task));
});

function endingsFor(task: Task): Endings[] {
  if ('pair' in task) return onPrices(task);
  return 'market' in task ? inMarket(task) : simulated(task);
}

function inMarket({ checks, market, shift, seed, from, to }: MarketTask): Endings[] {
  const kind = MARKETS[market] ?? LIMITS[market];
  if (!kind) throw new Error(`there is no market ${market}`);
  const { volatility } = defaultAssumptions(policyOf(checks, 'AUTO'));
  const randomness = streams(seed);
  for (let run = 0; run < from; run += 1) randomness.next();
  return Array.from({ length: to - from }, () => {
    const stream = randomness.next().value.clone();
    const course = {
      volatility,
      stream,
      shift: typeof shift === 'number' ? () => shift : turning(checks, shift),
    };
    return endingUnder(checks, kind.open(course), kind.policy ?? {});
  });
}

function simulated(task: SimulatedTask): Endings[] {
  const { checks, shift, seed, from, to, assume, rules } = task;
  const assumptions = { ...defaultAssumptions(policyOf(checks, 'AUTO')), ...assume };
  const randomness = streams(seed);
  for (let run = 0; run < from; run += 1) randomness.next();
  return Array.from({ length: to - from }, () => {
    const stream = randomness.next().value;
    return endingsOf(checks, () => createMarket(assumptions, shift, stream.clone()), rules);
  });
}

function onPrices({ checks, pair, starts }: Extract<Task, { pair: number }>): Endings[] {
  const chosen = PAIRS[pair];
  if (!chosen) throw new Error(`there is no pair ${pair}`);
  const open = marketOf(readCloses(), chosen);
  return starts.map((start) => endingsOf(checks, () => open(start)));
}
