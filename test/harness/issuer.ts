/** An issuer of tokens for tests: its keys are published on loopback, as an identity provider does. */
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import type { AccessSettings } from '../../src/access/access.ts';
import { readEnvironment } from '../../src/environment/environment.ts';

type Claims = Readonly<Record<string, unknown>>;

const ISSUER = 'https://issuer.example';

/** A token that is valid but for what a test changes. */
const CLAIMS = {
  iss: ISSUER,
  aud: 'serin',
  sub: 'ada@example.org',
  serin_role: 'ADMIN',
  serin_strategies: ['*'],
};

export interface TestIssuer {
  /** Settings of a server that accepts API keys and the tokens of this issuer. */
  readonly access: AccessSettings;
  sign(claims?: Claims, header?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Tokens that no server may accept, by what is wrong with them. */
  oddTokens(): Promise<Readonly<Record<string, string>>>;
  stop(): void;
}

export async function startIssuer(): Promise<TestIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const stranger = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'first', alg: 'ES256', use: 'sig' };
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const { access } = readEnvironment({
    SERIN_AUTH: 'keys,jwt',
    SERIN_JWT_ISSUER: ISSUER,
    SERIN_JWT_AUDIENCE: 'serin',
    SERIN_JWT_JWKS: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/jwks.json`,
  });
  const now = () => Math.floor(Date.now() / 1000);
  const unsigned = (claims: Claims, header: Readonly<Record<string, unknown>> = {}) =>
    new SignJWT({ ...CLAIMS, exp: now() + 3600, ...claims }).setProtectedHeader({
      alg: 'ES256',
      kid: 'first',
      ...header,
    });
  const sign: TestIssuer['sign'] = (claims = {}, header = {}) => unsigned(claims, header).sign(privateKey);

  async function oddTokens() {
    const claims: Readonly<Record<string, Claims>> = {
      'of another issuer': { iss: 'https://other.example' },
      'for another audience': { aud: ['another', 'Serin'] },
      'that has expired': { exp: now() - 60 },
      'that never expires': { exp: undefined },
      'that begins later': { nbf: now() + 600 },
      'without a subject': { sub: undefined },
      'with an empty subject': { sub: ' ' },
      'with the name of Serin': { sub: 'ＳＥＲＩＮ' },
      'with a name of the command line': { sub: 'CLI:root' },
      'with a subject that hides characters': { sub: 'ada\u202e' },
      'without a role': { serin_role: undefined },
      'with a role of other letters': { serin_role: 'admın' },
      'with a role and a space': { serin_role: 'ADMIN ' },
      'with several roles': { serin_role: ['VIEWER', 'ADMIN'] },
      'with a role that is an object': { serin_role: { toString: 'ADMIN' } },
      'without strategies': { serin_strategies: undefined },
      'with null for strategies': { serin_strategies: null },
      'with no strategies': { serin_strategies: [] },
      'with an empty pattern': { serin_strategies: ['seen-*', ''] },
      'with a pattern of many stars': { serin_strategies: ['a*'.repeat(9)] },
      'with a pattern that is an object': { serin_strategies: [{ pattern: '*' }] },
      'with an unknown side': { serin_sides: ['CANARY', 'BOTH'] },
      'with no side': { serin_sides: [] },
      'with null for sides': { serin_sides: null },
    };
    const signed = Object.entries(claims).map(async ([what, wrong]) => [what, await sign(wrong)] as const);
    return {
      ...Object.fromEntries(await Promise.all(signed)),
      'signed by somebody else': await unsigned({}).sign(stranger.privateKey),
      'of a key that is not published': await sign({}, { kid: 'second' }),
      'without a signature': new UnsecuredJWT(CLAIMS).setExpirationTime('1h').encode(),
      'signed with a shared secret': await new SignJWT({ ...CLAIMS, exp: now() + 3600 })
        .setProtectedHeader({ alg: 'HS256', kid: 'first' })
        .sign(new TextEncoder().encode(JSON.stringify(jwk))),
    };
  }
  return { access, sign, oddTokens, stop: () => server.close() };
}
