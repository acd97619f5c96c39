/** What a provider said is for the log: finding 18. Callers get the kind of the failure, over every way out. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { passCheck, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';
import { type Caller, callerOf } from './matrix/transports.ts';

/** What the providers say when they fail: an inner address, a query, a password. */
const WORDS = 'inner-10.0.0.7 hunter2';

const servers: Server[] = [];
const pushed: string[] = [];
let folder: string;
let serin: TestSerin;
let root: TestCaller;
let viewer: Caller;
let ids: string[];

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}

beforeAll(async () => {
  const prometheus = await serve((_request, response) => {
    response.writeHead(400).end(JSON.stringify({ status: 'error', errorType: 'bad_data', error: WORDS }));
  });
  const json = await serve((_request, response) => {
    response.writeHead(500, WORDS.replaceAll(' ', '-')).end(JSON.stringify({ error: WORDS }));
  });
  const hook = await serve((request, response) => {
    request.on('data', (part) => pushed.push(String(part)));
    request.on('end', () => response.end());
  });
  folder = await mkdtemp(join(tmpdir(), 'serin-words-'));
  const providersFile = join(folder, 'providers.json');
  const providers = {
    prom: { type: 'prometheus', url: prometheus, queries: { pnlUsd: 'a', trades: 'b' } },
    json: { type: 'http', url: json, retries: 0 },
  };
  await writeFile(providersFile, JSON.stringify({ providers }));
  serin = await startTestSerin({ access: WITH_KEYS, providersFile, webhookNetworks: ['127.0.0.0/8'] });
  root = await administrator(serin);
  viewer = callerOf(serin, 'viewer', `Bearer ${await makeKey(root, 'VIEWER')}`);
  const input = { url: hook };
  await root.ask('mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { success } }', {
    input,
  });
  const config = (metricsProvider: string) => ({ metricsProvider, observationPeriodMinutes: 600 });
  ids = [await running(root, { config: config('prom') }), await running(root, { config: config('json') })];
});
afterAll(async () => {
  viewer.close();
  await serin.stop();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true });
});

const everywhere = () =>
  ids.map((id) => [
    `{ deployment(id: "${id}") { headline summary warnings { message } comparison { decisionReasons }
      events(first: 200) { nodes { type description details payload { ... on MetricsUnavailable { message } } } } } }`,
    `{ exportDeployment(id: "${id}") }`,
    '{ events(first: 200) { nodes { description details } } }',
  ]);

test('reaches neither queries over any transport, nor exports, nor webhooks', async () => {
  const isPushed = (id: string) =>
    pushed.some((body) => body.includes(id) && body.includes('METRICS_UNAVAILABLE'));
  await until(async () => {
    await passCheck(serin, ...ids);
    return ids.every(isPushed);
  });
  const answers: string[] = [];
  for (const query of everywhere().flat())
    for (const transport of ['POST', 'GET', 'SSE', 'WebSocket'] as const)
      answers.push(await viewer.send(transport, { query, variables: {} }));
  const said = answers.join('\n');
  expect(said).toContain('bad_data');
  expect(said).toContain('HTTP 500');
  for (const word of ['10.0.0.7', 'hunter2']) {
    expect(said).not.toContain(word);
    expect(pushed.join('\n')).not.toContain(word);
  }
});

test.each(['SSE', 'WebSocket'] as const)('nor feeds over %s, live and replayed', async (transport) => {
  const received: string[] = [];
  const follower = callerOf(serin, 'follower', `Bearer ${await makeKey(root, 'VIEWER')}`);
  const query = 'subscription { eventAppended(after: "0") { description details } }';
  follower.send(transport, { query, variables: {} }, (part) => received.push(part)).catch(() => {});
  await until(() => received.join('').includes('bad_data') && received.join('').includes('HTTP 500'));
  expect(received.join('')).not.toMatch(/10\.0\.0\.7|hunter2/);
  follower.close();
});
