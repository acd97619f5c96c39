/** What a caller may do and see; that others may not and do not, is test/security/matrix.test.ts. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROLES } from '../../src/access/actor.ts';
import { ruleOf } from '../../src/access/permissions.ts';
import { command, create, running } from '../harness/deployment.ts';
import { documentOf, OPERATIONS } from '../harness/documents.ts';
import { liftAll } from '../harness/freeze.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
const callers = new Map<string, TestCaller>();
let seen = '';
let hidden = '';

beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
  for (const role of ROLES)
    callers.set(role, serin.as(await makeKey(root, role, { strategies: ['seen-*'] })));
  seen = await running(root, { strategyId: 'seen-one' });
  hidden = await running(root, { strategyId: 'hidden-one' });
});
afterAll(() => serin.stop());

const caller = (role: string): TestCaller => callers.get(role) ?? root;
const commands = OPERATIONS.filter(({ kind }) => kind !== 'subscription');
describe.each(commands.filter(({ name }) => ruleOf(name).least !== 'VIEWER'))('$name', (operation) => {
  const least = ROLES.indexOf(ruleOf(operation.name).least);

  test('is not forbidden to the role itself', async () => {
    const { errors } = await caller(ROLES[least] ?? '').post(documentOf(operation, 'dep_nowhere'));
    expect(JSON.stringify(errors ?? [])).not.toContain(' requires the role ');
  });
});

test('what the operations above froze is lifted', async () => {
  await liftAll(root);
});

test('queries of one hidden thing answer null', async () => {
  for (const name of ['deployment', 'node', 'exportDeployment']) {
    const fields = name === 'exportDeployment' ? '' : '{ __typename }';
    expect(await caller('ADMIN').ask(`{ it: ${name}(id: "${hidden}") ${fields} }`)).toEqual({ it: null });
    expect((await caller('VIEWER').ask(`{ it: ${name}(id: "${seen}") ${fields} }`)).it).not.toBeNull();
  }
  const { strategy, nodes } = await caller('ADMIN').ask(
    `{ strategy(id: "hidden-one") { id } nodes(ids: ["${seen}", "${hidden}", "hidden-one", "seen-one"]) { id } }`,
  );
  expect(strategy).toBeNull();
  expect(nodes).toEqual([{ id: seen }, null, null, { id: 'seen-one' }]);
});

test('lists, their counts and their pages have what is seen only', async () => {
  const strategies = ['mixed-a', 'seen-two', 'mixed-b', 'seen-three', 'mixed-c'];
  for (const strategyId of strategies) await create(root, { strategyId });
  const asked = await caller('VIEWER').ask(`{
    deployments(first: 2) { totalCount nodes { strategyId } pageInfo { hasNextPage } }
    none: deployments(filter: { strategyId: "hidden-one" }) { totalCount nodes { id } }
    strategies(first: 50) { nodes { id } }
    events(first: 200) { edges { node { strategyId } } }
    hiddenEvents: events(filter: { deploymentId: "${hidden}" }) { edges { node { id } } } }`);
  expect(asked.deployments).toEqual({
    totalCount: 3,
    nodes: [{ strategyId: 'seen-three' }, { strategyId: 'seen-two' }],
    pageInfo: { hasNextPage: true },
  });
  expect(asked.none).toEqual({ totalCount: 0, nodes: [] });
  expect(asked.strategies.nodes).toEqual([{ id: 'seen-one' }, { id: 'seen-three' }, { id: 'seen-two' }]);
  expect(asked.events.edges.length).toBeGreaterThan(3);
  for (const { node } of asked.events.edges) expect(node.strategyId).toMatch(/^seen-/);
  expect(asked.hiddenEvents.edges).toEqual([]);
});

test('feeds replay and deliver what is seen only', async () => {
  const feeds = ['stateChanged', 'decisionMade', 'eventAppended'].map((name) =>
    caller('VIEWER').follow(`subscription { ${name}(after: "0") { deployment { strategyId } } }`),
  );
  const one = await running(root, { strategyId: 'hidden-feed' });
  const two = await running(root, { strategyId: 'seen-feed' });
  for (const id of [one, two]) await command(root, 'rollbackCanary', id);
  for (const feed of feeds) {
    await until(() => feed.received.some(({ deployment }) => deployment.strategyId === 'seen-feed'));
    for (const { deployment } of feed.received) expect(deployment.strategyId).toMatch(/^seen-/);
    feed.end();
  }
});

test('feeds of one hidden deployment answer as if it were not there', async () => {
  for (const name of ['deploymentUpdated', 'metricsUpdated']) {
    const feed = caller('VIEWER').follow(
      `subscription { ${name}(deploymentId: "${hidden}") { __typename } }`,
    );
    await until(() => feed.errors.length > 0);
    expect(JSON.stringify(feed.errors)).toContain(`There is no deployment ${hidden}`);
    expect(feed.received).toEqual([]);
  }
});

test('nothing is made in a strategy outside, nor brought in by a document', async () => {
  const strategyId = 'hidden-new';
  const made = await caller('OPERATOR').post(
    `mutation { createDeployment(input: { strategyId: "${strategyId}", stableVersionId: "a", canaryVersionId: "b" }) { success } }`,
  );
  expect(made.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  const { exportDeployment: document } = await root.ask(`{ exportDeployment(id: "${hidden}") }`);
  const moved = { ...document, deployment: { ...document.deployment, id: 'dep_moved' } };
  const brought = await caller('ADMIN').post(
    'mutation($document: JSON!) { importDeployment(input: { document: $document }) { success } }',
    { document: JSON.parse(JSON.stringify(moved).replaceAll(hidden, 'dep_moved')) },
  );
  expect(brought.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  expect(
    await root.ask(`{ strategy(id: "${strategyId}") { id } deployment(id: "dep_moved") { id } }`),
  ).toEqual({
    strategy: null,
    deployment: null,
  });
});

test('an id that a hidden deployment has is taken, and no more is said of it', async () => {
  const taken = await create(caller('OPERATOR'), { id: hidden, strategyId: 'seen-taken' });
  expect(taken).toMatchObject({ success: false, error: { code: 'ALREADY_EXISTS' }, deployment: null });
});

test('availableActions are what this viewer may do', async () => {
  const actions = async (by: TestCaller) =>
    (await by.ask(`{ deployment(id: "${seen}") { availableActions } }`)).deployment.availableActions;
  expect(await actions(caller('VIEWER'))).toEqual([]);
  expect(await actions(caller('BOT'))).toEqual([]);
  expect(await actions(caller('OPERATOR'))).toEqual([
    'PROMOTE',
    'ROLLBACK',
    'CANCEL',
    'PAUSE',
    'UPDATE_CONFIG',
  ]);
});

test('a batch of reports is answered one by one: what is hidden is not found', async () => {
  const { reportMetrics } = await caller('BOT').ask(
    `mutation { reportMetrics(input: { reports: [
      { deploymentId: "${seen}", side: CANARY, trades: 3 }, { deploymentId: "${hidden}", side: CANARY, trades: 3 }] }) {
      results { success error { code path } deployment { id } } } }`,
  );
  expect(reportMetrics.results).toEqual([
    { success: true, error: null, deployment: { id: seen } },
    {
      success: false,
      error: { code: 'NOT_FOUND', path: ['reports', '1', 'deploymentId'] },
      deployment: null,
    },
  ]);
  const { deployment } = await root.ask(`{ deployment(id: "${hidden}") { canaryMetrics { tradeCount } } }`);
  expect(deployment.canaryMetrics.tradeCount).toBe(0);
});

test('actions are recorded under the name of the key, whatever the caller says to be', async () => {
  const key = await makeKey(root, 'OPERATOR', { name: 'grace' });
  const { data } = await serin.as(key).post(
    `mutation { createDeployment(input: { strategyId: "named", stableVersionId: "a", canaryVersionId: "b" }) {
      deployment { createdBy events(first: 1) { edges { node { actor } } } } } }`,
    {},
    { 'x-serin-actor': 'mallory' },
  );
  expect(data.createDeployment.deployment).toEqual({
    createdBy: 'grace',
    events: { edges: [{ node: { actor: 'grace' } }] },
  });
});

test('a later key of the same name does not get an earlier answer about what it does not see', async () => {
  const first = await makeKey(root, 'OPERATOR', { name: 'again' });
  const input = { input: { deploymentId: hidden, idempotencyKey: 'same' } };
  const pause =
    'mutation($input: PauseDeploymentInput!) { pauseDeployment(input: $input) { success error { code } deployment { id } } }';
  expect((await serin.as(first).ask(pause, input)).pauseDeployment.success).toBe(true);
  await root.ask('mutation { revokeApiKey(input: { id: "again" }) { success } }');
  const second = await makeKey(root, 'OPERATOR', { name: 'again', strategies: ['seen-*'] });
  expect((await serin.as(second).ask(pause, input)).pauseDeployment).toEqual({
    success: false,
    error: { code: 'NOT_FOUND' },
    deployment: null,
  });
});

test('bots may reduce risk where that is configured, and nothing else', async () => {
  const lenient = await startTestSerin({ access: { ...WITH_KEYS, botsReduceRisk: true } });
  const admin = await administrator(lenient);
  const bot = lenient.as(await makeKey(admin, 'BOT', { strategies: ['own'] }));
  const own = await running(admin, { strategyId: 'own' });
  const other = await running(admin, { strategyId: 'other' });
  const { deployment } = await bot.ask(`{ deployment(id: "${own}") { availableActions } }`);
  expect(deployment.availableActions).toEqual(['ROLLBACK', 'CANCEL', 'PAUSE']);
  await expect(command(bot, 'promoteCanary', own)).rejects.toThrow('requires the role OPERATOR');
  expect((await command(bot, 'rollbackCanary', other)).error.code).toBe('NOT_FOUND');
  expect((await command(bot, 'pauseDeployment', own)).success).toBe(true);
  await expect(command(bot, 'resumeDeployment', own)).rejects.toThrow('requires the role OPERATOR');
  expect((await command(bot, 'rollbackCanary', own)).deployment.status).toBe('ROLLED_BACK');
  await lenient.stop();
});
