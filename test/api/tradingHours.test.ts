/** Trading hours over HTTP: a deployment on a market that is closed now, and the answers to hours that cannot be. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { create, report, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const WEEK = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'];
const DAY_MS = 86_400_000;

async function look(id: string) {
  const { deployment } = await serin.ask(
    `query($id: ID!) { deployment(id: $id) { status headline nextCheckAt observationDeadline
      observationRemainingSeconds samples(last: 9) { nodes { check } }
      config { tradingHours { timeZone sessions { days dates open close } closed } } } }`,
    { id },
  );
  return deployment;
}

test('outside of them no check is made and no time counts; the market opens, and checks begin', async () => {
  const [clock] = await serin.database.sql`select date_part('epoch', serin_now()) * 1000 as now`;
  const now = Number(clock?.now);
  // Open on the day after tomorrow of UTC only, so that it is closed now and at the end of this test.
  const opens = new Date(now + 2 * DAY_MS);
  const day = WEEK[opens.getUTCDay()];
  const sessions = [{ days: [day], open: '00:00', close: '24:00' }];
  const tradingHours = { timeZone: 'UTC', sessions };
  const guardrails = { maxStaleSeconds: 6 * 3600 };
  const config = { tradingHours, observationPeriodMinutes: 1200, guardrails };
  const id = await running(serin, { config });
  const opening = new Date(Math.floor(opens.getTime() / DAY_MS) * DAY_MS);
  const closed = await look(id);
  expect(closed.nextCheckAt).toBe(opening.toISOString());
  expect(closed.observationDeadline).toBe(new Date(opening.getTime() + 1200 * 60_000).toISOString());
  expect(closed.observationRemainingSeconds).toBe(72_000);
  expect(closed.headline).toContain(`Outside trading hours until ${opening.toISOString()}`);
  expect(closed.config.tradingHours).toEqual({
    timeZone: 'UTC',
    sessions: [{ days: [day], dates: [], open: '00:00', close: '24:00' }],
    closed: [],
  });

  // Half a day of silence trips nothing, and a step of the clock makes no check due.
  await serin.advance(12 * 3600);
  await report(serin, 'Canary', id, { pnlUsd: '1', trades: 10 });
  await until(async () => (await look(id)).nextCheckAt === opening.toISOString());
  expect((await look(id)).samples.nodes).toEqual([]);
  await serin.advance((opening.getTime() - now) / 1000 - 12 * 3600);
  await until(async () => (await look(id)).samples.nodes.length >= 2);
  expect(await look(id)).toMatchObject({ status: 'RUNNING' });
});

test('hours that cannot be are refused, with the field', async () => {
  const refusal = async (tradingHours: unknown, more: Record<string, unknown> = {}) => {
    const { success, error } = await create(serin, { config: { ...more, tradingHours } });
    expect(success).toBe(false);
    return error;
  };
  const session = { days: ['MONDAY'], open: '09:30', close: '16:00' };
  expect(await refusal({ timeZone: 'Mars/Olympus', sessions: [session] })).toMatchObject({
    code: 'INVALID_INPUT',
    path: ['config', 'tradingHours', 'timeZone'],
  });
  expect(await refusal({ timeZone: 'UTC', sessions: [{ ...session, close: '' }] })).toMatchObject({
    path: ['config', 'tradingHours', 'sessions', '0', 'close'],
  });
  const long = { checkIntervalSeconds: 86_400, observationPeriodMinutes: 14_400 };
  expect(await refusal({ timeZone: 'UTC', sessions: [session] }, long)).toMatchObject({
    path: ['config', 'checkIntervalSeconds'],
  });
});
