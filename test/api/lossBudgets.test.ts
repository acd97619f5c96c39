/** Loss budgets over the API, on two nodes: what they sum, what they do once they are broken, and until when. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create, report, running, statusOf } from '../harness/deployment.ts';
import { tryLift } from '../harness/freeze.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import {
  createBudget,
  deleteBudget,
  findBudget,
  listBudgets,
  tryBudget,
  updateBudget,
} from '../harness/lossBudget.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

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

/** Strategies of their own for each test: budgets of one test do not touch another. */
const group = () => `lost-${randomBytes(4).toString('hex')}`;

/** No check falls into a test, unless it moves the clock by an hour; and nobody but the budget acts. */
const LONG = {
  guardrails: { ...CALM.guardrails, maxLossPercent: null },
  observationPeriodMinutes: 100_000,
  checkIntervalSeconds: 3600,
};

const start = (strategyId: string) => running(one, { strategyId, config: LONG });
const earn = (id: string, pnlUsd: string) => report(one, 'Canary', id, { pnlUsd });

async function look(id: string): Promise<Data> {
  const { deployment } = await other.ask(
    `query($id: ID!) { deployment(id: $id) { status freezes { id lossBudgetId } decisionHistory { decision cause automatic
      reasons actor } events(first: 100) { nodes { type actor details } } } }`,
    { id },
  );
  return deployment;
}

const isTripped = async (id: string) => (await findBudget(other, id)).state === 'TRIPPED';

describe('a broken budget', () => {
  test('rolls back all canaries of its strategies together, once, and freezes them; others go on', async () => {
    const name = group();
    const [a, b, elsewhere] = await Promise.all([
      start(`${name}-a`),
      start(`${name}-b`),
      start(`${group()}-c`),
    ]);
    const waiting = await create(one, { strategyId: `${name}-waiting` });
    const { lossBudget, success, message } = await createBudget(one, { strategies: [`${name}-*`] });
    expect({ success, message }).toMatchObject({ success: true, message: expect.stringContaining('$1,000') });
    expect(lossBudget).toMatchObject({
      name: 'desk',
      strategies: [`${name}-*`],
      windowHours: 24,
      maxLossUsd: '1000',
      lossUsd: '0',
      action: 'ROLLBACK_ALL',
      count: 'NET',
      rearm: 'MANUAL',
      state: 'ARMED',
      trippedAt: null,
    });
    // Neither alone is broken, and one gain is set off.
    await Promise.all([earn(a, '-700'), earn(b, '-250'), earn(elsewhere, '-5000')]);
    await until(async () => (await findBudget(other, lossBudget.id)).lossUsd === '950');
    expect((await findBudget(other, lossBudget.id)).state).toBe('ARMED');
    await earn(b, '-300.5');
    await until(async () => (await statusOf(other, a)) === 'ROLLED_BACK');
    await until(async () => (await statusOf(other, b)) === 'ROLLED_BACK');
    const broken = await findBudget(other, lossBudget.id);
    expect(broken).toMatchObject({ state: 'TRIPPED', trippedLossUsd: '1000.5', lossUsd: '1000.5' });
    const { decisionHistory, events } = await look(a);
    expect(decisionHistory).toMatchObject([
      { decision: 'ROLLBACK', cause: 'BUDGET', automatic: true, actor: 'serin' },
    ]);
    expect(decisionHistory[0].reasons[0]).toContain('loss budget desk is broken');
    const back = events.nodes.find(({ type }: Data) => type === 'CANARY_ROLLED_BACK');
    expect(back.details.reason).toContain('less than $1,000 may be lost in 24 h');
    expect(await statusOf(other, elsewhere)).toBe('RUNNING');
    // Nothing begins on its strategies, and its freeze is not lifted apart from it.
    const refused = await command(other, 'deployCanary', waiting.deployment.id, { capitalUsd: '1000' });
    expect(refused).toMatchObject({
      error: { code: 'FROZEN' },
      message: expect.stringContaining('loss budget desk'),
    });
    const [freeze] = (await look(waiting.deployment.id)).freezes;
    expect(freeze.lossBudgetId).toBe(lossBudget.id);
    expect((await tryLift(one, freeze.id)).data.liftFreeze).toMatchObject({
      success: false,
      error: { code: 'INVALID_TRANSITION', path: ['id'] },
      message: expect.stringContaining(lossBudget.id),
    });
    const [row] = await one.database.sql`
      select count(*)::int as count from freezes where loss_budget_id = ${lossBudget.id}`;
    expect(row?.count).toBe(1);
  });

  test('rolls back only those who lost, where it says so; pauses what runs; or freezes alone', async () => {
    const names = [group(), group(), group()];
    const ids = await Promise.all(
      names.map((name) => Promise.all([start(`${name}-loser`), start(`${name}-winner`)])),
    );
    const actions = ['ROLLBACK_LOSERS', 'PAUSE', 'FREEZE'];
    const budgets = await Promise.all(
      names.map((name, at) =>
        createBudget(one, { strategies: [`${name}-*`], action: actions[at], count: 'LOSERS_ONLY' }),
      ),
    );
    // The gain does not help: only losers count.
    for (const [loser, winner] of ids) await Promise.all([earn(loser, '-1000'), earn(winner, '5000')]);
    for (const { lossBudget } of budgets) await until(() => isTripped(lossBudget.id));
    const expected = [
      ['ROLLED_BACK', 'RUNNING'],
      ['PAUSED', 'PAUSED'],
      ['RUNNING', 'RUNNING'],
    ];
    for (const [at, pair] of ids.entries()) {
      await until(async () => {
        const statuses = await Promise.all(pair.map((id) => statusOf(other, id)));
        return statuses.join() === expected[at]?.join();
      });
      for (const id of pair) {
        if ((await statusOf(other, id)) === 'ROLLED_BACK') continue;
        expect((await command(other, 'promoteCanary', id)).error.code).toBe('FROZEN');
        // What lowers risk is never held up.
        expect((await command(other, 'rollbackCanary', id)).success).toBe(true);
      }
    }
    const paused = await look(ids[1]?.[0] ?? '');
    const pause = paused.events.nodes.find(({ type }: Data) => type === 'CANARY_PAUSED');
    expect(pause).toMatchObject({
      actor: 'serin',
      details: { reason: expect.stringContaining('loss budget') },
    });
  });

  test('is armed again by a person with a reason, and then counts from that moment', async () => {
    const name = group();
    const id = await start(`${name}-a`);
    const { lossBudget } = await createBudget(one, { strategies: [`${name}-*`], action: 'FREEZE' });
    await earn(id, '-1500');
    await until(() => isTripped(lossBudget.id));
    const mute = await updateBudget(one, lossBudget.id, { rearm: true });
    expect(mute.error).toMatchObject({ code: 'INVALID_INPUT', path: ['reason'] });
    const armed = await updateBudget(other, lossBudget.id, { rearm: true, reason: 'agreed with risk' });
    expect(armed.lossBudget).toMatchObject({ state: 'ARMED', trippedAt: null, lossUsd: '0' });
    expect(armed.lossBudget.countsFrom).not.toBeNull();
    expect((await look(id)).freezes).toEqual([]);
    await earn(id, '-2400');
    await until(async () => (await findBudget(other, lossBudget.id)).lossUsd === '900');
    expect((await findBudget(other, lossBudget.id)).state).toBe('ARMED');
    await earn(id, '-2500');
    await until(() => isTripped(lossBudget.id));
  });

  test('does not count again what was lost before it was armed, when its window has moved on', async () => {
    const name = group();
    const id = await start(`${name}-a`);
    await earn(id, '-100');
    await one.advance(3700);
    await until(async () => {
      const [row] = await one.database
        .sql`select count(*)::int as count from samples where deployment_id = ${id}`;
      return row?.count >= 1;
    });
    // From here on there is no sample: it waits for a person.
    await command(one, 'pauseDeployment', id);
    const { lossBudget } = await createBudget(one, {
      strategies: [`${name}-*`],
      windowHours: 1,
      action: 'FREEZE',
    });
    await earn(id, '-1500');
    await until(() => isTripped(lossBudget.id));
    await updateBudget(one, lossBudget.id, { rearm: true, reason: 'agreed with risk' });
    await one.advance(2 * 3600);
    await until(async () => {
      const [row] = await one.database
        .sql`select baseline_at > counts_from as moved from loss_budgets where id = ${lossBudget.id}`;
      return row?.moved;
    });
    expect(await findBudget(one, lossBudget.id)).toMatchObject({ state: 'ARMED', lossUsd: '0' });
    await earn(id, '-2000');
    await until(async () => (await findBudget(other, lossBudget.id)).lossUsd === '500');
  });

  test('is armed again by itself when the loss has left the window, where it says so', async () => {
    const name = group();
    const id = await start(`${name}-a`);
    const { lossBudget } = await createBudget(one, {
      strategies: [`${name}-*`],
      windowHours: 5,
      rearm: 'WINDOW',
    });
    await earn(id, '-1000');
    await until(async () => (await statusOf(other, id)) === 'ROLLED_BACK');
    expect((await findBudget(one, lossBudget.id)).state).toBe('TRIPPED');
    await one.advance(6 * 3600);
    await until(async () => !(await isTripped(lossBudget.id)));
    expect(await findBudget(one, lossBudget.id)).toMatchObject({
      state: 'ARMED',
      lossUsd: '0',
      countsFrom: null,
    });
    const [row] = await one.database.sql`
      select count(*)::int as count from freezes where loss_budget_id = ${lossBudget.id} and lifted_at is null`;
    expect(row?.count).toBe(0);
  });

  test('counts what was lost before the window only once: from the last sample before it', async () => {
    const name = group();
    const id = await start(`${name}-a`);
    await earn(id, '-400');
    await one.advance(3700);
    // The sample of the first hour has the 400.
    await until(async () => {
      const [row] = await one.database
        .sql`select count(*)::int as count from samples where deployment_id = ${id}`;
      return row?.count >= 1;
    });
    const { lossBudget } = await createBudget(one, {
      strategies: [`${name}-*`],
      windowHours: 5,
      action: 'FREEZE',
    });
    expect(lossBudget.lossUsd).toBe('400');
    await one.advance(6 * 3600);
    await until(async () => (await findBudget(other, lossBudget.id)).lossUsd === '0');
    await earn(id, '-900');
    await until(async () => (await findBudget(other, lossBudget.id)).lossUsd === '500');
    // A wider window has it all.
    const wide = await updateBudget(one, lossBudget.id, { windowHours: 48, name: 'two days' });
    expect(wide.lossBudget).toMatchObject({ lossUsd: '900', windowHours: 48, name: 'two days' });
  });

  test('acts although another one fails, whose name is in the log', async () => {
    const name = group();
    const [a, b] = await Promise.all([start(`${name}-a`), start(`${name}-b`)]);
    const { sql } = one.database;
    const budgetOf = async (each: string, maxLossUsd: string) =>
      (await createBudget(one, { name: `${name} ${each}`, strategies: [`${name}-${each}`], maxLossUsd }))
        .lossBudget.id;
    const failing = await budgetOf('a', '1000');
    const healthy = await budgetOf('b', '500');
    await sql.unsafe(`
      create function refuse_trip() returns trigger language plpgsql as $$ begin raise exception 'no trip'; end $$;
      create trigger refuse_trip before update on loss_budgets for each row
        when (old.id = '${failing}' and new.state = 'TRIPPED') execute function refuse_trip()`);
    try {
      await earn(a, '-2000');
      const failures = () =>
        [...one.warnings, ...other.warnings].filter(
          (line) => line.includes(failing) && line.includes(`the loss budget ${name} a failed`),
        );
      await until(() => failures().length > 0);
      await earn(b, '-1000');
      await until(async () => (await statusOf(other, b)) === 'ROLLED_BACK');
      const trips = [...one.warnings, ...other.warnings].filter((line) => line.includes(healthy));
      expect(trips).toEqual([expect.stringContaining(`the loss budget ${name} b is broken`)]);
      expect(await statusOf(other, a)).toBe('RUNNING');
    } finally {
      await sql.unsafe('drop function refuse_trip cascade');
    }
    await until(async () => (await statusOf(other, a)) === 'ROLLED_BACK');
  });

  test('acts although the node that saw it dies in the middle', async () => {
    const name = group();
    const ids = await Promise.all(['a', 'b', 'c'].map((each) => start(`${name}-${each}`)));
    const { lossBudget } = await createBudget(one, { strategies: [`${name}-*`] });
    const [held = '', b = '', c = ''] = ids;
    await other.stop();
    await one.database.sql.begin(async (tx) => {
      await tx`select id from deployments where id = ${held} for update`;
      await earn(b, '-1000');
      await until(
        async () => (await statusOf(one, b)) === 'ROLLED_BACK' && (await statusOf(one, c)) === 'ROLLED_BACK',
      );
      expect(await statusOf(one, held)).toBe('RUNNING');
      await one.restart();
    });
    other = await startTestSerin({ databaseUrl: one.database.url });
    await until(async () => (await statusOf(other, held)) === 'ROLLED_BACK');
    const [row] = await one.database.sql`
      select count(*)::int as count from events where type = 'CANARY_ROLLED_BACK' and deployment_id = any(${ids})`;
    expect(row?.count).toBe(3);
    await until(async () => {
      const [budget] = await one.database
        .sql`select acting, trips from loss_budgets where id = ${lossBudget.id}`;
      return budget?.acting === false && budget.trips === 1;
    });
  });
});

test('a deleted budget acts no more, and its freeze is over; the overview shows those that stand', async () => {
  const name = group();
  const id = await start(`${name}-a`);
  const { lossBudget } = await createBudget(one, { strategies: [`${name}-*`], action: 'FREEZE' });
  await earn(id, '-1000');
  await until(() => isTripped(lossBudget.id));
  const shown = async () => {
    const { overview } = await other.ask('{ overview { lossBudgets { id state lossUsd } } }');
    return overview.lossBudgets.find((each: Data) => each.id === lossBudget.id);
  };
  expect(await shown()).toMatchObject({ state: 'TRIPPED', lossUsd: '1000' });
  const metrics = await Promise.all(
    [one, other].map(async ({ url }) => (await fetch(`${url}/metrics`)).text()),
  );
  // Either node may have seen it; the gauges are those of the database.
  expect(metrics.join()).toMatch(/serin_loss_budget_trips_total\{action="FREEZE"\} [1-9]/);
  for (const told of metrics) {
    expect(told).toContain(`serin_loss_budget_used_ratio{budget="${lossBudget.id}",name="desk"} 1\n`);
    expect(told).toMatch(/serin_loss_budgets_tripped [1-9]/);
  }
  expect((await deleteBudget(other, lossBudget.id)).success).toBe(true);
  expect(await shown()).toBeUndefined();
  expect(await findBudget(one, lossBudget.id)).toBeUndefined();
  expect((await look(id)).freezes).toEqual([]);
  expect((await deleteBudget(other, lossBudget.id)).error).toMatchObject({ code: 'NOT_FOUND', path: ['id'] });
});

test('the same key creates one budget, and a bad one is refused with its field', async () => {
  const key = { strategies: [group()], idempotencyKey: group() };
  const first = await createBudget(one, key);
  const again = await createBudget(other, key);
  expect(again).toMatchObject({ success: true, replayed: true, lossBudget: { id: first.lossBudget.id } });
  const wrong: [Record<string, unknown>, string][] = [
    [{ name: ' ' }, 'name'],
    [{ name: 'x'.repeat(101) }, 'name'],
    [{ strategies: [] }, 'strategies'],
    [{ strategies: ['no spaces'] }, 'strategies.0'],
    [{ strategies: Array.from({ length: 101 }, (_, at) => `s-${at}`) }, 'strategies'],
    [{ windowHours: 0 }, 'windowHours'],
    [{ windowHours: 721 }, 'windowHours'],
    [{ maxLossUsd: '0' }, 'maxLossUsd'],
    [{ maxLossUsd: '-5' }, 'maxLossUsd'],
  ];
  for (const [input, path] of wrong) {
    const { success, error, lossBudget } = await createBudget(one, input);
    expect({ success, lossBudget, code: error.code, path: error.path.join('.') }, path).toEqual({
      success: false,
      lossBudget: null,
      code: 'INVALID_INPUT',
      path,
    });
  }
  const { id } = first.lossBudget;
  expect((await updateBudget(one, id, {})).error.code).toBe('INVALID_INPUT');
  expect((await updateBudget(one, id, { windowHours: 0 })).error.path).toEqual(['windowHours']);
  expect((await updateBudget(one, 'bud_none', { maxLossUsd: '5' })).error.code).toBe('NOT_FOUND');
});

test('administrators make budgets within their patterns; a viewer sees those of its strategies, the sum only if all are', async () => {
  const serin = await startTestSerin({ access: WITH_KEYS });
  try {
    const root = await administrator(serin);
    const code = async (...call: Parameters<typeof tryBudget>) =>
      (await tryBudget(...call)).errors?.[0]?.extensions.code;
    const input = { name: 'n', windowHours: 1, maxLossUsd: '1', action: 'FREEZE' };
    for (const role of ['VIEWER', 'BOT', 'OPERATOR']) {
      expect(await code(serin.as(await makeKey(root, role)), 'createLossBudget', input)).toBe('FORBIDDEN');
    }
    const eth = serin.as(await makeKey(root, 'ADMIN', { name: 'eth-admin', strategies: ['eth-*'] }));
    expect(await code(eth, 'createLossBudget', { ...input, strategies: ['*'] })).toBe('FORBIDDEN');
    const own = await createBudget(eth, {});
    expect(own.lossBudget.strategies).toEqual(['eth-*']);
    const both = await createBudget(root, { strategies: ['eth-*', 'btc-*'], maxLossUsd: '50000' });
    expect(await findBudget(eth, both.lossBudget.id)).toMatchObject({
      strategies: ['eth-*'],
      maxLossUsd: '50000',
      lossUsd: null,
    });
    const change = { id: both.lossBudget.id, maxLossUsd: '1000000' };
    expect(await code(eth, 'updateLossBudget', change)).toBe('FORBIDDEN');
    expect(await code(eth, 'deleteLossBudget', { id: both.lossBudget.id })).toBe('FORBIDDEN');
    const btc = await createBudget(root, { strategies: ['btc-*'] });
    const unseen = await tryBudget(eth, 'deleteLossBudget', { id: btc.lossBudget.id });
    expect(unseen.data.deleteLossBudget.error.code).toBe('NOT_FOUND');
    const sol = serin.as(await makeKey(root, 'VIEWER', { strategies: ['sol-*'] }));
    expect(await listBudgets(sol)).toEqual([]);
    // The record has every step.
    const id = await running(root, { strategyId: 'eth-a' });
    await report(root, 'Canary', id, { pnlUsd: '-1000' });
    await until(async () => (await statusOf(root, id)) === 'ROLLED_BACK');
    await until(async () => (await findBudget(eth, own.lossBudget.id)).state === 'TRIPPED');
    await updateBudget(eth, own.lossBudget.id, { rearm: true, reason: 'found the cause' });
    await deleteBudget(eth, own.lossBudget.id);
    const { auditRecords } = await root.ask(
      `query($subject: ID!) { auditRecords(filter: { subject: $subject }, first: 10) { nodes { actor action details } } }`,
      { subject: own.lossBudget.id },
    );
    expect(auditRecords.nodes).toMatchObject([
      { actor: 'eth-admin', action: 'LOSS_BUDGET_DELETED' },
      { actor: 'eth-admin', action: 'LOSS_BUDGET_REARMED', details: { reason: 'found the cause' } },
      {
        actor: 'serin',
        action: 'LOSS_BUDGET_TRIPPED',
        details: { lossUsd: '1000', maxLossUsd: '1000', deploymentIds: [id] },
      },
      { actor: 'eth-admin', action: 'LOSS_BUDGET_CREATED' },
    ]);
  } finally {
    await serin.stop();
  }
});
