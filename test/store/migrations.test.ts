/**
 * Migrations never stop the service: each is held against a list of what takes long under a lock or breaks the version
 * before, none waits for a lock while others queue behind it, and a killed one is made by the next node.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import postgres from 'postgres';
import { describe, expect, inject, test } from 'vitest';
import { makePartitions } from '../../src/store/log/partitions.ts';
import { migrateDatabase, openDatabase, readMigrationState } from '../../src/store/postgres/database.ts';
import { MIGRATIONS_FOLDER } from '../../src/store/postgres/migrator.ts';
import { findSchemaDamage } from '../../src/store/tables/schemaCheck.ts';
import { databaseUrl } from '../harness/database.ts';
import { until } from '../harness/serin.ts';
import { blockingStatements } from './migrationRules.ts';

/** Migrations up to this one were made while every node was stopped. */
const LAST_STOPPED = 10;

const files = readdirSync(MIGRATIONS_FOLDER).filter((name) => name.endsWith('.sql'));

describe('a migration', () => {
  test.each(files.filter((name) => Number(name.slice(0, 4)) > LAST_STOPPED))(
    '%s blocks no other session',
    (name) => {
      expect(blockingStatements(readFileSync(join(MIGRATIONS_FOLDER, name), 'utf8'))).toEqual([]);
    },
  );

  test.each([
    ['CREATE INDEX "i" ON "events" USING btree ("at");', 'CONCURRENTLY'],
    ['-- concurrently\nCREATE INDEX CONCURRENTLY "i" ON "events" ("at");', 'IF NOT EXISTS'],
    ['-- concurrently\nALTER TABLE "events" ADD COLUMN "a" text;', 'outside of a transaction'],
    ['ALTER TABLE "events" ADD COLUMN "a" timestamp DEFAULT clock_timestamp();', 'rewrites'],
    ['ALTER TABLE "events" ADD COLUMN "a" text NOT NULL;', 'default'],
    ['ALTER TABLE "events" ALTER COLUMN "no" SET DATA TYPE bigint;', 'rewrites'],
    ['ALTER TABLE "events" ALTER COLUMN "no" SET NOT NULL;', 'reads the whole table'],
    ['ALTER TABLE "events" ADD CONSTRAINT "c" CHECK ("no" > 0);', 'NOT VALID'],
    ['ALTER TABLE "events" ADD CONSTRAINT "f" FOREIGN KEY ("a") REFERENCES "b"("id");', 'NOT VALID'],
    ['ALTER TABLE "events" ADD PRIMARY KEY ("id");', 'USING INDEX'],
    ['ALTER TABLE "events" DROP COLUMN "no";', 'version before'],
    ['ALTER TABLE "events" RENAME COLUMN "no" TO "number";', 'version before'],
    ['DROP TABLE "events";', 'version before'],
    ['UPDATE "events" SET "no" = 1;', 'all rows'],
    ['LOCK TABLE "events" IN EXCLUSIVE MODE;', 'locks'],
  ])('%s is found', (text, why) => {
    expect(blockingStatements(text)).toEqual([expect.stringContaining(why)]);
  });

  test.each([
    'CREATE TABLE "a" ("id" text);--> statement-breakpoint\nCREATE INDEX "i" ON "a" ("id");' +
      '--> statement-breakpoint\nALTER TABLE "a" ADD CONSTRAINT "f" FOREIGN KEY ("id") REFERENCES "b"("id");',
    'ALTER TABLE "events" ADD COLUMN "a" integer DEFAULT 1 NOT NULL;',
    `ALTER TABLE "events" ADD COLUMN "a" jsonb DEFAULT '[]'::jsonb NOT NULL;`,
    'ALTER TABLE "events" ADD CONSTRAINT "c" CHECK ("no" > 0) NOT VALID;',
    'CREATE UNIQUE INDEX "i" ON "api_keys" USING btree ("name");',
    '-- concurrently\nCREATE INDEX CONCURRENTLY IF NOT EXISTS "i" ON "events" ("at");',
    `SET LOCAL lock_timeout = '500ms';--> statement-breakpoint\nLOCK TABLE "events" IN ACCESS EXCLUSIVE MODE;`,
  ])('%s is fine', (text) => {
    expect(blockingStatements(text)).toEqual([]);
  });
});

/** A database with the first migrations only. */
async function databaseAt(count: number) {
  const admin = postgres(inject('postgresUrl'), { max: 1, onnotice: () => {} });
  const name = `migrating_${randomBytes(6).toString('hex')}`;
  await admin.unsafe(`create database ${name}`);
  const url = databaseUrl(inject('postgresUrl'), name);
  const sql = postgres(url, { max: 4, onnotice: () => {}, connection: { application_name: 'a test' } });
  await sql.unsafe(
    'create schema drizzle; create table drizzle.__drizzle_migrations (id serial, hash text not null, created_at bigint)',
  );
  for (const { sql: statements, hash, folderMillis } of readMigrationFiles({
    migrationsFolder: MIGRATIONS_FOLDER,
  }).slice(0, count)) {
    for (const statement of statements) await sql.unsafe(statement);
    await sql`insert into drizzle.__drizzle_migrations (hash, created_at) values (${hash}, ${folderMillis})`;
  }
  return {
    url,
    sql,
    /** Sessions of migrating nodes. */
    nodes: () => sql`select wait_event_type from pg_stat_activity
      where datname = current_database() and application_name = 'serin migration'`,
    async drop() {
      await sql.end();
      await admin.unsafe(`drop database ${name} with (force)`);
      await admin.end();
    },
  };
}

function startMigration(url: string): { child: ChildProcess; said: () => string } {
  const program = join(import.meta.dirname, '../harness/migrate.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', program, url], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  return { child, said: () => said };
}

/** Migrations before the first of those that made partitions, and before the one that exchanged the tables. */
const BEFORE_PARTITIONS = 26;
const BEFORE_EXCHANGE = 30;

/** What a node of the version before partitions writes: the rows of a new deployment. */
async function writeAsBefore(sql: postgres.Sql, id: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`insert into strategies (id, stable_version_id, created_at, updated_at) values (${id}, 'v1', now(), now())`;
    await tx`insert into deployments (id, strategy_id, chain, stable_version_id, canary_version_id, status, revision,
        event_count, created_at, created_by, canary_percent, config, detail, breaches)
      values (${id}, ${id}, 'base', 'v1', 'v2', 'PENDING', 1, 1, now(), 'before', 10, '{}', '{}', '{}')`;
    await tx`insert into trade_books (deployment_id, side, book) values (${id}, 'CANARY', '{}')`;
  });
  await appendAsBefore(sql, id, 1);
}

async function appendAsBefore(sql: postgres.Sql, id: string, no: number): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`insert into events (deployment_id, strategy_id, no, type, at, actor, revision, timeline, payload)
      values (${id}, ${id}, ${no}, 'DEPLOYMENT_CREATED', now(), 'before', ${no}, true, '{}')`;
    await tx`insert into samples (deployment_id, "check", at, decision, metrics) values (${id}, ${no}, now(), 'CONTINUE', '{}')`;
    await tx`insert into trades (deployment_id, side, id, at, pnl_usd, fees_usd, gas_usd, capital_usd, recorded_at)
      values (${id}, 'CANARY', ${String(no)}, now(), 1, 0, 0, 100, now())`;
  });
}

const PARTITIONED = ['events', 'samples', 'trades'];

/** How many rows each partitioned table has, by the partition that they lie in. */
async function rowsByPartition(sql: postgres.Sql, where = 'true'): Promise<Record<string, number>> {
  const rows = await sql.unsafe(
    PARTITIONED.map(
      (table) =>
        `select tableoid::regclass::text as name, count(*)::int as rows from ${table} where ${where} group by 1`,
    ).join(' union all '),
  );
  return Object.fromEntries(rows.map(({ name, rows: count }) => [name, count]));
}

describe('the migration to partitions', () => {
  test('rewrites nothing and loses nothing of a version that goes on writing, before and after', async () => {
    const { url, sql, drop } = await databaseAt(BEFORE_PARTITIONS);
    await sql`grant select on events, trades to pg_monitor`;
    await sql`create publication named for table events`;
    for (let nth = 0; nth < 20; nth += 1) await writeAsBefore(sql, `old-${nth}`);
    const files = () => sql`select relfilenode from pg_class
      where oid in (select coalesce(to_regclass(t || '_first'), t::regclass) from unnest(${PARTITIONED}::text[]) t)
      order by relname`;
    const filesBefore = await files();
    let migrated = false;
    let written = 20;
    const migrating = migrateDatabase({ url }).then(() => {
      migrated = true;
    });
    while (!migrated) {
      await writeAsBefore(sql, `old-${written}`);
      await appendAsBefore(sql, `old-${written % 20}`, 2 + Math.floor(written / 20));
      written += 1;
    }
    await migrating;
    expect(await files()).toEqual(filesBefore);
    const rows = written + written - 20;
    expect(await rowsByPartition(sql)).toEqual({
      events_first: rows,
      samples_first: rows,
      trades_first: rows,
    });
    const grants = PARTITIONED.map(
      (table) => sql`select has_table_privilege('pg_monitor', ${table}, 'select') as may`,
    );
    expect((await Promise.all(grants)).map(([row]) => row?.may)).toEqual([true, false, true]);
    expect(await sql`select from pg_publication_rel where prrelid = 'events'::regclass`).toHaveLength(1);

    const opened = openDatabase({ url, poolSize: 1 });
    expect(await findSchemaDamage(opened.db)).toEqual([]);
    expect(await makePartitions(opened.db)).toMatchObject({ failed: [] });
    await opened.close();
    // A deployment of a node of this version, on which a node of the version before then works.
    await writeAsBefore(sql, 'unmoved');
    await sql`insert into strategies (id, stable_version_id, created_at, updated_at) values ('new', 'v1', now(), now())`;
    await sql`insert into deployments (id, strategy_id, chain, stable_version_id, canary_version_id, status, revision,
        event_count, created_at, created_by, canary_percent, config, detail, breaches, born)
      values ('new', 'new', 'base', 'v1', 'v2', 'PENDING', 1, 1, now(), 'now', 10, '{}', '{}', '{}',
        date_trunc('month', serin_now() at time zone 'UTC'))`;
    await sql`insert into trade_books (deployment_id, side, book) values ('new', 'CANARY', '{}')`;
    await appendAsBefore(sql, 'new', 1);
    const [row] = await sql`select to_char(serin_now() at time zone 'UTC', '_YYYY_MM') as month`;
    expect(await rowsByPartition(sql, `deployment_id = 'new'`)).toEqual(
      Object.fromEntries(PARTITIONED.map((table) => [`${table}${row?.month}`, 1])),
    );
    // The rules hold over all partitions: a number, a trade and a check are there once.
    await expect(appendAsBefore(sql, 'new', 1)).rejects.toThrow(/duplicate key/);
    await expect(
      sql`insert into events (deployment_id, strategy_id, no, type, at, actor, revision, timeline, payload, born)
        values ('new', 'new', 1, 'DEPLOYMENT_CREATED', now(), 'now', 1, true, '{}', '2020-01-01')`,
    ).rejects.toThrow(/violates foreign key constraint "events_deployment"/);
    await drop();
  }, 120_000);

  test('killed while it waits to exchange the tables: they are as before, and the next node exchanges them', async () => {
    const { url, sql, nodes, drop } = await databaseAt(BEFORE_EXCHANGE);
    await writeAsBefore(sql, 'kept');
    const backup = await sql.reserve();
    await backup`begin`;
    await backup`lock table trades in access share mode`;
    const { child, said } = startMigration(url);
    await until(() => said().includes('is in the way'), 60_000);
    await appendAsBefore(sql, 'kept', 2);
    child.kill('SIGKILL');
    await until(async () => (await nodes()).length === 0, 60_000);
    expect(await rowsByPartition(sql)).toEqual({ events: 2, samples: 2, trades: 2 });
    await backup`commit`;
    backup.release();
    await migrateDatabase({ url });
    expect(await rowsByPartition(sql)).toEqual({ events_first: 2, samples_first: 2, trades_first: 2 });
    await drop();
  }, 120_000);
});

describe('a migration under load', () => {
  test('while a backup holds a lock it waits without making others wait, names the session in its way, and its end leaves nothing', async () => {
    const database = await databaseAt(7);
    const { sql } = database;
    const backup = await sql.reserve();
    await backup`begin`;
    await backup`lock table events, webhooks in access share mode`;
    const { child, said } = startMigration(database.url);
    await until(() => said().includes('is in the way'), 60_000);
    expect(said()).toMatch(/a migration waits for a lock: process \d+ \(a test\).*on events, webhooks/);
    // Readers and writers pass while it waits.
    for (let time = 0; time < 10; time += 1) {
      await sql`select count(*) from events`;
      await sql`insert into strategies (id, stable_version_id, created_at, updated_at)
        values (${`s${time}`}, 'v1', now(), now())`;
    }
    child.kill('SIGKILL');
    await until(async () => (await database.nodes()).length === 0, 60_000);
    await backup`commit`;
    backup.release();
    await migrateDatabase({ url: database.url });
    const opened = openDatabase({ url: database.url, poolSize: 1 });
    expect(await readMigrationState(opened.db)).toBe('current');
    await opened.close();
    await database.drop();
  }, 120_000);

  test('two nodes that create the same schema at once both start', async () => {
    const { url, sql, nodes, drop } = await databaseAt(0);
    let other: Promise<void> | undefined;
    await sql.begin(async (tx) => {
      await tx`create schema desk`;
      other = migrateDatabase({ url, schema: 'desk' });
      await until(async () => (await nodes()).some(({ wait_event_type: waits }) => waits === 'Lock'));
    });
    await other;
    const opened = openDatabase({ url, schema: 'desk', poolSize: 1 });
    expect(await readMigrationState(opened.db, 'desk')).toBe('current');
    await opened.close();
    await drop();
  });

  test('killed while it builds an index: the next node builds it anew', async () => {
    const database = await databaseAt(8);
    const { sql } = database;
    const writer = await sql.reserve();
    await writer`begin`;
    await writer`lock table events in row exclusive mode`;
    const invalid = () => sql`select indexrelid::regclass from pg_index where not indisvalid`;
    const { child } = startMigration(database.url);
    await until(async () => (await invalid()).length === 1, 60_000);
    child.kill('SIGKILL');
    await until(async () => (await database.nodes()).length === 0, 60_000);
    expect(await invalid()).toHaveLength(1);
    await writer`commit`;
    writer.release();
    await migrateDatabase({ url: database.url });
    expect(await invalid()).toHaveLength(0);
    expect(await sql`select from pg_indexes where indexname = 'events_log'`).toHaveLength(1);
    await database.drop();
  }, 120_000);
});

test.each([
  ['before', -1],
  ['after', 1],
])(
  'the migrations of another program that uses Drizzle, made %s those of Serin, are left alone',
  async (_when, ms) => {
    const { url, sql, drop } = await databaseAt(0);
    try {
      const last = readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER }).at(-1)?.folderMillis ?? 0;
      await sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('theirs', ${last + ms})`;
      await expect(migrateDatabase({ url })).rejects.toThrow(
        /migrations of another program: .*SERIN_DATABASE_SCHEMA/,
      );
      expect(await sql`select hash from drizzle.__drizzle_migrations`).toEqual([{ hash: 'theirs' }]);
      await migrateDatabase({ url, schema: 'serin' });
      expect(await sql`select from serin.deployments`).toHaveLength(0);
    } finally {
      await drop();
    }
  },
);
