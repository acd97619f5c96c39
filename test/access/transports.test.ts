/** The same rules over HTTP, SSE and WebSocket, and what happens to what is open when a key ends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { readEnvironment } from '../../src/environment/environment.ts';
import { type Serin, startSerin } from '../../src/serin.ts';
import { command, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
/** A second node on the same database. */
let other: Serin;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
  other = await startSerin({
    ...readEnvironment({}),
    port: 0,
    databaseUrl: serin.database.url,
    logLevel: 'silent',
    access: WITH_KEYS,
  });
});
afterAll(async () => {
  await other.stop();
  await serin.stop();
});

const VIEWER = '{ viewer { actor } }';
const STATES = 'subscription { stateChanged { status } }';
const MADE_UP = `serin_000000000000_${'A'.repeat(43)}`;

const ask = (headers: Record<string, string>, query = VIEWER) =>
  fetch(`${serin.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });

async function endedKey(how: 'revoked' | 'expired'): Promise<string> {
  const key = await makeKey(root, 'VIEWER', { name: how, expiresAt: '2099-01-01T00:00:00Z' });
  if (how === 'revoked') await root.ask('mutation { revokeApiKey(input: { id: "revoked" }) { success } }');
  else await serin.database.sql`update api_keys set expires_at = clock_timestamp() where name = 'expired'`;
  return key;
}

interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** Opens a WebSocket, introduces itself, and answers how it was closed. */
function closeOf(init: unknown, headers: Record<string, string> = {}, then: unknown[] = []): Promise<Closed> {
  const socket = new WebSocket(`${serin.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    headers,
  });
  return new Promise((resolve, reject) => {
    socket.on('open', () => {
      if (init !== undefined) socket.send(JSON.stringify({ type: 'connection_init', payload: init }));
      for (const message of then) socket.send(JSON.stringify(message));
    });
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    socket.on('error', reject);
  });
}

describe('an unknown caller', () => {
  test('gets 401 over HTTP, before the body is read', async () => {
    const bad = [
      {},
      { authorization: 'Basic cm9vdDpyb290' },
      { authorization: 'Bearer' },
      { authorization: `Bearer ${MADE_UP}` },
      { authorization: 'Bearer eyJhbGciOiJub25lIn0.e30.' },
      { authorization: `Bearer ${await endedKey('revoked')}` },
      { authorization: `Bearer ${await endedKey('expired')}` },
    ];
    for (const headers of bad) {
      for (const query of [VIEWER, '{ not graphql', '{ __schema { types { name } } }']) {
        const response = await ask(headers, query);
        expect(response.status).toBe(401);
        expect(response.headers.get('www-authenticate')).toContain('Bearer');
        const { errors, data } = await response.json();
        expect(errors).toHaveLength(1);
        expect(errors[0].extensions.code).toBe('UNAUTHENTICATED');
        expect(data).toBeUndefined();
      }
    }
  });

  test('gets 401 over SSE and over GET', async () => {
    const sse = await ask({ accept: 'text/event-stream' }, STATES);
    expect(sse.status).toBe(401);
    const get = await fetch(`${serin.url}/graphql?query=${encodeURIComponent(VIEWER)}`, {
      headers: { accept: 'application/json' },
    });
    expect(get.status).toBe(401);
  });

  test('is closed with 4403 and the reason over WebSocket, and with 4401 without connection_init', async () => {
    for (const init of [{}, { authorization: `Bearer ${MADE_UP}` }, { authorization: 42 }]) {
      const { code, reason } = await closeOf(init);
      expect(code).toBe(4403);
      expect(reason).toMatch(/^UNAUTHENTICATED: /);
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    }
    const hasty = await closeOf(undefined, {}, [{ type: 'subscribe', id: '1', payload: { query: VIEWER } }]);
    expect(hasty.code).toBe(4401);
  });

  test('is not asked for on /health and /ready', async () => {
    for (const path of ['/health', '/ready']) expect((await fetch(`${serin.url}${path}`)).status).toBe(200);
  });
});

describe('a known caller', () => {
  test('is the same over HTTP, WebSocket with connection_init, and WebSocket with a header', async () => {
    const key = await makeKey(root, 'VIEWER', { name: 'many-transports' });
    expect(await serin.as(key).ask(VIEWER)).toEqual({ viewer: { actor: 'many-transports' } });
    const over = (client: ReturnType<typeof createClient>) =>
      new Promise<Data>((resolve, reject) => {
        client.subscribe(
          { query: VIEWER },
          { next: ({ data }) => resolve(data), error: reject, complete: () => {} },
        );
      });
    const url = `${serin.url.replace('http', 'ws')}/graphql`;
    class WithHeader extends WebSocket {
      constructor(address: string, protocol: string) {
        super(address, protocol, { headers: { authorization: `Bearer ${key}` } });
      }
    }
    for (const options of [
      { webSocketImpl: WebSocket, connectionParams: { Authorization: `Bearer ${key}` } },
      { webSocketImpl: WithHeader },
    ]) {
      const client = createClient({ url, ...options });
      expect(await over(client)).toEqual({ viewer: { actor: 'many-transports' } });
      await client.dispose();
    }
  });
});

/** What an SSE stream says, message by message, until it is over. */
function overSse(url: string, key: string) {
  const received: Data[] = [];
  const state = { over: false };
  const client = createSseClient({
    url: `${url}/graphql`,
    headers: { authorization: `Bearer ${key}` },
    retryAttempts: 0,
  });
  client.subscribe<Data>(
    { query: STATES },
    {
      next: (message) => received.push(message),
      error: () => {},
      complete: () => {
        state.over = true;
      },
    },
  );
  return { received, state, stop: () => client.dispose() };
}

function overWebSocket(url: string, key: string) {
  const received: Data[] = [];
  const closes: Closed[] = [];
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${key}` },
    retryAttempts: 0,
    on: {
      closed: (event) => {
        if (typeof event === 'object' && event !== null && 'code' in event && 'reason' in event) {
          closes.push({ code: Number(event.code), reason: String(event.reason) });
        }
      },
    },
  });
  client.subscribe(
    { query: STATES },
    { next: (message) => received.push(message), error: () => {}, complete: () => {} },
  );
  return { received, closes, stop: () => client.dispose() };
}

describe.each([
  ['revoked', 'has been revoked'],
  ['expired', 'has expired'],
] as const)('a key that is %s', (how, words) => {
  test('ends what it holds open, over SSE and WebSocket, on every node; others go on', async () => {
    const name = `${how}-live`;
    const key = await makeKey(root, 'VIEWER', { name });
    const stays = overSse(serin.url, await makeKey(root, 'VIEWER'));
    const streams = [overSse(serin.url, key), overSse(other.url, key)];
    const sockets = [overWebSocket(serin.url, key), overWebSocket(other.url, key)];
    const all = [stays, ...streams, ...sockets];
    const id = await running(root);
    await until(async () => {
      await command(root, 'pauseDeployment', id);
      await command(root, 'resumeDeployment', id);
      return all.every(({ received }) => received.length > 0);
    });
    for (const { received } of all) expect(received[0].data.stateChanged.status).toMatch(/RUNNING|PAUSED/);

    if (how === 'revoked')
      await root.ask('mutation($name: ID!) { revokeApiKey(input: { id: $name }) { success } }', { name });
    else await serin.database.sql`update api_keys set expires_at = clock_timestamp() where name = ${name}`;
    await until(
      () => streams.every(({ state }) => state.over) && sockets.every(({ closes }) => closes.length > 0),
    );
    for (const { received } of streams) {
      const last = received.at(-1);
      expect(last.errors[0]).toMatchObject({
        message: expect.stringContaining(`${name} ${words}`),
        extensions: { code: 'UNAUTHENTICATED' },
      });
    }
    for (const { closes } of sockets) {
      expect(closes[0]).toMatchObject({ code: 4403, reason: expect.stringContaining('UNAUTHENTICATED') });
      expect(closes[0]?.reason).toContain(words);
    }

    const before = stays.received.length;
    await command(root, 'rollbackCanary', id);
    await until(() => stays.received.length > before);
    expect(stays.state.over).toBe(false);
    for (const { stop } of all) await stop();
  });
});

test('a client that does not answer the close after its key was revoked changes nothing more', async () => {
  const key = await makeKey(root, 'OPERATOR', { name: 'stays-open' });
  const id = await running(root);
  const socket = new WebSocket(`${serin.url.replace('http', 'ws')}/graphql`, ['graphql-transport-ws'], {
    headers: { authorization: `Bearer ${key}` },
  });
  let acknowledged = false;
  socket.on('message', () => {
    acknowledged = true;
  });
  socket.on('open', () => socket.send('{"type":"connection_init"}'));
  await until(() => acknowledged);
  // It reads nothing, so it sees no close; what it sends goes out all the same.
  socket.pause();
  const beside = overWebSocket(serin.url, key);
  await until(async () => {
    await command(root, 'pauseDeployment', id);
    await command(root, 'resumeDeployment', id);
    return beside.received.length > 0;
  });
  await root.ask('mutation { revokeApiKey(input: { id: "stays-open" }) { success } }');
  await until(() => beside.closes.length > 0);
  const query = `mutation { pauseDeployment(input: { deploymentId: "${id}" }) { success } }`;
  socket.send(JSON.stringify({ type: 'subscribe', id: 'late', payload: { query } }));
  // Its connection is cut before long.
  let cut = false;
  socket.on('close', () => {
    cut = true;
  });
  await sleep(2000);
  socket.resume();
  await until(() => cut);
  const { deployment } = await root.ask(`{ deployment(id: "${id}") { status } }`);
  expect(deployment.status).toBe('RUNNING');
});

test('on an open server callers name themselves for the record, but not as Serin', async () => {
  const open = await startTestSerin();
  const named = await open.post('{ viewer { actor role strategies } }', {}, { 'x-serin-actor': 'ada' });
  expect(named.data.viewer).toEqual({ actor: 'ada', role: 'ADMIN', strategies: null });
  for (const name of ['serin', 'SERIN']) {
    expect((await open.post(VIEWER, {}, { 'x-serin-actor': name })).data.viewer.actor).toBe('anonymous');
  }
  expect((await open.ask(VIEWER)).viewer.actor).toBe('anonymous');
  await open.stop();
});
