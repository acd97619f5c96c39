/** Halts over the API, on two nodes: the outcome of each deployment, once, and nothing that begins meanwhile. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, command, create, running, statusOf } from '../harness/deployment.ts';
import { liftFreeze } from '../harness/freeze.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import {
  type Answer,
  type Data,
  startTestSerin,
  type TestCaller,
  type TestSerin,
  until,
} from '../harness/serin.ts';

let one: TestSerin;
let other: TestSerin;
beforeAll(async () => {
  one = await startTestSerin();
  other = await startTestSerin({ databaseUrl: one.database.url });
});
afterAll(async () => {
  await other.stop();
  await one.stop();
});

const group = () => `halted-${randomBytes(4).toString('hex')}`;

function tryHalt(caller: TestCaller, input: Record<string, unknown>): Promise<Answer> {
  return caller.post(
    `mutation($input: HaltCanariesInput!) { haltCanaries(input: $input) { success replayed complete message pending
      error { code path } freeze { id activeNow strategies } outcomes { deploymentId outcome message error { code } } } }`,
    { input: { reason: 'exchange is down', ...input } },
  );
}

async function halt(caller: TestCaller, input: Record<string, unknown>): Promise<Data> {
  const { data, errors } = await tryHalt(caller, input);
  if (errors) throw new Error(errors.map(({ message }) => message).join('; '));
  return data.haltCanaries;
}

const LONG = { ...CALM, observationPeriodMinutes: 100_000, checkIntervalSeconds: 3600 };

/** One deployment in each live status, by status. */
async function oneOfEach(strategies: string): Promise<Record<string, string>> {
  const start = (name: string, config: object = LONG) =>
    running(one, { strategyId: `${strategies}-${name}`, config });
  const waiting = await create(one, { strategyId: `${strategies}-waiting` });
  const runs = await start('runs');
  const paused = await start('paused');
  await command(one, 'pauseDeployment', paused);
  return { PENDING: waiting.deployment.id, RUNNING: runs, PAUSED: paused };
}

const outcomes = (answer: Data) =>
  Object.fromEntries(answer.outcomes.map(({ deploymentId, outcome }: Data) => [deploymentId, outcome]));

test('a pause holds running deployments, and names those whose capital stays at work', async () => {
  const name = group();
  const { PENDING = '', RUNNING = '', PAUSED = '' } = await oneOfEach(name);
  const elsewhere = await running(one, { strategyId: `${group()}-else`, config: LONG });
  const answer = await halt(other, { strategies: [`${name}-*`], action: 'PAUSE' });
  expect(answer).toMatchObject({ success: true, complete: true, pending: [], freeze: null, replayed: false });
  expect(outcomes(answer)).toEqual({ [PENDING]: 'ALREADY', [RUNNING]: 'DONE', [PAUSED]: 'ALREADY' });
  for (const { deploymentId, message } of answer.outcomes) {
    expect(message).toContain(deploymentId === PENDING ? 'holds no capital' : 'its capital stays at work');
  }
  expect(await statusOf(one, RUNNING)).toBe('PAUSED');
  expect(await statusOf(one, elsewhere)).toBe('RUNNING');
});

test('a rollback returns the capital of all, a cancel ends those that wait, too', async () => {
  const name = group();
  const { PENDING = '', RUNNING = '', PAUSED = '' } = await oneOfEach(name);
  const back = await halt(one, { strategies: [`${name}-*`], chains: ['unk*'], action: 'ROLLBACK' });
  expect(outcomes(back)).toEqual({ [PENDING]: 'ALREADY', [RUNNING]: 'DONE', [PAUSED]: 'DONE' });
  expect(await statusOf(other, RUNNING)).toBe('ROLLED_BACK');
  const cancelled = await halt(other, { strategies: [`${name}-*`], action: 'CANCEL' });
  expect(outcomes(cancelled)).toEqual({ [PENDING]: 'DONE' });
  const { deployment } = await one.ask(
    'query($id: ID!) { deployment(id: $id) { events(first: 50) { nodes { type details } } } }',
    { id: RUNNING },
  );
  const rolledBack = deployment.events.nodes.find(({ type }: Data) => type === 'CANARY_ROLLED_BACK');
  expect(rolledBack.details.reason).toBe('exchange is down');
  expect(
    (await halt(one, { strategies: [`${name}-*`], chains: ['elsewhere'], action: 'CANCEL' })).outcomes,
  ).toEqual([]);
});

test('with a freeze nothing is deployed meanwhile, however many commands are on their way', async () => {
  const name = group();
  const made = await Promise.all(
    Array.from({ length: 12 }, (_, each) => create(one, { strategyId: `${name}-${each}` })),
  );
  const deploys = made.map(({ deployment }, each) =>
    command(each % 2 === 0 ? one : other, 'deployCanary', deployment.id, { capitalUsd: '1000' }),
  );
  const answer = await halt(other, { strategies: [`${name}-*`], action: 'ROLLBACK', freeze: true });
  expect(answer.freeze).toMatchObject({ activeNow: true, strategies: [`${name}-*`] });
  const deployed = (await Promise.all(deploys))
    .filter(({ success }) => success)
    .map(({ deployment }) => deployment.id);
  const statuses = await Promise.all(made.map(({ deployment }) => statusOf(one, deployment.id)));
  expect(statuses.filter((status) => status === 'RUNNING')).toEqual([]);
  expect(statuses.filter((status) => status === 'ROLLED_BACK')).toHaveLength(deployed.length);
  await liftFreeze(one, answer.freeze.id);
});

test('a halt whose node went away is completed by a repetition under its key, and nothing is done twice', async () => {
  const name = group();
  const ids = await Promise.all(
    [1, 2, 3].map((each) => running(one, { strategyId: `${name}-${each}`, config: LONG })),
  );
  const input = { strategies: [`${name}-*`], action: 'ROLLBACK', freeze: true, idempotencyKey: name };
  const [held = ''] = ids;
  let first: Promise<unknown> = Promise.resolve();
  await one.database.sql.begin(async (tx) => {
    await tx`select id from deployments where id = ${held} for update`;
    first = tryHalt(other, input).catch(() => {});
    await until(
      async () =>
        (await Promise.all(ids.slice(1).map((id) => statusOf(one, id)))).join() === 'ROLLED_BACK,ROLLED_BACK',
    );
    await other.stop();
    expect(await statusOf(one, held)).toBe('RUNNING');
  });
  await first;
  other = await startTestSerin({ databaseUrl: one.database.url });
  const again = await halt(other, input);
  expect(again).toMatchObject({ success: true, replayed: true, complete: true });
  expect(outcomes(again)).toEqual(Object.fromEntries(ids.map((id) => [id, 'DONE'])));
  const third = await halt(one, input);
  expect(third.outcomes).toEqual(expect.arrayContaining(again.outcomes));
  expect(third.freeze.id).toBe(again.freeze.id);
  const [row] = await one.database.sql`
    select count(*)::int as count from events where type = 'CANARY_ROLLED_BACK' and deployment_id = any(${ids})`;
  expect(row?.count).toBe(3);
  const reused = await halt(one, { ...input, action: 'PAUSE' });
  expect(reused.error.code).toBe('IDEMPOTENCY_KEY_REUSED');
  await liftFreeze(one, again.freeze.id);
});

test('a bad halt is refused with its field', async () => {
  for (const [input, path] of [
    [{ strategies: [] }, 'strategies'],
    [{ strategies: ['a b'] }, 'strategies.0'],
    [{ strategies: ['x'], chains: [] }, 'chains'],
    [{ strategies: ['x'], reason: ' ' }, 'reason'],
  ] as const) {
    const { success, error } = await halt(one, { action: 'PAUSE', ...input });
    expect({ success, code: error.code, path: error.path.join('.') }).toEqual({
      success: false,
      code: 'INVALID_INPUT',
      path,
    });
  }
});

test('an operator halts within their own patterns, a bot where the server lets it reduce risk, without a freeze', async () => {
  const serin = await startTestSerin({ access: { ...WITH_KEYS, botsReduceRisk: true } });
  try {
    const root = await administrator(serin);
    const eth = serin.as(await makeKey(root, 'OPERATOR', { strategies: ['eth-*'] }));
    const bot = serin.as(await makeKey(root, 'BOT', { strategies: ['eth-*'] }));
    const viewer = serin.as(await makeKey(root, 'VIEWER'));
    const [mine, theirs] = [
      await running(root, { strategyId: 'eth-a' }),
      await running(root, { strategyId: 'btc-a' }),
    ];
    const code = async (caller: TestCaller, input: object) =>
      (await tryHalt(caller, { strategies: ['eth-*'], action: 'PAUSE', ...input })).errors?.[0]?.extensions
        .code;
    expect(await code(viewer, {})).toBe('FORBIDDEN');
    expect(await code(eth, { strategies: ['*'] })).toBe('FORBIDDEN');
    expect(await code(bot, { freeze: true })).toBe('FORBIDDEN');
    expect(outcomes(await halt(bot, { strategies: ['eth-*'], action: 'PAUSE' }))).toEqual({ [mine]: 'DONE' });
    expect(outcomes(await halt(eth, { strategies: ['eth-*'], action: 'ROLLBACK' }))).toEqual({
      [mine]: 'DONE',
    });
    expect(await statusOf(root, theirs)).toBe('RUNNING');
  } finally {
    await serin.stop();
  }
});
