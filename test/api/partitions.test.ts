/** Partitions: the log of a month goes as a whole when it is archived, and what nobody foresaw is caught. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, command, report, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin({ retentionDays: 30 });
});
afterAll(() => serin.stop());

const DAY = 86_400;
/** Nothing happens by itself for months. */
const STILL = { ...CALM, checkIntervalSeconds: 3600, observationPeriodMinutes: 60_000 };

/** Lets the days pass with Serin away: a node that starts makes the partitions that are missing. */
async function pass(days: number): Promise<void> {
  await serin.advance(days * DAY);
  await serin.restart();
}

/** The month on Serin's clock, as the names of partitions have it. */
async function month(): Promise<string> {
  const [row] = await serin.database.sql`select to_char(serin_now() at time zone 'UTC', 'YYYY_MM') as month`;
  return row?.month;
}

const exists = async (table: string): Promise<boolean> =>
  (await serin.database.sql`select to_regclass(${table}) is not null as there`)[0]?.there;

/** The partitions that hold rows of a deployment. */
const partitionsOf = async (id: string): Promise<string[]> =>
  (
    await serin.database.sql`
      select tableoid::regclass::text as name from events where deployment_id = ${id}
      union select tableoid::regclass::text from samples where deployment_id = ${id}
      union select tableoid::regclass::text from trades where deployment_id = ${id} order by 1`
  ).map(({ name }) => name);

async function whileABackupReads(tables: readonly string[], act: () => Promise<void>): Promise<void> {
  const backup = await serin.database.sql.reserve();
  try {
    await backup`begin`;
    await backup.unsafe(`lock table only ${tables.join(', only ')} in access share mode`);
    await act();
    await backup`commit`;
  } finally {
    backup.release();
  }
}

/** Rows in the default partitions, as `/metrics` has them. */
async function caught(): Promise<number> {
  const text = await (await fetch(`${serin.url}/metrics`)).text();
  const values = [...text.matchAll(/^serin_default_partition_rows\{[^}]*\} (\d+)$/gm)];
  expect(values).toHaveLength(3);
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}

const read = (id: string): Promise<Data> =>
  serin.ask(
    `query($id: ID!) { exportDeployment(id: $id) deployment(id: $id) { status revision summary
      events(first: 200) { edges { cursor node { id no type at details } } }
      samples(first: 200) { edges { node { at decision } } }
      trades(side: CANARY, first: 20) { edges { cursor node { id pnlUsd } } }
      series(points: 20) { points { at check decision canaryReturn } }
      decisionHistory { decision reasons } } }`,
    { id },
  );

/** Says what a side of a deployment holds. */
async function hold(id: string, side: 'CANARY' | 'STABLE', heldUsd: string): Promise<void> {
  const { deployment } = await serin.ask(
    'query($id: ID!) { deployment(id: $id) { allocation { number } } }',
    { id },
  );
  const { number } = deployment.allocation;
  const { success } = await command(serin, 'acknowledgeAllocation', id, { number, side, heldUsd });
  expect(success).toBe(true);
}

/** A deployment with samples, and one with trades; both have ended, and their capital is home. */
async function lived(): Promise<string[]> {
  const sampled = await running(serin, {
    strategyId: 'sampled',
    config: { ...CALM, checkIntervalSeconds: 10 },
  });
  await report(serin, 'Canary', sampled, { pnlUsd: '1.5', trades: 3 });
  await report(serin, 'Stable', sampled, { pnlUsd: '2.5', trades: 4 });
  const samples = () => serin.database.sql`select from samples where deployment_id = ${sampled}`;
  await until(async () => (await samples()).length > 0);
  const traded = await running(serin, { strategyId: 'traded', config: STILL });
  const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', {
    id: traded,
  });
  const { recordTrades } = await serin.ask(
    'mutation($input: RecordTradesInput!) { recordTrades(input: $input) { taken } }',
    {
      input: {
        deploymentId: traded,
        side: 'CANARY',
        trades: [{ id: 'one', at: deployment.startedAt, pnlUsd: '0.5' }],
      },
    },
  );
  expect(recordTrades).toMatchObject({ taken: 1 });
  for (const id of [sampled, traded]) {
    await command(serin, 'rollbackCanary', id);
    await hold(id, 'STABLE', '100000');
    await hold(id, 'CANARY', '0');
  }
  return [sampled, traded];
}

test('a month whose deployments are archived goes, and what is read of them is the same', async () => {
  const first = await month();
  const old = await lived();
  for (const id of old) {
    const names = await partitionsOf(id);
    expect(names).toContain(`events_${first}`);
    expect(names.every((name) => name.endsWith(first))).toBe(true);
  }
  const [id = ''] = old;
  const before = await Promise.all(old.map(read));
  const late = () => partitionsOf(id);
  // While a backup reads a partition it stays, so what comes after the archive still lies in it.
  await whileABackupReads([`events_${first}`], async () => {
    await pass(32);
    await until(async () => (await late()).length === 0);
    expect(await Promise.all(old.map(read))).toEqual(before);
    await hold(id, 'STABLE', '99999');
    expect(await late()).toEqual([`events_${first}`]);
  });
  const young = await running(serin, { strategyId: 'young', config: STILL });
  expect(await month()).not.toBe(first);
  expect(await partitionsOf(young)).toEqual([`events_${await month()}`]);
  // Two days, so that the month has been over for a day whatever day it is.
  await pass(2);
  const tables = ['events', 'samples', 'trades'].map((name) => `${name}_${first}`);
  await until(async () => !(await Promise.all(tables.map(exists))).includes(true));
  expect(await read(old[1] ?? '')).toEqual(before[1]);
  expect((await command(serin, 'pauseDeployment', young)).success).toBe(true);

  // What comes late has no partition any more: it is kept, and nobody is called.
  expect(await late()).toEqual(['events_default']);
  await hold(id, 'STABLE', '100000');
  expect(await late()).toEqual(['events_default']);
  expect(await caught()).toBe(0);
  const { deployment: now } = await read(id);
  expect(now.events.edges).toHaveLength(before[0]?.deployment.events.edges.length + 2);
});

test('what arrives in a month without a partition is caught, counted, and moves to its partition when that can be made', async () => {
  let [unforeseen, id] = ['', ''];
  let before: Data;
  // While a backup reads, no partition can be made, and nothing waits for that.
  await whileABackupReads(['events_default', 'samples_default', 'trades_default'], async () => {
    await pass(200);
    unforeseen = await month();
    id = await running(serin, { strategyId: 'unforeseen', config: STILL });
    expect(await partitionsOf(id)).toEqual(['events_default']);
    expect(await caught()).toBeGreaterThanOrEqual(3);
    before = await read(id);
    const feed = serin.follow(
      'subscription($id: ID!) { eventAppended(deploymentId: $id, after: "0") { no } }',
      { id },
    );
    await feed.take(3);
  });
  await pass(0);
  expect(await partitionsOf(id)).toEqual([`events_${unforeseen}`]);
  expect(await caught()).toBe(0);
  expect(await read(id)).toEqual(before);
  expect((await command(serin, 'pauseDeployment', id)).success).toBe(true);
  expect(await partitionsOf(id)).toEqual([`events_${unforeseen}`]);
});

test('an export that waited for a change of the partitions has every row', async () => {
  const [id = ''] = await lived();
  const partition = `events_${await month()}`;
  const before = (await read(id)).exportDeployment;
  let exported: Promise<Data> | undefined;
  await serin.database.sql.begin(async (tx) => {
    await tx`lock table deployments in access exclusive mode`;
    exported = serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
    await until(
      async () =>
        (
          await tx`
      select from pg_locks where relation = 'deployments'::regclass and not granted`
        ).length > 0,
    );
    await tx.unsafe(`alter table events detach partition ${partition}`);
    await tx.unsafe(`insert into events select * from ${partition}`);
    await tx.unsafe(`drop table ${partition}`);
  });
  expect((await exported)?.exportDeployment).toEqual(before);
});
