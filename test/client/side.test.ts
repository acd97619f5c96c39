/** A side of a deployment through the TypeScript client: totals, capital, restarts, outages. */
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { type Allocation, connectSerin, type DeploymentSide, SerinError } from '../../src/client/index.ts';
import { startProxy, type TcpProxy } from '../faults/proxy.ts';
import { CALM, command, create, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let proxy: TcpProxy;
const opened: DeploymentSide[] = [];
const notices: string[] = [];
beforeAll(async () => {
  serin = await startTestSerin();
  proxy = await startProxy(() => Number(new URL(serin.url).port));
});
afterEach(async () => {
  proxy.pass();
  for (const side of opened.splice(0)) await side.close(0);
  notices.length = 0;
});
afterAll(async () => {
  await proxy.close();
  await serin.stop();
});

const client = () =>
  connectSerin({ url: `http://127.0.0.1:${proxy.port}`, onNotice: (sentence) => notices.push(sentence) });

async function open(id: string, side: 'CANARY' | 'STABLE' = 'CANARY', more = {}): Promise<DeploymentSide> {
  const opening = await client().side(id, side, more);
  opened.push(opening);
  return opening;
}

const FIGURES = `query($id: ID!) { deployment(id: $id) { canaryMetrics { tradeCount errorCount
  metrics { netPnlUsd totalGasUsd maxDrawdown winRate avgTradeSizeUsd } } } }`;
const figures = async (id: string) => (await serin.ask(FIGURES, { id })).deployment.canaryMetrics;

/** Reads allocations in the background, acknowledging each. */
function hold(side: DeploymentSide): { readonly held: Allocation[]; readonly ended: Promise<void> } {
  const held: Allocation[] = [];
  const read = async () => {
    for await (const allocation of side.allocations()) {
      held.push(allocation);
      await allocation.acknowledge();
    }
  };
  const ended = read();
  // Closing a side ends what its bot is doing at the moment.
  ended.catch(() => {});
  return { held, ended };
}

test('totals of a run continue from what the side had before: a restart loses and repeats nothing', async () => {
  const id = await running(serin);
  const first = await open(id);
  await first.report({
    pnlUsd: '10.1',
    trades: 4,
    errors: 1,
    drawdown: 0.02,
    winRate: '0.5',
    avgTradeSizeUsd: 100,
  });
  expect(await first.report({ pnlUsd: 30.2, trades: 6, totalGasUsd: '0.3' })).toMatchObject({
    success: true,
    status: 'RUNNING',
  });
  const second = await open(id);
  await second.report({ pnlUsd: '-0.2', trades: 2, drawdown: '0.01', winRate: 1, avgTradeSizeUsd: 200 });
  expect(await figures(id)).toEqual({
    tradeCount: 8,
    errorCount: 1,
    metrics: {
      netPnlUsd: '30',
      totalGasUsd: '0.3',
      maxDrawdown: '0.02',
      winRate: '0.625',
      avgTradeSizeUsd: '125',
    },
  });
});

test('of two processes that report for one side the earlier one is told, once', async () => {
  const id = await running(serin);
  const first = await open(id);
  await first.report({ pnlUsd: 10, trades: 4 });
  const second = await open(id);
  await second.report({ pnlUsd: 1, trades: 1 });
  expect(notices).toEqual([]);
  for (const pnlUsd of [-20, -30]) {
    expect(await first.report({ pnlUsd, trades: 5 })).toMatchObject({ success: true, stale: true });
  }
  expect(notices).toEqual([expect.stringMatching(/canary of .* were not taken, because another process/)]);
  expect((await figures(id)).metrics.netPnlUsd).toBe('11');
});

test('what is open counts in the net result where the server has one figure for both', async () => {
  const id = await running(serin);
  const side = await open(id);
  await side.report({ pnlUsd: '12.5', unrealizedPnlUsd: '-20' });
  expect((await figures(id)).metrics.netPnlUsd).toBe('-7.5');
  await expect(side.report({ unrealizedPnlUsd: 1 })).rejects.toThrow('unrealizedPnlUsd needs pnlUsd');
});

test.each([
  [{ pnlUsd: Number.NaN }, 'pnlUsd must be a number, got NaN'],
  [{ drawdown: Number.POSITIVE_INFINITY }, 'drawdown must be a number'],
  [{ pnlUsd: '' }, 'pnlUsd must be a number'],
  // A power of ten of so many digits is never made.
  [{ pnlUsd: '1e999999999' }, 'pnlUsd must be less than 10^'],
  [{ trades: 1.5 }, 'trades must be a whole number'],
  [{ trades: -1 }, 'trades must be a whole number'],
  // Of callers that no compiler has checked.
  [{ trades: '' as unknown as number }, 'trades must be a number'],
  [{ trades: true as unknown as number }, 'trades must be a number'],
  [{ trades: '0x10' as unknown as number }, 'trades must be a number'],
])('the figure %j is refused before it is sent', async (totals, sentence) => {
  const side = await open(await running(serin));
  await expect(side.report(totals)).rejects.toThrow(sentence);
});

test('reports that come while the server is away become one, and all are answered by it', async () => {
  const id = await running(serin);
  const side = await open(id);
  proxy.refuse();
  const reports = Array.from({ length: 50 }, (_, index) => side.report({ trades: index + 1, errors: index }));
  await until(() => notices.length > 0);
  proxy.pass();
  const results = await Promise.all(reports);
  expect(results.every(({ success }) => success)).toBe(true);
  expect(await figures(id)).toMatchObject({ tradeCount: 50, errorCount: 49 });
  expect(notices[0]).toContain('a report was not answered');
});

test('allocations: the newest first, each acknowledged, over a cut and a restart, until the last', async () => {
  const id = await running(serin, {
    config: {
      ...CALM,
      steps: [
        { canaryPercent: '10', minutes: 10 },
        { canaryPercent: '20', minutes: 10, gate: 'MANUAL' },
      ],
    },
  });
  const { held, ended } = hold(await open(id));
  await until(() => held.length === 1);
  expect(held[0]).toMatchObject({ number: 1, cause: 'DEPLOY', capitalUsd: '10000', final: false });
  proxy.cut();
  await command(serin, 'advanceStep', id);
  await until(() => held.length === 2);
  expect(held[1]).toMatchObject({ number: 2, cause: 'STEP', capitalUsd: '20000', acknowledged: false });
  await serin.restart();
  await command(serin, 'rollbackCanary', id);
  await ended;
  expect(held[2]).toMatchObject({ number: 3, cause: 'ROLLBACK', capitalUsd: '0', final: true });
  const { deployment } = await serin.ask(
    'query($id: ID!) { deployment(id: $id) { allocation { sides { side acknowledgedNumber heldUsd } } } }',
    { id },
  );
  expect(deployment.allocation.sides[0]).toEqual({ side: 'CANARY', acknowledgedNumber: 3, heldUsd: '0' });
  // A bot that starts after the end hears the last one again, and that it has answered it.
  const late = hold(await open(id));
  await late.ended;
  expect(late.held).toMatchObject([{ number: 3, final: true, acknowledged: true }]);
});

test('the answer to an allocation that another has replaced is REPLACED, and Serin is told nothing', async () => {
  const steps = [10, 20].map((canaryPercent) => ({ canaryPercent: String(canaryPercent), minutes: 10 }));
  const id = await running(serin, { config: { ...CALM, steps } });
  const allocations = (await open(id)).allocations();
  const { value: first } = await allocations.next();
  await command(serin, 'advanceStep', id);
  const { value: second } = await allocations.next();
  expect([first?.number, second?.number]).toEqual([1, 2]);
  expect(await first?.acknowledge()).toMatchObject({ success: false, error: { code: 'REPLACED' } });
  expect(await second?.acknowledge()).toMatchObject({ success: true });
  await allocations.return();
});

test('an allocation carries the plan for open positions, and is settled when the bot says that they are closed', async () => {
  const rollbackPlan = { positions: 'CLOSE', maxSlippageBps: '25', deadlineSeconds: 60 };
  const id = await running(serin, { config: { ...CALM, rollbackPlan } });
  const side = await open(id, 'CANARY', { standDownAfterSeconds: 1 });
  const allocations = side.allocations();
  // A machine that is slow for a second has the bot stand down once more.
  const next = async (cause: string) => {
    for (;;) {
      const { value } = await allocations.next();
      if (!value || value.cause === cause) return value;
    }
  };
  expect(await next('DEPLOY')).toMatchObject({ capitalUsd: '10000', rollbackPlan: null });
  proxy.refuse();
  proxy.cut();
  expect(await next('LEASE_EXPIRED')).toMatchObject({ capitalUsd: '0', rollbackPlan });
  proxy.pass();
  await command(serin, 'rollbackCanary', id);
  const last = await next('ROLLBACK');
  expect(last).toMatchObject({ capitalUsd: '0', rollbackPlan });
  const settled = async () => {
    const query = `query($id: ID!) { deployment(id: $id) { allocation { sides { settled openExposureUsd } } } }`;
    return (await serin.ask(query, { id })).deployment.allocation.sides[0];
  };
  expect(await last?.acknowledge()).toMatchObject({ success: true });
  expect(notices.join('\n')).toContain('acknowledge with openExposureUsd, or allocation 2 never settles');
  expect(await settled()).toEqual({ settled: false, openExposureUsd: null });
  await last?.acknowledge('0', 0);
  expect(await settled()).toEqual({ settled: true, openExposureUsd: '0' });
});

test('a report says when its figures were taken, on the clock of Serin', async () => {
  const id = await running(serin, { config: { guardrails: { maxStaleSeconds: null } } });
  await serin.advance(86_400);
  const side = await open(id);
  // The first answer names the clock.
  await side.report({ trades: 1 });
  const { overview } = await serin.ask('query { overview { at } }');
  await side.report({ trades: 2 });
  const query = 'query($id: ID!) { deployment(id: $id) { canaryMetrics { asOf reportedAt } } }';
  const { asOf, reportedAt } = (await serin.ask(query, { id })).deployment.canaryMetrics;
  expect(Date.parse(asOf)).toBeGreaterThan(Date.parse(overview.at) - 3_600_000);
  expect(Date.parse(asOf)).toBeLessThanOrEqual(Date.parse(reportedAt));
});

test('allocations reach a bot also where the timeline is switched off', async () => {
  const id = await running(serin, { config: { ...CALM, emitEvents: false } });
  const { held, ended } = hold(await open(id, 'STABLE'));
  await until(() => held.length === 1);
  await command(serin, 'cancelDeployment', id);
  await ended;
  expect(held.map(({ cause, capitalUsd }) => [cause, capitalUsd])).toEqual([
    ['DEPLOY', '90000'],
    ['CANCEL', '100000'],
  ]);
});

test('a deployment that is cancelled before it had capital ends the allocations', async () => {
  const created = await create(serin);
  const side = await open(created.deployment.id);
  const { held, ended } = hold(side);
  await command(serin, 'cancelDeployment', created.deployment.id);
  await ended;
  expect(held).toEqual([]);
  expect(side.ended).toBe(true);
});

test('a bot that cannot reach Serin stands down automatically, and returns to the allocation of that time', async () => {
  const id = await running(serin);
  const side = await open(id, 'CANARY', { standDownAfterSeconds: 1 });
  const { held } = hold(side);
  await until(() => held.length === 1);
  proxy.refuse();
  proxy.cut();
  await until(() => held.at(-1)?.cause === 'LEASE_EXPIRED');
  expect(held.at(-1)).toMatchObject({ number: 1, capitalUsd: '0', final: false });
  proxy.pass();
  await until(() => held.at(-1)?.cause === 'DEPLOY');
  expect(held.at(-1)).toMatchObject({ capitalUsd: '10000' });
  expect(notices.join('\n')).toContain('it stands down');
});

test.each([
  ['canary', undefined, 'side must be CANARY or STABLE, got "canary"'],
  ['CANARY', Number(undefined), 'standDownAfterSeconds must be more than 0 and at most 2147483, got NaN'],
  ['CANARY', 0, 'standDownAfterSeconds must be'],
  ['STABLE', Number.POSITIVE_INFINITY, 'standDownAfterSeconds must be'],
])('the side %j that stands down after %j s is refused', async (side, standDownAfterSeconds, sentence) => {
  const opening = client().side('dep_any', side as 'CANARY', { standDownAfterSeconds });
  await expect(opening).rejects.toThrow(sentence);
});

test('waits for a deployment that is not there yet, and says so once', async () => {
  const opening = open('dep_later');
  await until(() => notices.length > 0);
  expect(notices).toEqual([
    'There is no deployment dep_later yet (or this key may not see it): waiting for it',
  ]);
  await create(serin, { id: 'dep_later' });
  expect((await opening).deploymentId).toBe('dep_later');
});

test('trades are recorded in batches and count once', async () => {
  const id = await running(serin);
  const side = await open(id);
  const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id });
  const trades = Array.from({ length: 1200 }, (_, no) => ({
    id: `t${no}`,
    at: deployment.startedAt,
    pnlUsd: '0.1',
  }));
  expect(await side.recordTrades([...trades, { id: 'bad', at: deployment.startedAt }])).toMatchObject({
    success: false,
    taken: 1200,
    refused: [
      {
        id: 'bad',
        index: 1200,
        error: {
          message: expect.stringMatching(/^trades\.1200\.pnlUsd must be given/),
          path: ['trades', '1200', 'pnlUsd'],
        },
      },
    ],
  });
  expect(await side.recordTrades(trades)).toMatchObject({ success: true, taken: 0, known: 1200 });
  expect((await figures(id)).metrics.netPnlUsd).toBe('120');
});

test('a number that JSON does not have is refused by name, also in trades, acknowledgements and commands', async () => {
  const id = await running(serin);
  const side = await open(id);
  const trade = { id: 't1', at: new Date().toISOString(), pnlUsd: 10 };
  const recording = side.recordTrades([trade, { ...trade, id: 't2', feesUsd: Number.NaN }]);
  await expect(recording).rejects.toThrow('input.trades.1.feesUsd must be a number, got NaN');
  const allocations = side.allocations();
  const { value } = await allocations.next();
  await expect(value?.acknowledge('10000', Number.NaN)).rejects.toThrow('input.openExposureUsd must be');
  await allocations.return();
  const config = { canaryPercent: Number.POSITIVE_INFINITY };
  const creating = client().command('createDeployment', { strategyId: 'nan', canaryVersionId: 'v2', config });
  await expect(creating).rejects.toThrow('input.config.canaryPercent must be a number, got Infinity');
  expect(await figures(id)).toMatchObject({ tradeCount: 0 });
});

test('commands carry a key, refusals are answers, and credentials may be a function', async () => {
  const guarded = await startTestSerin({ access: WITH_KEYS });
  try {
    const good = await makeKey(await administrator(guarded), 'OPERATOR');
    const keys = ['serin_000000000000_bad', good];
    const operator = connectSerin({ url: guarded.url, key: () => keys.shift() ?? good });
    const created = await operator.command('createDeployment', {
      strategyId: 's-keys',
      stableVersionId: 'v1',
      canaryVersionId: 'v2',
    });
    expect(created).toMatchObject({ success: true, deployment: { status: 'PENDING' } });
    const deploymentId = created.deployment?.id ?? '';
    expect(await operator.command('promoteCanary', { deploymentId })).toMatchObject({
      success: false,
      error: { code: 'INVALID_TRANSITION' },
    });
    expect(await operator.deployment('dep_none')).toBeNull();
    const stranger = connectSerin({ url: guarded.url, key: 'serin_000000000000_bad' });
    await expect(stranger.deployment(deploymentId)).rejects.toThrow(SerinError);
    await expect(
      stranger
        .follow({ query: 'subscription($after: String) { eventAppended(after: $after) { cursor } }' })
        .next(),
    ).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  } finally {
    await guarded.stop();
  }
});

test('an address that is no Serin is named, and a node that is away is not waited for indefinitely', async () => {
  proxy.refuse();
  const url = `http://127.0.0.1:${proxy.port}`;
  const away = connectSerin({ url, retryForMs: 300 });
  await expect(away.deployment('x')).rejects.toThrow(`Serin at ${url} does not answer`);
  const elsewhere = connectSerin({ url: `${serin.url}/metrics` });
  await expect(elsewhere.deployment('x')).rejects.toThrow('is this the address of a Serin?');
});

test('requests that fail together leave a node that is away once, and do not come back to it', async () => {
  const asked: string[] = [];
  const fetch = async (address: unknown) => {
    const { port } = new URL(String(address));
    asked.push(port);
    await new Promise((done) => setTimeout(done, 20));
    if (port === '1') throw new Error('this node is away');
    return Response.json({ data: { deployment: null } });
  };
  const url = ['http://127.0.0.1:1', 'http://127.0.0.1:2'];
  const caller = connectSerin({ url, fetch });
  await Promise.all(['a', 'b'].map((id) => caller.deployment(id)));
  await caller.deployment('c');
  expect(asked).toEqual(['1', '1', '2', '2', '2']);
});

test('a key that no header can hold is refused at once, without being shown', async () => {
  for (const key of ['serin_a…b', 'serin_a\nb', () => 'serin_a\u200bb']) {
    const caller = connectSerin({ url: serin.url, key, onNotice: (sentence) => notices.push(sentence) });
    const why = /^The key has a character that no HTTP header can hold \(U\+\w{4}, at position 8\)$/;
    await expect(caller.deployment('x')).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringMatching(why),
    });
    const query = 'subscription($after: String) { eventAppended(after: $after) { cursor } }';
    await expect(caller.follow({ query }).next()).rejects.toMatchObject({
      name: 'FeedRefused',
      message: expect.stringMatching(why),
    });
  }
  const named = connectSerin({ url: serin.url, actor: 'Zoë\u0142' });
  await expect(named.deployment('x')).rejects.toThrow('The actor has a character');
  expect(await connectSerin({ url: serin.url, key: 'from-a-file\n' }).deployment('x')).toBeNull();
  expect(notices.filter((sentence) => !sentence.includes('resumed'))).toEqual([]);
});

test('what is no address of a Serin is refused when the client is made', () => {
  for (const url of ['localhost:4000', '127.0.0.1:4000', 'ws://127.0.0.1:4000', 'Serin', []]) {
    expect(() => connectSerin({ url }), String(url)).toThrow(/^url must (be http:|name at least one)/);
  }
  const secret = () => connectSerin({ url: 'http://ada:secret@127.0.0.1:4000' });
  expect(secret).toThrow(/^url must not hold a user name or a password: [^@]*$/);
});

test('a function for the key that fails is asked again, and a report waits for it', async () => {
  const id = await running(serin);
  let failures = 0;
  const key = () => {
    if (failures === 0) return 'any';
    failures -= 1;
    throw new Error('the issuer is away');
  };
  const side = await connectSerin({
    url: serin.url,
    key,
    onNotice: (sentence) => notices.push(sentence),
  }).side(id, 'CANARY');
  opened.push(side);
  failures = 2;
  expect(await side.report({ trades: 3 })).toMatchObject({ success: true });
  expect(notices.join()).toContain('the function for the key failed: the issuer is away');
});

test('a side that is closed answers CLOSED: a bot that stops in the middle of something does not die of it', async () => {
  const id = await running(serin);
  const side = await open(id);
  expect(await side.report({ pnlUsd: 1, trades: 1 })).toMatchObject({ success: true });
  proxy.swallow();
  const late = [
    side.report({ pnlUsd: 2, trades: 2 }),
    side.recordTrades([{ id: 'trade-1', at: new Date().toISOString(), pnlUsd: 1 }]),
  ];
  await side.close(0);
  late.push(side.report({ pnlUsd: 3, trades: 3 }), side.recordTrades([]));
  for (const answer of await Promise.all(late)) {
    expect(answer).toMatchObject({ success: false, error: { code: 'CLOSED', path: [] } });
  }
  expect(await figures(id)).toMatchObject({ tradeCount: 1 });
});

test('a side that is closed leaves no timer that keeps its process alive', async () => {
  const side = await open(await running(serin));
  await side.report({ trades: 1 });
  const started = vi.spyOn(globalThis, 'setTimeout');
  const ended = vi.spyOn(globalThis, 'clearTimeout');
  onTestFinished(() => void vi.restoreAllMocks());
  await side.close(54_321);
  const timers = started.mock.results.filter((_, call) => started.mock.calls[call]?.[1] === 54_321);
  expect(timers).toHaveLength(1);
  expect(ended).toHaveBeenCalledWith(timers[0]?.value);
});

test('a side that is closed ends the allocations that its bot waits for, and has no more', async () => {
  const id = await running(serin);
  const side = await open(id);
  const { held, ended } = hold(side);
  await until(() => held.length === 1);
  await side.close(0);
  await ended;
  expect(await side.allocations().next()).toEqual({ done: true, value: undefined });
  expect(side.ended).toBe(false);
});
