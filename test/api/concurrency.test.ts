/** Requests that meet: commands are decided on what the one before them left, and reads share no fault. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { openInitialised } from '../harness/rawSocket.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  // While the table is locked, each loop of Serin waits on a connection of its own.
  serin = await startTestSerin({ poolSize: 16 });
});
afterAll(() => serin.stop());

const PAUSE = `mutation($input: PauseDeploymentInput!) { pauseDeployment(input: $input) {
  success replayed error { code } deployment { id status } } }`;

const UNCHECKED = { ...CALM, checkIntervalSeconds: 86_400, observationPeriodMinutes: 10_000 };

const acknowledge = (deploymentId: string, side: string, heldUsd: number): Promise<Data> =>
  serin.ask(
    `mutation($input: AcknowledgeAllocationInput!) { acknowledgeAllocation(input: $input) { success message } }`,
    { input: { deploymentId, number: 1, side, heldUsd, idempotencyKey: randomUUID() } },
  );

/** Batches that failed, so that each of their items had a transaction of its own. */
async function failures(kind: string): Promise<number> {
  const metrics = await (await fetch(`${serin.url}/metrics`)).text();
  return Number(new RegExp(`serin_batch_failures_total\\{kind="${kind}"\\} (\\d+)`).exec(metrics)?.[1]);
}

test('answers of both sides at the same time are all taken, one after the other', async () => {
  const id = await running(serin);
  const before = await serin.ask('query($id: ID!) { deployment(id: $id) { revision } }', { id });
  const amounts = Array.from({ length: 20 }, (_, index) => index + 1);
  const answers = await Promise.all(
    amounts.flatMap((amount) => [acknowledge(id, 'CANARY', amount), acknowledge(id, 'STABLE', amount)]),
  );
  expect(answers.every((answer) => answer.acknowledgeAllocation.success)).toBe(true);
  const { deployment } = await serin.ask(
    `query($id: ID!) { deployment(id: $id) { revision
      events(first: 100, types: [ALLOCATION_ACKNOWLEDGED]) { edges { node { no revision } } } } }`,
    { id },
  );
  expect(deployment.revision).toBe(before.deployment.revision + 40);
  expect(deployment.events.edges).toHaveLength(40);
  expect(await failures('commands')).toBe(0);
});

test('of concurrent promote, rollback and cancel exactly one wins, and the others are refused', async () => {
  for (let round = 0; round < 5; round += 1) {
    const id = await running(serin);
    const names = ['promoteCanary', 'rollbackCanary', 'cancelDeployment', 'promoteCanary', 'rollbackCanary'];
    const answers: Data[] = await Promise.all(names.map((name) => command(serin, name, id)));
    const won = answers.filter(({ success }) => success);
    expect(won).toHaveLength(1);
    for (const lost of answers.filter(({ success }) => !success)) {
      expect(lost.error.code).toBe('INVALID_TRANSITION');
      expect(lost.error.message).toContain(won[0].deployment.status);
    }
  }
});

test('commands of the same moment are each answered for themselves', async () => {
  const ids = await Promise.all(Array.from({ length: 40 }, () => running(serin)));
  const [paused = '', broken = '', keyed = '', stale = '', ...plain] = ids;
  await command(serin, 'pauseDeployment', paused);
  await serin.database.sql`update deployments set detail = '{}' where id = ${broken}`;
  const pause = async (deploymentId: string, more: Record<string, unknown> = {}): Promise<Data> => {
    const input = { deploymentId, idempotencyKey: randomUUID(), ...more };
    return (await serin.ask(PAUSE, { input })).pauseDeployment;
  };
  const [rest, refused, missing, old, failed, once] = await Promise.all([
    Promise.all(plain.map((id) => pause(id))),
    pause(paused),
    pause('nowhere'),
    pause(stale, { expectedRevision: 1 }),
    pause(broken).catch((error: Error) => error.message),
    Promise.all(Array.from({ length: 6 }, () => pause(keyed, { idempotencyKey: 'the same' }))),
  ]);
  expect(rest.map(({ success, deployment }: Data) => [success, deployment.id, deployment.status])).toEqual(
    plain.map((id) => [true, id, 'PAUSED']),
  );
  expect([refused.error.code, refused.deployment.id]).toEqual(['INVALID_TRANSITION', paused]);
  expect([missing.error.code, missing.deployment]).toEqual(['NOT_FOUND', null]);
  expect([old.error.code, old.deployment.id]).toEqual(['REVISION_CONFLICT', stale]);
  expect(failed).toContain('Internal');
  expect(once.map(({ success }: Data) => success)).toEqual(once.map(() => true));
  const [row] = await serin.database.sql`
    select count(*)::int as events from events
    where type = 'CANARY_PAUSED' and deployment_id = any(${[...plain, keyed]})`;
  expect(row?.events).toBe(plain.length + 1);
});

test('commands that come while others are committed share a transaction, and the next sees what one before made', async () => {
  // None is checked meanwhile: a check holds its deployment, and a command on that one has a transaction of its own.
  const ids = await Promise.all(Array.from({ length: 14 }, () => running(serin, { config: UNCHECKED })));
  const socket = await openInitialised(serin);
  const { sql } = serin.database;
  const send = (name: 'pause' | 'resume', deploymentId = '') => {
    const type = `${name === 'pause' ? 'Pause' : 'Resume'}DeploymentInput!`;
    const query = `mutation($input: ${type}) { ${name}Deployment(input: $input) { success message } }`;
    const variables = { input: { deploymentId } };
    socket.send({ type: 'subscribe', id: `${name} ${deploymentId}`, payload: { query, variables } });
  };
  await sql.begin(async (holder) => {
    // Commands hold the lock of their deployment by then. The loops of Serin wait, too, and hold none.
    const waiting = (count: number) =>
      until(async () => {
        const locks = await holder`
          select from pg_locks w where not granted and relation = 'deployments'::regclass and database =
            (select oid from pg_database where datname = current_database())
            and exists (select from pg_locks a where a.pid = w.pid and a.locktype = 'advisory' and a.granted)`;
        return locks.length >= count;
      });
    // No transaction can decide anything: two commands have one each, and those that follow gather.
    await holder`lock table deployments in access exclusive mode`;
    const [one, two, ...pairs] = ids;
    send('pause', one);
    await waiting(1);
    send('pause', two);
    await waiting(2);
    for (const id of pairs) {
      send('pause', id);
      send('resume', id);
    }
    // Messages are read in order: when this one is answered, all commands have arrived.
    socket.send({ type: 'ping' });
    await until(() => socket.received.some(({ type }) => type === 'pong'));
  });
  const sent = 2 * ids.length - 2;
  await until(() => socket.received.filter(({ type }) => type === 'complete').length === sent);
  socket.close();
  const answers = socket.received.flatMap(({ type, payload }) =>
    type === 'next' ? Object.values(Object(payload).data) : [],
  );
  expect(answers.filter((answer) => !Object(answer).success)).toEqual([]);
  const [row] = await sql`
    select count(*)::int as events, count(distinct xid)::int as transactions from events
    where type in ('CANARY_PAUSED', 'CANARY_RESUMED') and deployment_id = any(${ids})`;
  expect(row).toEqual({ events: sent, transactions: 3 });
});

describe('a batch that fails', () => {
  /** Pauses deployments concurrently. Returns the success, or the code of the error, of each. */
  const pauseAll = (ids: readonly string[]) =>
    Promise.all(
      ids.map(async (deploymentId) => {
        const { data, errors } = await serin.post(PAUSE, { input: { deploymentId } });
        return errors?.[0]?.extensions.code ?? data.pauseDeployment.success;
      }),
    );
  /** `statement` runs when the status of a deployment changes. Counts the attempts, also those rolled back. */
  async function whenUpdated(id: string, statement: string) {
    const { sql } = serin.database;
    await sql`create sequence updates`;
    await sql.unsafe(`
      create function fail() returns trigger language plpgsql as
        $$ begin perform nextval('updates'); ${statement}; return new; end $$;
      create trigger fail before update on deployments for each row
        when (old.id = '${id}' and old.status <> new.status) execute function fail()`);
    return {
      updates: async () => (await sql`select last_value::int as count from updates`)[0]?.count,
      remove: () =>
        sql.unsafe('drop trigger fail on deployments; drop function fail(); drop sequence updates'),
    };
  }

  test('runs its commands one by one, and is counted', async () => {
    // None is checked meanwhile: a command on a deployment that is being checked is in no batch.
    const ids = await Promise.all(Array.from({ length: 6 }, () => running(serin, { config: UNCHECKED })));
    const [faulty = '', ...others] = ids;
    const before = await failures('commands');
    const trigger = await whenUpdated(faulty, `raise exception 'not this one'`);
    try {
      expect(await pauseAll(ids)).toEqual(['INTERNAL_SERVER_ERROR', ...others.map(() => true)]);
      expect(await trigger.updates()).toBe(2);
    } finally {
      await trigger.remove();
    }
    expect(await failures('commands')).toBeGreaterThan(before);
    expect(await failures('checks')).toBe(0);
    expect(await pauseAll([faulty])).toEqual([true]);
  });

  test('because the database is away is not run one by one', async () => {
    const ids = await Promise.all(Array.from({ length: 6 }, () => running(serin, { config: UNCHECKED })));
    const before = await failures('commands');
    const trigger = await whenUpdated(ids[0] ?? '', 'perform pg_terminate_backend(pg_backend_pid())');
    try {
      const answers = await pauseAll(ids);
      expect(answers[0]).toBe('UNAVAILABLE');
      expect(await trigger.updates()).toBe(1);
    } finally {
      await trigger.remove();
    }
    expect(await failures('commands')).toBe(before);
    expect(await pauseAll([ids[0] ?? ''])).toEqual([true]);
  });
});

test('a key that is used for two deployments at the same moment is refused for one of them', async () => {
  const ids = await Promise.all([running(serin), running(serin)]);
  const answers: Data[] = await Promise.all(
    ids.map((id) => command(serin, 'pauseDeployment', id, { idempotencyKey: 'for two' })),
  );
  expect(answers.map(({ error }) => error?.code ?? null).toSorted()).toEqual([
    'IDEMPOTENCY_KEY_REUSED',
    null,
  ]);
  const [row] = await serin.database.sql`
    select count(*)::int as paused from events where type = 'CANARY_PAUSED' and deployment_id = any(${ids})`;
  expect(row?.paused).toBe(1);
});

test('a locked deployment keeps its own commands waiting, and no others', async () => {
  const ids = await Promise.all(Array.from({ length: 12 }, () => running(serin)));
  const [held = '', ...free] = ids;
  let late: Promise<Data> = Promise.resolve();
  await serin.database.sql.begin(async (tx) => {
    await tx`select 1 from deployments where id = ${held} for update`;
    let answered = false;
    late = command(serin, 'pauseDeployment', held).finally(() => {
      answered = true;
    });
    for (const name of ['pauseDeployment', 'resumeDeployment']) {
      const answers = await Promise.all(free.map((id) => command(serin, name, id)));
      expect(answers.map(({ success }) => success)).toEqual(free.map(() => true));
    }
    expect(answered).toBe(false);
  });
  expect(await late).toMatchObject({ success: true, deployment: { status: 'PAUSED' } });
});

test('of two canaries of a strategy promoted concurrently one wins, and the other is refused', async () => {
  const strategyId = 'on-two-chains';
  const a = await running(serin, { strategyId, chain: 'a', canaryVersionId: 'v2' });
  const b = await running(serin, { strategyId, chain: 'b', canaryVersionId: 'v3' });
  const beside = await running(serin);
  const answers = await Promise.all([a, b, beside].map((id) => command(serin, 'promoteCanary', id)));
  const codes = answers.map(({ error }) => error?.code ?? null);
  expect(codes.at(2)).toBeNull();
  expect(codes.slice(0, 2).toSorted()).toEqual(['STALE_STABLE_VERSION', null]);
  const { strategy } = await serin.ask('query($id: ID!) { strategy(id: $id) { stableVersionId } }', {
    id: strategyId,
  });
  expect(strategy.stableVersionId).toBe(codes[0] === null ? 'v2' : 'v3');
});

test('of reads that come at the same moment, one that fails is one, and each caller gets what it sees', async () => {
  const keyed = await startTestSerin({ access: WITH_KEYS });
  try {
    const admin = await administrator(keyed);
    const ids: string[] = [];
    for (const strategyId of ['ours', 'theirs', 'broken']) ids.push(await running(admin, { strategyId }));
    await keyed.database.sql`update deployments set detail = '{}' where id = ${ids[2] ?? ''}`;
    const bot = keyed.as(await makeKey(admin, 'BOT', { strategies: ['ours'] }));
    const status = 'query($id: ID!) { deployment(id: $id) { id status comparison { decision } } }';
    const look = (caller: TestCaller, id: string) => caller.post(status, { id });
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(
        [admin, bot].flatMap((caller) => [...ids, ...ids].map((id) => look(caller, id))),
      );
      const said = answers.map(
        ({ data, errors }) => errors?.[0]?.extensions.code ?? data.deployment?.id ?? null,
      );
      const [ours, theirs] = ids;
      const all = [ours, theirs, 'INTERNAL_SERVER_ERROR'];
      const own = [ours, null, 'INTERNAL_SERVER_ERROR'];
      expect(said).toEqual([...all, ...all, ...own, ...own]);
    }
  } finally {
    await keyed.stop();
  }
});
