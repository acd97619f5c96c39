/** Every bound, attacked: over HTTP and over WebSocket, since both go one way. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/environment/environment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { openInitialised, openRawSocket } from '../harness/rawSocket.ts';
import { type Answer, type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const settings = (variables: Record<string, string>) => ({ http: readEnvironment(variables).http });
const DESK = 'https://desk.example';

let serin: TestSerin;
let strict: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
  strict = await startTestSerin(
    settings({ SERIN_ORIGINS: DESK, SERIN_MAX_BODY_BYTES: '10000', SERIN_MAX_OPERATIONS_PER_SOCKET: '2' }),
  );
});
afterAll(async () => {
  await serin.stop();
  await strict.stop();
});
const VIEWER = '{ viewer { actor } }';

type TestCaller = (
  at: TestSerin,
  query: string,
  variables?: Record<string, unknown>,
) => Promise<Answer['errors']>;

const overHttp: TestCaller = async (at, query, variables) => (await at.post(query, variables)).errors;
const overWebSocket: TestCaller = async (at, query, variables) => {
  const socket = await openInitialised(at);
  socket.send({ type: 'subscribe', id: '1', payload: { query, variables } });
  const { type, payload } = await socket.next();
  socket.close();
  return type === 'error' ? payload : payload.errors;
};

const nested = (depth: number) => `${'{ a '.repeat(depth)}${'}'.repeat(depth)}`;
const many = (count: number, each: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => each(i)).join(' ');
const laughs = many(
  11,
  (i) => `fragment F${i} on Query { a: node(id: "x") { id } ...F${i + 1} ...F${i + 1} }`,
);
/** Each fragment spreads the next one ten times: whoever walks every spread walks a hundred million. */
const laughing = (type: string) =>
  `${many(8, (i) => `fragment F${i} on ${type} { ${many(10, () => `...F${i + 1}`)} }`)} fragment F8 on ${type} { __typename }`;
const deepJson = (depth: number): unknown => (depth === 0 ? 1 : [deepJson(depth - 1)]);
const IMPORT = 'mutation($d: JSON!) { importDeployment(input: { document: $d }) { success } }';
const PAGES = 'nodes { events(first: $n) { edges { node { id } } } }';

describe.each([
  ['HTTP', overHttp],
  ['WebSocket', overWebSocket],
])('over %s', (_name, ask) => {
  const attacks: [string, string, Record<string, unknown>?][] = [
    ['depth', nested(40)],
    ['depth in fragments', `{ ...F } fragment F on Query ${nested(20)}`],
    ['fragments in a circle', '{ ...F } fragment F on Query { a { ...F } }'],
    ['aliases', `{ ${many(51, (i) => `a${i}: viewer { actor }`)} }`],
    ['fields', `{ viewer { ${many(1001, () => 'actor')} } }`],
    ['a field repeated', `{ ${many(150, () => 'viewer { actor }')} }`],
    ['a field repeated below others', `{ ${many(15, () => `viewer { ${many(10, () => 'actor')} }`)} }`],
    [
      'a field repeated in fragments',
      `{ ${many(101, (i) => `...F${i}`)} } ${many(101, (i) => `fragment F${i} on Query { viewer { actor } }`)}`,
    ],
    ['tokens', `{ nodes(ids: [${many(20_000, () => '"x"')}]) { id } }`],
    ['a literal nested beyond the parser', `{ a(b: ${'['.repeat(7000)}${']'.repeat(7000)}) }`],
    [
      'pages in pages',
      '{ deployments(first: 200) { nodes { events(first: 200) { edges { node { id } } } } } }',
    ],
    ['pages in pages by variable', `query($n: Int) { deployments(first: $n) { ${PAGES} } }`, { n: 200 }],
    [
      'pages in pages by the default of a variable',
      `query($n: Int = 200) { deployments(first: $n) { ${PAGES} } }`,
    ],
    ['the schema twice', '{ a: __schema { description } b: __schema { description } }'],
    ['JSON in pages', '{ deployments(first: 200) { nodes { decisionHistory { record } } } }'],
    ['simulations', `{ ${many(6, (i) => `a${i}: simulatePolicy { complete }`)} }`],
    ['deep variables', IMPORT, { d: deepJson(30) }],
    ['many variables', IMPORT, { d: Array.from({ length: 200_001 }, () => 0) }],
  ];
  test.each(attacks)('%s: TOO_COMPLEX', async (_what, query, variables) => {
    const errors = await ask(serin, query, variables);
    expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['TOO_COMPLEX']);
  });

  test('what is too expensive says what it costs, and which fields cost most', async () => {
    const errors = await ask(
      serin,
      `{ small: deployments(first: 1) { nodes { id } } big: deployments(first: 150) { ${PAGES.replace('$n', '100')} } }`,
    );
    expect(errors?.[0]?.message).toMatch(
      /^Limit exceeded: the document costs \d+ and may cost 10000 \(SERIN_MAX_COST\). Its most expensive fields: big \d+, small \d+/,
    );
  });

  test('fragments that laugh a billion times are answered at once', async () => {
    const errors = await ask(serin, `{ ...F0 } ${laughs} fragment F11 on Query { viewer { actor } }`);
    expect(errors ?? []).toEqual([]);
  });

  // Walked at every spread they take minutes, in which no timer runs.
  test('fragments that laugh within a page are answered at once', { timeout: 20_000 }, async () => {
    const errors = await ask(
      serin,
      `{ deployments(first: 1) { ...F0 } } ${laughing('CanaryDeploymentConnection')}`,
    );
    expect(errors ?? []).toEqual([]);
  });

  test('what a dashboard asks for is well within the bounds', async () => {
    const errors = await ask(
      serin,
      `{ deployments(first: 50) { totalCount pageInfo { endCursor } edges { cursor node {
          id status step { number of } allocation { sides { side heldUsd } } config { guardrails { maxDrawdown } }
          comparison { decision decisionReasons gates { name outcome reason } evidence { interval { low high } }
            canaryMetrics { metrics { netPnlUsd } } stableMetrics { metrics { netPnlUsd } } } } } } }`,
    );
    expect(errors).toBeUndefined();
  });
});

test('the schema can be asked for, unless it is production', async () => {
  const production = await startTestSerin({ timeScale: 1, ...readProduction({}) });
  const asked = await startTestSerin({ timeScale: 1, ...readProduction({ SERIN_INTROSPECTION: 'on' }) });
  try {
    const query = '{ __schema { queryType { name } } }';
    for (const ask of [overHttp, overWebSocket]) {
      expect(await ask(serin, query)).toBeUndefined();
      expect(await ask(asked, query)).toBeUndefined();
      expect((await ask(production, query))?.[0]?.message).toContain('introspection');
      const slips: [string, Record<string, unknown>?][] = [
        ['{ deploymen(id: "x") { id } }'],
        [
          'query($s: [CanaryStatus!]) { deployments(filter: { status: $s }) { nodes { id } } }',
          { s: ['RUNNIN'] },
        ],
        [
          'mutation($i: PauseDeploymentInput!) { pauseDeployment(input: $i) { success } }',
          { i: { deploymentIdd: 'x' } },
        ],
        // Messages have at most 2,000 characters: this one is cut within its suggestion.
        [
          'mutation($i: PauseDeploymentInput!) { pauseDeployment(input: $i) { success } }',
          { i: { deploymentId: 'x', expectedRevision: 1, reason: 'x'.repeat(1800), deploymentIdd: 'x' } },
        ],
      ];
      for (const [slip, variables] of slips) {
        expect((await ask(serin, slip, variables))?.at(-1)?.message).toContain('Did you mean');
        const errors = (await ask(production, slip, variables)) ?? [];
        expect(errors.length).toBeGreaterThan(0);
        for (const { message } of errors) expect(message).not.toContain('Did you mean');
      }
    }
    const page = await fetch(`${production.url}/graphql`, { headers: { accept: 'text/html' } });
    expect(await page.text()).not.toContain('<html');
  } finally {
    await production.stop();
    await asked.stop();
  }
});

test('the rate of an address: 429 and when to come again, on a WebSocket the same code', async () => {
  const slow = await startTestSerin(settings({ SERIN_RATE_LIMIT: '1' }));
  try {
    const open = await openInitialised(slow);
    const codes: unknown[] = [];
    for (let turn = 0; turn < 11; turn += 1) {
      codes.push((await overHttp(slow, VIEWER))?.[0]?.extensions.code ?? 'fine');
    }
    expect(codes).toEqual([...Array(9).fill('fine'), 'RATE_LIMITED', 'RATE_LIMITED']);
    const response = await post(slow, JSON.stringify({ query: VIEWER }));
    expect(response.status).toBe(429);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    open.send({ type: 'subscribe', id: '1', payload: { query: VIEWER } });
    expect((await open.next()).payload[0].extensions).toMatchObject({
      code: 'RATE_LIMITED',
      retryAfterSeconds: expect.any(Number),
    });
    open.close();
    // Whoever opens socket after socket is bounded as well, and so is who asks without a WebSocket client.
    const another = await openRawSocket(slow);
    another.send({ type: 'connection_init' });
    expect(await another.closeCode()).toBe(1013);
    for (const path of ['/metrics', '/ready']) expect((await fetch(slow.url + path)).status).toBe(429);
  } finally {
    await slow.stop();
  }
});

test('the rate limit of a key counts every transport; other keys are not affected', async () => {
  const narrow = await startTestSerin({ access: WITH_KEYS, ...settings({ SERIN_KEY_RATE_LIMIT: '1' }) });
  try {
    const root = await administrator(narrow);
    const busy = await makeKey(root, 'VIEWER');
    const calm = narrow.as(await makeKey(root, 'VIEWER'));
    const codes: unknown[] = [];
    for (let turn = 0; turn < 11; turn += 1) {
      const { errors } = await narrow.as(busy).post(VIEWER);
      codes.push(errors?.[0]?.extensions.code ?? 'fine');
    }
    expect(codes).toEqual([...Array(10).fill('fine'), 'RATE_LIMITED']);
    const response = await post(narrow, JSON.stringify({ query: VIEWER }), {
      authorization: `Bearer ${busy}`,
    });
    expect(response.status).toBe(429);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    const socket = await openInitialised(narrow, { authorization: `Bearer ${busy}` });
    socket.send({ type: 'subscribe', id: '1', payload: { query: VIEWER } });
    expect(JSON.stringify(await socket.next())).toContain('RATE_LIMITED');
    expect(JSON.stringify(await socket.next())).toContain('complete');
    // A shared feed, which runs for several callers.
    socket.send({ type: 'subscribe', id: '2', payload: { query: 'subscription { stateChanged { at } }' } });
    expect(JSON.stringify(await socket.next())).toContain('RATE_LIMITED');
    socket.close();
    expect(await calm.ask(VIEWER)).toMatchObject({ viewer: {} });
  } finally {
    await narrow.stop();
  }
});

test('the quota of subscriptions of a key counts shared ones and others, on every transport, until they end', async () => {
  const narrow = await startTestSerin({
    access: WITH_KEYS,
    ...settings({ SERIN_MAX_SUBSCRIPTIONS_PER_KEY: '2' }),
  });
  try {
    const root = await administrator(narrow);
    const authorization = `Bearer ${await makeKey(root, 'VIEWER')}`;
    const other = await openInitialised(narrow, { authorization: `Bearer ${await makeKey(root, 'VIEWER')}` });
    const socket = await openInitialised(narrow, { authorization });
    const shared = 'subscription { stateChanged { at } }';
    const alone = 'subscription { stateChanged(after: "0") { at } }';
    const subscribe = (at: typeof socket, id: string, query: string) =>
      at.send({ type: 'subscribe', id, payload: { query } });
    const answer = async (at: typeof socket, id: string, query: string): Promise<Data> => {
      subscribe(at, id, query);
      for (;;) {
        const message: Data = await at.next();
        if (message.id === id && message.type === 'next') return message.payload;
      }
    };
    const full = { errors: [{ extensions: { code: 'RATE_LIMITED' } }] };
    for (const [id, query] of Object.entries({ a: alone, b: shared })) {
      subscribe(socket, id, query);
      expect(await answer(socket, `after ${id}`, VIEWER)).toMatchObject({ data: {} });
    }
    for (const query of [shared, alone]) expect(await answer(socket, 'c', query)).toMatchObject(full);
    const sse = () =>
      fetch(`${narrow.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization },
        body: JSON.stringify({ query: alone }),
      });
    expect(await (await sse()).text()).toContain('RATE_LIMITED');
    subscribe(other, 'a', shared);
    expect(await answer(other, 'b', VIEWER)).toMatchObject({ data: {} });

    socket.send({ type: 'complete', id: 'b' });
    await until(async () => {
      const open = await sse();
      const first = await open.body?.getReader().read();
      return !new TextDecoder().decode(first?.value).includes('RATE_LIMITED');
    });
    expect(await answer(socket, 'd', shared)).toMatchObject(full);
    socket.close();
    other.close();
  } finally {
    await narrow.stop();
  }
});

test('what the subscriptions of a key were asked with is bounded in memory, on every transport, until they end', async () => {
  const narrow = await startTestSerin({
    access: WITH_KEYS,
    ...settings({ SERIN_MAX_SUBSCRIPTIONS_PER_KEY: '1000' }),
  });
  try {
    const root = await administrator(narrow);
    const authorization = `Bearer ${await makeKey(root, 'VIEWER')}`;
    const socket = await openInitialised(narrow, { authorization });
    const shared = { query: 'subscription { stateChanged { at } }' };
    const alone = { query: 'subscription { stateChanged(after: "0") { at } }' };
    const list = { query: 'subscription { deploymentsUpdated { complete } }' };
    const filling = 'x'.repeat(3_400_000);
    const long = { variables: { unused: filling } };
    const answer = async (id: string, payload: object): Promise<Data> => {
      socket.send({ type: 'subscribe', id, payload });
      for (;;) {
        const message: Data = await socket.next();
        if (message.id === id && message.type === 'next') return message.payload;
      }
    };
    const full = {
      errors: [{ extensions: { code: 'RATE_LIMITED' }, message: expect.stringContaining('20 MB') }],
    };
    socket.send({ type: 'subscribe', id: 'a', payload: { ...alone, ...long } });
    socket.send({ type: 'subscribe', id: 'b', payload: { ...shared, ...long } });
    expect(await answer('c', { query: VIEWER })).toMatchObject({ data: {} });
    for (const query of [alone, shared, list])
      expect(await answer('d', { ...query, ...long })).toMatchObject(full);
    // Whatever it is that makes the message long.
    expect(await answer('e', { ...alone, extensions: { filling } })).toMatchObject(full);
    const sse = (body: object) =>
      fetch(`${narrow.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization },
        body: JSON.stringify(body),
      });
    expect(await (await sse({ ...alone, extensions: { filling } })).text()).toContain('RATE_LIMITED');
    // Those that are asked with little go on.
    expect(await answer('f', list)).toMatchObject({ data: {} });
    socket.send({ type: 'complete', id: 'b' });
    expect(await answer('g', { ...list, ...long })).toMatchObject({ data: {} });
    socket.close();
  } finally {
    await narrow.stop();
  }
});

function readProduction(variables: Record<string, string>) {
  const { production, http } = readEnvironment({ NODE_ENV: 'production', ...variables });
  return { production, http };
}

function post(
  at: TestSerin,
  body: string | ReadableStream,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${at.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
    ...(typeof body !== 'string' && { duplex: 'half' }),
  });
}

const MUTATION = JSON.stringify({
  query:
    'mutation { createDeployment(input: { id: "dep_csrf", strategyId: "csrf", stableVersionId: "a", canaryVersionId: "b" }) { success } }',
});

describe('requests that a web page sends in a visitor’s name', () => {
  test.each([
    ['text/plain'],
    ['text/plain; application/json'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data; boundary=json'],
    ['application/graphql'],
  ])('%s is not read: 415', async (type) => {
    expect((await post(serin, MUTATION, { 'content-type': type })).status).toBe(415);
  });

  test('from a page of another origin: 403, also for a WebSocket, and no CORS header', async () => {
    const origin = 'https://evil.example';
    const response = await post(serin, MUTATION, { origin });
    expect(response.status).toBe(403);
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
    await expect(openRawSocket(serin, undefined, { origin })).rejects.toThrow('403');
    const preflight = await fetch(`${serin.url}/graphql`, { method: 'OPTIONS', headers: { origin } });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('from a page whose origin is named: answered, after its preflight', async () => {
    const origin = DESK;
    const preflight = await fetch(`${strict.url}/graphql`, { method: 'OPTIONS', headers: { origin } });
    expect(preflight.headers.get('access-control-allow-origin')).toBe(origin);
    const response = await post(strict, JSON.stringify({ query: VIEWER }), { origin });
    expect(response.headers.get('access-control-allow-origin')).toBe(origin);
    expect(await response.json()).toMatchObject({ data: { viewer: {} } });
    (await openRawSocket(strict, undefined, { origin })).close();
  });

  test('for a host name that is not this machine’s (DNS rebinding): 403', async () => {
    expect(await speak(`GET /graphql?query={__typename} HTTP/1.1\r\nHost: evil.example\r\n\r\n`)).toContain(
      '403',
    );
    expect(await speak(`GET /health HTTP/1.1\r\nHost: LOCALHOST:80\r\nConnection: close\r\n\r\n`)).toContain(
      '200',
    );
  });

  test('also in production on an open server; behind a proxy it has other host names', async () => {
    const asked = 'GET /health HTTP/1.1\r\nHost: desk.example\r\nConnection: close\r\n\r\n';
    const production = await startTestSerin({ timeScale: 1, ...readProduction({}) });
    const behind = await startTestSerin({ timeScale: 1, ...readProduction({ SERIN_TRUSTED_PROXIES: '1' }) });
    try {
      expect(await speak(asked, production)).toContain('403');
      expect(await speak(asked, behind)).toContain('200');
    } finally {
      await production.stop();
      await behind.stop();
    }
  });

  test('none of them has written anything', async () => {
    expect(await serin.ask('{ deployment(id: "dep_csrf") { id } }')).toEqual({ deployment: null });
  });
});

/** What the server says to raw bytes until it closes, or falls silent. */
function speak(bytes: string, at = serin): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(at.url).port), '127.0.0.1', () => socket.write(bytes));
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
      if (said.includes('\r\n\r\n')) socket.end();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(said));
  });
}

describe('sizes', () => {
  test('a body that says it is too long, and one that does not say: 413', async () => {
    const body = JSON.stringify({ query: VIEWER, extensions: { filling: 'x'.repeat(20_000) } });
    expect((await post(strict, body)).status).toBe(413);
    const stream = new Blob([body]).stream();
    expect((await post(strict, stream)).status).toBe(413);
    const socket = await openInitialised(strict);
    socket.sendText(JSON.stringify({ type: 'ping', payload: { filling: 'x'.repeat(20_000) } }));
    expect(await socket.closeCode()).toBe(1009);
  });

  test('a list of operations is refused', async () => {
    const response = await post(serin, JSON.stringify([{ query: VIEWER }, { query: VIEWER }]));
    expect(response.status).toBe(400);
    expect(JSON.stringify(await response.json())).toContain('one operation');
  });

  test('headers beyond 16 KiB: 431', async () => {
    expect(
      await speak(`GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
    ).toContain('431');
  });

  test('operations at a time on one WebSocket', async () => {
    const socket = await openInitialised(strict);
    const subscribe = (id: string) =>
      socket.send({ type: 'subscribe', id, payload: { query: 'subscription { stateChanged { at } }' } });
    for (const id of ['a', 'b', 'c']) subscribe(id);
    const refused = await socket.next();
    expect(refused).toMatchObject({
      type: 'error',
      id: 'c',
      payload: [{ extensions: { code: 'RATE_LIMITED' } }],
    });
    socket.send({ type: 'complete', id: 'a' });
    socket.send({ type: 'subscribe', id: 'd', payload: { query: VIEWER } });
    expect(await socket.next()).toMatchObject({ type: 'next', id: 'd' });
    socket.close();
  });
});

test('large messages in flight, over every transport, until they are answered', async () => {
  const narrow = await startTestSerin(settings({ SERIN_MAX_BODY_BYTES: '100000' }));
  try {
    const payload = { query: '{ deployment(id: "x") { id } }', variables: { unused: 'x'.repeat(99_000) } };
    const sockets = [await openInitialised(narrow), await openInitialised(narrow)];
    await narrow.database.sql.begin(async (tx) => {
      await tx`lock table deployments in access exclusive mode`;
      for (const socket of sockets) {
        for (const id of ['a', 'b', 'c', 'd']) socket.send({ type: 'subscribe', id, payload });
        socket.send({ type: 'subscribe', id: 'small', payload: { query: VIEWER } });
        // All before it are in flight.
        expect(await socket.next()).toMatchObject({ id: 'small', payload: { data: {} } });
        expect(await socket.next()).toMatchObject({ id: 'small', type: 'complete' });
      }
      const refused = { code: 'RATE_LIMITED', retryAfterSeconds: 1 };
      const large = await post(narrow, JSON.stringify(payload));
      expect(large.status).toBe(429);
      expect(await large.json()).toMatchObject({ errors: [{ extensions: refused }] });
      sockets[0]?.send({ type: 'subscribe', id: 'e', payload });
      expect(await sockets[0]?.next()).toMatchObject({
        id: 'e',
        payload: { errors: [{ extensions: refused }] },
      });
      expect(await overHttp(narrow, VIEWER)).toBeUndefined();
    });
    for (const socket of sockets)
      await until(() => socket.received.filter(({ type }) => type === 'complete').length >= 5);
    expect(await overHttp(narrow, payload.query, payload.variables)).toBeUndefined();
    for (const socket of sockets) socket.close();
  } finally {
    await narrow.stop();
  }
});

describe('connections', () => {
  test('from one address', async () => {
    const narrow = await startTestSerin(settings({ SERIN_MAX_CONNECTIONS_PER_ADDRESS: '2' }));
    try {
      const first = await openInitialised(narrow);
      const second = await openInitialised(narrow);
      await expect(openRawSocket(narrow)).rejects.toThrow();
      first.close();
      await until(async () => {
        const again = await openInitialised(narrow).catch(() => null);
        again?.close();
        return again !== null;
      });
      second.close();
    } finally {
      await narrow.stop();
    }
  });

  test('that never finish their headers, or never say connection_init, are closed', async () => {
    const impatient = await startTestSerin(
      settings({ SERIN_ARRIVAL_TIMEOUT_MS: '400', SERIN_INIT_TIMEOUT_MS: '100' }),
    );
    try {
      expect(await speak('POST /graphql HTTP/1.1\r\nHost: localhost\r\n', impatient)).toContain('408');
      const socket = await openRawSocket(impatient);
      expect(await socket.closeCode()).toBe(4408);
    } finally {
      await impatient.stop();
    }
  });
});

describe('every answer', () => {
  const query = JSON.stringify({ query: VIEWER });
  test.each([
    ['of an endpoint for operators', '/health', { method: 'GET' }],
    ['to an operation', '/graphql', { body: query }],
    ['to an operation that cannot be read', '/graphql', { body: '{' }],
    ['to an operation in the address', `/graphql?query=${VIEWER}`, { method: 'GET' }],
    ['that refuses a request', '/graphql', { body: query, origin: 'https://evil.example' }],
    ['to a request of a browser what it may send', '/graphql', { method: 'OPTIONS' }],
    ['of a page', '/', { method: 'GET' }],
    ['to what is not there', '/nothing', { method: 'GET' }],
  ])('%s has safe headers and the id that was sent', async (_what, path, sent) => {
    const { method, body, origin } = { method: 'POST', body: null, origin: null, ...sent };
    const { headers } = await fetch(`${serin.url}${path}`, {
      method,
      body,
      headers: {
        'x-request-id': 'bot-7',
        'content-type': 'application/json',
        ...(origin === null ? {} : { origin }),
      },
    });
    expect(Object.fromEntries(headers)).toMatchObject({
      'x-request-id': 'bot-7',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
    });
  });

  test('has a new id where that of the request could not be logged', async () => {
    const evil = await fetch(`${serin.url}/graphql?query=${VIEWER}`, {
      headers: { 'x-request-id': 'a b "c"' },
    });
    expect(evil.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(evil.headers.get('x-frame-options')).toBe('DENY');
  });

  test('the page of GraphiQL may run scripts of this server alone, and no other page may frame it', async () => {
    const page = await fetch(`${serin.url}/graphql`, { headers: { accept: 'text/html' } });
    expect(await page.text()).toContain('<html');
    const policy = page.headers.get('content-security-policy');
    expect(policy).toMatch(/default-src 'none'; script-src 'self'; .*frame-ancestors 'none'/);
    expect(policy).not.toMatch(/unsafe-eval|(default|script|elem)[^;]*unsafe-inline/);
  });
});
