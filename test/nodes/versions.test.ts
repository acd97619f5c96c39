/**
 * Two versions of Serin on one database, as in a rolling upgrade: the later one writes nothing that the earlier cannot
 * read while it is there, and the earlier passes on what it does not know when it comes back.
 */
import { readMigrationFiles } from 'drizzle-orm/migrator';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { migrateDatabase } from '../../src/store/postgres/database.ts';
import { MIGRATIONS_FOLDER } from '../../src/store/postgres/migrator.ts';
import { createNode, type SerinNode } from '../faults/nodes.ts';
import { databaseUrl } from '../harness/database.ts';
import { command, create, HOURLY, running } from '../harness/deployment.ts';
import { makeLaterVersion } from '../harness/laterVersion.ts';
import {
  callerAt,
  type Data,
  startTestSerin,
  type TestCaller,
  type TestSerin,
  until,
} from '../harness/serin.ts';
import { type Receiver, startReceiver } from '../webhooks/receiver.ts';
import { createWebhook, deliveriesOf } from '../webhooks/webhook.ts';

const EVENTS = `query($id: ID!) { deployment(id: $id) { status headline comparison { decision }
  events(first: 50) { nodes { no type description details payload { __typename } } } } }`;

describe('two versions on one database', () => {
  /** The version of this build. */
  let earlier: TestSerin;
  let node: SerinNode | undefined;
  let later: TestCaller;
  let receiver: Receiver;
  let before = '';
  const crashes: string[] = [];
  const read = async (caller: TestCaller, id: string): Promise<Data> =>
    (await caller.ask(EVENTS, { id })).deployment;
  const typesOf = ({ events }: Data) => events.nodes.map(({ type }: Data) => type);
  const ruleOf = async (id: string) => {
    const [row] = await earlier.database.sql`
      select detail ->> 'rule' as rule, config ->> 'desk' as desk from deployments where id = ${id}`;
    return row;
  };
  /** Until the later version writes in this form. */
  const untilForm = (form: number) =>
    until(async () => {
      const { deployment } = await create(later, { config: HOURLY });
      return (await ruleOf(deployment.id))?.rule === String(form + 1);
    }, 60_000);

  beforeAll(async () => {
    earlier = await startTestSerin({ webhookNetworks: ['127.0.0.0/8'] });
    receiver = await startReceiver();
    await createWebhook(earlier, { url: receiver.url });
    node = await createNode({
      name: 'later',
      ...(await makeLaterVersion()),
      databaseUrl: () => earlier.database.url,
      timeScale: 60,
      onCrash: (why) => crashes.push(why),
      environment: { SERIN_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.0/8' },
    });
    await node.start();
    const { url } = node;
    later = callerAt(() => url);
  }, 180_000);
  afterAll(async () => {
    await node?.close();
    await earlier.stop();
    await receiver.close();
  });

  test('while the earlier one is there, the later one writes what both can read', async () => {
    before = await running(later, { config: HOURLY });
    expect(await ruleOf(before)).toEqual({ rule: '2', desk: null });
    await command(later, 'pauseDeployment', before);
    const seen = await read(earlier, before);
    expect(typesOf(seen)).toEqual([
      'DEPLOYMENT_CREATED',
      'CANARY_STARTED',
      'ALLOCATION_REQUESTED',
      'CANARY_PAUSED',
    ]);
    expect(seen.comparison).not.toBeNull();
    expect((await command(earlier, 'resumeDeployment', before)).success).toBe(true);
  });

  test('a minute after the earlier one was last seen, the later one writes its own form', async () => {
    const feed = earlier.follow('subscription { eventAppended { type deploymentId no } }');
    // As if it were gone: its row is not renewed any more.
    await earlier.database.sql.unsafe(`
      lock table nodes in share row exclusive mode;
      update nodes set seen_at = clock_timestamp() - interval '61 seconds' where version <> 'later';
      create function stale() returns trigger language plpgsql as $$
        begin return case when new.version = 'later' then new end; end $$;
      create trigger stale before update on nodes for each row execute function stale()`);
    await untilForm(2);
    // It is still there, and passes on what it does not know.
    const id = await running(later, { strategyId: 'unknown-to-the-earlier', config: HOURLY });
    expect(await ruleOf(id)).toEqual({ rule: '3', desk: 'rates' });
    await command(later, 'pauseDeployment', id);
    await until(() => feed.received.some(({ deploymentId, no }) => deploymentId === id && no === 5));
    const types = feed.received.filter(({ deploymentId }) => deploymentId === id).map(({ type }) => type);
    expect(types).toEqual(['UNKNOWN', 'CANARY_STARTED', 'ALLOCATION_REQUESTED', 'CANARY_PAUSED', 'UNKNOWN']);
    expect(feed.errors).toEqual([]);

    const seen = await read(earlier, id);
    expect(seen).toMatchObject({ status: 'PAUSED', comparison: null });
    expect(seen.headline).toContain('A later version of Serin decides');
    expect(seen.events.nodes[0].details).toMatchObject({ type: 'DEPLOYMENT_CREATED', rule: 3 });
    expect(seen.events.nodes[4]).toMatchObject({
      type: 'UNKNOWN',
      details: { type: 'OPERATOR_NOTED', note: 'lunch' },
      payload: null,
    });
    expect(seen.events.nodes[4].description).toContain('OPERATOR_NOTED');
    await until(() => receiver.taken.some(({ body }) => body.type === 'OPERATOR_NOTED'));
    const { webhooks } = await earlier.ask('{ webhooks(first: 5) { nodes { id } } }');
    const delivered = await deliveriesOf(earlier, webhooks.nodes[0].id, { deploymentId: id });
    expect(delivered.map(({ eventType }) => eventType)).toContain('UNKNOWN');

    // It lists it, exports it, and decides nothing on it.
    const { deployments } = await earlier.ask('{ deployments(first: 50) { nodes { id headline } } }');
    expect(deployments.nodes.map((one: Data) => one.id)).toContain(id);
    const { exportDeployment } = await earlier.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
    expect(exportDeployment.events[4]).toMatchObject({ type: 'OPERATOR_NOTED', note: 'lunch' });
    const refused = await earlier.post(
      'mutation($input: ResumeDeploymentInput!) { resumeDeployment(input: $input) { success } }',
      { input: { deploymentId: id } },
    );
    expect(refused.errors?.[0]).toMatchObject({
      extensions: { code: 'UNAVAILABLE' },
      message: expect.stringContaining('version 3 of the decision rule'),
    });
    await earlier.database
      .sql`update deployments set next_check_at = serin_now() where id in (${id}, ${before})`;
    await until(async () => typesOf(await read(earlier, before)).includes('CANARY_METRICS_UPDATED'), 60_000);
  }, 120_000);

  test('when the earlier one is seen again, new deployments are in the form that both read', async () => {
    await earlier.database.sql`drop trigger stale on nodes`;
    await untilForm(1);
    expect(crashes).toEqual([]);
  }, 120_000);
});

test('fields of a state that a later version stored are kept by an earlier one that writes it', async () => {
  const serin = await startTestSerin();
  const id = await running(serin, { config: HOURLY });
  await serin.database.sql`
    update deployments set detail = jsonb_set(detail || '{"mood": "calm"}', '{observation,weather}', '"dry"')
    where id = ${id}`;
  expect((await command(serin, 'pauseDeployment', id)).success).toBe(true);
  expect((await command(serin, 'resumeDeployment', id)).success).toBe(true);
  const [row] = await serin.database.sql`
    select detail ->> 'mood' as mood, detail #>> '{observation,weather}' as weather from deployments`;
  expect(row).toEqual({ mood: 'calm', weather: 'dry' });
  await serin.stop();
});

test('settings that a later version stored are never dropped: an earlier one does not change the configuration', async () => {
  const serin = await startTestSerin();
  const id = await running(serin, { config: HOURLY });
  await serin.database.sql`
    update deployments set config = jsonb_set(config || '{"desk": "rates"}', '{guardrails,tail}', '2') where id = ${id}`;
  const update = `mutation($input: UpdateConfigInput!) { updateConfig(input: $input) { success } }`;
  const { errors } = await serin.post(update, {
    input: { deploymentId: id, config: { guardrails: { maxLossUsd: '10' } } },
  });
  expect(errors).toMatchObject([
    {
      message: expect.stringMatching(
        /has the setting config\.\S+, which this node does not know.*later version/,
      ),
      extensions: { code: 'UNAVAILABLE' },
    },
  ]);
  // What is no change of the configuration goes on.
  expect((await command(serin, 'pauseDeployment', id)).success).toBe(true);
  const [row] = await serin.database.sql`
    select config ->> 'desk' as desk, (config #>> '{guardrails,tail}')::int as tail from deployments`;
  expect(row).toEqual({ desk: 'rates', tail: 2 });
  await serin.stop();
});

test('a node waits with its migrations while a node of Serin 0.1 is connected, and says so', async () => {
  const server = inject('postgresUrl');
  const admin = postgres(server, { max: 1, onnotice: () => {} });
  await admin`create database upgraded`;
  const url = databaseUrl(server, 'upgraded');
  const old = postgres(url, { max: 1, connection: { application_name: 'serin' } });
  // What 0.1 leaves: its tables, here those of its first migration.
  const [first] = readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER });
  for (const statement of first?.sql ?? []) await old.unsafe(statement);
  await old`create schema drizzle`;
  await old`create table drizzle.__drizzle_migrations (id serial, hash text not null, created_at bigint)`;
  await old`insert into drizzle.__drizzle_migrations (hash, created_at) values ('', ${first?.folderMillis ?? 0})`;
  const warnings: string[] = [];
  let migrated = false;
  const migrating = migrateDatabase({ url }, { info: () => {}, warn: (text) => warnings.push(text) }).then(
    () => {
      migrated = true;
    },
  );
  await until(() => warnings.length > 0);
  expect(warnings[0]).toMatch(/until the nodes of Serin 0\.1 are stopped.*process \d+ \(serin\)/);
  expect(migrated).toBe(false);
  await old.end();
  await migrating;
  const next = postgres(url, { max: 1 });
  expect(await next`select from nodes`).toHaveLength(0);
  await next.end();
  await admin`drop database upgraded with (force)`;
  await admin.end();
}, 60_000);
