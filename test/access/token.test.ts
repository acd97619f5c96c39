/** Tokens of an issuer: its keys are made here and published on loopback, as an identity provider does. */
import { createServer, type Server } from 'node:http';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createTokenReader, IssuerAway } from '../../src/access/token.ts';
import { readEnvironment } from '../../src/environment/environment.ts';
import { command, running } from '../harness/deployment.ts';
import { administrator, makeKey } from '../harness/keys.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';

const ISSUER = 'https://issuer.example';

interface Published {
  readonly kid: string;
  readonly key: CryptoKey;
}

let issuer: Server;
let keysUrl = '';
let asked = 0;
const published: Record<string, unknown>[] = [];
let serin: TestSerin;
let known: Published;
let stranger: Published;

async function newKey(
  kid: string,
  alg = 'ES256',
): Promise<Published & { readonly jwk: Record<string, unknown> }> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

beforeAll(async () => {
  const first = await newKey('first');
  published.push(first.jwk);
  known = first;
  stranger = await newKey('first');
  issuer = createServer((_request, response) => {
    asked += 1;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: published }));
  });
  await new Promise<void>((listening) => issuer.listen(0, '127.0.0.1', listening));
  const address = issuer.address();
  keysUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/jwks.json`;
  const { access } = readEnvironment({
    SERIN_AUTH: 'keys,jwt',
    SERIN_JWT_ISSUER: ISSUER,
    SERIN_JWT_AUDIENCE: 'serin',
    SERIN_JWT_JWKS: keysUrl,
  });
  serin = await startTestSerin({ access });
});
afterAll(async () => {
  await serin.stop();
  issuer.close();
});

const CLAIMS = {
  iss: ISSUER,
  aud: 'serin',
  sub: 'ada@example.org',
  serin_role: 'OPERATOR',
  serin_strategies: ['eth-*'],
};

function sign(
  claims: Record<string, unknown> = {},
  { by = known, alg = 'ES256', expires = '5 minutes' as string | number | null } = {},
) {
  const token = new SignJWT({ ...CLAIMS, ...claims }).setProtectedHeader({ alg, kid: by.kid });
  if (expires !== null) token.setExpirationTime(expires);
  return token.sign(by.key);
}

const VIEWER = '{ viewer { actor role strategies } }';

test('a token gives the name, the role and the strategies; the keys of the issuer are fetched once', async () => {
  for (let count = 0; count < 5; count += 1) {
    expect((await serin.as(await sign()).ask(VIEWER)).viewer).toEqual({
      actor: 'ada@example.org',
      role: 'OPERATOR',
      strategies: ['eth-*'],
    });
  }
  expect(asked).toBe(1);
});

test('half a minute between the clocks of issuer and server is tolerated', async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const token of [await sign({}, { expires: now - 10 }), await sign({ nbf: now + 15 })]) {
    expect((await serin.as(token).ask(VIEWER)).viewer.actor).toBe('ada@example.org');
  }
  await expect(serin.as(await sign({}, { expires: now - 60 })).ask(VIEWER)).rejects.toThrow('has expired');
  await expect(serin.as(await sign({ nbf: now + 120 })).ask(VIEWER)).rejects.toThrow('nbf');
});

test.each([
  ['viewer', ['eth-*', 'btc-*'], 'VIEWER', ['eth-*', 'btc-*']],
  ['Admin', '*', 'ADMIN', null],
  ['BOT', 'eth-a eth-b', 'BOT', ['eth-a', 'eth-b']],
])('role %j and strategies %j are %s and %j', async (serin_role, serin_strategies, role, strategies) => {
  const { viewer } = await serin.as(await sign({ serin_role, serin_strategies })).ask(VIEWER);
  expect(viewer).toMatchObject({ role, strategies });
});

test('what happens is recorded under the subject, within the strategies', async () => {
  const ada = serin.as(await sign());
  const id = await running(ada, { strategyId: 'eth-token' });
  const { deployment } = await ada.ask('query($id: ID!) { deployment(id: $id) { createdBy } }', { id });
  expect(deployment.createdBy).toBe('ada@example.org');
  const root = await administrator(serin);
  const hidden = await running(root, { strategyId: 'btc-token' });
  expect((await command(ada, 'pauseDeployment', hidden)).error.code).toBe('NOT_FOUND');
  const viewer = serin.as(await sign({ serin_role: 'VIEWER' }));
  await expect(command(viewer, 'pauseDeployment', id)).rejects.toThrow('requires the role OPERATOR');
});

describe('a token is refused', () => {
  const cases: [string, () => Promise<string> | string, string][] = [
    ['of another issuer', () => sign({ iss: 'https://other.example' }), 'claim iss'],
    ['for another audience', () => sign({ aud: 'another' }), 'claim aud'],
    ['that has expired', () => sign({}, { expires: 1 }), 'has expired'],
    ['that never expires', () => sign({}, { expires: null }), 'claim exp'],
    ['that is not good yet', () => sign({ nbf: Math.floor(Date.now() / 1000) + 600 }), 'claim nbf'],
    ['without a subject', () => sign({ sub: undefined }), 'claim sub'],
    ['that says to be Serin', () => sign({ sub: 'serin' }), 'cannot be used as a name'],
    ['without a role', () => sign({ serin_role: undefined }), 'claim serin_role'],
    ['with an unknown role', () => sign({ serin_role: 'OWNER' }), 'claim serin_role'],
    ['with a role in letters that only look right', () => sign({ serin_role: 'admın' }), 'claim serin_role'],
    [
      'with a pattern of many stars',
      () => sign({ serin_strategies: ['a*'.repeat(9)] }),
      'claim serin_strategies',
    ],
    ['with the name of Serin', () => sign({ sub: 'SERIN' }), 'cannot be used as a name'],
    ['without strategies', () => sign({ serin_strategies: undefined }), 'claim serin_strategies'],
    [
      'signed by another key of the same name',
      () => sign({}, { by: stranger }),
      'not signed with a key of the issuer',
    ],
    ['with no signature', () => new UnsecuredJWT({ ...CLAIMS }).setExpirationTime('5m').encode(), 'cannot'],
    [
      'signed with a shared secret',
      () =>
        new SignJWT({ ...CLAIMS })
          .setProtectedHeader({ alg: 'HS256', kid: 'first' })
          .setExpirationTime('5m')
          .sign(new TextEncoder().encode(JSON.stringify(published[0]))),
      'algorithm that is not allowed',
    ],
    ['that is none', () => 'not.a.token', 'neither an API key'],
  ];
  test.each(cases)('%s', async (_what, make, sentence) => {
    const { data, errors } = await serin.as(await make()).post(VIEWER);
    expect(data).toBeUndefined();
    expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    if (sentence !== 'cannot') expect(errors?.[0]?.message).toContain(sentence);
  });
});

test('a token that does not say which of several keys signed it is refused; one of a new key is taken', async () => {
  const second = await newKey('second');
  published.push(second.jwk);
  // The key ring of this one begins empty: it knows both keys from its first look.
  const { access } = readEnvironment({
    SERIN_AUTH: 'jwt',
    SERIN_JWT_ISSUER: ISSUER,
    SERIN_JWT_AUDIENCE: 'serin',
    SERIN_JWT_JWKS: keysUrl,
  });
  const other = await startTestSerin({ access });
  try {
    expect((await other.as(await sign({}, { by: second })).ask(VIEWER)).viewer.role).toBe('OPERATOR');
    const nameless = await new SignJWT(CLAIMS)
      .setProtectedHeader({ alg: 'ES256' })
      .setExpirationTime('5m')
      .sign(second.key);
    const { errors } = await other.as(nameless).post(VIEWER);
    expect(errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect(errors?.[0]?.message).toContain('needs a kid');
  } finally {
    published.pop();
    await other.stop();
  }
});

test('API keys are accepted alongside tokens', async () => {
  const admin = serin.as(await sign({ serin_role: 'ADMIN', serin_strategies: ['*'] }));
  const key = await makeKey(admin, 'VIEWER', { name: 'beside' });
  expect((await serin.as(key).ask(VIEWER)).viewer.actor).toBe('beside');
});

test('a token that expires ends what it holds open', async () => {
  const authorization = `Bearer ${await sign({}, { expires: Math.floor(Date.now() / 1000) + 3 })}`;
  const socket = new WebSocket(`${serin.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  socket.on('open', () =>
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } })),
  );
  const closed = new Promise<string>((resolve) => {
    socket.on('close', (code, reason) => resolve(`${code} ${reason}`));
  });
  const stream = await fetch(`${serin.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization },
    body: JSON.stringify({ query: 'subscription { stateChanged { status } }' }),
  });
  // It ends by itself.
  expect(await stream.text()).toMatch(/has expired.*UNAUTHENTICATED.*event: complete/s);
  expect(await closed).toMatch(/^4403 UNAUTHENTICATED: The token of .* has expired/);
});

test('an issuer that is away is no fault of the caller', async () => {
  const { access } = readEnvironment({
    SERIN_AUTH: 'jwt',
    SERIN_JWT_ISSUER: ISSUER,
    SERIN_JWT_AUDIENCE: 'serin',
    SERIN_JWT_JWKS: 'http://127.0.0.1:1/jwks.json',
  });
  const lonely = await startTestSerin({ access });
  const { errors } = await lonely.as(await sign()).post(VIEWER);
  expect(errors?.[0]?.extensions.code).toBe('UNAVAILABLE');
  await lonely.stop();
});

describe('keys that are known outlast the issuer', () => {
  afterEach(() => void vi.useRealTimers());

  test('for an hour; a key that is not known waits for it', async () => {
    const ours = await newKey('ours');
    let isAway = false;
    const away = createServer((_request, response) => {
      response.statusCode = isAway ? 503 : 200;
      response.end(JSON.stringify({ keys: [ours.jwk] }));
    });
    await new Promise<void>((listening) => away.listen(0, '127.0.0.1', listening));
    const { access } = readEnvironment({
      SERIN_AUTH: 'jwt',
      SERIN_JWT_ISSUER: ISSUER,
      SERIN_JWT_AUDIENCE: 'serin',
      SERIN_JWT_JWKS: `http://127.0.0.1:${Object(away.address()).port}/jwks.json`,
    });
    if (!access.tokens) throw new Error('no tokens');
    const read = createTokenReader(access.tokens, false);
    const expires = Math.floor(Date.now() / 1000) + 7200;
    const token = await sign({}, { by: ours, expires });
    expect((await read(token)).name).toBe('ada@example.org');
    isAway = true;
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.setSystemTime(Date.now() + 50 * 60_000);
    expect((await read(token)).name).toBe('ada@example.org');
    expect((await read(token)).name).toBe('ada@example.org');
    await expect(read(await sign({}, { by: await newKey('new'), expires }))).rejects.toThrow(IssuerAway);
    vi.setSystemTime(Date.now() + 11 * 60_000);
    await expect(read(token)).rejects.toThrow(IssuerAway);
    away.close();
  });
});

test.each([
  [{ SERIN_AUTH: 'jwt' }, 'SERIN_JWT_ISSUER must be set'],
  [{ SERIN_AUTH: 'jwt', SERIN_JWT_ISSUER: ISSUER }, 'SERIN_JWT_AUDIENCE must be set'],
  [
    { SERIN_AUTH: 'jwt', SERIN_JWT_ISSUER: 'http://issuer.example', SERIN_JWT_AUDIENCE: 'x' },
    'SERIN_JWT_JWKS must be the https',
  ],
  [
    { SERIN_AUTH: 'jwt', SERIN_JWT_ISSUER: 'accounts', SERIN_JWT_AUDIENCE: 'x' },
    'SERIN_JWT_JWKS must be the https',
  ],
  [
    { SERIN_AUTH: 'jwt', SERIN_JWT_ISSUER: ISSUER, SERIN_JWT_AUDIENCE: 'x', SERIN_JWT_JWKS: 'keys.json' },
    'SERIN_JWT_JWKS must be the https',
  ],
  [
    { SERIN_AUTH: 'jwt', SERIN_JWT_ISSUER: ISSUER, SERIN_JWT_AUDIENCE: 'x', SERIN_JWT_ALGORITHMS: 'HS256' },
    'SERIN_JWT_ALGORITHMS must be a list of',
  ],
  [{ SERIN_AUTH: 'none' }, 'SERIN_AUTH must be open'],
  [{ SERIN_BOTS_MAY: 'everything' }, 'SERIN_BOTS_MAY must be report'],
])('%j is refused with the name of the variable', (variables, sentence) => {
  expect(() => readEnvironment(variables)).toThrow(sentence);
});
