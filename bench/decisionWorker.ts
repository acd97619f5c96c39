/** A thread of the decision table: runs the trials it is given under every rule. */
import { parentPort } from 'node:worker_threads';
import { defaultAssumptions } from '../src/core/assumptions.ts';
import { createMarket, streams } from '../src/core/market.ts';
import { marketOf, PAIRS, readCloses } from './decision/prices.ts';
import { type Ending, endingsOf, policyOf, type Rule } from './decision/rules.ts';

/** Trials in simulated markets, from one number of run to before another, or in windows of the real prices. */
export type Task =
  | {
      readonly checks: number;
      readonly shift: number;
      readonly seed: number;
      readonly from: number;
      readonly to: number;
    }
  | { readonly checks: number; readonly pair: number; readonly starts: readonly number[] };

export type Endings = readonly Readonly<Record<Rule, Ending>>[];

parentPort?.on('message', (task: Task) => {
  parentPort?.postMessage('pair' in task ? onPrices(task) : simulated(task));
});

function simulated({ checks, shift, seed, from, to }: Extract<Task, { seed: number }>): Endings {
  const assumptions = defaultAssumptions(policyOf(checks, 'AUTO'));
  const randomness = streams(seed);
  for (let run = 0; run < from; run += 1) randomness.next();
  return Array.from({ length: to - from }, () => {
    const stream = randomness.next().value;
    return endingsOf(checks, () => createMarket(assumptions, shift, stream.clone()));
  });
}

function onPrices({ checks, pair, starts }: Extract<Task, { pair: number }>): Endings {
  const chosen = PAIRS[pair];
  if (!chosen) throw new Error(`there is no pair ${pair}`);
  const open = marketOf(readCloses(), chosen);
  return starts.map((start) => endingsOf(checks, () => open(start)));
}
