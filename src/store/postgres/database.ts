/**
 * Opens the database, with the same driver and code for the embedded and for an external PostgreSQL. Migrations run
 * under an advisory lock, so any number of nodes may start concurrently.
 */
import { sql } from 'drizzle-orm';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { latestMigration, type MigrationLog, migrationsTable, QUIET, runMigrations } from './migrator.ts';
import { requirePatchedDriver } from './patchedDriver.ts';
import { createPoolStats, type PoolStats } from './poolStats.ts';
import { withPreparedStatements } from './preparedStatements.ts';
import { type Address, createSocketFactory } from './socket.ts';

/** Runs statements, either on the pool or inside one transaction. */
export type Queries = Pick<PostgresJsDatabase, 'select' | 'insert' | 'update' | 'delete' | 'execute'>;

export interface Database {
  readonly db: PostgresJsDatabase;
  /** The driver itself, for LISTEN. */
  readonly client: postgres.Sql;
  readonly pool: PoolStats;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  /** Connections in the pool. */
  readonly poolSize?: number;
}

/**
 * Limits of every connection; timeouts in milliseconds, keepalives in seconds. A statement that takes longer usually
 * waits for a lock, and a retry is better. The idle limit ends a transaction whose node is paused or cut off, so that
 * it does not hold a row lock or block log readers indefinitely.
 */
const LIMITS = {
  statement_timeout: 10_000,
  idle_in_transaction_session_timeout: 10_000,
  tcp_keepalives_idle: 15,
  tcp_keepalives_interval: 5,
  tcp_keepalives_count: 3,
};
/** Seconds after which an idle connection is closed. Must be shorter than the silence limit in `socket.ts`. */
const IDLE_SECONDS = 10;
/** Fixed pause before the next connection attempt, without backoff, so that the end of a long outage is noticed soon. */
const RECONNECT_SECONDS = 0.2;

/** Connects lazily: no connection is opened before the first statement. */
export function openDatabase({ url, poolSize = 16 }: DatabaseOptions): Database {
  requirePatchedDriver();
  const pool = createPoolStats();
  const openSocket = createSocketFactory();
  const options = {
    max: poolSize,
    onnotice: () => {},
    connect_timeout: 3,
    idle_timeout: IDLE_SECONDS,
    backoff: () => RECONNECT_SECONDS,
    socket: (address: Address) => pool.countSocket(openSocket(address)),
    connection: { application_name: 'serin', TimeZone: 'UTC', ...LIMITS },
  };
  const client = withPreparedStatements(postgres(url, options), pool);
  return {
    db: drizzle(client),
    client,
    pool,
    close: () => client.end({ timeout: 2 }),
  };
}

/** Brings the tables up to date. One node at a time; the others wait and find nothing left to do. */
export async function migrateDatabase(
  { url }: DatabaseOptions,
  log: MigrationLog = QUIET,
  signal?: AbortSignal,
): Promise<void> {
  requirePatchedDriver();
  const client = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const giveUp = () => void client.end({ timeout: 0 });
    signal?.addEventListener('abort', giveUp, { once: true });
    await runMigrations(client, null, log);
    signal?.removeEventListener('abort', giveUp);
  } finally {
    await client.end({ timeout: 5 });
  }
}

/** Timestamp of the last migration of this version, epoch milliseconds; read when first needed. */
let latest: number | null = null;
/** SQLSTATEs: the schema does not exist, the table does not exist. */
const MISSING = new Set(['3F000', '42P01']);

/** Whether the tables have all migrations of this version. Later migrations may have been applied too. */
export async function isMigrated(db: Queries): Promise<boolean> {
  latest ??= latestMigration();
  try {
    const [row] = await db.execute<{ migrated: boolean }>(
      sql`select coalesce(max(created_at) >= ${latest}, false) as migrated from ${sql.raw(migrationsTable(null))}`,
    );
    return row?.migrated ?? false;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    if (cause instanceof Error && 'code' in cause && MISSING.has(String(cause.code))) return false;
    throw error;
  }
}

/** The current time on Serin's clock, epoch milliseconds, and the clock's rate (its seconds per real second). */
export async function readClock(db: Queries): Promise<{ readonly now: number; readonly rate: number }> {
  const [row] = await db.execute<{ now: string; rate: string }>(
    sql`select (extract(epoch from serin_now()) * 1000)::bigint::text as now, rate::text from clock`,
  );
  if (!row) throw new Error('the clock row is missing: the database is not migrated');
  return { now: Number(row.now), rate: Number(row.rate) };
}

/** Sets the rate of Serin's clock. The clock continues from its current time and never jumps. */
export async function setClockRate(db: Queries, rate: number): Promise<void> {
  await db.execute(sql`
    update clock set epoch = serin_now(), anchored_at = clock_timestamp(), rate = ${rate}
    where rate <> ${rate}`);
}
