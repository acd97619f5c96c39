/** Checks whose metrics come from providers: a Prometheus and a JSON service, both real HTTP servers, good and bad. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { passCheck, report, running, statusOf } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

/** What the services answer for a version: PnL and trades, or whatever else `body` says. */
const FIGURES: Readonly<Record<string, { readonly pnl: number; readonly trades: number }>> = {
  v1: { pnl: 90, trades: 90 },
  v2: { pnl: 12, trades: 12 },
};
const BAD_BODIES: Readonly<Record<string, string | null>> = {
  nan: '{"pnlUsd": "NaN", "trades": 5}',
  garbage: '<html>Bad gateway</html>',
  nothing: '',
  slow: null,
};

const servers: Server[] = [];
let folder: string;
let serin: TestSerin;

async function serve(handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}

beforeAll(async () => {
  const json = await serve((request, response) => {
    const [, kind = '', version = ''] = (request.url ?? '').split('/');
    const bad = BAD_BODIES[kind];
    if (bad === null) return;
    const figures = FIGURES[version];
    response.end(bad ?? JSON.stringify({ pnlUsd: figures?.pnl, trades: figures?.trades }));
  });
  const prometheus = await serve((request, response) => {
    const query = new URL(request.url ?? '/', 'http://test').searchParams.get('query') ?? '';
    const [, metric = '', strategy = '', version = '', chain = ''] =
      /^(\w+)\{strategy="([^"]*)",version="([^"]*)",chain="([^"]*)"\}$/.exec(query) ?? [];
    const figures = strategy === 'from-prometheus' && chain === 'base' ? FIGURES[version] : undefined;
    const value = metric === 'pnl' ? figures?.pnl : figures?.trades;
    const result = value === undefined ? [] : [{ metric: {}, value: [1, String(value)] }];
    response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
  });
  const kinds = ['good', ...Object.keys(BAD_BODIES)];
  const services = kinds.map((kind) => [
    kind,
    { type: 'http', url: `${json}/${kind}/{{version}}`, timeoutMs: kind === 'slow' ? 100 : 5000, retries: 0 },
  ]);
  const select = '{strategy="{{strategy}}",version="{{version}}",chain="{{chain}}"}';
  const prom = {
    type: 'prometheus',
    url: prometheus,
    queries: { pnlUsd: `pnl${select}`, trades: `trades${select}` },
  };
  folder = await mkdtemp(join(tmpdir(), 'serin-providers-'));
  const file = join(folder, 'providers.json');
  await writeFile(file, JSON.stringify({ providers: { ...Object.fromEntries(services), prom } }));
  serin = await startTestSerin({ providersFile: file });
});
afterAll(async () => {
  await serin.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true });
});

const decided = (id: string) =>
  serin.ask(
    `query($id: ID!) { deployment(id: $id) { status canaryCapitalUsd stableCapitalUsd
      canaryMetrics { tradeCount metrics { netPnlUsd } } stableMetrics { tradeCount }
      events(first: 200) { edges { node { type description } } } } }`,
    { id },
  );

test('a deployment is promoted on what Prometheus answers, each side by its own labels', async () => {
  const id = await running(serin, {
    strategyId: 'from-prometheus',
    chain: 'base',
    config: { metricsProvider: 'prom', observationPeriodMinutes: 5, evidence: { mode: 'OFF' } },
  });
  while ((await statusOf(serin, id)) === 'RUNNING') await passCheck(serin, id);
  const { deployment } = await decided(id);
  expect(deployment).toMatchObject({
    canaryMetrics: { tradeCount: 12, metrics: { netPnlUsd: '12' } },
    stableMetrics: { tradeCount: 90 },
  });
});

test('a bad provider harms only its own deployment, visibly, and ends in FAILED with the capital back', async () => {
  const config = (metricsProvider: string) => ({ metricsProvider, observationPeriodMinutes: 600 });
  const good = await running(serin, { config: config('good') });
  const bad: Record<string, string> = {};
  for (const kind of Object.keys(BAD_BODIES)) bad[kind] = await running(serin, { config: config(kind) });
  await until(async () => {
    await passCheck(serin, good, ...Object.values(bad));
    const statuses = await Promise.all(Object.values(bad).map((id) => statusOf(serin, id)));
    return statuses.every((status) => status === 'FAILED');
  });

  expect(await statusOf(serin, good)).toBe('RUNNING');
  const said = async (id: string): Promise<string> => {
    const { deployment }: Data = await decided(id);
    expect(deployment).toMatchObject({ canaryCapitalUsd: '0', stableCapitalUsd: '100000' });
    const events: Data[] = deployment.events.edges.map(({ node }: Data) => node);
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['METRICS_UNAVAILABLE', 'GUARDRAIL_TRIPPED', 'CANARY_FAILED']),
    );
    return events.find(({ type }) => type === 'METRICS_UNAVAILABLE').description;
  };
  expect(await said(bad.nan ?? '')).toContain('pnlUsd');
  expect(await said(bad.garbage ?? '')).toContain('JSON');
  expect(await said(bad.nothing ?? '')).toMatch(/empty|JSON/);
  expect(await said(bad.slow ?? '')).toContain('100 ms');
});

test('bots report nothing where a provider is asked, neither totals nor trades', async () => {
  const id = await running(serin, { config: { metricsProvider: 'good', observationPeriodMinutes: 600 } });
  const reported = await report(serin, 'Canary', id, { pnlUsd: '-9000', trades: 3 });
  expect(reported).toMatchObject({
    success: false,
    error: { code: 'INVALID_INPUT', path: ['deploymentId'] },
    deployment: { status: 'RUNNING' },
  });
  expect(reported.message).toContain('provider good');
  const { recordTrades } = await serin.ask(
    `mutation($id: ID!) { recordTrades(input: { deploymentId: $id, side: CANARY, trades: [] }) {
      success error { code path } } }`,
    { id },
  );
  expect(recordTrades).toEqual({
    success: false,
    error: { code: 'INVALID_INPUT', path: ['deploymentId'] },
  });
});
