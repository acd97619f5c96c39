/** What `serin events` and `serin get -w` hold on to while they run, with a Serin whose answers the test gives. */
import { getEventListeners } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, test, vi } from 'vitest';
import type { Context } from '../../src/cli/context.ts';
import { events } from '../../src/cli/events.ts';
import { get } from '../../src/cli/get.ts';
import { createTerminal } from '../../src/cli/terminal.ts';
import type { SerinClient } from '../../src/client/index.ts';

type Answers = Pick<SerinClient, 'query' | 'watch' | 'follow'>;

function contextWith(answers: Partial<Answers>, json: boolean) {
  const stdout = new PassThrough({ highWaterMark: 1_000_000 });
  const context: Context = {
    serin: answers as SerinClient,
    terminal: createTerminal(json, stdout as unknown as NodeJS.WriteStream),
  };
  const written: string[] = [];
  stdout.on('data', (text) => written.push(String(text)));
  return { context, stdout, written: () => written.join('') };
}

const event = (number: number) => ({
  cursor: `${number}`,
  at: '2026-01-31T12:00:00.000Z',
  deploymentId: 'dep_1',
  strategyId: 's',
  type: 'CANARY_PAUSED',
  actor: 'ada',
  description: `number ${number}`,
});

/** A log of pages, each asked for when the test says what is there. */
function logOf(pages: number, before: (page: number) => void = () => {}) {
  const shown = Array.from({ length: pages }, (_, index) => [event(2 * index), event(2 * index + 1)]);
  const query = async (_: string, { after }: Record<string, unknown> = {}) => {
    const page = after ? (Number(after) + 1) / 2 : 0;
    before(page);
    const nodes = shown[page] ?? [];
    return {
      events: { nodes, pageInfo: { hasNextPage: page < pages - 1, endCursor: nodes.at(-1)?.cursor ?? null } },
    };
  };
  return { all: shown.flat(), query: query as Answers['query'] };
}

test.each([false, true])('events are written page by page (JSON: %s)', async (json) => {
  const counts: number[] = [];
  const { query } = logOf(4, () => counts.push(written().split('number').length - 1));
  const { context, written } = contextWith({ query }, json);
  await events(undefined, { since: '0', limit: 20 }, context);
  expect(counts).toEqual([0, 2, 4, 6]);
});

test('events as JSON are one list, however many pages they come in', async () => {
  for (const pages of [0, 1, 3]) {
    const { all, query } = logOf(pages);
    const { context, written } = contextWith({ query }, true);
    await events(undefined, { since: '0', limit: 20 }, context);
    expect(written()).toBe(`${JSON.stringify(all, null, 2)}\n`);
  }
});

test('events wait for a reader who is slower than Serin', async () => {
  let asked = 0;
  const { query } = logOf(3, () => {
    asked += 1;
  });
  const stdout = new PassThrough({ highWaterMark: 1 });
  const context: Context = {
    serin: { query } as SerinClient,
    terminal: createTerminal(false, stdout as unknown as NodeJS.WriteStream),
  };
  const done = events(undefined, { since: '0', limit: 20 }, context);
  await new Promise((next) => setImmediate(next));
  expect(asked).toBe(1);
  stdout.resume();
  await done;
  expect(asked).toBe(3);
});

test('a watched deployment leaves nothing behind with each reading', async () => {
  vi.useFakeTimers();
  try {
    let signal: AbortSignal | undefined;
    const watch = async function* (_query: string, _variables: unknown, until: AbortSignal) {
      signal = until;
      await new Promise((done) => until.addEventListener('abort', done, { once: true }));
      yield* [];
    };
    const listeners: number[] = [];
    const query = async () => {
      if (signal) listeners.push(getEventListeners(signal, 'abort').length);
      return {
        overview: { at: event(0).at },
        deployment: { status: listeners.length < 8 ? 'RUNNING' : 'PROMOTED', revision: 1 },
      };
    };
    const { context } = contextWith({ query, watch } as unknown as Answers, true);
    const done = get('dep_1', { watch: true }, context);
    await vi.advanceTimersByTimeAsync(60_000);
    await done;
    expect(listeners).toHaveLength(8);
    expect(new Set(listeners).size).toBe(1);
  } finally {
    vi.useRealTimers();
  }
});
