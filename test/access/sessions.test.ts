/** What is kept of a stream for the end of its caller's rights: as long as it is open, and no longer. */
import { drizzle } from 'drizzle-orm/postgres-js';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Actor, createActor } from '../../src/access/actor.ts';
import { createSessions } from '../../src/access/sessions.ts';
import { untilEnd } from '../../src/server/pipeline/authentication.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
});
afterAll(() => serin.stop());

/** The actor of a key that is valid. */
async function keyHolder(): Promise<Actor> {
  await makeKey(await administrator(serin), 'VIEWER', { name: 'desk' });
  const [key] = await serin.database.sql<{ id: string }[]>`select id from api_keys where name = 'desk'`;
  const id = key?.id ?? '';
  return createActor(
    'desk',
    { role: 'VIEWER', strategies: null, reducesRisk: false, sides: null },
    { credential: { type: 'KEY', id, createdAt: 0 }, subject: `key|${id}`, person: null },
  );
}

test('a stream that fails is forgotten, like one that ends', async () => {
  let looks = 0;
  const logger = {
    logQuery() {
      looks += 1;
    },
  };
  const sessions = createSessions(drizzle(serin.database.sql, { logger }), pino({ enabled: false }));
  sessions.stop();
  const look = async () => {
    sessions.checkNow();
    await serin.database.sql`select 1`;
  };
  let fail: (error: Error) => void = () => {};
  const failing = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const stream = untilEnd(sessions, await keyHolder(), {
    [Symbol.asyncIterator]: () => ({ next: () => failing }),
  });
  const next = stream.next();
  // While a stream is open, its key is looked up.
  await until(() => look().then(() => looks > 2));
  fail(new Error('CURSOR_TOO_OLD'));
  await expect(next).rejects.toThrow('CURSOR_TOO_OLD');
  const before = looks;
  for (let round = 0; round < 20; round += 1) await look();
  // One may have been on its way.
  expect(looks).toBeLessThanOrEqual(before + 1);
});
