/** A second person for promotions, through the API: who asks does not approve. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, command, HOURLY, report, running, statusOf } from '../harness/deployment.ts';
import { createFreeze } from '../harness/freeze.ts';
import { keyMadeHere, personsKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let ada: TestCaller;
let grace: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  ada = serin.as(await personsKey(serin, 'ada'));
  grace = serin.as(await personsKey(serin, 'grace'));
});
afterAll(() => serin.stop());

const TWO = { config: { ...CALM, requireApproval: true } };

async function look(id: string): Promise<Data> {
  const { deployment } = await ada.ask(
    `query($id: ID!) { deployment(id: $id) { status headline strategy { stableVersionId } promotionRequest { by at endsAt }
      config { requireApproval } events(first: 200) { edges { node { type actor } } } } }`,
    { id },
  );
  return deployment;
}

test('one asks, and nothing moves; another approves, and both are in the log', async () => {
  const id = await running(ada, TWO);
  const asked = await command(ada, 'promoteCanary', id, { reason: 'it is better' });
  expect(asked).toMatchObject({
    success: true,
    deployment: { status: 'RUNNING', canaryCapitalUsd: '10000' },
  });
  expect(asked.message).toContain('somebody else approves');
  expect(await look(id)).toMatchObject({
    status: 'RUNNING',
    strategy: { stableVersionId: 'v1' },
    promotionRequest: { by: 'ada' },
    config: { requireApproval: true },
  });
  const again = await command(ada, 'promoteCanary', id);
  expect(again.error).toMatchObject({ code: 'INVALID_TRANSITION' });
  expect(again.message).toContain('Somebody else must approve');
  expect((await command(grace, 'promoteCanary', id)).deployment.status).toBe('PROMOTED');
  const after = await look(id);
  expect(after).toMatchObject({ strategy: { stableVersionId: 'v2' }, promotionRequest: null });
  const acts = after.events.edges.map(({ node }: Data) => `${node.type} ${node.actor}`);
  expect(acts).toContain('PROMOTION_REQUESTED ada');
  expect(acts).toContain('CANARY_PROMOTED grace');
});

test('without it one person is enough', async () => {
  const id = await running(ada);
  expect((await command(ada, 'promoteCanary', id)).deployment.status).toBe('PROMOTED');
});

test('a request is good for a day, and survives a restart', async () => {
  const id = await running(ada, { config: { ...TWO.config, observationPeriodMinutes: 10_000 } });
  await command(ada, 'promoteCanary', id);
  await serin.restart();
  expect((await look(id)).promotionRequest).toMatchObject({ by: 'ada' });
  await serin.advance(25 * 3600);
  expect((await look(id)).promotionRequest).toBeNull();
  expect((await command(grace, 'promoteCanary', id)).deployment.status).toBe('RUNNING');
  expect((await look(id)).promotionRequest).toMatchObject({ by: 'grace' });
  expect((await command(ada, 'promoteCanary', id)).deployment.status).toBe('PROMOTED');
});

test('a new step of the ramp forgets what was asked about the one before', async () => {
  const steps = [
    { canaryPercent: '5', minutes: 600 },
    { canaryPercent: '10', minutes: 600 },
  ];
  const id = await running(ada, { config: { ...CALM, requireApproval: true, steps } });
  await command(ada, 'promoteCanary', id);
  await command(ada, 'advanceStep', id);
  expect((await look(id)).promotionRequest).toBeNull();
});

test('Serin does not promote automatically: it waits for two people', async () => {
  const id = await running(ada, { config: { ...HOURLY, requireApproval: true } });
  await report(ada, 'Canary', id, { pnlUsd: '15', trades: 10 });
  await report(ada, 'Stable', id, { pnlUsd: '100', trades: 90 });
  await serin.advance(3700);
  await until(async () => (await statusOf(ada, id)) === 'OBSERVATION_COMPLETE');
  await command(ada, 'promoteCanary', id);
  expect(await statusOf(ada, id)).toBe('OBSERVATION_COMPLETE');
  expect((await command(grace, 'promoteCanary', id)).deployment.status).toBe('PROMOTED');
});

test('what reduces risk needs no second person', async () => {
  const id = await running(ada, TWO);
  await command(ada, 'promoteCanary', id);
  expect((await command(ada, 'rollbackCanary', id)).deployment.status).toBe('ROLLED_BACK');
});

test('the overview and the headline say what waits for a person: a configuration, and a request that a freeze has kept valid', async () => {
  const desk = serin.as(await keyMadeHere(serin, { name: 'desk', role: 'VIEWER', strategies: ['waits-*'] }));
  /** Overviews are kept for a second. */
  const waitUntil = (count: number) =>
    until(
      async () => (await desk.ask('{ overview { waitingForPerson } }')).overview.waitingForPerson === count,
    );
  const config = { ...HOURLY, requireApproval: true, autoPromote: false, observationPeriodMinutes: 100_000 };
  const start = (name: string) => running(ada, { strategyId: `waits-${name}`, config });
  const [frozen, free, both] = [await start('frozen'), await start('free'), await start('both')];
  const loosen = (id: string) =>
    ada.ask(
      'mutation($input: UpdateConfigInput!) { updateConfig(input: $input) { success deployment { configRequest { by } } } }',
      { input: { deploymentId: id, config: { autoPromote: true } } },
    );
  expect((await loosen(both)).updateConfig).toMatchObject({ deployment: { configRequest: { by: 'ada' } } });
  await waitUntil(1);
  for (const id of [frozen, free, both]) await command(ada, 'promoteCanary', id);
  await waitUntil(3);
  await createFreeze(ada, { strategies: ['waits-frozen'], blocks: ['PROMOTE'] });
  await serin.advance(25 * 3600);
  // Its day did not run during the freeze; the day of the others is over.
  await waitUntil(1);
  expect(await look(frozen)).toMatchObject({
    promotionRequest: { by: 'ada' },
    headline: 'ada asked for the promotion: another person must approve it',
  });
  const over = await look(free);
  expect(over.promotionRequest).toBeNull();
  expect(over.headline).not.toContain('asked for the promotion');
  await loosen(free);
  await waitUntil(2);
});
