/**
 * The hot queries stay on their indexes when the tables are large, and an operation sends as many statements for many
 * rows as for one.
 */
import { randomUUID } from 'node:crypto';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { graphql } from 'graphql';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { growDeployments, growEvents } from '../../bench/harness/grow.ts';
import { createAccess } from '../../src/access/access.ts';
import { openActor } from '../../src/access/actor.ts';
import { createCommands } from '../../src/app/commands.ts';
import type { App } from '../../src/app/context.ts';
import { createCommandQuota } from '../../src/app/execution/commandQuota.ts';
import { createDeploymentQueue } from '../../src/app/execution/deploymentQueue.ts';
import { createFairShare } from '../../src/app/execution/fairShare.ts';
import { createHeavyReads } from '../../src/app/execution/heavyReads.ts';
import { createRefusalAudit } from '../../src/app/execution/refusalAudit.ts';
import { createRefusalQuota } from '../../src/app/execution/refusalQuota.ts';
import { createReports } from '../../src/app/reports.ts';
import { FORM } from '../../src/core/lifecycle/forms.ts';
import { createFeed } from '../../src/feed/feed.ts';
import { startTail } from '../../src/feed/tail.ts';
import { PORTION } from '../../src/graphql/fairTurns.ts';
import { createLoaders, readsFrom } from '../../src/graphql/loaders.ts';
import { schema } from '../../src/graphql/schema.ts';
import { ALWAYS_PRESENT } from '../../src/server/pipeline/callerPresence.ts';
import { createSimulator } from '../../src/simulation/simulator.ts';
import { createPolicyWarnings } from '../../src/simulation/warnings.ts';
import { pageDeployments } from '../../src/store/deployments/deploymentPages.ts';
import { findDeployment, findDeployments } from '../../src/store/deployments/deployments.ts';
import { claimDue, lockDue, stillDue, untilNextDue } from '../../src/store/deployments/leases.ts';
import { findTrades, readTrades } from '../../src/store/deployments/trades.ts';
import { readDeploymentEvents, readLatestEvents } from '../../src/store/log/deploymentEvents.ts';
import { type LogPart, lastSettledPosition, readLog, readLogTail } from '../../src/store/log/eventLog.ts';
import { LOG_START, type LogPosition } from '../../src/store/log/position.ts';
import { findDue } from '../../src/store/log/retention.ts';
import { readSamples } from '../../src/store/log/samples.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { createNotifier } from '../../src/store/postgres/notifier.ts';
import { fanOut } from '../../src/store/webhooks/queue.ts';
import { CALM, report, running } from '../harness/deployment.ts';
import { OPEN, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const GROWN = 6000;
/** The months in which they arrived: each is a partition of the log. */
const MONTHS = 12;

let serin: TestSerin;
/** The deployment that the others are copies of. */
let pattern: string;
beforeAll(async () => {
  serin = await startTestSerin({ timeScale: 1 });
  pattern = await running(serin, { config: { ...CALM, checkIntervalSeconds: 3600 } });
  await report(serin, 'Canary', pattern, { pnlUsd: '12.5', trades: 9 });
  await report(serin, 'Stable', pattern, { pnlUsd: '100', trades: 90 });
  await growDeployments(serin.database.sql, pattern, GROWN, MONTHS);
  await growEvents(serin.database.sql, GROWN, MONTHS, { end: 4 * GROWN });
  await serin.database.sql`vacuum analyze`;
  // A read of the log asks again while an older transaction is open, also one of another test on the same cluster.
  const { db } = listening();
  await until(async () => !(await readLogTail(db, await lastSettledPosition(db), 1)).heldBack);
}, 120_000);
afterAll(() => serin.stop());

interface Statement {
  readonly text: string;
  readonly parameters: unknown[];
}

/** A database that records its statements. */
function listening(): { db: PostgresJsDatabase; statements: Statement[] } {
  const statements: Statement[] = [];
  const logger = {
    logQuery: (text: string, parameters: unknown[]) => void statements.push({ text, parameters }),
  };
  return { db: drizzle(serin.database.sql, { logger }), statements };
}

/**
 * The clock is one row, and incarnations are as many as PostgreSQL was started. Nothing lies in the partitions for what came
 * before there were any, for the months to come, and for the unforeseen.
 */
const SMALL = new RegExp(
  `^(clock|incarnations|(events|samples|trades)_(first|default|${[1, 2].map(monthAhead).join('|')}))$`,
);

function monthAhead(months: number): string {
  const first = new Date();
  first.setUTCDate(1);
  first.setUTCMonth(first.getUTCMonth() + months);
  return first.toISOString().slice(0, 7).replace('-', '_');
}

/** The lines of the plans of some work. */
async function plansOf(
  work: (db: PostgresJsDatabase) => Promise<unknown>,
  explain: string,
): Promise<string[]> {
  const { db, statements } = listening();
  await work(db);
  expect(statements.length).toBeGreaterThan(0);
  const lines: string[] = [];
  for (const { text, parameters } of statements) {
    const plain = parameters.map((value) => (value instanceof Date ? value.toISOString() : value));
    const plan = await serin.database.sql.unsafe(
      `${explain} ${text}`,
      plain.map((value) => (Array.isArray(value) ? value.map(String) : String(value))),
    );
    lines.push(...plan.map((row) => String(row['QUERY PLAN'])));
  }
  return lines;
}

/** The tables that some work reads with a sequential scan. */
async function scanned(work: (db: PostgresJsDatabase) => Promise<unknown>): Promise<string[]> {
  const tables = (await plansOf(work, 'explain')).map((line) => /Seq Scan on (\w+)/.exec(line)?.[1]);
  return tables.filter((table) => table !== undefined && !SMALL.test(table)).map(String);
}

/** The partitions that some work reads: of others PostgreSQL has a plan, and never executes it. */
async function partitionsRead(work: (db: PostgresJsDatabase) => Promise<unknown>): Promise<string[]> {
  const lines = await plansOf(work, 'explain (analyze, costs off, timing off, summary off)');
  const read = lines.filter((line) => line.includes('(actual'));
  return [
    ...new Set(
      read.flatMap(
        (line) => / on ((?:events|samples|trades)_(?:first|default|\d{4}_\d\d))\b/.exec(line)?.[1] ?? [],
      ),
    ),
  ];
}

const order = { by: 'CREATED_AT', descending: true } as const;
const page = { order, limit: 21, fromEnd: false };
const ALL = { scope: null };
const beyond = { at: Date.now(), id: 'grown-7' };

describe('no sequential scan for', () => {
  test.each<[string, (db: PostgresJsDatabase) => Promise<unknown>]>([
    ['a deployment by id', (db) => findDeployment(db, 'grown-7')],
    ['several by id', (db) => findDeployments(db, ['grown-7', 'grown-8'])],
    ['the newest deployments', (db) => pageDeployments(db, { ...page, filter: ALL })],
    ['the next page', (db) => pageDeployments(db, { ...page, filter: ALL, after: beyond })],
    [
      'a page of one status',
      (db) => pageDeployments(db, { ...page, filter: { ...ALL, statuses: ['RUNNING'] } }),
    ],
    [
      'a page of a strategy',
      (db) => pageDeployments(db, { ...page, filter: { ...ALL, strategyId: 'grown-7' } }),
    ],
    [
      'the claim of what is due',
      (db) =>
        claimDue(db, { kind: 'PROVIDED', limit: 16, leaseSeconds: 30, slots: { each: 16, left: new Map() } }),
    ],
    ['what is due', (db) => lockDue(db, 16)],
    ['what is due still', (db) => stillDue(db, ['grown-7', 'grown-8'])],
    ['when the next is due', (db) => untilNextDue(db, 'REPORTED')],
    ['when the next with a provider is due', (db) => untilNextDue(db, 'PROVIDED')],
    ['the log as it grows', (db) => readLogTail(db, LOG_START, 1000)],
    ['the events of a deployment', (db) => readDeploymentEvents(db, 'grown-7', { limit: 20 })],
    ['the log from a cursor', (db) => readLog(db, LOG_START, 100, ALL)],
    ['the log of a strategy', (db) => readLog(db, LOG_START, 100, { ...ALL, strategyId: 'grown-7' })],
    ['the log of a deployment', (db) => readLog(db, LOG_START, 100, { ...ALL, deploymentId: 'grown-7' })],
  ])('%s', async (_name, work) => {
    expect(await scanned(work)).toEqual([]);
  });
});

test('what is due is found by following the index, also where all are due and the table is large in its pages', async () => {
  const { sql: client } = serin.database;
  await client`update deployments set next_check_at = serin_now() - interval '1 second', lease_until = 'infinity'
    where next_check_at is not null`;
  await client`analyze deployments`;
  const lines = await plansOf((db) => lockDue(db, 64), 'explain');
  expect(lines.join('\n')).toContain('Index Scan using deployments_due on deployments');
  expect(lines.join('\n')).not.toContain('Sort');
});

/** The indexes that some work reads. */
async function indexesOf(work: (db: PostgresJsDatabase) => Promise<unknown>): Promise<string[]> {
  const lines = await plansOf(work, 'explain (analyze, costs off, timing off, summary off)');
  const read = lines.flatMap((line) => /Scan using (trades_\w+) on \S+ .*\(actual/.exec(line)?.[1] ?? []);
  return [...new Set(read)];
}

test('a reader of few types of events looks at a part of the log at a time, and misses none', async () => {
  const { sql: client } = serin.database;
  const isRare = client`deployment_id like 'grown-%' and no = 3 and substr(deployment_id, 7)::int % 100 = 0`;
  await client`update events set type = 'CANARY_PAUSED' where ${isRare}`;
  await client`insert into webhooks (id, url, event_types, status, secret, cursor_xid, cursor_id, created_by)
    values ('wh_few', 'https://example.org', array['CANARY_PAUSED'], 'ENABLED', 'whsec_', '0', 0, 'ada')`;
  /** The most rows that a scan of the log has gone through for one statement. */
  const mostRead = async (work: (db: PostgresJsDatabase) => Promise<unknown>) => {
    const lines = await plansOf(work, 'explain (analyze, costs off, timing off, summary off)');
    const rows = lines.flatMap(
      (line) => /(?: on events.*actual.*rows=|Rows Removed by Filter: )(\d+)/.exec(line)?.[1] ?? [],
    );
    return Math.max(...rows.map(Number));
  };
  const few = { scope: null, types: ['CANARY_PAUSED' as const] };
  expect(await mostRead((db) => readLog(db, LOG_START, 100, few))).toBeLessThan(GROWN);
  const found: string[] = [];
  for (let from: LogPosition | null = LOG_START; from; ) {
    const part: LogPart = await readLog(listening().db, from, 7, few);
    found.push(...part.entries.map(({ deploymentId }) => deploymentId));
    from = part.end;
  }
  const all =
    await client`select deployment_id as deployment from events where ${isRare} order by incarnation, xid, id`;
  expect(found).toEqual(all.map(({ deployment }) => deployment));
  expect(found).toHaveLength(GROWN / 100);

  expect(await mostRead(fanOut)).toBeLessThan(GROWN);
  while (await fanOut(listening().db));
  const sent =
    await client`select deployment_id as id from webhook_deliveries where webhook_id = 'wh_few' order by seq`;
  expect(sent.map(({ id }) => id)).toEqual(found);
  await client`delete from webhooks where id = 'wh_few'`;
});

test('trades of a month that is not analyzed yet are found by their ids', async () => {
  const [id] = await serin.database.sql`
    select id from deployments where born = date_trunc('month', serin_now() at time zone 'UTC') limit 1`;
  const { sql: client } = serin.database;
  await client.unsafe(`alter table trades_${monthAhead(0)} set (autovacuum_enabled = off)`);
  await client`insert into trade_books (deployment_id, side, book, born)
    select id, 'CANARY', '{}', born from deployments where id = ${id?.id}`;
  await client`
    insert into trades (deployment_id, side, id, at, pnl_usd, fees_usd, gas_usd, capital_usd, recorded_at, born)
    select b.deployment_id, b.side, 't' || n, serin_now() + make_interval(secs => n), 1, 0, 0, 1000, serin_now(), b.born
    from trade_books b, generate_series(1, 20000) n where b.deployment_id = ${id?.id}`;
  const of = { deploymentId: id?.id, side: 'CANARY' } as const;
  const ids = Array.from({ length: 100 }, (_, n) => `t${n + 1}`);
  expect(await indexesOf((db) => findTrades(db, of, ids))).toEqual([`trades_${monthAhead(0)}_pkey`]);
});

describe('only the partition of its month is read for', () => {
  const key = { deploymentId: 'grown-7', side: 'CANARY' } as const;
  test.each<[string, (db: PostgresJsDatabase) => Promise<unknown>]>([
    ['the events of a deployment', (db) => readDeploymentEvents(db, 'grown-7', { limit: 20 })],
    ['the log of a deployment', (db) => readLog(db, LOG_START, 100, { ...ALL, deploymentId: 'grown-7' })],
    ['the latest event of a kind', (db) => readLatestEvents(db, ['grown-7'], ['CANARY_METRICS_UPDATED'])],
    ['its samples', (db) => readSamples(db, 'grown-7', { limit: 20 })],
    ['its trades', (db) => readTrades(db, key, { limit: 20 })],
  ])('%s', async (_name, work) => {
    const [row] = await serin.database.sql`
      select to_char(born, '_YYYY_MM') as month from deployments where id = 'grown-7'`;
    const read = await partitionsRead(work);
    expect(read).toHaveLength(1);
    expect(read[0]).toMatch(new RegExp(`${row?.month}$`));
  });
});

/** Runs operations on the schema over a database, without a server. */
async function onSchema(
  db: PostgresJsDatabase,
  run: (execute: (source: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const log = pino({ level: 'silent' });
  const notifier = createNotifier(serin.database.sql);
  const simulator = createSimulator(log);
  const app: App = {
    db,
    notifier,
    inDeploymentOrder: createDeploymentQueue(),
    form: () => FORM,
    onEvents: () => {},
    onBatchFailure: () => {},
    onHalt: () => {},
    providerNames: new Set<string>(),
    refuseTarget: async () => null,
    simulator,
    policyWarnings: createPolicyWarnings(simulator, log),
    approvals: { callersKnown: false, strategies: [] },
    heavyReads: createHeavyReads(),
    fairShare: createFairShare(),
    refusalQuota: createRefusalQuota(),
    commandQuota: createCommandQuota(),
    refusalAudit: createRefusalAudit(),
    log,
  };
  const access = createAccess(db, log, OPEN);
  const tail = await startTail(db, notifier, log);
  const feed = createFeed(db, tail, log);
  const actor = openActor('test');
  await tail.stop();
  const commands = createCommands(app);
  const reports = createReports(app);
  const reads = readsFrom(db);
  const loadersFor = createLoaders(reads);
  await run(async (source) => {
    const loaders = loadersFor(actor);
    const contextValue = {
      access,
      app,
      feed,
      commands,
      reports,
      reads,
      actor,
      loaders,
      presence: ALWAYS_PRESENT,
      position: { at: null },
    };
    const { errors } = await graphql({ schema, source, contextValue });
    expect(errors).toBeUndefined();
  });
  feed.stop();
  access.stop();
}

describe('the number of statements does not grow with the number of rows:', () => {
  /** The number of statements that concurrent operations on the schema send. */
  async function statementsOf(...sources: readonly string[]): Promise<number> {
    const { db, statements } = listening();
    await onSchema(db, async (execute) => {
      statements.length = 0;
      await Promise.all(sources.map(execute));
    });
    return statements.length;
  }

  const list = (first: number) => `{ deployments(first: ${first}) { nodes {
    id status comparison { decision } canaryMetrics { errorRate } strategy { stableVersionId } } } }`;
  const log = (first: number) => `{ events(first: ${first}) { edges { node {
    type deployment { id status strategy { id } } } } } }`;

  test.each([
    ['a list with strategies', list],
    ['events with their deployments', log],
  ])('%s', async (_name, document) => {
    const one = await statementsOf(document(1));
    expect(await statementsOf(document(PORTION))).toBe(one);
    expect(await statementsOf(document(2 * PORTION))).toBeLessThanOrEqual(2 * one);
    expect(one).toBeLessThanOrEqual(4);
  });

  test('a status is one statement', async () => {
    const status =
      '{ deployment(id: "grown-7") { id status comparison { decision } canaryMetrics { errorRate } } }';
    expect(await statementsOf(status)).toBe(1);
  });

  test('nor with the number of concurrent requests for a status', async () => {
    const status = (n: number) => `{ deployment(id: "grown-${n}") { id status comparison { decision } } }`;
    expect(await statementsOf(...Array.from({ length: 50 }, (_, n) => status(n % 40)))).toBe(1);
  });
});

test('what a mutation sends is planned a few times, not each time', async () => {
  const database = openDatabase({ url: serin.database.url, poolSize: 1 });
  const change = (field: string) =>
    `mutation { ${field}(input: { deploymentId: "${pattern}", idempotencyKey: "${randomUUID()}" }) { success message } }`;
  try {
    await onSchema(database.db, async (execute) => {
      for (let round = 0; round < 10; round += 1) {
        await execute(change('pauseDeployment'));
        await execute(change('resumeDeployment'));
      }
    });
    const plans = await database.db.execute<{ statement: string; custom: number; generic: number }>(`
      select statement, custom_plans as custom, generic_plans as generic from pg_prepared_statements
      where custom_plans + generic_plans >= 20`);
    // The lock and the read, the deployment, its event, the answer and the notification.
    expect(plans.length).toBeGreaterThanOrEqual(6);
    expect(plans.filter(({ custom }) => custom > 5)).toEqual([]);
  } finally {
    await database.close();
  }
});

test('a statement goes to the connection that was used last, which has the plans and the rows at hand', async () => {
  const { db, close } = openDatabase({ url: serin.database.url, poolSize: 6 });
  try {
    const backend = async () => (await db.execute<{ pid: number }>('select pg_backend_pid() as pid'))[0]?.pid;
    const all = await Promise.all(Array.from({ length: 6 }, backend));
    expect(new Set(all).size).toBe(6);
    const used = new Set<number | undefined>();
    for (let round = 0; round < 12; round += 1) {
      used.add(await backend());
      used.add(
        await db.transaction(
          async (tx) => (await tx.execute('select pg_backend_pid() as pid'))[0]?.pid as number,
        ),
      );
    }
    expect(used.size).toBe(1);
  } finally {
    await close();
  }
});

test('the search for what to archive looks at few deployments at a time, however many are archived', async () => {
  const { sql: client } = serin.database;
  await client`update deployments set status = 'ROLLED_BACK', next_check_at = null, deadline_at = null,
    ended_at = serin_now() - interval '90 days' + make_interval(secs => substr(id, 7)::int),
    arrived_at = serin_now() - interval '91 days' where id like 'grown-%'`;
  await client`update events set at = serin_now() - interval '90 days' where deployment_id like 'grown-%'`;
  await client`insert into archives (deployment_id, strategy_id, timeline, last_xid, last_id, content)
    select id, strategy_id, true, '1', 1, decode(repeat('00', 900), 'hex') from deployments
    where id like 'grown-%' and id <> ${`grown-${GROWN - 1}`}`;
  await client`vacuum analyze`;
  const found: string[] = [];
  const sizes: number[] = [];
  let end: Awaited<ReturnType<typeof findDue>>['end'] | undefined;
  do {
    const search = async (db: PostgresJsDatabase) => findDue(db, 30, end ?? undefined);
    const lines = await plansOf(search, 'explain (analyze, costs off, timing off, summary off)');
    const reads = lines.flatMap((line) => / on deployments.*actual.*rows=(\d+)/.exec(line)?.[1] ?? []);
    sizes.push(Math.max(...reads.map(Number)));
    // There are few webhooks and loss budgets.
    const few = /^webhook|^loss_budgets$/;
    expect((await scanned(search)).filter((table) => !few.test(table))).toEqual([]);
    const step = await findDue(listening().db, 30, end ?? undefined);
    found.push(...step.due);
    end = step.end;
  } while (end);
  expect(found).toEqual([`grown-${GROWN - 1}`]);
  expect(Math.max(...sizes)).toBeLessThan(GROWN / 10);
  expect(sizes.length).toBeGreaterThan(10);
});
