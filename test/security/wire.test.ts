/** What reaches the port: bodies that never arrive, and pages of other sites that send with a visitor's browser. */
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

describe('a page of another site', () => {
  const QUERY = `/graphql?query=${encodeURIComponent('{ viewer { actor } }')}`;
  /** Not with `fetch`, which sends headers of its own. */
  const get = (headers: Record<string, string>, path = QUERY) =>
    new Promise<{ status: number | undefined }>((resolve, reject) => {
      const asked = request(`${serin.url}${path}`, { headers }, (response) => {
        response.resume();
        resolve({ status: response.statusCode });
      });
      asked.on('error', reject).end();
    });

  test.each(['cross-site', 'same-site'])('makes nothing compute by GET (%s)', async (site) => {
    for (const mode of ['no-cors', 'navigate', 'cors']) {
      const answer = await get({ 'sec-fetch-site': site, 'sec-fetch-mode': mode });
      expect(answer.status).toBe(403);
    }
  });

  test('nor by POST or a stream', async () => {
    const headers = { 'sec-fetch-site': 'cross-site', 'content-type': 'application/json' };
    const posted = await fetch(`${serin.url}/graphql`, {
      method: 'POST',
      headers,
      body: '{"query":"{ viewer { actor } }"}',
    });
    expect(posted.status).toBe(403);
    expect((await get({ 'sec-fetch-site': 'cross-site', accept: 'text/event-stream' })).status).toBe(403);
  });

  test('nor by a WebSocket', async () => {
    const socket = new WebSocket(`${serin.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      headers: { 'sec-fetch-site': 'cross-site' },
    });
    const status = await new Promise((resolve) => {
      socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode));
      socket.on('open', () => resolve('open'));
    });
    expect(status).toBe(403);
  });

  test('its own pages, typed addresses and programs may, and a link to GraphiQL opens it', async () => {
    expect((await get({ 'sec-fetch-site': 'same-origin' })).status).toBe(200);
    expect((await get({ 'sec-fetch-site': 'none' })).status).toBe(200);
    expect((await get({})).status).toBe(200);
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', accept: 'text/html' };
    expect((await get(link, '/graphql')).status).toBe(200);
  });
});

describe('bodies that stop one byte early', () => {
  const port = () => Number(new URL(serin.url).port);

  /** Opens a request and sends all of its body but the last byte. Resolves to what was answered, so far. */
  function stopEarly(bytes: number, header: string, to = port()): { socket: Socket; answered: () => string } {
    let answered = '';
    const socket = connect(to, '127.0.0.1', () => {
      socket.write(
        `POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:${to}\r\nContent-Type: application/json\r\n${header}\r\n\r\n`,
      );
      if (header.includes('chunked')) socket.write(`${bytes.toString(16)}\r\n`);
      socket.write(Buffer.alloc(bytes - 1, ' '));
    });
    socket.on('data', (chunk) => {
      answered += chunk.toString();
    });
    socket.on('error', () => {});
    return { socket, answered: () => answered };
  }

  test('are bounded per caller, with a length or without, and small ones still get through', async () => {
    const bodies = Array.from({ length: 12 }, (_, index) =>
      index % 2 === 0
        ? stopEarly(3_900_000, 'Content-Length: 3900000')
        : stopEarly(1000, 'Transfer-Encoding: chunked\r\nContent-Encoding: gzip'),
    );
    await until(() => bodies.filter(({ answered }) => answered().startsWith('HTTP/1.1 429')).length === 8);
    const small = await fetch(`${serin.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"{ viewer { actor } }"}',
    });
    expect(small.status).toBe(200);
    for (const { socket } of bodies) socket.destroy();
    await until(async () => {
      const large = await fetch(`${serin.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: '{ viewer { actor } }', variables: { unused: 'x'.repeat(1_000_000) } }),
      });
      return large.status === 200;
    });
  });

  test('are bounded for each key, too', async () => {
    const guarded = await startTestSerin({ access: WITH_KEYS });
    try {
      const key = await makeKey(await administrator(guarded), 'VIEWER');
      const to = Number(new URL(guarded.url).port);
      const bodies = Array.from({ length: 6 }, () =>
        stopEarly(3_900_000, `Authorization: Bearer ${key}\r\nContent-Length: 3900000`, to),
      );
      await until(() => bodies.filter(({ answered }) => answered().startsWith('HTTP/1.1 429')).length === 2);
      for (const { socket } of bodies) socket.destroy();
    } finally {
      await guarded.stop();
    }
  });

  test('are ended when they do not arrive with a least speed', async () => {
    const { socket } = stopEarly(2000, 'Content-Length: 1000000');
    await until(() => socket.destroyed, 25_000);
  }, 40_000);
});

test('a large body is not broken off because the server does not read it yet', async () => {
  const guarded = await startTestSerin({ access: WITH_KEYS });
  try {
    const key = await makeKey(await administrator(guarded), 'VIEWER');
    const body = JSON.stringify({ query: '{ viewer { role } }', variables: { unused: 'x'.repeat(900_000) } });
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    // The caller is not known as long as its key cannot be read.
    const asked = await guarded.database.sql.begin(async (tx) => {
      await tx`lock table api_keys in access exclusive mode`;
      const answer = fetch(`${guarded.url}/graphql`, { method: 'POST', headers, body }).then(
        (response) => response.text(),
        (error: Error) => `broken off: ${error.cause}`,
      );
      await sleep(7200);
      return { answer };
    });
    expect(await asked.answer).toBe('{"data":{"viewer":{"role":"VIEWER"}},"extensions":{"timeScale":60}}');
  } finally {
    await guarded.stop();
  }
}, 30_000);
