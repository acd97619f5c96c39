/** Who may create and lift freezes, whose patterns they may have, and who sees them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { overlaps } from '../../src/store/access/strategyScope.ts';
import { command, create } from '../harness/deployment.ts';
import { createFreeze, liftFreeze, listFreezes, tryFreeze, tryLift } from '../harness/freeze.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Answer, type Data, startTestSerin, type TestCaller, type TestSerin } from '../harness/serin.ts';
import { countStatements } from '../harness/statementCounter.ts';

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

test('a caller with few strategies reads its freezes with one statement, however many there are of others', async () => {
  const patterns = ['a', '*', 'a*', '*a', 'a*b', 'b*a', 'ab*ba', 'a_*', 'axb', 'a*b*a', 'a_b', 'aa', 'a**b'];
  const { sql } = serin.database;
  await sql`insert into freezes (id, strategies, chains, blocks, from_at, until_at, reason, created_by)
    select 'frz_other' || n, '{xyz-1,xyz-2}', '{*}', '{DEPLOY}', serin_now(), serin_now() + interval '1 ms', 'why', 'root'
    from generate_series(1, 1000) n`;
  await sql`insert into freezes (id, strategies, chains, blocks, from_at, until_at, reason, created_by)
    select 'frz_p' || n, array[p], '{*}', '{DEPLOY}', serin_now(), serin_now() + interval '1 ms', 'why', 'root'
    from unnest(${patterns}::text[]) with ordinality as given (p, n)`;
  const counter = await countStatements(serin.database.url);
  await serin.restart({ databaseUrl: counter.url });
  for (const scope of [...patterns.map((pattern) => [pattern]), ['axb', 'q*'], ['q', 'b*b']]) {
    const caller = serin.as(await makeKey(root, 'VIEWER', { strategies: scope }));
    const reads = () =>
      [...counter.executed()]
        .filter(([text]) => text.includes('from "freezes"'))
        .reduce((sum, [, count]) => sum + count, 0);
    const before = reads();
    const found = (await listFreezes(caller, 'first: 200')).filter(({ id }) => id.startsWith('frz_p'));
    expect(reads() - before).toBe(1);
    const seen = patterns.flatMap((pattern, n) => (overlaps(scope, [pattern]) ? [`frz_p${n + 1}`] : []));
    expect(found.map(({ id }) => id)).toEqual(seen.toReversed());
  }
  counter.stop();
});
