/** An issuer that publishes an unusable key, or cannot be reached, does not fill the log: finding 17. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { freshDatabase } from '../harness/database.ts';
import { PROGRAM } from '../harness/program.ts';
import { until } from '../harness/serin.ts';
import { callerOf } from './matrix/transports.ts';

const ISSUER = 'https://issuer.example';
const DOCUMENT = { query: '{ viewer { actor } }', variables: {} };

test('what is wrong with the issuer is in the log once a minute, however many tokens are sent', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  // A point that is on no curve.
  const key = { ...(await exportJWK(publicKey)), kid: 'first', alg: 'ES256', x: 'AAAA' };
  const issuer = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [key] }));
  });
  issuer.listen(0, '127.0.0.1');
  await once(issuer, 'listening');
  const address = issuer.address();
  const database = await freshDatabase();
  const began = Date.now();
  const serin = spawn(process.execPath, [PROGRAM], {
    env: {
      ...process.env,
      DATABASE_URL: database.url,
      PORT: '0',
      SERIN_AUTH: 'jwt',
      SERIN_JWT_ISSUER: ISSUER,
      SERIN_JWT_AUDIENCE: 'serin',
      SERIN_JWT_JWKS: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/jwks.json`,
      LOG_LEVEL: 'debug',
    },
  });
  let said = '';
  let log = '';
  serin.stdout.on('data', (text) => {
    said += text;
  });
  serin.stderr.on('data', (text) => {
    log += text;
  });
  try {
    await until(() => said.includes('listening'));
    const url = /http:\S+(?= \()/.exec(said)?.[0] ?? '';
    const token = await new SignJWT({ iss: ISSUER, aud: 'serin', sub: 'ada', serin_role: 'VIEWER' })
      .setProtectedHeader({ alg: 'ES256', kid: 'first' })
      .setExpirationTime('5m')
      .sign(privateKey);
    const caller = callerOf({ url }, 'ada', `Bearer ${token}`);
    for (const transport of ['POST', 'GET', 'SSE', 'WebSocket'] as const)
      for (let time = 0; time < 5; time += 1)
        expect(await caller.send(transport, DOCUMENT)).toContain("Cannot fetch the token issuer's keys");
    caller.close();
    await until(() => log.includes('keys of the token issuer'));
    const lines = log.split('\n').filter((line) => line.includes('keys of the token issuer'));
    expect(lines.length).toBeLessThanOrEqual(1 + (Date.now() - began) / 60_000);
  } finally {
    serin.kill('SIGTERM');
    await once(serin, 'exit');
    await database.drop();
    issuer.close();
  }
}, 180_000);
