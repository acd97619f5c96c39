/** The audit trail holds every command of people, bots and Serin with its reason and outcome, and can be filtered. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, create, HOURLY, report, running, statusOf } from '../harness/deployment.ts';
import { createFreeze, liftFreeze } from '../harness/freeze.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
let ada: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
  ada = serin.as(await makeKey(root, 'OPERATOR', { name: 'ada' }));
});
afterAll(() => serin.stop());

async function records(filter: Record<string, unknown>, caller = root): Promise<Data[]> {
  const { auditRecords } = await caller.ask(
    `query($filter: AuditFilter) { auditRecords(filter: $filter, first: 200) {
      nodes { actor action subject reason outcome at details } } }`,
    { filter },
  );
  return auditRecords.nodes;
}
const short = (found: Data[]) => found.map(({ actor, action, outcome }) => `${actor} ${action} ${outcome}`);

test('commands and refusals, newest first, with reason and outcome', async () => {
  const created = await create(ada, { strategyId: 'audit-one' });
  const id = created.deployment.id;
  const { freeze } = await createFreeze(root, { strategies: ['audit-one'] });
  await command(ada, 'deployCanary', id, { capitalUsd: '1000', reason: 'try it' });
  const override = { capitalUsd: '1000', overrideFreeze: true, reason: 'agreed' };
  await command(root, 'deployCanary', id, override);
  await command(ada, 'resumeDeployment', id);
  await command(ada, 'pauseDeployment', id, { expectedRevision: 1 });
  await command(ada, 'rollbackCanary', id, { reason: 'enough' });
  await liftFreeze(root, freeze.id);
  const about = await records({ subject: id });
  expect(short(about)).toEqual([
    'ada ROLLBACK DONE',
    'ada PAUSE REVISION_CONFLICT',
    'ada RESUME INVALID_TRANSITION',
    'root DEPLOY DONE',
    'ada DEPLOY FROZEN',
    'ada CREATE_DEPLOYMENT DONE',
  ]);
  expect(about.map(({ reason }) => reason)).toEqual(['enough', null, null, 'agreed', 'try it', null]);
  expect(about[3].details).toMatchObject({ overrideFreeze: true });
  expect(short(await records({ subject: id, actor: 'ada', actions: ['DEPLOY', 'ROLLBACK'] }))).toEqual([
    'ada ROLLBACK DONE',
    'ada DEPLOY FROZEN',
  ]);
  const { at } = about[0];
  expect(await records({ subject: id, from: at })).toHaveLength(
    about.filter((each) => Date.parse(each.at) >= Date.parse(at)).length,
  );
  expect(await records({ subject: id, to: about.at(-1).at })).toEqual([]);
});

test('webhooks are in it, without their secrets and the path of their address', async () => {
  const url = 'https://93.184.216.34/hooks/token-in-path';
  const send = async (name: string, type: string, input: Record<string, unknown>) =>
    (
      await root.ask(`mutation($input: ${type}!) { ${name}(input: $input) { success webhook { id } } }`, {
        input,
      })
    )[name];
  const { webhook } = await send('createWebhook', 'CreateWebhookInput', { url, strategyId: 'audit-hooks' });
  await send('updateWebhook', 'UpdateWebhookInput', { webhookId: webhook.id, rotateSecret: true });
  await send('redeliver', 'RedeliverInput', { webhookId: webhook.id });
  await send('deleteWebhook', 'DeleteWebhookInput', { webhookId: webhook.id });
  const about = await records({ subject: webhook.id });
  expect(about.map(({ action }) => action)).toEqual([
    'WEBHOOK_DELETED',
    'WEBHOOK_REDELIVERED',
    'WEBHOOK_UPDATED',
    'WEBHOOK_CREATED',
  ]);
  expect(about[2].details).toMatchObject({ origin: 'https://93.184.216.34', rotateSecret: true });
  expect(JSON.stringify(about)).not.toMatch(/whsec_|token-in-path/);
});

test('automatic decisions are in it, and a repeated request is not', async () => {
  const id = await running(ada, {
    strategyId: 'audit-two',
    config: { ...HOURLY, evidence: { mode: 'OFF' } },
  });
  await report(ada, 'Canary', id, { pnlUsd: '15', trades: 10 });
  await report(ada, 'Stable', id, { pnlUsd: '100', trades: 90 });
  await serin.advance(3700);
  await until(async () => (await statusOf(ada, id)) === 'PROMOTED');
  expect(short(await records({ subject: id, actor: 'serin' }))).toEqual(['serin PROMOTE DONE']);
  const { deployment } = await create(ada, { strategyId: 'audit-three' });
  for (let time = 0; time < 2; time += 1)
    await command(ada, 'cancelDeployment', deployment.id, { idempotencyKey: 'audit' });
  expect(short(await records({ subject: deployment.id, actions: ['CANCEL'] }))).toEqual(['ada CANCEL DONE']);
});

test('a caller sees the records of their own strategies; what was forbidden or not there wrote nothing', async () => {
  const id = await running(root, { strategyId: 'audit-seen' });
  const eth = serin.as(await makeKey(root, 'ADMIN', { strategies: ['eth-*'] }));
  const viewer = serin.as(await makeKey(root, 'VIEWER', { name: 'viewer' }));
  expect(await records({ subject: id }, eth)).toEqual([]);
  await command(eth, 'rollbackCanary', id);
  await viewer.post(`mutation { rollbackCanary(input: { deploymentId: "${id}" }) { success } }`);
  expect(short(await records({ subject: id }))).toEqual(['root DEPLOY DONE', 'root CREATE_DEPLOYMENT DONE']);
});

test('refusals of one caller are bounded', async () => {
  const bob = serin.as(await makeKey(root, 'OPERATOR', { name: 'bob' }));
  const { deployment } = await create(root, { strategyId: 'audit-loop' });
  const tries = Array.from({ length: 130 }, () => command(bob, 'resumeDeployment', deployment.id));
  for (const { success } of await Promise.all(tries)) expect(success).toBe(false);
  expect(await records({ actor: 'bob', subject: deployment.id })).toHaveLength(100);
  // A node that stops does not wait for the end of the minute.
  await serin.restart();
  const [count, ...others] = await records({ actor: 'bob', subject: deployment.id });
  expect(others).toHaveLength(100);
  expect(count).toMatchObject({
    action: 'RESUME',
    outcome: 'INVALID_TRANSITION',
    details: { outcome: 'INVALID_TRANSITION', refusals: 30 },
  });
});
