/** Who may create and lift freezes, whose patterns they may have, and who sees them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, create } from '../harness/deployment.ts';
import { createFreeze, liftFreeze, listFreezes, tryFreeze, tryLift } from '../harness/freeze.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Answer, type Data, startTestSerin, type TestCaller, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
let eth: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
  eth = serin.as(await makeKey(root, 'OPERATOR', { name: 'eth-desk', strategies: ['eth-*'] }));
});
afterAll(() => serin.stop());

const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code;

test('a viewer and a bot create none; an operator only within their own patterns', async () => {
  for (const role of ['VIEWER', 'BOT']) {
    expect(codeOf(await tryFreeze(serin.as(await makeKey(root, role)), {}))).toBe('FORBIDDEN');
  }
  for (const strategies of [['*'], ['btc-*'], ['eth-*', 'e*'], ['*-momentum']]) {
    expect(codeOf(await tryFreeze(eth, { strategies })), strategies.join()).toBe('FORBIDDEN');
  }
  const { freeze } = await createFreeze(eth, { strategies: ['eth-m*'] });
  await liftFreeze(eth, freeze.id);
});

test('without patterns it is about the strategies of the key, also those that come later', async () => {
  const { freeze } = await createFreeze(eth);
  expect(freeze.strategies).toEqual(['eth-*']);
  const later = await create(root, { strategyId: 'eth-later' });
  const elsewhere = await create(root, { strategyId: 'btc-later' });
  const deploy = async ({ deployment }: Data) =>
    command(root, 'deployCanary', deployment.id, { capitalUsd: '1000' });
  expect((await deploy(later)).error.code).toBe('FROZEN');
  expect((await deploy(elsewhere)).success).toBe(true);
  await liftFreeze(eth, freeze.id);
});

test('a caller sees a freeze of a strategy that it sees, without the other patterns', async () => {
  const { freeze } = await createFreeze(root, { strategies: ['eth-*', 'btc-*'] });
  const mine = async (caller: TestCaller) => (await listFreezes(caller)).find(({ id }) => id === freeze.id);
  expect((await mine(eth))?.strategies).toEqual(['eth-*']);
  const sol = serin.as(await makeKey(root, 'VIEWER', { strategies: ['sol-*'] }));
  expect(await mine(sol)).toBeUndefined();
  const momentum = serin.as(await makeKey(root, 'VIEWER', { strategies: ['*-momentum'] }));
  expect((await mine(momentum))?.strategies).toEqual(['eth-*', 'btc-*']);
  await liftFreeze(root, freeze.id);
});

test('an operator lifts their own freeze, an administrator any; a caller that does not see it learns nothing', async () => {
  const grace = serin.as(await makeKey(root, 'OPERATOR', { name: 'grace' }));
  const { freeze } = await createFreeze(root);
  expect(codeOf(await tryLift(grace, freeze.id))).toBe('FORBIDDEN');
  expect(codeOf(await tryLift(eth, freeze.id))).toBe('FORBIDDEN');
  expect((await tryLift(eth, 'frz_none')).data.liftFreeze.error.code).toBe('NOT_FOUND');
  const btc = await createFreeze(root, { strategies: ['btc-*'] });
  expect((await tryLift(eth, btc.freeze.id)).data.liftFreeze.error.code).toBe('NOT_FOUND');
  const own = await createFreeze(grace);
  expect((await liftFreeze(grace, own.freeze.id)).success).toBe(true);
  for (const { id } of [freeze, btc.freeze]) expect((await liftFreeze(root, id)).success).toBe(true);
});

test('only an administrator overrides a freeze; an operator is refused with the reason', async () => {
  const { deployment } = await create(root, { strategyId: 'eth-override' });
  const { freeze } = await createFreeze(root);
  const override = {
    input: { deploymentId: deployment.id, capitalUsd: '1', overrideFreeze: true, reason: 'now' },
  };
  const answer = await eth.post(
    'mutation($input: DeployCanaryInput!) { deployCanary(input: $input) { success } }',
    override,
  );
  expect(codeOf(answer)).toBe('FORBIDDEN');
  expect((await command(root, 'deployCanary', deployment.id, override.input)).success).toBe(true);
  await liftFreeze(root, freeze.id);
});

test('the audit trail has the actors that created and lifted a freeze', async () => {
  const { freeze } = await createFreeze(eth, { strategies: ['eth-audit'] });
  await liftFreeze(root, freeze.id);
  const { auditRecords } = await root.ask(
    '{ auditRecords(filter: { actions: [FREEZE_CREATED, FREEZE_LIFTED] }, first: 2) { nodes { actor action subject details } } }',
  );
  expect(auditRecords.nodes).toMatchObject([
    { actor: 'root', action: 'FREEZE_LIFTED', subject: freeze.id },
    {
      actor: 'eth-desk',
      action: 'FREEZE_CREATED',
      subject: freeze.id,
      details: { reason: 'rates decision' },
    },
  ]);
});
