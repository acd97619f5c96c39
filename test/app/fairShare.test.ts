/** A caller's fair share of a node: in which order the reads of several callers come to their turn. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createFairShare, type FairShare } from '../../src/app/execution/fairShare.ts';

const LONG = 200;
const SHORT = 1;
const open = new AbortController().signal;

let share: FairShare;
let order: string[];
beforeEach(() => {
  share = createFairShare();
  order = [];
});
afterEach(() => {
  vi.useRealTimers();
});

/** Waiting for a small operation has no end but that of the operation: a machine that stands still changes no order. */
const waitWithoutLimit = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });

/** A read that notes its name when it begins, and takes a few turns of the event loop. */
const read = (caller: string, name: string, rows: number) =>
  share.read(caller, rows, open, async () => {
    order.push(name);
    for (let turns = 0; turns < 3; turns += 1) await turn();
  });

test('long reads of one caller run one after the other, short ones four at a time', async () => {
  const counts = { now: 0, most: 0 };
  const count = (rows: number) =>
    share.read('desk', rows, open, async () => {
      counts.now += 1;
      counts.most = Math.max(counts.most, counts.now);
      await turn();
      counts.now -= 1;
    });
  await Promise.all(Array.from({ length: 10 }, () => count(LONG)));
  expect(counts.most).toBe(1);
  counts.most = 0;
  await Promise.all(Array.from({ length: 10 }, () => count(SHORT)));
  expect(counts.most).toBe(4);
});

test('a long read, and the portions of a long list, wait until a small operation of another caller has ended', async () => {
  waitWithoutLimit();
  const end = share.enter('bot');
  const reading = read('report', 'long read', LONG);
  await turn();
  const completing = share.portion('report').then(() => order.push('portion'));
  await read('bot', 'read of the bot', SHORT);
  order.push('the bot is answered');
  end();
  await Promise.all([reading, completing]);
  expect(order.slice(0, 2)).toEqual(['read of the bot', 'the bot is answered']);
  expect(order.slice(2).toSorted()).toEqual(['long read', 'portion']);
});

test('many short reads make a caller large too, a few do not', async () => {
  waitWithoutLimit();
  const end = share.enter('bot');
  await read('console', 'few', SHORT);
  const many = Array.from({ length: 20 }, (_, index) => read('report', `many ${index}`, SHORT));
  await read('bot', 'read of the bot', SHORT);
  order.push('the bot is answered');
  end();
  await Promise.all(many);
  expect(order.slice(0, 3)).toEqual(['few', 'read of the bot', 'the bot is answered']);
});

test('a small operation that does not end holds nobody up for ever', async () => {
  share.enter('bot');
  await read('report', 'long read', LONG);
  await share.portion('report');
  expect(order).toEqual(['long read']);
});

test('large operations of two callers do not wait for each other, and nobody waits alone', async () => {
  const ends = [share.enter('one'), share.enter('two')];
  // Each becomes large with its first long read; from then on neither is waited for.
  await Promise.all([read('one', 'one', LONG), read('two', 'two', LONG)]);
  const before = order.length;
  const reads = Promise.all([read('one', 'one again', LONG), read('two', 'two again', LONG)]);
  await Promise.resolve().then(turn);
  expect(order.slice(before)).toEqual(['one again', 'two again']);
  await reads;
  for (const end of ends) end();
});

test('a caller is small again when nothing of it is in flight', async () => {
  waitWithoutLimit();
  await read('desk', 'long read', LONG);
  const end = share.enter('desk');
  const other = read('report', 'of the other', LONG);
  await read('desk', 'of the desk', SHORT);
  end();
  await other;
  expect(order).toEqual(['long read', 'of the desk', 'of the other']);
});

test('portions of long lists come one in a turn of the event loop, in order', async () => {
  const turns: number[] = [];
  let now = 0;
  let counting = true;
  const counted = (async () => {
    while (counting) {
      now += 1;
      await turn();
    }
  })();
  await Promise.all(['one', 'two', 'one'].map((caller) => share.portion(caller).then(() => turns.push(now))));
  counting = false;
  await counted;
  expect(new Set(turns).size).toBe(3);
  expect(turns).toEqual(turns.toSorted((a, b) => a - b));
});

/**
 * Two portions of a caller, of which the first computes for longer than it may without a rest. Returns how long the second
 * has waited after that, milliseconds.
 */
async function computeTwice(caller: string): Promise<number> {
  const end = share.enter(caller);
  await read(caller, 'it becomes large', LONG);
  await share.portion(caller);
  const began = performance.now();
  while (performance.now() - began < 150);
  const computed = performance.now();
  await share.portion(caller);
  order.push('second portion');
  end();
  return performance.now() - computed;
}

test('while others are active a large caller rests after what it has computed', async () => {
  const end = share.enter('bot');
  const waited = await computeTwice('report');
  end();
  // Giving way to the bot, which does not end, takes 10 ms; on a slow machine it can only be longer.
  expect(waited).toBeGreaterThan(50);
});

test('nobody rests where nobody else is active', async () => {
  let turns = 0;
  const computing = computeTwice('report');
  await turn();
  while (!order.includes('second portion')) {
    await turn();
    turns += 1;
  }
  await computing;
  expect(turns).toBeLessThan(30);
});

test('a large caller has to yield while others are active, and only then', async () => {
  share.enter('report')();
  const reading = read('report', 'long read', LONG);
  await turn();
  expect(share.mustYield('report')).toBe(false);
  const end = share.enter('bot');
  expect(share.mustYield('report')).toBe(true);
  expect(share.mustYield('bot')).toBe(false);
  end();
  await reading;
});

test('a read for which nobody waits any more does not run', async () => {
  const gone = new AbortController();
  gone.abort(new Error('the caller has left'));
  const never = share.read('desk', LONG, gone.signal, async () => order.push('never'));
  await expect(never).rejects.toThrow('the caller has left');
  expect(order).toEqual([]);
});
