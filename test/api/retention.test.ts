/** Retention: history leaves the log for the archive, and nothing about a deployment is lost by it. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RETENTION_LOCK } from '../../src/store/postgres/advisoryLocks.ts';
import { CALM, command, report, running } from '../harness/deployment.ts';
import { alignClocks, imported } from '../harness/imports.ts';
import { createBudget, deleteBudget } from '../harness/lossBudget.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { countStatements } from '../harness/statementCounter.ts';
import { numbersOf, startReceiver } from '../webhooks/receiver.ts';
import { createWebhook, hurry, updateWebhook } from '../webhooks/webhook.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin({ retentionDays: 30, webhookNetworks: ['127.0.0.0/8'] });
});
afterAll(() => serin.stop());

const DAY = 86_400;
/** Nothing happens by itself for months. */
const STILL = { ...CALM, checkIntervalSeconds: 3600, observationPeriodMinutes: 60_000 };

/** A deployment that was checked, and ended. */
async function ended(strategyId: string): Promise<string> {
  const id = await running(serin, { strategyId, config: { ...CALM, checkIntervalSeconds: 10 } });
  await report(serin, 'Canary', id, { pnlUsd: '1.5', trades: 3 });
  await report(serin, 'Stable', id, { pnlUsd: '2.5', trades: 4 });
  await until(
    async () => (await serin.database.sql`select 1 from samples where deployment_id = ${id}`).length >= 3,
  );
  await command(serin, 'rollbackCanary', id, { reason: 'seen enough' });
  return id;
}

/** Lets the days pass, and Serin look at what is old. */
async function pass(days: number): Promise<void> {
  await serin.advance(days * DAY);
  await serin.restart();
}

const archivedAt = async (id: string): Promise<string | null> =>
  (await serin.ask('query($id: ID!) { deployment(id: $id) { archivedAt } }', { id })).deployment.archivedAt;

const rowsOf = async (id: string) => {
  const { sql } = serin.database;
  const [row] = await sql`select (select count(*) from events where deployment_id = ${id})::int as events,
    (select count(*) from samples where deployment_id = ${id})::int as samples`;
  return row;
};

async function everything(id: string): Promise<Data> {
  const { deployment, exportDeployment } = await serin.ask(
    `query($id: ID!) { exportDeployment(id: $id) deployment(id: $id) {
      status revision endedAt summary canaryCapitalUsd
      events(first: 200) { edges { cursor node { id no type at details } } }
      some: events(first: 2, types: [DECISION_MADE, CANARY_ROLLED_BACK]) { edges { node { no type } } pageInfo { hasNextPage } }
      samples(first: 200) { edges { cursor node { at decision canaryMetrics { metrics { netPnlUsd } } } } }
      lastSamples: samples(last: 2) { edges { cursor } pageInfo { hasPreviousPage } }
      decisionHistory { decision reasons cause configHash record comparison { gates { name outcome reason } } } } }`,
    { id },
  );
  return { deployment, exportDeployment };
}

test('what ended long ago is archived: it reads, explains and exports as before', async () => {
  const old = await ended('archive-old');
  const before = await everything(old);
  const live = await running(serin, { strategyId: 'archive-live', config: STILL });
  await pass(20);
  const young = await ended('archive-young');
  await pass(11);
  await until(async () => (await archivedAt(old)) !== null);
  expect(await archivedAt(young)).toBeNull();
  expect(await archivedAt(live)).toBeNull();
  expect(await rowsOf(old)).toEqual({ events: 0, samples: 0 });
  expect(before.deployment.samples.edges.length).toBeGreaterThanOrEqual(3);
  expect(before.deployment.decisionHistory).toHaveLength(1);
  expect(await everything(old)).toEqual(before);
  const cursor = before.deployment.events.edges[2].cursor;
  const { deployment } = await serin.ask(
    'query($id: ID!, $after: String) { deployment(id: $id) { events(first: 2, after: $after) { edges { node { no } } } } }',
    { id: old, after: cursor },
  );
  expect(deployment.events.edges.map(({ node }: Data) => node.no)).toEqual([4, 5]);
});

test('trades are archived too: they page and export as before', async () => {
  const id = await running(serin, { strategyId: 'archive-trades', config: STILL });
  const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id });
  const trades = ['one', 'two', 'three'].map((name, at) => ({
    id: name,
    at: deployment.startedAt,
    pnlUsd: `${at}.5`,
  }));
  const { recordTrades } = await serin.ask(
    'mutation($input: RecordTradesInput!) { recordTrades(input: $input) { taken message } }',
    { input: { deploymentId: id, side: 'CANARY', trades } },
  );
  expect(recordTrades).toMatchObject({ taken: 3 });
  await command(serin, 'rollbackCanary', id);
  const look = () =>
    serin.ask(
      `query($id: ID!) { exportDeployment(id: $id) deployment(id: $id) {
        trades(side: CANARY, first: 2) { edges { cursor node { id pnlUsd } } pageInfo { hasNextPage endCursor } } } }`,
      { id },
    );
  const before = await look();
  expect(before.exportDeployment.trades.CANARY).toHaveLength(3);
  await pass(31);
  await until(async () => (await archivedAt(id)) !== null);
  expect(await serin.database.sql`select 1 from trades where deployment_id = ${id}`).toHaveLength(0);
  expect(await look()).toEqual(before);
  const rest = await serin.ask(
    'query($id: ID!, $after: String) { deployment(id: $id) { trades(side: CANARY, first: 2, after: $after) { edges { node { id } } } } }',
    { id, after: before.deployment.trades.pageInfo.endCursor },
  );
  expect(rest.deployment.trades.edges).toHaveLength(1);
});

test('signals are counted as before', async () => {
  const id = await running(serin, {
    strategyId: 'archive-signals',
    config: { ...CALM, checkIntervalSeconds: 10, evidence: { pairing: 'SIGNAL' } },
  });
  const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id });
  const trade = (side: string, ...signals: string[]) =>
    serin.ask('mutation($input: RecordTradesInput!) { recordTrades(input: $input) { taken } }', {
      input: {
        deploymentId: id,
        side,
        trades: signals.map((name) => ({
          id: name,
          at: deployment.startedAt,
          pnlUsd: '1.5',
          signalId: name,
        })),
      },
    });
  await trade('CANARY', 'both', 'one', 'another');
  await trade('STABLE', 'both');
  const signals = async () =>
    (await serin.ask('query($id: ID!) { deployment(id: $id) { signals { open paired forgotten } } }', { id }))
      .deployment.signals;
  await until(async () => (await signals()).paired === 1);
  await command(serin, 'rollbackCanary', id);
  const before = await signals();
  expect(before).toEqual({ open: 2, paired: 1, forgotten: 0 });
  await pass(31);
  await until(async () => (await archivedAt(id)) !== null);
  expect(await serin.database.sql`select 1 from signals where deployment_id = ${id}`).toHaveLength(0);
  expect(await signals()).toEqual(before);
});

test('what is archived is read once for a use, however long it is; archives of earlier versions read the same', async () => {
  const id = await running(serin, {
    strategyId: 'archive-long',
    config: { ...CALM, checkIntervalSeconds: 10 },
  });
  await report(serin, 'Stable', id, { pnlUsd: '2.5', trades: 4 });
  const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id });
  for (let batch = 0; batch < 3; batch += 1) {
    const trades = Array.from({ length: 1000 }, (_, n) => ({
      id: `${batch}-${n}`,
      at: deployment.startedAt,
      pnlUsd: `${n}.5`,
    }));
    const { recordTrades } = await serin.ask(
      'mutation($input: RecordTradesInput!) { recordTrades(input: $input) { taken } }',
      { input: { deploymentId: id, side: 'CANARY', trades } },
    );
    expect(recordTrades.taken).toBe(1000);
  }
  const { sql } = serin.database;
  await until(async () => (await sql`select from samples where deployment_id = ${id}`).length >= 5);
  await command(serin, 'rollbackCanary', id);
  const DOCUMENT = 'query($id: ID!) { exportDeployment(id: $id) }';
  const SERIES = `query($id: ID!) { deployment(id: $id) { series {
    points { check canaryReturn stableReturn difference } markers { type } } } }`;
  const REPLAY =
    'query($id: ID!) { replayPolicy(deploymentId: $id, useOwnConfig: true) { checks decidedAt decisions { decision } } }';
  const look = async () => ({
    document: await serin.ask(DOCUMENT, { id }),
    series: await serin.ask(SERIES, { id }),
    replay: await serin.ask(REPLAY, { id }),
  });
  const before = await look();
  expect(before.document.exportDeployment.trades.CANARY).toHaveLength(3000);
  expect(before.series.deployment.series.points.length).toBeGreaterThanOrEqual(5);
  await pass(31);
  await until(async () => (await archivedAt(id)) !== null);
  const counter = await countStatements(serin.database.url);
  const reads = () =>
    [...counter.executed()]
      .filter(([text]) => text.includes('"content"') && text.includes('"archives"'))
      .reduce((sum, [, count]) => sum + count, 0);
  const readsOf = async (query: string) => {
    const until = reads();
    await serin.ask(query, { id });
    return reads() - until;
  };
  try {
    await serin.restart({ databaseUrl: counter.url });
    expect(await readsOf(SERIES)).toBe(1);
    expect(await readsOf(SERIES)).toBe(0);
    // Its first event, its samples, the trades of the measured side, and all of its events.
    expect(await readsOf(DOCUMENT)).toBe(4);
    expect(await readsOf(REPLAY)).toBe(2);
    expect(await look()).toEqual(before);
    const [row] = await sql`select content from archives where deployment_id = ${id}`;
    const json = JSON.stringify(JSON.parse(gunzipSync(row?.content).toString()));
    await sql`update archives set content = ${gzipSync(json)} where deployment_id = ${id}`;
    await serin.restart({ databaseUrl: counter.url });
    expect(await look()).toEqual(before);
  } finally {
    await serin.restart();
    counter.stop();
  }
});

test('a deployment that cannot be archived is named and passed over, and archived once it can be', async () => {
  const { sql } = serin.database;
  const broken = await ended('archive-broken');
  const healthy = await ended('archive-healthy');
  await sql`create table kept as select * from events where deployment_id = ${broken} and no = 2`;
  await sql`delete from events where deployment_id = ${broken} and no = 2`;
  const before = await rowsOf(broken);
  await pass(31);
  await until(async () => (await archivedAt(healthy)) !== null);
  const about = serin.warnings.filter((line) => line.includes(broken));
  expect(about[0]).toContain('could not be archived');
  expect(await archivedAt(broken)).toBeNull();
  expect(await rowsOf(broken)).toEqual(before);
  await sql`insert into events select * from kept`;
  await pass(1);
  await until(async () => (await archivedAt(broken)) !== null);
});

test('what changes while it is read for the archive is archived later, whole', async () => {
  const id = await ended('archive-changed');
  const { count } = await latest(id);
  const { sql } = serin.database;
  // Holds back the move, not the reading.
  const held = await sql.reserve();
  await serin.advance(31 * DAY);
  await held`select pg_advisory_lock(${RETENTION_LOCK})`;
  try {
    await serin.restart();
    await until(async () => {
      const waiting = await sql`select from pg_locks where locktype = 'advisory' and not granted
        and objid = ${RETENTION_LOCK} and database = (select oid from pg_database where datname = current_database())`;
      return waiting.length > 0;
    });
    const { number } = await latest(id);
    await command(serin, 'acknowledgeAllocation', id, { number, side: 'STABLE', heldUsd: '100000' });
  } finally {
    await held`select pg_advisory_unlock(${RETENTION_LOCK})`;
    held.release();
  }
  await pass(31);
  await until(async () => (await archivedAt(id)) !== null);
  expect((await latest(id)).count).toBe(count + 1);
  expect(await rowsOf(id)).toEqual({ events: 0, samples: 0 });
});

test('a fact after the archive continues its numbers', async () => {
  const id = await ended('archive-late');
  const { number, count } = await latest(id);
  await pass(31);
  await until(async () => (await archivedAt(id)) !== null);
  const answered = await command(serin, 'acknowledgeAllocation', id, {
    number,
    side: 'STABLE',
    heldUsd: '100000',
  });
  expect(answered.success).toBe(true);
  expect(await rowsOf(id)).toEqual({ events: 1, samples: 0 });
  const { exportDeployment: document } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', {
    id,
  });
  expect(document.events.map(({ no }: Data) => no)).toEqual(
    Array.from({ length: count + 1 }, (_, at) => at + 1),
  );
  const other = await startTestSerin({ retentionDays: 30 });
  try {
    await alignClocks(serin, other);
    const { importDeployment } = await other.ask(
      'mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) { success message } }',
      { input: { document } },
    );
    expect(importDeployment).toMatchObject({ success: true });
    await other.restart();
    const again = await other.ask(
      'query($id: ID!) { exportDeployment(id: $id) deployment(id: $id) { archivedAt } }',
      { id },
    );
    expect(again.exportDeployment).toEqual(imported(document));
    expect(again.deployment.archivedAt).toBeNull();
  } finally {
    await other.stop();
  }
});

async function latest(id: string): Promise<{ number: number; count: number }> {
  const { deployment } = await serin.ask(
    'query($id: ID!) { deployment(id: $id) { allocation { number } events(first: 200) { edges { node { no } } } } }',
    { id },
  );
  return { number: deployment.allocation.number, count: deployment.events.edges.at(-1).node.no };
}

test('events that a webhook has still to get are not archived; a disabled webhook holds nothing, and gets a notice', async () => {
  const receiver = await startReceiver();
  try {
    receiver.answer = () => 500;
    const input = { url: receiver.url, strategyId: 'archive-hook' };
    const { webhook } = await createWebhook(serin, input);
    const id = await ended('archive-hook');
    await pass(31);
    const beside = await ended('archive-beside');
    await pass(31);
    await until(async () => (await archivedAt(beside)) !== null);
    expect(await archivedAt(id)).toBeNull();
    receiver.answer = () => 200;
    const { count } = await latest(id);
    // None pending is not enough: a transaction elsewhere in the server may keep the last ones in the log for a while.
    await until(async () => {
      await hurry(serin, webhook.id);
      const { webhooks } = await serin.ask(
        '{ webhooks(strategyId: "archive-hook") { nodes { pendingCount } } }',
      );
      return receiver.taken.length === count && webhooks.nodes[0].pendingCount === 0;
    });
    await pass(1);
    await until(async () => (await archivedAt(id)) !== null);
    expect(numbersOf(receiver.taken, id)).toEqual(Array.from({ length: count }, (_, at) => at + 1));

    await updateWebhook(serin, { webhookId: webhook.id, enabled: false });
    const unheard = await ended('archive-hook');
    await pass(31);
    await until(async () => (await archivedAt(unheard)) !== null);
    const enabled = await updateWebhook(serin, { webhookId: webhook.id, enabled: true });
    expect(enabled).toMatchObject({ success: false, error: { code: 'CURSOR_TOO_OLD', path: ['enabled'] } });
  } finally {
    await receiver.close();
  }
});

test('a feed whose cursor lies before archived events gets an error; one past them continues', async () => {
  const id = await ended('archive-feed');
  const { deployment } = await serin.ask(
    'query($id: ID!) { deployment(id: $id) { events(first: 200) { edges { cursor } } } }',
    { id },
  );
  const cursors: string[] = deployment.events.edges.map(({ cursor }: Data) => cursor);
  await pass(31);
  await until(async () => (await archivedAt(id)) !== null);
  const kept = await running(serin, { strategyId: 'archive-feed', config: STILL });
  const EVENTS = `subscription($strategy: ID, $after: String) {
    eventAppended(strategyId: $strategy, after: $after) { no deploymentId } }`;
  const follow = (after: string | undefined) => serin.follow(EVENTS, { strategy: 'archive-feed', after });
  const late = follow(cursors[1]);
  await until(() => late.errors.length > 0);
  expect(JSON.stringify(late.errors)).toContain('CURSOR_TOO_OLD');
  expect(late.received).toEqual([]);
  for (const after of [cursors.at(-1), '0']) {
    expect((await follow(after).take(2)).map(({ deploymentId }) => deploymentId)).toEqual([kept, kept]);
  }
  const QUERY = `query($after: String) { events(first: 2, after: $after, filter: { strategyId: "archive-feed" }) {
    edges { node { deploymentId } } } }`;
  const { errors } = await serin.post(QUERY, { after: cursors[0] });
  expect(errors?.[0]?.extensions.code).toBe('CURSOR_TOO_OLD');
  const { events } = await serin.ask(QUERY, { after: cursors.at(-1) });
  expect(events.edges[0].node.deploymentId).toBe(kept);
});

test('what a loss budget still counts is not archived, and what was won before it does not offset losses', async () => {
  const short = await startTestSerin({ retentionDays: 1 });
  const passDays = async (days: number) => {
    await short.advance(days * DAY);
    await short.restart();
  };
  const isArchived = async (id: string) =>
    (await short.database.sql`select 1 from archives where deployment_id = ${id}`).length > 0;
  const config = {
    ...STILL,
    guardrails: { ...STILL.guardrails, maxLossPercent: null },
    observationPeriodMinutes: 100_000,
  };
  const start = (strategyId: string) => running(short, { strategyId, config });
  try {
    const won = await start('budget-won');
    await report(short, 'Canary', won, { pnlUsd: '5000' });
    await short.advance(3700);
    await until(
      async () => (await short.database.sql`select 1 from samples where deployment_id = ${won}`).length > 0,
    );
    const budget = { strategies: ['budget-*'], windowHours: 72, maxLossUsd: '9000', action: 'FREEZE' };
    const { lossBudget: first } = await createBudget(short, budget);
    await passDays(4);
    await command(short, 'rollbackCanary', won);
    const beside = await start('beside');
    await command(short, 'rollbackCanary', beside);
    await passDays(1.1);
    await until(() => isArchived(beside));
    expect(await isArchived(won)).toBe(false);
    await deleteBudget(short, first.id);
    await passDays(0.1);
    await until(() => isArchived(won));

    const lost = await start('budget-lost');
    await report(short, 'Canary', lost, { pnlUsd: '-2000' });
    const { lossBudget } = await createBudget(short, budget);
    expect(lossBudget).toMatchObject({ lossUsd: '2000' });
    await deleteBudget(short, lossBudget.id);
  } finally {
    await short.stop();
  }
});
