/**
 * Two people mean two people: no deployment, chain, import or new key lifts the rule of a strategy or of the server, and
 * nobody is two persons.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create, HOURLY, report, running, statusOf } from '../harness/deployment.ts';
import { administrator, keyMadeHere, makeKey, personsKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
let ada: TestCaller;
let grace: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS, requireApproval: ['srv-*'] });
  root = await administrator(serin);
  ada = serin.as(await personsKey(serin, 'ada', 'ADMIN'));
  grace = serin.as(await personsKey(serin, 'grace', 'ADMIN'));
});
afterAll(() => serin.stop());

const SET = `mutation($input: SetStrategyApprovalInput!) { setStrategyApproval(input: $input) {
  success message error { code path } strategy { approvalRule approvalLift { by } } } }`;
const setRule = async (by: TestCaller, strategyId: string, required: boolean): Promise<Data> =>
  (await by.ask(SET, { input: { strategyId, required } })).setStrategyApproval;

const stableOf = async (strategyId: string): Promise<string> =>
  (await root.ask('query($id: ID!) { strategy(id: $id) { stableVersionId } }', { id: strategyId })).strategy
    .stableVersionId;

/** A deployment that one person cannot promote. */
async function expectHeld(by: TestCaller, id: string): Promise<void> {
  await command(by, 'promoteCanary', id);
  await command(by, 'promoteCanary', id);
  expect(await statusOf(root, id)).toBe('RUNNING');
}

describe.each([
  ['the server', 'srv-'],
  ['the strategy', 'own-'],
  ['a deployment with requireApproval', 'dep-'],
])('a rule of %s', (whose, prefix) => {
  let strategyId: string;
  let counter = 0;
  const fresh = async (): Promise<string> => {
    counter += 1;
    strategyId = `${prefix}${counter}`;
    const config = { ...CALM, requireApproval: prefix === 'dep-' };
    const id = await running(ada, { strategyId, config });
    if (prefix === 'own-') await setRule(ada, strategyId, true);
    return id;
  };

  test('holds on another chain', async () => {
    await fresh();
    await expectHeld(ada, await running(ada, { strategyId, chain: 'base', config: CALM }));
    expect(await stableOf(strategyId)).toBe('v1');
  });

  test('holds after a cancellation, for a deployment without it', async () => {
    await command(ada, 'cancelDeployment', await fresh());
    await expectHeld(ada, await running(ada, { strategyId, config: { ...CALM, requireApproval: false } }));
  });

  test('holds for Serin itself, and the promotion by two people is in the timeline without emitEvents too', async () => {
    await command(ada, 'cancelDeployment', await fresh());
    const config = { ...HOURLY, evidence: { mode: 'OFF' }, emitEvents: false };
    const id = await running(ada, { strategyId, config });
    await report(ada, 'Canary', id, { pnlUsd: '15', trades: 10 });
    await report(ada, 'Stable', id, { pnlUsd: '100', trades: 90 });
    await serin.advance(3700);
    await until(async () => (await statusOf(root, id)) === 'OBSERVATION_COMPLETE');
    await command(ada, 'promoteCanary', id);
    expect((await command(grace, 'promoteCanary', id)).deployment.status).toBe('PROMOTED');
    const { events } = await root.ask(
      'query($id: ID!) { events(filter: { deploymentId: $id }, first: 50) { nodes { type actor } } }',
      { id },
    );
    expect(events.nodes).toEqual([
      { type: 'PROMOTION_REQUESTED', actor: 'ada' },
      { type: 'CANARY_PROMOTED', actor: 'grace' },
    ]);
    const { replayPolicy } = await root.ask(
      'query($id: ID!) { replayPolicy(deploymentId: $id, useOwnConfig: true) { outcome notes } }',
      { id },
    );
    expect(replayPolicy).toEqual({
      outcome: 'PROMOTED',
      notes: [expect.stringContaining('this one would wait for them today')],
    });
  });

  test('holds for an imported deployment, whose open request is dropped', async () => {
    const id = await fresh();
    await command(ada, 'promoteCanary', id);
    const { exportDeployment: document } = await root.ask('query($id: ID!) { exportDeployment(id: $id) }', {
      id,
    });
    await command(ada, 'cancelDeployment', id);
    const copy = JSON.parse(JSON.stringify(document).replaceAll(id, `${id}-copy`));
    const { importDeployment } = await grace.ask(
      'mutation($d: JSON!) { importDeployment(input: { document: $d }) { success message deployment { id status } } }',
      { d: copy },
    );
    expect(importDeployment).toMatchObject({ success: true, deployment: { status: 'RUNNING' } });
    await expectHeld(grace, `${id}-copy`);
  });

  test(`is named by the deployment and the strategy (${whose})`, async () => {
    const id = await fresh();
    const { deployment } = await root.ask(
      'query($id: ID!) { deployment(id: $id) { approvalRule strategy { approvalRule } } }',
      { id },
    );
    const rule = prefix === 'srv-' ? 'SERVER' : 'STRATEGY';
    expect(deployment).toEqual({ approvalRule: rule, strategy: { approvalRule: rule } });
  });
});

describe('no caller counts as two persons', () => {
  const TWO = { config: { ...CALM, requireApproval: true } };

  test('with two keys of one person, however it is written', async () => {
    const second = serin.as(
      await keyMadeHere(serin, { name: 'ada-2', role: 'OPERATOR', person: ' ADA@example.org' }),
    );
    const id = await running(ada, TWO);
    await command(ada, 'promoteCanary', id);
    expect((await command(second, 'promoteCanary', id)).error).toMatchObject({ code: 'INVALID_TRANSITION' });
    expect(await statusOf(root, id)).toBe('RUNNING');
  });

  test('with keys that one has made, directly or not', async () => {
    const bob = serin.as(await makeKey(ada, 'ADMIN', { name: 'bob', person: 'bob@example.org' }));
    const carl = serin.as(await makeKey(bob, 'OPERATOR', { name: 'carl', person: 'carl@example.org' }));
    for (const [first, other] of [
      [ada, bob],
      [bob, ada],
      [ada, carl],
      [bob, carl],
    ] as const) {
      const id = await running(ada, TWO);
      await command(first, 'promoteCanary', id);
      const refused = await command(other, 'promoteCanary', id);
      expect(refused.error).toMatchObject({ code: 'INVALID_TRANSITION' });
      expect(await statusOf(root, id)).toBe('RUNNING');
    }
    const id = await running(ada, TWO);
    await command(carl, 'promoteCanary', id);
    expect((await command(grace, 'promoteCanary', id)).deployment.status).toBe('PROMOTED');
  });

  test('with a key of no person: it may ask, and then two persons are still needed', async () => {
    const bot = serin.as(await makeKey(root, 'OPERATOR', { name: 'nobody' }));
    const id = await running(ada, TWO);
    expect((await command(bot, 'promoteCanary', id)).success).toBe(true);
    const again = await command(bot, 'promoteCanary', id);
    expect(again.message).toContain('--person');
    await command(ada, 'promoteCanary', id);
    expect(await statusOf(root, id)).toBe('RUNNING');
    expect((await command(bot, 'promoteCanary', id)).success).toBe(false);
    expect((await command(grace, 'promoteCanary', id)).deployment.status).toBe('PROMOTED');
  });
});

describe('the rule of a strategy', () => {
  test('is set by one and lifted by two', async () => {
    const { deployment } = await create(ada, { strategyId: 'lifted' });
    expect(await setRule(ada, 'lifted', true)).toMatchObject({
      success: true,
      strategy: { approvalRule: 'STRATEGY' },
    });
    expect(await setRule(ada, 'lifted', false)).toMatchObject({
      success: true,
      strategy: { approvalRule: 'STRATEGY', approvalLift: { by: 'ada' } },
    });
    expect((await setRule(ada, 'lifted', false)).error).toMatchObject({ code: 'INVALID_TRANSITION' });
    expect((await setRule(root, 'lifted', false)).error).toMatchObject({ code: 'INVALID_TRANSITION' });
    await serin.advance(25 * 3600);
    expect(await setRule(grace, 'lifted', false)).toMatchObject({
      strategy: { approvalLift: { by: 'grace' } },
    });
    expect(await setRule(ada, 'lifted', false)).toMatchObject({
      success: true,
      strategy: { approvalRule: null },
    });
    expect(deployment.status).toBe('PENDING');
    const { auditRecords } = await root.ask(
      '{ auditRecords(filter: { actions: [APPROVAL_RULE_SET, APPROVAL_RULE_LIFT_REQUESTED, APPROVAL_RULE_LIFTED, API_KEY_CREATED] }, first: 4) { nodes { actor action subject } } }',
    );
    expect(auditRecords.nodes.map(({ actor, action }: Data) => `${actor} ${action}`)).toEqual([
      'ada APPROVAL_RULE_LIFTED',
      'grace APPROVAL_RULE_LIFT_REQUESTED',
      'ada APPROVAL_RULE_LIFT_REQUESTED',
      'ada APPROVAL_RULE_SET',
    ]);
  });

  test('of a strategy that does not exist, and of one outside the rights, is the same answer', async () => {
    const local = serin.as(await makeKey(root, 'ADMIN', { strategies: ['mine-*'] }));
    await create(ada, { strategyId: 'yours-1' });
    const [hidden, missing] = [await setRule(local, 'yours-1', true), await setRule(local, 'yours-2', true)];
    expect(JSON.stringify(hidden).replace('yours-1', 'yours-2')).toBe(JSON.stringify(missing));
    expect(missing.error).toEqual({ code: 'NOT_FOUND', path: ['strategyId'] });
  });

  test('is not possible on an open server, where callers are unknown', async () => {
    const open = await startTestSerin();
    try {
      const created = await create(open, { strategyId: 'open', config: { requireApproval: true } });
      expect(created.error).toMatchObject({ code: 'INVALID_INPUT', path: ['config', 'requireApproval'] });
      expect(created.message).toContain('does not know its callers');
      await create(open, { strategyId: 'open' });
      expect((await setRule(open, 'open', true)).error).toMatchObject({ code: 'INVALID_INPUT' });
    } finally {
      await open.stop();
    }
  });
});
