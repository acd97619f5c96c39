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
import { migrateDatabase, openDatabase, readMigrationState } from '../../src/store/postgres/database.ts';
import { MIGRATIONS_FOLDER } from '../../src/store/postgres/migrator.ts';
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
