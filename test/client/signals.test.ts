/** What a client leaves on signals that live as long as the bot: nothing. Without a lease it does nothing, too. */
import { getEventListeners } from 'node:events';
import { afterEach, expect, test, vi } from 'vitest';
import type { Features } from '../../src/client/features.ts';
import { createHttp, type Http } from '../../src/client/http.ts';
import { keepLease } from '../../src/client/leaseKeeper.ts';
import { joinSignals, underSignals } from '../../src/client/signals.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

test('a joined signal is aborted with the first of its sources, and with their reason', () => {
  const [one, two] = [new AbortController(), new AbortController()];
  const { signal } = joinSignals(one.signal, two.signal);
  expect(signal.aborted).toBe(false);
  two.abort('enough');
  one.abort('too late');
  expect([signal.aborted, signal.reason]).toEqual([true, 'enough']);
  expect(joinSignals(new AbortController().signal, two.signal).signal.reason).toBe('enough');
});

test('work under signals leaves nothing on them, however it ends', async () => {
  const { signal } = new AbortController();
  await underSignals([signal], async (joined) =>
    expect([listeners(signal), joined.aborted]).toEqual([1, false]),
  );
  await underSignals([signal], () => Promise.reject(new Error('failed'))).catch(() => {});
  expect(listeners(signal)).toBe(0);
});

test('requests leave nothing on a signal that outlives them', async () => {
  // On Node 20 what it makes stays on its sources for as long as they live.
  const any = vi.spyOn(AbortSignal, 'any');
  const http = createHttp({ url: 'http://serin/graphql', fetch: async () => Response.json({ data: {} }) });
  const { signal } = new AbortController();
  for (let turn = 0; turn < 20; turn += 1) await http.attempt('{ viewer { actor } }', {}, signal);
  expect(listeners(signal)).toBe(0);
  expect(any).not.toHaveBeenCalled();
});

/** A side whose heartbeats are answered with leases of these lengths, one after the other; the last one again and again. */
function keeper(...leases: (number | null)[]) {
  let sent = 0;
  const attempt = async () => {
    const leaseSeconds = leases[Math.min(sent, leases.length - 1)];
    sent += 1;
    return { heartbeat: { success: true, leaseSeconds, deployment: null } };
  };
  return { ...keeping({ attempt, send: attempt } as unknown as Http), sent: () => sent };
}

function keeping(http: Http) {
  const closing = new AbortController();
  const features: Features = new Set(['heartbeat'] as const);
  const lease = keepLease({
    http,
    features,
    deploymentId: 'd',
    side: 'CANARY',
    session: 's',
    ownSeconds: null,
    closing: closing.signal,
    notice: () => {},
    onStandDown: () => {},
    onChange: () => {},
    onEnd: () => {},
  });
  return { lease, closing };
}

test('heartbeats leave nothing on the signal of the side', async () => {
  vi.useFakeTimers();
  const any = vi.spyOn(AbortSignal, 'any');
  const { closing, sent } = keeper(30);
  await vi.advanceTimersByTimeAsync(300_000);
  expect(sent()).toBeGreaterThan(20);
  expect(listeners(closing.signal)).toBe(1);
  expect(any).not.toHaveBeenCalled();
  closing.abort();
  await vi.advanceTimersByTimeAsync(1);
  expect(listeners(closing.signal)).toBe(0);
});

test('a side without a lease waits for no clock, and an answer that brings one begins the heartbeats', async () => {
  vi.useFakeTimers();
  const { lease, closing, sent } = keeper(null, 30);
  await vi.advanceTimersByTimeAsync(1);
  expect([sent(), vi.getTimerCount()]).toEqual([1, 0]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(sent()).toBe(1);
  lease.answered(performance.now(), 30);
  await vi.advanceTimersByTimeAsync(11_000);
  expect(sent()).toBeGreaterThan(1);
  closing.abort();
  lease.stop();
});

test('a node that hangs does not take the lease where another one answers', async () => {
  const asked: string[] = [];
  const fetch: typeof globalThis.fetch = (address, options) => {
    const { hostname } = new URL(String(address));
    asked.push(hostname);
    // The first node answers once, and hangs from then on.
    if (hostname === 'one' && asked.length > 1) {
      return new Promise((_, reject) =>
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason)),
      );
    }
    return Promise.resolve(
      Response.json({ data: { heartbeat: { success: true, leaseSeconds: 3.1, deployment: null } } }),
    );
  };
  const { lease, closing } = keeping(createHttp({ url: ['http://one', 'http://two'], fetch }));
  await new Promise((done) => setTimeout(done, 4000));
  closing.abort();
  expect([lease.lost.aborted, asked.slice(0, 3)]).toEqual([false, ['one', 'one', 'two']]);
  lease.stop();
});
