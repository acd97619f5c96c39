/** What is no operation at all: garbage on the socket, requests that are none, broken frames, mad messages. */
import { connect } from 'node:net';
import type { Random } from './random.ts';

/** Says bytes to the port and hears what comes until silence or the end. */
export function speak(port: number, bytes: Buffer, after: readonly Buffer[] = []): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const rest = [...after];
    socket.setTimeout(100, () => socket.destroy());
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1');
      const next = rest.shift();
      if (next) socket.write(next);
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(said));
  });
}

const bytes = (random: Random, most: number) =>
  Buffer.from(Array.from({ length: 1 + random.below(most) }, () => random.below(256)));

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'CONNECT', 'BREW', ''];
const PATHS = [
  ...[
    '/graphql',
    '/graphql?query={__typename}',
    '/graphql?query=%00',
    '/graphql?query=%ff%fe',
    '/graphql?variables={',
  ],
  ...[
    '/graphql?query={__typename}&variables=%5B%5D',
    '/graphql?query={__typename}&extensions=7',
    '//graphql',
    '/graphql/',
  ],
  ...[
    '/%67raphql',
    '/../graphql',
    '*',
    'http://[::1/graphql',
    '/metrics?x',
    '/ready#',
    '/health\\',
    `/${'a'.repeat(9000)}`,
  ],
];
const HEADERS = [
  ...[
    'Content-Type: application/json',
    'Content-Type: application/json; charset=utf-16',
    'Content-Type: ;;;',
  ],
  ...[
    'Content-Length: -1',
    'Content-Length: 5',
    'Content-Length: 99999999999999',
    'Transfer-Encoding: chunked',
  ],
  ...[
    'Transfer-Encoding: gzip',
    'Content-Encoding: gzip',
    'Accept: */*',
    'Accept: text/event-stream',
    'Accept: ,,;q=x',
  ],
  ...[
    'Accept: multipart/mixed',
    'Accept: nothing/known',
    'Origin: null',
    'Origin: ://',
    'Upgrade: websocket',
  ],
  ...[
    'Connection: Upgrade',
    'Expect: 100-continue',
    'X-Request-Id: \u0001',
    'X-Forwarded-For: ,,',
    'Cookie: =;=',
  ],
  ...[
    'X-Serin-Actor: \u00ff',
    'Authorization: Bearer \u0000',
    'Sec-WebSocket-Key: x',
    'Sec-WebSocket-Version: 99',
  ],
];
const BODIES = [
  ...[
    '',
    '{',
    '[]',
    'null',
    '7',
    '"x"',
    '{"query":7}',
    '{"query":null}',
    '{"query":""}',
    '{"query":"{__typename}","variables":"x"}',
  ],
  ...[
    '{"query":"{__typename}","variables":[]}',
    '{"query":"{__typename}","operationName":7}',
    '{"query":"{__typename}","extensions":[]}',
  ],
  ...[
    '{"query":"{a}","__proto__":{"query":"{__typename}"}}',
    `{"variables":${'['.repeat(20_000)}`,
    '{"query":"query A{__typename} query B{__typename}"}',
  ],
  ...[
    '{"query":"\\ud800"}',
    '{"query":"{__typename}","variables":{"a":1e400}}',
    '5\r\n{"que\r\n0\r\n\r\n',
    '\u0000',
  ],
];

/** An HTTP request that may be none. */
export function madRequest(random: Random): Buffer {
  if (random.chance(0.1)) return bytes(random, 400);
  const host = random.chance(0.9) ? ['Host: localhost'] : [];
  const headers = Array.from({ length: random.below(5) }, () => random.pick(HEADERS));
  const body = random.chance(0.1) ? bytes(random, 200) : Buffer.from(random.pick(BODIES), 'latin1');
  if (random.chance(0.6)) headers.push(`Content-Length: ${body.length}`, 'Content-Type: application/json');
  const version = random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/9.9', '']);
  const head = `${random.pick(METHODS)} ${random.pick(PATHS)} ${version}\r\n${[...host, ...headers].join('\r\n')}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

/** The request that opens a WebSocket. */
export const UPGRADE = Buffer.from(
  'GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
    'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
);

/** A frame with any bit wrong: opcode, reserved bits, mask, length, text that is no UTF-8. */
export function madFrame(random: Random): Buffer {
  if (random.chance(0.2)) return bytes(random, 300);
  const payload = random.chance(0.5) ? bytes(random, 120) : Buffer.from(JSON.stringify(madMessage(random)));
  const first = random.chance(0.5) ? 0x81 : random.below(256);
  const masked = random.chance(0.8) ? 0x80 : 0;
  const claimed = random.chance(0.8) ? payload.length : random.below(65_536);
  const length =
    claimed < 126
      ? [masked | claimed]
      : [masked | (random.chance(0.9) ? 126 : 127), claimed >> 8, claimed & 255];
  return Buffer.concat([Buffer.from([first, ...length, ...(masked ? [0, 0, 0, 0] : [])]), payload]);
}

const TYPES = [
  'connection_init',
  'subscribe',
  'complete',
  'ping',
  'pong',
  'next',
  'error',
  'connection_ack',
  '',
  7,
  null,
];
const IDS = ['1', '2', '', '__proto__', 'constructor', 'x'.repeat(5000), '\ud800', 7, null, {}];
const PAYLOADS = [
  ...[
    undefined,
    null,
    7,
    'x',
    [],
    {},
    { query: 7 },
    { query: '' },
    { query: '{' },
    { query: '{ __typename }' },
  ],
  ...[
    { query: '{ __typename }', variables: [] },
    { query: '{ __typename }', operationName: 7 },
  ],
  ...[
    { query: 'query($a: Int) { __typename }', variables: { a: {} } },
    { query: 'subscription { stateChanged { at } }' },
  ],
  ...[
    { query: 'subscription { eventAppended(after: "zzzzzzzzzzzzz-zzzzzzzzzzzzz") { no } }' },
    { actor: 'x'.repeat(999) },
  ],
  ...[{ query: 'subscription { deploymentUpdated(deploymentId: "\\u0000") { id } }' }, { authorization: {} }],
];

/** A message of the WebSocket protocol, as a client that has lost its mind would send it. */
export function madMessage(random: Random): unknown {
  if (random.chance(0.1)) return random.pick([null, 7, 'x', [], {}, [{}]]);
  return { type: random.pick(TYPES), id: random.pick(IDS), payload: random.pick(PAYLOADS) };
}
