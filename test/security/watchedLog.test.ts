/** The harness itself: a log with a secret in it fails the tests of its server. */
import { expect, test } from 'vitest';
import { keyMadeHere } from '../harness/keys.ts';
import { startTestSerin } from '../harness/serin.ts';
import { createWatchedLog, requireNoLeak } from '../harness/watchedLog.ts';

test('a key, a signing secret or a token in the log is found, in whatever field it is', async () => {
  const serin = await startTestSerin({ webhookNetworks: ['127.0.0.0/8'] });
  const { createWebhook } = await serin.ask(
    `mutation { createWebhook(input: { url: "http://127.0.0.1:9/hook" }) { secret } }`,
  );
  expect(createWebhook.secret).toMatch(/^whsec_/);
  const token = ['{"alg":"RS256","typ":"JWT"}', '{"sub":"ada","aud":"serin"}', 'the signature of it']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
  for (const secret of [
    await keyMadeHere(serin, { name: 'root', role: 'ADMIN' }),
    createWebhook.secret,
    token,
  ]) {
    const watched = createWatchedLog(serin.database.url);
    watched.log.debug('nothing to hide');
    expect(() => requireNoLeak(watched)).not.toThrow();
    watched.log.debug({ query: { parameters: [secret] } }, 'a statement failed');
    expect(() => requireNoLeak(watched)).toThrow('a secret is in the log');
  }
  await serin.stop();
});
