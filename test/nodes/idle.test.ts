/** What a node asks of PostgreSQL while it has nothing to do. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { countStatements, type StatementCounter } from '../harness/statementCounter.ts';

let serin: TestSerin;
let counter: StatementCounter;
beforeAll(async () => {
  serin = await startTestSerin();
  counter = await countStatements(serin.database.url);
  await serin.restart({ databaseUrl: counter.url });
});
afterAll(async () => {
  await serin.stop();
  counter.stop();
});

/** How often a statement with these words was executed. */
const times = (...words: string[]) =>
  [...counter.executed()]
    .filter(([text]) => words.every((word) => text.includes(word)))
    .reduce((sum, [, count]) => sum + count, 0);

const POLL = ['min(next_check_at)'];
const LOCK = ['pg_try_advisory_xact_lock', 'next_check_at'];
const CLAIM = ['set lease_token = gen_random_uuid()'];

test('its first connection learns the types of arrays for all', async () => {
  await until(() => times(...POLL) > 0);
  expect(times('typarray')).toBe(1);
});

test('while no check is due it only asks when the next one is', async () => {
  await running(serin, { config: { ...CALM, checkIntervalSeconds: 86_400, observationPeriodMinutes: 2880 } });
  const [polls, locks, claims] = [times(...POLL), times(...LOCK), times(...CLAIM)];
  await until(() => times(...POLL) > polls + 10);
  expect([times(...LOCK), times(...CLAIM)]).toEqual([locks, claims]);
  await serin.advance(86_400);
  await until(() => times(...LOCK) > locks);
});
