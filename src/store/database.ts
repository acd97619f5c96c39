/**
 * Opening the database: one driver and one code path, whoever runs the PostgreSQL. Migrations are applied under an
 * advisory lock, so that any number of nodes may start at once.
 */
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';
import { preparing } from './prepared.ts';

/** Runs statements: the pool, or one transaction. */
export type Queries = Pick<PostgresJsDatabase, 'select' | 'insert' | 'update' | 'delete' | 'execute'>;

export interface Database {
  readonly db: PostgresJsDatabase;
  /** The driver itself, for LISTEN. */
  readonly client: postgres.Sql;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  /** Connections in the pool. */
  readonly poolSize?: number;
}

const MIGRATIONS = fileURLToPath(new URL('../../drizzle', import.meta.url));
/** Any number, as long as every version of Serin uses the same. */
const MIGRATION_LOCK = 5_371_001;

/** Connects lazily: nothing is tried before the first statement. */
export function openDatabase({ url, poolSize = 16 }: DatabaseOptions): Database {
  const client = preparing(
    postgres(url, {
      max: poolSize,
      onnotice: () => {},
      connect_timeout: 5,
      idle_timeout: 0,
      connection: { application_name: 'serin', TimeZone: 'UTC' },
    }),
  );
  return {
    db: drizzle(client),
    client,
    close: () => client.end({ timeout: 5 }),
  };
}

/** Brings the tables up to date. One node at a time; the others wait and find nothing left to do. */
export async function migrateDatabase({ url }: DatabaseOptions): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const db = drizzle(client);
    await db.execute(sql`select pg_advisory_lock(${MIGRATION_LOCK})`);
    await migrate(db, { migrationsFolder: MIGRATIONS });
  } finally {
    await client.end({ timeout: 5 });
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
