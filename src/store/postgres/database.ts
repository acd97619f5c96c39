/**
 * Opening the database: one driver and one code path, whoever runs the PostgreSQL. Migrations are applied under an
 * advisory lock, so that any number of nodes may start at once.
 */
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';
import { requirePatchedDriver } from './patchedDriver.ts';
import { countPool, type Pool } from './poolStats.ts';
import { withPreparedStatements } from './preparedStatements.ts';
import { type Address, createSocketFactory } from './socket.ts';

/** Runs statements: the pool, or one transaction. */
export type Queries = Pick<PostgresJsDatabase, 'select' | 'insert' | 'update' | 'delete' | 'execute'>;

export interface Database {
  readonly db: PostgresJsDatabase;
  /** The driver itself, for LISTEN. */
  readonly client: postgres.Sql;
  readonly pool: Pool;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  /** Connections in the pool. */
  readonly poolSize?: number;
}

const MIGRATIONS = fileURLToPath(new URL('../../../drizzle', import.meta.url));
/** Any number, as long as every version of Serin uses the same. */
const MIGRATION_LOCK = 5_371_001;

/**
 * How long anything may take. A statement that waits longer (for a lock, usually) is better tried again; a transaction
 * that its node has forgotten, because it is paused or its network is gone, must not hold a row or the log for ever.
 */
const LIMITS = {
  statement_timeout: 10_000,
  idle_in_transaction_session_timeout: 10_000,
  tcp_keepalives_idle: 15,
  tcp_keepalives_interval: 5,
  tcp_keepalives_count: 3,
};
/** Seconds after which an idle connection is closed; see `line.ts`. */
const IDLE_SECONDS = 10;
/** How long to wait before connecting again: an outage that ends is noticed soon, however long it was. */
const RECONNECT_SECONDS = 0.2;

/** Connects lazily: nothing is tried before the first statement. */
export function openDatabase({ url, poolSize = 16 }: DatabaseOptions): Database {
  requirePatchedDriver();
  const pool = countPool();
  const openLine = createSocketFactory();
  const options = {
    max: poolSize,
    onnotice: () => {},
    connect_timeout: 3,
    idle_timeout: IDLE_SECONDS,
    backoff: () => RECONNECT_SECONDS,
    socket: (address: Address) => pool.hold(openLine(address)),
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
export async function migrateDatabase({ url }: DatabaseOptions): Promise<void> {
  requirePatchedDriver();
  const client = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const db = drizzle(client);
    await db.execute(sql`select pg_advisory_lock(${MIGRATION_LOCK})`);
    await migrate(db, { migrationsFolder: MIGRATIONS });
  } finally {
    await client.end({ timeout: 5 });
  }
}

/** When the last migration of this version was written, epoch milliseconds; read when first needed. */
let latest: number | null = null;
/** No such schema, or no such table. */
const MISSING = new Set(['3F000', '42P01']);

/** Whether the tables are those of this version, or of a later one. */
export async function isMigrated(db: Queries): Promise<boolean> {
  latest ??= readMigrationFiles({ migrationsFolder: MIGRATIONS }).at(-1)?.folderMillis ?? 0;
  try {
    const [row] = await db.execute<{ migrated: boolean }>(
      sql`select coalesce(max(created_at) >= ${latest}, false) as migrated from drizzle.__drizzle_migrations`,
    );
    return row?.migrated ?? false;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    if (cause instanceof Error && 'code' in cause && MISSING.has(String(cause.code))) return false;
    throw error;
  }
}

/** Serin's time, and how fast it runs. */
export async function readClock(db: Queries): Promise<{ readonly now: number; readonly rate: number }> {
  const [row] = await db.execute<{ now: string; rate: string }>(
    sql`select (extract(epoch from serin_now()) * 1000)::bigint::text as now, rate::text from clock`,
  );
  if (!row) throw new Error('the clock row is missing: the database is not migrated');
  return { now: Number(row.now), rate: Number(row.rate) };
}

/** Sets how fast Serin's time runs; it goes on from where it is and never jumps. */
export async function setClockRate(db: Queries, rate: number): Promise<void> {
  await db.execute(sql`
    update clock set epoch = serin_now(), anchored_at = clock_timestamp(), rate = ${rate}
    where rate <> ${rate}`);
}
