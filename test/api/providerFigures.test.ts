/**
 * What providers answer about bots that die, restart or count too far, through the API on a real server, with an HTTP
 * service that each test steers. An hour passes between two checks.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { passCheck, running, statusOf } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin } from '../harness/serin.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

type Side = 'CANARY' | 'STABLE';
/** What the service answers for the strategy of a test. */
const answers = new Map<string, (side: Side) => unknown>();
/** The start of the deployment and the seconds since then, as the provider was last asked for the strategy of a test. */
const asked = new Map<string, { readonly since: number; readonly elapsed: number }>();

const service = createServer((request, response) => {
  if (request.url?.startsWith('/api/v1/query')) {
    response.end(prometheusAnswer(new URL(request.url, 'http://x').searchParams.get('query') ?? ''));
    return;
  }
  const [, strategy = '', side, since, elapsed] = (request.url ?? '').split('/');
  asked.set(strategy, { since: Number(since), elapsed: Number(elapsed) });
  response.end(JSON.stringify(answers.get(strategy)?.(side === 'CANARY' ? 'CANARY' : 'STABLE') ?? {}));
});
/** The same figures for queries of the form `FIGURE{strategy="…",side="…"}`, whatever function is around them. */
function prometheusAnswer(query: string): string {
  const [, figure = '', strategy = '', side] = /(\w+){strategy="([^"]*)",side="([^"]*)"}/.exec(query) ?? [];
  const found = answers.get(strategy)?.(side === 'CANARY' ? 'CANARY' : 'STABLE') ?? {};
  const value: unknown = Object.entries(found).find(([name]) => name === figure)?.[1];
  const result = value === undefined ? [] : [{ metric: {}, value: [1, String(value)] }];
  return JSON.stringify({ status: 'success', data: { resultType: 'vector', result } });
}

let folder: string;
let serin: TestSerin;

beforeAll(async () => {
  await new Promise<void>((ready) => service.listen(0, '127.0.0.1', ready));
  const address = service.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  folder = await mkdtemp(join(tmpdir(), 'serin-provider-figures-'));
  const file = join(folder, 'providers.json');
  const desk = {
    type: 'http',
    url: `http://127.0.0.1:${address.port}/{{strategy}}/{{side}}/{{since}}/{{elapsed}}`,
  };
  const fields = { pnlUsd: 'pnlUsd', trades: 'trades', asOf: 'asOf' };
  const of = (figure: string) => `${figure}{strategy="{{strategy}}",side="{{side}}"}`;
  const increase = (figure: string) => `round(sum(increase(${of(figure)}[{{elapsed}}s])))`;
  const prom = {
    type: 'prometheus',
    url: `http://127.0.0.1:${address.port}`,
    queries: {
      pnlUsd: of('pnlUsd'),
      trades: increase('trades'),
      errors: increase('errors'),
      uptimeSeconds: of('uptimeSeconds'),
    },
  };
  await writeFile(file, JSON.stringify({ providers: { desk, dated: { ...desk, fields }, prom } }));
  serin = await startTestSerin({ providersFile: file, timeScale: 1 });
});
afterAll(async () => {
  await serin.stop();
  service.closeAllConnections();
  service.close();
  await rm(folder, { recursive: true });
});

const HOUR = 3600;
const config = (metricsProvider: string, hours: number, more: Record<string, unknown> = {}) => ({
  metricsProvider,
  checkIntervalSeconds: HOUR,
  observationPeriodMinutes: hours * 60,
  ...more,
});

/** Serin's time, epoch milliseconds. */
async function now(): Promise<number> {
  const [row] = await serin.database.sql`select date_part('epoch', serin_now()) * 1000 as ms`;
  return Number(row?.ms);
}

/** How far Serin's clock was moved, milliseconds: a provider has real time. */
let moved = 0;

/** The status after the next check. */
async function statusAfterCheck(id: string): Promise<string> {
  const advance = (seconds: number) => {
    moved += seconds * 1000;
    return serin.advance(seconds);
  };
  await passCheck({ database: serin.database, advance }, id);
  return statusOf(serin, id);
}

async function passChecks(id: string, checks: number): Promise<string> {
  let status = 'RUNNING';
  for (let check = 0; check < checks && status === 'RUNNING'; check += 1) status = await statusAfterCheck(id);
  return status;
}

const told = async (id: string): Promise<Data> =>
  (
    await serin.ask(
      `query($id: ID!) { deployment(id: $id) { status summary createdAt
        canaryMetrics { tradeCount asOf metrics { netPnlUsd uptimeSeconds } } comparison { decision decisionReasons }
        decisionHistory { decision reasons }
        events(first: 200) { edges { node { type description } } } } }`,
      { id },
    )
  ).deployment;

/** A return that changes from hour to hour and adds up to about nothing. */
const wobble = (check: number) => ((check * 7919) % 13) - 6;

test('the last totals of a dead canary, repeated indefinitely, count as silence when they carry their time', async () => {
  const [dead, movedBefore] = [Date.now(), moved];
  const atDeath = await now();
  let check = 0;
  answers.set('dead', (side) => {
    if (side === 'CANARY')
      return { pnlUsd: 500, trades: 12, asOf: new Date(dead - moved + movedBefore).toISOString() };
    check += 1;
    return { pnlUsd: -wobble(check), trades: 20 + check, asOf: Date.now() };
  });
  const id = await running(serin, { strategyId: 'dead', config: config('dated', 30) });
  expect(await passChecks(id, 10)).toBe('FAILED');
  const { summary, canaryMetrics } = await told(id);
  expect(summary).toContain('no news of the canary side');
  expect(Math.abs(Date.parse(canaryMetrics.asOf) - atDeath)).toBeLessThan(10_000);
});

test('and no proof of anything where they do not: a canary that stands still is not promoted', async () => {
  let check = 0;
  answers.set('undated', (side) => {
    if (side === 'CANARY') return { pnlUsd: 500, trades: 12 };
    check += 1;
    // The stable side loses, so a canary that does nothing looks good beside it.
    return { pnlUsd: -20 * check + wobble(check), trades: 20 + check };
  });
  const guardrails = { maxStaleSeconds: null };
  const id = await running(serin, { strategyId: 'undated', config: config('desk', 26, { guardrails }) });
  expect(await passChecks(id, 30)).toBe('OBSERVATION_COMPLETE');
  const { decisionHistory } = await told(id);
  expect(decisionHistory.at(-1)).toMatchObject({ decision: 'MANUAL_REVIEW' });
  expect(decisionHistory.at(-1).reasons.join('; ')).toContain('the canary figures stand still');
});

test('a counter that falls has started again: an event, and what was lost before stays lost', async () => {
  let figures = { pnlUsd: -900, trades: 40 };
  answers.set('restarts', (side) => (side === 'CANARY' ? figures : { pnlUsd: 9, trades: 9 }));
  const id = await running(serin, {
    strategyId: 'restarts',
    config: config('desk', 30, { guardrails: { maxStaleSeconds: null, maxLossPercent: '20' } }),
  });
  await statusAfterCheck(id);
  figures = { pnlUsd: -300, trades: 5 };
  expect(await statusAfterCheck(id)).toBe('RUNNING');
  const after = await told(id);
  expect(after.canaryMetrics).toMatchObject({ tradeCount: 45, metrics: { netPnlUsd: '-1200' } });
  expect(after.events.edges.map(({ node }: Data) => node.type)).toContain('COUNTER_RESET');
  figures = { pnlUsd: -810, trades: 2 };
  // Without the two lives before, a loss of 8 % would be nothing.
  expect(await statusAfterCheck(id)).toBe('ROLLED_BACK');
  expect((await told(id)).canaryMetrics).toMatchObject({ tradeCount: 47, metrics: { netPnlUsd: '-2010' } });
});

test('a count that Prometheus extrapolates falls a little while nothing happens: it is counted once, and so is PnL', async () => {
  let count = 82;
  let uptimeSeconds = 600;
  answers.set('extrapolated', () => ({ pnlUsd: -300, trades: count, errors: count, uptimeSeconds }));
  const id = await running(serin, { strategyId: 'extrapolated', config: config('prom', 30) });
  for (const next of [82, 81, 80]) {
    count = next;
    uptimeSeconds += HOUR;
    await statusAfterCheck(id);
  }
  const { canaryMetrics, events } = await told(id);
  expect(canaryMetrics).toMatchObject({ tradeCount: 82, metrics: { netPnlUsd: '-300' } });
  expect(events.edges.map(({ node }: Data) => node.type)).not.toContain('COUNTER_RESET');
  // The uptime is exact: a run that is nearly as old, and has nearly as many trades, is another one all the same.
  [count, uptimeSeconds] = [70, 9000];
  await statusAfterCheck(id);
  const restarted = await told(id);
  expect(restarted.canaryMetrics).toMatchObject({ tradeCount: 152, metrics: { netPnlUsd: '-600' } });
  expect(restarted.events.edges.map(({ node }: Data) => node.type)).toContain('COUNTER_RESET');
});

test('a count that does not fit is a failure in words, and everything can still be read', async () => {
  answers.set('many', () => ({ pnlUsd: '1', trades: 3_000_000_000, uptimeSeconds: 1_764_324_000_000 }));
  const id = await running(serin, { strategyId: 'many', config: config('desk', 30) });
  await statusAfterCheck(id);
  const { events, canaryMetrics } = await told(id);
  expect(canaryMetrics).toMatchObject({ tradeCount: 0, metrics: { uptimeSeconds: 0 } });
  const failure = events.edges.find(({ node }: Data) => node.type === 'METRICS_UNAVAILABLE');
  expect(failure.node.description).toContain('trades must be at most 2147483647 in total, got 3000000000');
  const { deployments } = await serin.ask(
    '{ deployments { nodes { id canaryMetrics { tradeCount } comparison { canaryMetrics { tradeCount } } } } }',
  );
  expect(deployments.nodes.length).toBeGreaterThan(0);
});

test('where Serin’s clock runs faster, the time of the figures is put on it', async () => {
  const begin = Date.now();
  await serin.restart({ timeScale: 60 });
  answers.set('fast', () => ({ pnlUsd: '1', trades: 1, asOf: Date.now() }));
  const id = await running(serin, { strategyId: 'fast', config: config('dated', 30) });
  await statusAfterCheck(id);
  const { createdAt, canaryMetrics } = await told(id);
  const asOf = Date.parse(canaryMetrics.asOf);
  expect(asOf).toBeGreaterThanOrEqual(Date.parse(createdAt));
  expect(asOf).toBeLessThanOrEqual(await now());
  // Three hours and more of Serin's time have passed in this test, and only moments of real time.
  expect(asOf - Date.now()).toBeGreaterThan(3 * HOUR * 1000);
  // The provider knows real time only: the start that it is asked for lies in this test.
  const { since = 0, elapsed = 0 } = asked.get('fast') ?? {};
  // The hour that the test skipped is a minute of real time.
  expect(since * 1000).toBeGreaterThanOrEqual(begin - 62_000);
  expect(since * 1000 + elapsed * 1000).toBeLessThanOrEqual(Date.now() + 2000);
});
