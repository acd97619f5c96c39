/** Feeds while the log cannot be read: what is logged, and that a consumer can leave; and waiting that ends by itself. */
import type { Logger } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createFeed } from '../../src/feed/feed.ts';
import type { Rewound } from '../../src/feed/serverWatch.ts';
import type { Tail } from '../../src/feed/tail.ts';
import type { LogEntry } from '../../src/store/log/logEntry.ts';
import type { Cursor, LogPosition } from '../../src/store/log/position.ts';
import type { Queries } from '../../src/store/postgres/database.ts';

/** A query as the driver fails it: the message has its parameters, the cause says why. */
const failed = (code: string, parameters: string) =>
  Object.assign(new Error(`Failed query: select … params: ${parameters}`), {
    cause: Object.assign(new Error('the reason'), { code }),
  });

/** A feed on a database that fails as it is told, or has nothing but these rows, or those of each read. */
function feedOn(failure: () => Error | null, rows: readonly unknown[] | (() => readonly unknown[]) = []) {
  const warnings: unknown[] = [];
  const log = { warn: (details: unknown) => warnings.push(details) } as unknown as Logger;
  let reads = 0;
  const execute = async () => {
    reads += 1;
    const error = failure();
    if (error) throw error;
    return typeof rows === 'function' ? rows() : rows;
  };
  let deliver: (entries: readonly LogEntry[]) => void = () => {};
  let rewound: (rewound: Rewound) => void = () => {};
  const tail = {
    subscribe(onEntries: typeof deliver) {
      deliver = onEntries;
      return () => {};
    },
    onRewound(onRewound: typeof rewound) {
      rewound = onRewound;
      return () => {};
    },
  } as unknown as Tail;
  // Nothing is archived.
  const select = () => ({ from: () => ({ where: () => ({ limit: async () => [] }) }) });
  const feed = createFeed({ execute, select } as unknown as Queries, tail, log);
  const changed = (deploymentId: string) =>
    deliver([{ deploymentId, strategyId: 's', type: 'CANARY_PAUSED' } as unknown as LogEntry]);
  /** Waits until it was read again so many times. */
  const readAgain = (times: number) => {
    const before = reads;
    return vi.waitUntil(() => reads >= before + times, { timeout: 20_000, interval: 10 });
  };
  const entries = (...positions: readonly LogPosition[]) =>
    deliver(positions.map((position) => ({ position, strategyId: 's' }) as unknown as LogEntry));
  return { feed, warnings, changed, readAgain, entries, rewind: (lost: Rewound) => rewound(lost) };
}

const cursor: Cursor = { label: null, xid: 7n, id: 7n };

describe('while the log cannot be read', () => {
  test('a fault is logged once, however many feeds meet it and however often, and again when it comes back', async () => {
    let failure = () => failed('42501', String(Math.random()));
    const { feed, warnings, readAgain } = feedOn(() => failure());
    const consumers = Array.from({ length: 5 }, () => new AbortController());
    const ends = consumers.map(({ signal }) =>
      feed.follow({ scope: null }, cursor, signal).next().catch(String),
    );
    await readAgain(12);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ error: { cause: { code: '42501' } } });
    failure = () => failed('ECONNREFUSED', '');
    await readAgain(12);
    expect(warnings).toHaveLength(2);
    for (const consumer of consumers) consumer.abort();
    await Promise.all(ends);
    const late = new AbortController();
    const end = feed.follow({ scope: null }, cursor, late.signal).next().catch(String);
    await readAgain(2);
    expect(warnings).toHaveLength(3);
    late.abort();
    await end;
  });

  test.each([
    ['from now on', null],
    ['from a cursor on', cursor],
  ])('a feed %s ends when its consumer leaves', async (_, after) => {
    const { feed, readAgain } = feedOn(() => failed('ECONNREFUSED', ''));
    const consumer = new AbortController();
    const end = feed.follow({ scope: null }, after, consumer.signal).next().catch(String);
    await readAgain(3);
    expect(feed.consumers()).toBe(1);
    consumer.abort();
    await end;
    expect(feed.consumers()).toBe(0);
  });
});

test('changes are waited for at most as long as one says, and none is lost between two calls', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { feed, changed } = feedOn(() => null);
  const consumer = new AbortController();
  const changes = feed.watchAll(null, consumer.signal);
  const quiet = changes.next(4000);
  await vi.advanceTimersByTimeAsync(4000);
  expect(await quiet).toEqual(new Set());
  changed('dep_1');
  expect(await changes.next(4000)).toEqual(new Set(['dep_1']));
  const waiting = changes.next(4000);
  changed('dep_2');
  expect(await waiting).toEqual(new Set(['dep_2']));
  // The time of that wait is over: it does not end the next one.
  expect(vi.getTimerCount()).toBe(0);
  const last = changes.next(4000);
  consumer.abort();
  expect(await last).toBeNull();
  expect(vi.getTimerCount()).toBe(0);
});

const at = (number: number, xid: bigint): LogPosition => ({
  incarnation: { number, label: `1.${number}` },
  xid,
  id: xid,
});

test('what waits for a slow consumer when history is rewound is not handed on: it no longer happened', async () => {
  const { feed, entries, rewind } = feedOn(() => null);
  const consumer = new AbortController();
  onTestFinished(() => consumer.abort());
  const following = feed.follow({ scope: null }, null, consumer.signal);
  const first = following.next();
  await vi.waitUntil(() => feed.consumers() === 1);
  entries(at(1, 1n), at(1, 2n), at(1, 3n), at(1, 4n));
  expect((await first).value).toMatchObject({ position: { xid: 1n } });
  rewind({ from: at(1, 3n), until: 1, lastCursor: '1.1-2-2' });
  entries(at(2, 3n));
  expect((await following.next()).value).toMatchObject({ position: at(1, 2n) });
  expect((await following.next()).value).toMatchObject({ position: at(2, 3n) });
  rewind({ from: at(2, 3n), until: 2, lastCursor: '1.1-2-2' });
  await expect(following.next()).rejects.toThrow('events up to this cursor no longer exist');
});

test('a feed that goes on from a cursor ends when history is rewound to before it, also without a delivery since', async () => {
  const here = { number: 1, label: '1.1', there: true, archived: false, current: true, ahead: false };
  const answers = [[here], []];
  const { feed, entries, rewind } = feedOn(
    () => null,
    () => answers.shift() ?? [],
  );
  const consumer = new AbortController();
  onTestFinished(() => consumer.abort());
  const following = feed.follow({ scope: null }, { label: '1.1', xid: 4n, id: 4n }, consumer.signal);
  const next = following.next();
  await vi.waitUntil(() => answers.length === 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  rewind({ from: at(1, 3n), until: 1, lastCursor: '1.1-2-2' });
  entries(at(2, 3n));
  await expect(next).rejects.toThrow('events up to this cursor no longer exist');
});

test('who is shown deployments as they are is told when history is rewound', async () => {
  const { feed, rewind } = feedOn(() => null);
  const consumer = new AbortController();
  onTestFinished(() => consumer.abort());
  const changes = feed.watchAll(null, consumer.signal);
  changes.withMetrics('dep_1', null);
  const one = feed.watch('dep_2', consumer.signal).next();
  rewind({ from: at(1, 3n), until: 1, lastCursor: '1.1-2-2' });
  expect(await changes.next(4000)).toEqual(new Set(['dep_1']));
  const late = new Promise((resolve) => setTimeout(resolve, 4000, 'not told'));
  expect(await Promise.race([one, late])).toMatchObject({ done: false });
});

test('what a replay has read when history is rewound is not handed on, however often it is rewound', async () => {
  const payload = { no: 1, at: '2026-01-01T00:00:00.000Z', actor: 'ada', revision: 1, type: 'CANARY_PAUSED' };
  const row = {
    number: 1,
    label: '1.1',
    deploymentId: 'dep_1',
    strategyId: 's',
    timeline: true,
    payload,
    matches: true,
  };
  const rows = ['1', '2', '3', '4'].map((xid) => ({ ...row, xid, id: xid, place: Number(xid) }));
  const { feed, entries, rewind } = feedOn(() => null, rows);
  const consumer = new AbortController();
  onTestFinished(() => consumer.abort());
  const following = feed.follow({ scope: null }, { label: null, xid: 0n, id: 0n }, consumer.signal);
  expect((await following.next()).value).toMatchObject({ position: at(1, 1n) });
  rewind({ from: at(1, 3n), until: 1, lastCursor: '1.1-2-2' });
  entries(at(2, 3n), at(2, 4n));
  rewind({ from: at(2, 4n), until: 2, lastCursor: '1.2-3-3' });
  expect((await following.next()).value).toMatchObject({ position: at(1, 2n) });
  expect((await following.next()).value).toMatchObject({ position: at(2, 3n) });
});
