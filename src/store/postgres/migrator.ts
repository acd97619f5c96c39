/**
 * Applies migrations while the service runs: each in a transaction of its own, or in none if it begins with
 * `-- concurrently`. None waits for a lock longer than a second, because all other queries would queue up after it.
 * Drizzle generates the files and defines the table of applied migrations.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator';
import type postgres from 'postgres';
import { MIGRATION_LOCK } from './advisoryLocks.ts';
import { STATEMENT_TIMEOUT_MS } from './session.ts';
import { sqlStateOf } from './sqlState.ts';

export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../../drizzle', import.meta.url));

/** How long a statement may wait for a lock. Queries that need the same table wait as long. */
const LOCK_TIMEOUT_MS = 1000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
/** How often the migration lock is tried while another node holds it. */
const POLL_MS = 200;
/** When the sessions that block a migration are logged first, and how often again. */
const FIRST_LOG_AFTER_MS = 2000;
const LOG_INTERVAL_MS = 30_000;

/** Receives progress and blocking sessions. */
export interface MigrationLog {
  info(message: string): void;
  warn(message: string): void;
}

export const QUIET: MigrationLog = { info: () => {}, warn: () => {} };

/** The table of applied migrations: in Drizzle's own schema, or in the schema that this Serin is confined to. */
export function migrationsTable(schema: string | null): string {
  return schema === null ? 'drizzle.__drizzle_migrations' : `${quoted(schema)}.__drizzle_migrations`;
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Timestamp of the last migration of this version, epoch milliseconds. */
export function latestMigration(): number {
  return readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER }).at(-1)?.folderMillis ?? 0;
}

/**
 * Applies the pending migrations over a connection of its own. Only one node does so at a time; the others wait and then
 * have nothing to apply. After an interruption the next node restarts the migration.
 */
export async function runMigrations(
  client: postgres.Sql,
  schema: string | null,
  log: MigrationLog,
): Promise<void> {
  // The server ends what a node that is gone has left waiting (from PostgreSQL 14 on).
  await client.unsafe("set client_connection_check_interval to '2s'").catch(() => {});
  await createSchemas(client, schema);
  await takeLock(client, log);
  try {
    const table = migrationsTable(schema);
    await client.unsafe(
      `create table if not exists ${table} (id serial primary key, hash text not null, created_at bigint)`,
    );
    const [last] = await client.unsafe(`select max(created_at)::text as at from ${table}`);
    const done = Number(last?.at ?? -1);
    const migrations = readMigrationFiles({ migrationsFolder: MIGRATIONS_FOLDER });
    if (last?.at) await refuseForeignTable(client, table, migrations[0]?.folderMillis ?? 0);
    const pending = migrations.filter(({ folderMillis }) => folderMillis > done);
    if (pending.length > 0 && last?.at) await awaitEarlierNodes(client, log);
    for (const migration of pending) await apply(client, migration, table, log);
  } finally {
    await client`select pg_advisory_unlock(${lockKey(client)})`.catch(() => {});
  }
}

/**
 * Any program that uses Drizzle has its migrations in the same table unless told otherwise. What each has applied is told
 * by the latest: together, one of them would leave out its own. A later Serin keeps the first migration of this one.
 */
async function refuseForeignTable(client: postgres.Sql, table: string, first: number): Promise<void> {
  const [own] = await client.unsafe(`select from ${table} where created_at = $1`, [first]);
  if (own) return;
  throw new Error(
    `The table ${table} of the database has the migrations of another program: give Serin a database of its own, or a ` +
      'schema of its own with SERIN_DATABASE_SCHEMA',
  );
}

/** Creates the schema only if it is missing, because a role that owns nothing but its schema may not create one. */
async function createSchemas(client: postgres.Sql, schema: string | null): Promise<void> {
  const name = schema ?? 'drizzle';
  const exists = async () => (await client`select from pg_namespace where nspname = ${name}`).length > 0;
  if (await exists()) return;
  try {
    await client.unsafe(`create schema if not exists ${quoted(name)}`);
  } catch (error) {
    // Another node that starts at the same time has created it: IF NOT EXISTS sees only what is committed.
    if (await exists()) return;
    throw new Error(
      `The database has no schema "${name}", and this role may not create it: ` +
        'create it and make the role its owner, or set SERIN_DATABASE_SCHEMA to one that it owns',
      { cause: error },
    );
  }
}

/** Advisory locks belong to the database: with the schema in the key, Serins in two schemas do not block each other. */
const lockKey = (client: postgres.Sql) =>
  client`(${MIGRATION_LOCK}::bigint << 32) | coalesce(quote_ident(current_schema())::regnamespace::oid::bigint, 0)`;

/** Polls the lock, because a session that waits for it would block CREATE INDEX CONCURRENTLY. */
async function takeLock(client: postgres.Sql, log: MigrationLog): Promise<void> {
  const overdue = sayOnceInAWhile();
  for (;;) {
    const [lock] = await client`select pg_try_advisory_lock(${lockKey(client)}) as mine`;
    if (lock?.mine) return;
    if (overdue()) {
      const holders = await client<{ who: string }[]>`
        select ${whoIs(client)} as who from pg_locks l join pg_stat_activity a using (pid)
        where l.locktype = 'advisory' and l.classid = ${MIGRATION_LOCK} and l.granted
          and l.database = (select oid from pg_database where datname = current_database())`;
      log.warn(`waiting for the migrations of another node: ${listed(holders)} has the lock`);
    }
    await sleep(POLL_MS);
  }
}

/**
 * Serin 0.1 cannot read what this version writes, so its nodes must be gone before the tables change. Nodes of later
 * versions have the table `nodes`; sessions that migrate have another name.
 */
async function awaitEarlierNodes(client: postgres.Sql, log: MigrationLog): Promise<void> {
  const [later] = await client`select from pg_class where oid = to_regclass('nodes')`;
  if (later) return;
  const overdue = sayOnceInAWhile();
  for (;;) {
    const nodes = await client<{ who: string }[]>`
      select ${whoIs(client)} as who from pg_stat_activity a
      where datname = current_database() and application_name = 'serin' and pid <> pg_backend_pid()`;
    if (nodes.length === 0) return;
    if (overdue()) {
      log.warn(
        `waiting to migrate the database until the nodes of Serin 0.1 are stopped, which cannot read what this version ` +
          `writes: ${listed(nodes)}`,
      );
    }
    await sleep(POLL_MS);
  }
}

async function apply(
  client: postgres.Sql,
  migration: MigrationMeta,
  table: string,
  log: MigrationLog,
): Promise<void> {
  const { folderMillis, hash } = migration;
  // Drizzle writes the schema into foreign keys, but here the search path determines it.
  const statements = migration.sql.map((statement) => statement.replaceAll('"public".', ''));
  const concurrently = statements[0]?.trimStart().startsWith('-- concurrently') ?? false;
  const overdue = sayOnceInAWhile();
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      if (concurrently) {
        for (const statement of statements) await outsideOfTransaction(client, statement, log);
        await client.unsafe(`insert into ${table} (hash, created_at) values ($1, $2)`, [hash, folderMillis]);
      } else {
        await client.begin(async (tx) => {
          await tx.unsafe(`set local statement_timeout = 0; set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
          for (const statement of statements) await tx.unsafe(statement);
          await tx.unsafe(`insert into ${table} (hash, created_at) values ($1, $2)`, [hash, folderMillis]);
        });
      }
      return;
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      if (overdue()) log.warn(`a migration waits for a lock: ${await whoHoldsLocks(client)} is in the way`);
      await sleep(pause);
    }
  }
}

/** Waits for open transactions without blocking others. Removes the invalid index of an interrupted run first. */
async function outsideOfTransaction(
  client: postgres.Sql,
  statement: string,
  log: MigrationLog,
): Promise<void> {
  const index = /create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?"(\w+)"/i.exec(
    statement,
  )?.[1];
  await client.unsafe('set statement_timeout = 0');
  try {
    const waiting = setTimeout(
      () =>
        log.info(`a migration takes a while; it blocks no other work: ${index ?? statement.slice(0, 80)}`),
      FIRST_LOG_AFTER_MS,
    );
    try {
      if (index) {
        const [invalid] = await client`
          select from pg_index where indexrelid = to_regclass(${`"${index}"`}) and not indisvalid`;
        if (invalid) await client.unsafe(`drop index concurrently "${index}"`);
      }
      await client.unsafe(statement);
    } finally {
      clearTimeout(waiting);
    }
  } finally {
    // Not `reset`: it would bring back the default of the role or the database.
    await client.unsafe(`set statement_timeout = ${STATEMENT_TIMEOUT_MS}`).catch(() => {});
  }
}

const isLockTimeout = (error: unknown) => sqlStateOf(error) === '55P03';

/** The sessions that hold a lock on a table of this schema, the oldest transactions first. */
async function whoHoldsLocks(client: postgres.Sql): Promise<string> {
  const holders = await client<{ who: string }[]>`
    select ${whoIs(client)} || ', open for ' || extract(epoch from clock_timestamp() - min(a.xact_start))::int
      || ' s on ' || string_agg(distinct c.relname, ', ') as who
    from pg_locks l join pg_stat_activity a using (pid) join pg_class c on c.oid = l.relation
    where l.granted and l.pid <> pg_backend_pid() and c.relnamespace = quote_ident(current_schema())::regnamespace
      and c.relkind in ('r', 'p')
    group by a.pid, a.application_name, a.usename, a.state order by min(a.xact_start) limit 3`;
  return listed(holders);
}

const whoIs = (client: postgres.Sql) =>
  client`format('process %s (%s) of %s, %s', a.pid, coalesce(nullif(a.application_name, ''), 'no application name'),
    a.usename, a.state)`;

const listed = (holders: readonly { who: string }[]) =>
  holders.map(({ who }) => who).join('; ') || 'a session this role may not see';

/** Returns a function that is true when it is time to log again. */
function sayOnceInAWhile(): () => boolean {
  let next = performance.now() + FIRST_LOG_AFTER_MS;
  return () => {
    if (performance.now() < next) return false;
    next = performance.now() + LOG_INTERVAL_MS;
    return true;
  };
}
