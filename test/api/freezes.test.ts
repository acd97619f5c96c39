/** Freezes over the API, on two nodes: what they refuse and hold, from which moment on, and until when. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FREEZE_LOCK } from '../../src/store/postgres/advisoryLocks.ts';
import { CALM, command, create, HOURLY, report, running, statusOf } from '../harness/deployment.ts';
import { createFreeze, FREEZE, liftFreeze, listFreezes } from '../harness/freeze.ts';
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

/** A strategy of its own for each test: freezes of one test do not touch another. */
const strategy = () => `frozen-${randomBytes(4).toString('hex')}`;
const hours = (from: number, count: number) => new Date(from + count * 3_600_000).toISOString();

async function serinNow(): Promise<number> {
  // The overview may be of a moment ago, and a test moves the clock by hours.
  const [row] = await one.database.sql<{ now: Date }[]>`select serin_now() as now`;
  return row?.now.getTime() ?? Number.NaN;
}

async function look(id: string): Promise<Data> {
  const { deployment } = await other.ask(
    `query($id: ID!) { deployment(id: $id) { status headline freezes { id } held { block freezeId since until }
      decisionHistory { decision } events(first: 200) { nodes { type description details } } } }`,
    { id },
  );
  return { ...deployment, types: deployment.events.nodes.map(({ type }: Data) => type) };
}

/** A deployment whose hour is over with the figures of a canary that is good enough. */
async function decided(strategyId: string, more: object = {}): Promise<string> {
  const config = { ...HOURLY, evidence: { mode: 'OFF' }, ...more };
  const id = await running(one, { strategyId, config });
  await report(one, 'Canary', id, { pnlUsd: '15', trades: 10 });
  await report(one, 'Stable', id, { pnlUsd: '100', trades: 90 });
  await one.advance(3700);
  return id;
}

describe('commands', () => {
  test('a freeze of one node is seen by the other, names itself, and is over when it is lifted', async () => {
    const strategyId = strategy();
    const { deployment } = await create(one, { strategyId });
    const { freeze, success, message } = await createFreeze(one, { strategies: [strategyId] });
    expect({ success, message }).toMatchObject({
      success: true,
      message: expect.stringContaining('from now on'),
    });
    expect(freeze).toMatchObject({
      strategies: [strategyId],
      chains: ['*'],
      blocks: ['DEPLOY', 'STEP_UP', 'PROMOTE'],
      until: null,
      activeNow: true,
      activeUntil: null,
      nextFrom: null,
    });
    const refused = await command(other, 'deployCanary', deployment.id, { capitalUsd: '1000' });
    expect(refused).toMatchObject({
      success: false,
      error: { code: 'FROZEN' },
      deployment: { status: 'PENDING' },
    });
    expect(refused.message).toContain(freeze.id);
    expect(refused.message).toContain('rates decision');
    expect((await look(deployment.id)).freezes).toEqual([{ id: freeze.id }]);
    expect((await liftFreeze(other, freeze.id)).freeze).toMatchObject({
      activeNow: false,
      liftedBy: 'anonymous',
    });
    const again = await liftFreeze(one, freeze.id);
    expect(again).toMatchObject({ success: true, message: expect.stringContaining('before') });
    expect((await command(other, 'deployCanary', deployment.id, { capitalUsd: '1000' })).success).toBe(true);
  });

  test('requests with one key at the same moment, on two nodes, make one freeze, and all are shown it', async () => {
    const strategies = [strategy()];
    const input = { strategies, reason: 'at once', idempotencyKey: `${strategies}-at-once` };
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => createFreeze(index % 2 === 0 ? one : other, input)),
    );
    expect(new Set(answers.map(({ freeze }) => freeze.id)).size).toBe(1);
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  });

  test('a duration is counted by the server: the same request later means the same end', async () => {
    const strategies = [strategy()];
    const hour = { strategies, durationSeconds: 3600, idempotencyKey: `${strategies}-hour` };
    const { freeze } = await createFreeze(one, hour);
    expect(Date.parse(freeze.until) - Date.parse(freeze.from)).toBe(3_600_000);
    expect(freeze.activeNow).toBe(true);
    await one.advance(60);
    expect(await createFreeze(other, hour)).toMatchObject({
      success: true,
      replayed: true,
      freeze: { id: freeze.id, until: freeze.until },
    });
    const from = hours(await serinNow(), 10);
    const later = await createFreeze(one, { strategies, from, durationSeconds: 60 });
    expect(Date.parse(later.freeze.until)).toBe(Date.parse(from) + 60_000);
    for (const wrong of [{ durationSeconds: 0 }, { durationSeconds: 60, until: from }]) {
      expect((await createFreeze(one, { strategies, ...wrong })).error).toMatchObject({
        code: 'INVALID_INPUT',
        path: ['durationSeconds'],
      });
    }
    const over = { strategies, from: hours(await serinNow(), -2), durationSeconds: 3600 };
    expect((await createFreeze(one, over)).error).toMatchObject({ path: ['durationSeconds'] });
  });

  test('steps and promotions are refused, what lowers risk is not; other strategies and chains go on', async () => {
    const strategyId = strategy();
    const steps = [5, 20].map((canaryPercent) => ({ canaryPercent: `${canaryPercent}`, minutes: 60_000 }));
    const ids = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) =>
        running(one, { strategyId: `${strategyId}-${name}`, config: { ...CALM, steps }, chain: 'base' }),
      ),
    );
    const elsewhere = await running(one, {
      strategyId: `${strategyId}-a`,
      config: { ...CALM, steps },
      chain: 'sol',
    });
    const [a = '', b = '', c = '', d = ''] = ids;
    await createFreeze(one, { strategies: [`${strategyId}-*`], chains: ['ba*'] });
    for (const name of ['advanceStep', 'promoteCanary']) {
      expect((await command(other, name, a)).error.code).toBe('FROZEN');
    }
    expect((await command(other, 'advanceStep', elsewhere)).success).toBe(true);
    for (const [name, id] of [
      ['rollbackCanary', a],
      ['cancelDeployment', b],
      ['pauseDeployment', c],
      ['resumeDeployment', c],
      ['pauseDeployment', d],
    ] as const) {
      expect((await command(other, name, id)).success, name).toBe(true);
    }
  });

  test('an override needs a reason, and the record says which freeze it overrode', async () => {
    const strategyId = strategy();
    const { deployment } = await create(one, { strategyId });
    const { freeze } = await createFreeze(one, { strategies: [strategyId] });
    const capital = { capitalUsd: '1000', overrideFreeze: true };
    const mute = await command(one, 'deployCanary', deployment.id, capital);
    expect(mute.error).toMatchObject({ code: 'INVALID_INPUT', path: ['reason'] });
    expect(
      (await command(one, 'deployCanary', deployment.id, { ...capital, reason: 'agreed' })).success,
    ).toBe(true);
    expect(
      (await command(one, 'promoteCanary', deployment.id, { overrideFreeze: true, reason: 'agreed' }))
        .success,
    ).toBe(true);
    const { events } = await look(deployment.id);
    const overrode = events.nodes.flatMap(({ details }: Data) => details.overrodeFreeze ?? []);
    expect(overrode).toEqual([freeze.id, freeze.id]);
    expect(events.nodes.map(({ description }: Data) => description).join()).toContain(
      `in spite of the freeze ${freeze.id}`,
    );
  });

  test('a refusal is kept under its key like any other, and an answer from before is replayed without an effect', async () => {
    const strategyId = strategy();
    const { deployment } = await create(one, { strategyId });
    const early = { capitalUsd: '1000', idempotencyKey: `${strategyId}-early` };
    expect((await command(one, 'deployCanary', deployment.id, early)).success).toBe(true);
    const { freeze } = await createFreeze(one, { strategies: [strategyId] });
    expect(await command(other, 'deployCanary', deployment.id, early)).toMatchObject({
      success: true,
      replayed: true,
    });
    const promote = { idempotencyKey: `${strategyId}-promote` };
    expect((await command(one, 'promoteCanary', deployment.id, promote)).error.code).toBe('FROZEN');
    await liftFreeze(one, freeze.id);
    const again = await command(other, 'promoteCanary', deployment.id, promote);
    expect(again).toMatchObject({ replayed: true, error: { code: 'FROZEN' } });
    expect((await command(other, 'promoteCanary', deployment.id)).success).toBe(true);
  });

  test('when a freeze is answered nothing that it blocks can begin any more, however many commands are on their way', async () => {
    for (let round = 0; round < 3; round += 1) {
      const strategyId = strategy();
      const made = await Promise.all(
        Array.from({ length: 24 }, (_, each) => create(one, { strategyId: `${strategyId}-${each}` })),
      );
      const started = async () => {
        const [row] = await one.database.sql`
          select count(*)::int as count from events where type = 'CANARY_STARTED' and strategy_id like ${`${strategyId}-%`}`;
        return row?.count;
      };
      const deploys = made.map(({ deployment }, each) =>
        command(each % 2 === 0 ? one : other, 'deployCanary', deployment.id, { capitalUsd: '1000' }),
      );
      const { success } = await createFreeze(round % 2 === 0 ? one : other, {
        strategies: [`${strategyId}-*`],
      });
      const then = await started();
      expect(success).toBe(true);
      const answers = await Promise.all(deploys);
      expect(await started()).toBe(then);
      expect(answers.filter((answer) => answer.success)).toHaveLength(then);
      for (const answer of answers) if (!answer.success) expect(answer.error.code).toBe('FROZEN');
    }
  });
});

describe('automatic decisions', () => {
  test('a promotion is held once, shown as held, and made at the next check after the freeze', async () => {
    const strategyId = strategy();
    const now = await serinNow();
    const { freeze } = await createFreeze(one, {
      strategies: [strategyId],
      blocks: ['PROMOTE'],
      until: hours(now, 24),
    });
    const id = await decided(strategyId);
    await until(async () => (await look(id)).held !== null);
    const held = await look(id);
    expect(held).toMatchObject({
      status: 'RUNNING',
      held: { block: 'PROMOTE', freezeId: freeze.id, until: freeze.until },
      decisionHistory: [],
    });
    expect(held.headline).toContain(`held until ${freeze.until}`);
    await one.advance(2 * 3600);
    await until(
      async () =>
        (await look(id)).types.filter((type: string) => type === 'CANARY_METRICS_UPDATED').length >= 2,
    );
    expect((await look(id)).types.filter((type: string) => type === 'PROMOTION_HELD')).toHaveLength(1);
    await one.advance(24 * 3600);
    await report(one, 'Canary', id, { pnlUsd: '16', trades: 11 });
    await report(one, 'Stable', id, { pnlUsd: '101', trades: 91 });
    await until(async () => (await look(id)).status === 'PROMOTED');
    expect((await look(id)).decisionHistory).toMatchObject([{ decision: 'PROMOTE' }]);
  });

  test('a freeze that begins, and one that ends, while no node runs has its effect at the next check', async () => {
    const [ending, beginning] = [strategy(), strategy()];
    const now = await serinNow();
    await createFreeze(one, { strategies: [ending], blocks: ['PROMOTE'], until: hours(now, 10) });
    const freeze = { strategies: [beginning], blocks: ['PROMOTE'], from: hours(now, 10) };
    expect((await createFreeze(one, freeze)).freeze).toMatchObject({
      activeNow: false,
      nextFrom: freeze.from,
    });
    const ended = await decided(ending);
    await until(async () => (await look(ended)).held !== null);
    const begun = await running(one, {
      strategyId: beginning,
      config: { ...HOURLY, evidence: { mode: 'OFF' } },
    });
    await other.stop();
    await one.restart({}, async () => one.advance(11 * 3600));
    other = await startTestSerin({ databaseUrl: one.database.url });
    for (const id of [ended, begun]) {
      await report(one, 'Canary', id, { pnlUsd: '15', trades: 10 });
      await report(one, 'Stable', id, { pnlUsd: '100', trades: 90 });
    }
    await one.advance(3700);
    await until(async () => (await statusOf(one, ended)) === 'PROMOTED');
    await until(async () => {
      await report(one, 'Canary', begun, { pnlUsd: '16', trades: 11 });
      await report(one, 'Stable', begun, { pnlUsd: '101', trades: 91 });
      await one.advance(3600);
      return (await look(begun)).held !== null;
    });
    expect(await statusOf(one, begun)).toBe('RUNNING');
  });

  test('a recurring freeze blocks by its rule, and says when next', async () => {
    const strategyId = strategy();
    const now = new Date(await serinNow());
    const [hour, minute] = [now.getUTCHours(), now.getUTCMinutes()];
    const recurrence = { rule: `${minute} ${hour} * * *`, timeZone: 'UTC', durationMinutes: 600 };
    const { freeze } = await createFreeze(one, { strategies: [strategyId], recurrence });
    expect(freeze).toMatchObject({ recurrence, activeNow: true });
    const { deployment } = await create(one, { strategyId });
    const deploy = () => command(one, 'deployCanary', deployment.id, { capitalUsd: '1000' });
    const refused = await deploy();
    expect(refused.message).toContain(`until ${freeze.activeUntil}`);
    expect(Date.parse(freeze.nextFrom) - Date.parse(freeze.activeUntil)).toBe(14 * 3_600_000);
    await one.advance(11 * 3600);
    expect((await deploy()).success).toBe(true);
  });
});

test('an import of a deployment with capital is refused in a freeze, one that has ended is not', async () => {
  const strategyId = strategy();
  const id = await running(one, { strategyId });
  const documentOf = async (dep: string) =>
    (await one.ask('query($id: ID!) { exportDeployment(id: $id) }', { id: dep })).exportDeployment;
  const live = await documentOf(id);
  await command(one, 'rollbackCanary', id);
  const ended = await documentOf(id);
  const target = await startTestSerin();
  // Behind the clock of the first Serin a document would be of the future.
  await target.advance(1000 * 3600);
  try {
    const load = async (document: unknown) =>
      (
        await target.ask(
          'mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) { success error { code path } } }',
          { input: { document } },
        )
      ).importDeployment;
    const { freeze } = await createFreeze(target, { strategies: [strategyId], blocks: ['DEPLOY'] });
    expect(await load(live)).toMatchObject({ success: false, error: { code: 'FROZEN', path: ['document'] } });
    expect((await load(ended)).success).toBe(true);
    await liftFreeze(target, freeze.id);
  } finally {
    await target.stop();
  }
});

test('a bad freeze is refused with the path of its field', async () => {
  const now = await serinNow();
  const recurrence = { rule: '30 8 * * FRI#1', timeZone: 'America/New_York', durationMinutes: 60 };
  const wrong: [Record<string, unknown>, string][] = [
    [{ strategies: [] }, 'strategies'],
    [{ strategies: ['no spaces'] }, 'strategies.0'],
    [{ chains: ['ok', '***********'] }, 'chains.1'],
    [{ until: hours(now, -1) }, 'until'],
    [{ from: hours(now, 2), until: hours(now, 1) }, 'until'],
    [{ from: '9999-12-31T23:59:59.000Z', durationSeconds: 2 }, 'durationSeconds'],
    [{ blocks: [] }, 'blocks'],
    [{ reason: '  ' }, 'reason'],
    [{ recurrence: { ...recurrence, rule: 'every Friday' } }, 'recurrence.rule'],
    [{ recurrence: { ...recurrence, timeZone: 'New York' } }, 'recurrence.timeZone'],
    [{ recurrence: { ...recurrence, durationMinutes: 0 } }, 'recurrence.durationMinutes'],
  ];
  for (const [input, path] of wrong) {
    const { success, error, freeze } = await createFreeze(one, input);
    expect({ success, freeze, code: error.code, path: error.path.join('.') }).toEqual({
      success: false,
      freeze: null,
      code: 'INVALID_INPUT',
      path,
    });
  }
});

test('a freeze that is over before it gets its turn blocks nothing, and is no error', async () => {
  const { overview } = await one.ask('{ overview { at } }');
  const end = new Date(Date.parse(overview.at) + 600_000).toISOString();
  let asked: Promise<Data> = Promise.resolve(null);
  await one.database.sql.begin(async (tx) => {
    // As everything does that raises risk: the freeze waits for it.
    await tx`select pg_advisory_xact_lock_shared(${FREEZE_LOCK})`;
    asked = createFreeze(other, { strategies: ['late'], until: end });
    await until(async () => {
      const [row] = await tx`select count(*)::int as count from pg_locks
        where locktype = 'advisory' and objid = ${FREEZE_LOCK} and not granted
          and database = (select oid from pg_database where datname = current_database())`;
      return row?.count > 0;
    });
    await one.advance(1200);
  });
  const { success, freeze } = await asked;
  expect({ success, activeNow: freeze.activeNow }).toEqual({ success: true, activeNow: false });
});

test('freezes are listed newest first, in pages; the overview has those that block now', async () => {
  const strategyId = strategy();
  const now = await serinNow();
  const made: string[] = [];
  for (const input of [{ from: hours(now, 5) }, { until: hours(now, 50) }, {}]) {
    made.unshift((await createFreeze(one, { strategies: [strategyId], ...input })).freeze.id);
  }
  await liftFreeze(one, made[0] ?? '');
  const ids = (list: Data[]) => list.map(({ id }) => id).filter((id) => made.includes(id));
  expect(ids(await listFreezes(other, 'first: 200'))).toEqual(made);
  expect(ids(await listFreezes(other))).toEqual(made.slice(1));
  const first = await other.ask(`{ freezes(first: 1) { nodes { id } pageInfo { endCursor hasNextPage } } }`);
  const next = await other.ask(
    `query($after: String) { freezes(first: 2, after: $after) { nodes { id } } }`,
    {
      after: first.freezes.pageInfo.endCursor,
    },
  );
  expect([...first.freezes.nodes, ...next.freezes.nodes].map(({ id }: Data) => id)).toEqual(made);
  const { overview } = await other.ask(`{ overview { freezes { ${FREEZE} } } }`);
  expect(ids(overview.freezes)).toEqual([made[1]]);
});

test('the same key creates one freeze', async () => {
  const input = { strategies: [strategy()], idempotencyKey: strategy() };
  const [first, second] = [await createFreeze(one, input), await createFreeze(other, input)];
  expect(second).toMatchObject({ replayed: true, freeze: { id: first.freeze.id } });
});
