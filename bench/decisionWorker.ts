/** A thread of the decision table: runs the trials it is given under every rule. */
import { parentPort } from 'node:worker_threads';
import { type Assumptions, defaultAssumptions } from '../src/core/policy/assumptions.ts';
import { createMarket, streams } from '../src/core/policy/market.ts';
import { marketOf, PAIRS, readCloses } from './decision/prices.ts';
import { type Endings, endingsOf, policyOf, type Rule } from './decision/rules.ts';

/** Trials in simulated markets, from one number of run to before another, or in windows of the real prices. */
export type Task =
  | {
      readonly checks: number;
      readonly shift: number;
      readonly seed: number;
      readonly from: number;
      readonly to: number;
      /** Other than the defaults, where given. */
      readonly assume?: Partial<Assumptions>;
      readonly rules?: readonly Rule[];
    }
  | { readonly checks: number; readonly pair: number; readonly starts: readonly number[] };

parentPort?.on('message', (task: Task) => {
  parentPort?.postMessage('pair' in task ? onPrices(task) : simulated(task));
});

function simulated(task: Extract<Task, { seed: number }>): Endings[] {
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
