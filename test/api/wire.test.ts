/** What clients, proxies and libraries send over HTTP, byte by byte where that matters. */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { brotliDecompressSync, deflateSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/environment/environment.ts';
import { type Data, startTestSerin, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
let strict: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
  const { http } = readEnvironment({
    SERIN_MAX_BODY_BYTES: '20000',
    SERIN_RATE_LIMIT: '1',
    SERIN_TRUSTED_PROXIES: '1',
  });
  strict = await startTestSerin({ http });
});
afterAll(async () => {
  await serin.stop();
  await strict.stop();
});

const VIEWER = '{"query":"{ viewer { actor } }"}';
const JSON_TYPE = { 'content-type': 'application/json' };

const fetchFrom = (at: TestSerin, init: RequestInit) =>
  fetch(`${at.url}/graphql`, { method: 'POST', ...init });

/** Sends bytes on a new connection; all that came back when the server closes it, or once `enough` has come. */
function exchange(at: TestSerin, sent: string | Buffer, enough: (text: string) => boolean): Promise<string> {
  const { hostname, port } = new URL(at.url);
  return new Promise((done, failed) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.write(sent));
    socket.on('data', (data) => {
      text += data;
      if (enough(text)) socket.end();
    });
    socket.on('close', () => done(text));
    socket.on('error', failed);
  });
}

const hasViewer = (text: string) => text.includes('"viewer"');
const post = (target: string, headers: readonly string[], body = VIEWER) =>
  [
    `POST ${target} HTTP/1.1`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    ...headers,
    '',
    body,
  ].join('\r\n');

describe('targets and offers', () => {
  test('a target in absolute form is served, and its host counts', async () => {
    const host = new URL(serin.url).host;
    expect(
      await exchange(serin, post(`http://${host}/graphql`, ['Host: elsewhere.example']), hasViewer),
    ).toMatch(/^HTTP\/1.1 200/);
    const foreign = post('http://elsewhere.example/graphql', [`Host: ${host}`]);
    expect(await exchange(serin, foreign, (text) => text.includes('FORBIDDEN'))).toMatch(/^HTTP\/1.1 403/);
  });

  test.each([
    [
      'HTTP/2, as Java offers it',
      ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAEAAEAA'],
    ],
    ['TLS', ['Connection: Upgrade', 'Upgrade: TLS/1.0']],
  ])('an offer to upgrade to %s is ignored', async (_name, headers) => {
    const host = `Host: ${new URL(serin.url).host}`;
    expect(await exchange(serin, post('/graphql', [host, ...headers]), hasViewer)).toMatch(/^HTTP\/1.1 200/);
  });

  test('localhost with a dot at its end is this machine', async () => {
    const { port } = new URL(serin.url);
    expect(await exchange(serin, post('/graphql', [`Host: localhost.:${port}`]), hasViewer)).toMatch(
      /^HTTP\/1.1 200/,
    );
  });
});

describe('bodies', () => {
  test('the sender of a body that is too large receives the refusal', async () => {
    const body = Buffer.alloc(8_000_000, 'x');
    const { host } = new URL(strict.url);
    const head = `POST /graphql HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
    const answer = await exchange(strict, Buffer.concat([Buffer.from(head), body]), () => false);
    expect(answer).toMatch(/^HTTP\/1.1 413/);
    expect(answer).toContain('at most 20000 bytes');
  });

  test('a sender that asks first is refused without sending the body', async () => {
    const { host } = new URL(strict.url);
    const head = `POST /graphql HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\nExpect: 100-continue\r\n\r\n`;
    expect(await exchange(strict, head, () => false)).toMatch(/^HTTP\/1.1 413/);
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
  ])('a request in %s is decoded', async (coding, encode) => {
    const answer = await fetchFrom(serin, {
      headers: { ...JSON_TYPE, 'content-encoding': coding },
      body: new Uint8Array(encode(VIEWER)),
    });
    expect(await answer.json()).toMatchObject({ data: { viewer: { actor: 'anonymous' } } });
  });

  test('a decoded body is bounded, a broken one is refused, an unknown coding is named', async () => {
    const send = async (coding: string, body: Buffer) => {
      const headers = {
        ...JSON_TYPE,
        'content-encoding': coding,
        'x-forwarded-for': coding === 'gzip' ? '10.0.0.1' : '10.0.0.2',
      };
      const answer = await fetchFrom(strict, { headers, body: new Uint8Array(body) });
      return {
        status: answer.status,
        taken: answer.headers.get('accept-encoding'),
        text: await answer.text(),
      };
    };
    expect(await send('gzip', gzipSync(`{"query":"${' '.repeat(1_000_000)}"}`))).toMatchObject({
      status: 413,
    });
    expect(await send('gzip', Buffer.from(VIEWER))).toMatchObject({ status: 400 });
    const unknown = await send('zstd', Buffer.from(VIEWER));
    expect(unknown).toMatchObject({ status: 415, taken: 'br, gzip, deflate' });
    expect(unknown.text).toContain('zstd');
  });

  const SCHEMA = '{"query":"{ __schema { types { name fields { name description } } } }"}';
  test.each([
    ['gzip', gunzipSync, 'application/json'],
    ['br', brotliDecompressSync, 'application/json'],
    ['br', brotliDecompressSync, 'application/json, multipart/mixed'],
  ])('answers above 1 KB are sent as %s where accepted', async (coding, decode, accept) => {
    const { hostname, port } = new URL(serin.url);
    const head = `POST /graphql HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\nAccept: ${accept}\r\nAccept-Encoding: ${coding}, *;q=0\r\nContent-Type: application/json\r\nContent-Length: ${SCHEMA.length}\r\n\r\n${SCHEMA}`;
    const chunks: Buffer[] = [];
    await new Promise<void>((done, failed) => {
      const socket = connect(Number(port), hostname, () => socket.write(head));
      socket
        .on('data', (data) => chunks.push(data))
        .on('close', () => done())
        .on('error', failed);
    });
    const all = Buffer.concat(chunks);
    const end = all.indexOf('\r\n\r\n');
    const headers = all.subarray(0, end).toString().toLowerCase();
    expect(headers).toContain(`content-encoding: ${coding}`);
    expect(headers).toContain('vary: accept-encoding');
    const { data } = JSON.parse(decode(all.subarray(end + 4)).toString());
    expect(data.__schema.types.length).toBeGreaterThan(20);
  });

  test('small answers and streams are not compressed; a stream forbids proxies to collect it', async () => {
    const small = await fetchFrom(serin, {
      headers: { ...JSON_TYPE, 'accept-encoding': 'gzip' },
      body: VIEWER,
    });
    expect(small.headers.get('content-encoding')).toBeNull();
    const leave = new AbortController();
    const stream = await fetchFrom(serin, {
      headers: { ...JSON_TYPE, accept: 'text/event-stream', 'accept-encoding': 'gzip' },
      body: '{"query":"subscription { eventAppended { no } }"}',
      signal: leave.signal,
    });
    expect(Object.fromEntries(stream.headers)).toMatchObject({
      'x-accel-buffering': 'no',
      'cache-control': 'no-cache, no-transform',
    });
    expect(stream.headers.get('content-encoding')).toBeNull();
    leave.abort();
  });
});

describe('persisted queries', () => {
  const query = '{ viewer { role } }';
  const hashed = (text: string) => ({
    persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(text).digest('hex') },
  });
  const send = async (body: unknown): Promise<Data> =>
    (await fetchFrom(serin, { headers: JSON_TYPE, body: JSON.stringify(body) })).json();

  test('a hash alone is not found until its document was sent', async () => {
    const extensions = hashed(query);
    const unknown = await send({ extensions });
    expect(unknown.errors[0]).toMatchObject({
      message: 'PersistedQueryNotFound',
      extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' },
    });
    expect((await send({ query, extensions })).data.viewer.role).toBe('ADMIN');
    expect((await send({ extensions })).data.viewer.role).toBe('ADMIN');
    const url = `${serin.url}/graphql?extensions=${encodeURIComponent(JSON.stringify(extensions))}`;
    const byGet: Data = await (await fetch(url, { headers: { accept: 'application/json' } })).json();
    expect(byGet.data.viewer.role).toBe('ADMIN');
  });

  test('a hash of another document is refused', async () => {
    const answer = await send({ query, extensions: hashed('{ viewer { actor } }') });
    expect(answer.errors[0].message).toContain('does not match');
  });
});

describe('addresses behind a proxy', () => {
  /** With one operation a second over ten seconds the eleventh of an address is refused. */
  const refusedAfterTen = async (first: string, second: string): Promise<boolean> => {
    const from = (address: string) =>
      fetchFrom(strict, { headers: { ...JSON_TYPE, 'x-forwarded-for': address }, body: VIEWER });
    for (let sent = 0; sent < 10; sent += 1) expect((await from(first)).status).toBe(200);
    return (await from(second)).status === 429;
  };

  test.each([
    ['the same address with other ports', '192.0.2.1:4711', '192.0.2.1:4712', true],
    ['IPv6 with and without port', '[2001:db8:1::1]:4711', '2001:db8:1::1', true],
    ['IPv6 of one network of 64 bits', '2001:db8:2::1', '2001:db8:2::ffff', true],
    ['IPv4 written as IPv6', '::ffff:192.0.2.9', '192.0.2.9', true],
    ['two networks', '2001:db8:3::1', '2001:db8:3:1::1', false],
    ['two addresses', '192.0.2.20', '192.0.2.21', false],
  ])('%s', async (_name, first, second, same) => {
    expect(await refusedAfterTen(first, second)).toBe(same);
  });
});

test('a subscription over multipart is refused with a message', async () => {
  const answer = await fetchFrom(serin, {
    headers: { ...JSON_TYPE, accept: 'multipart/mixed;subscriptionSpec="1.0", application/json' },
    body: '{"query":"subscription { eventAppended { no } }"}',
  });
  expect(answer.status).toBe(406);
  expect(await answer.text()).toContain('WebSocket');
});
