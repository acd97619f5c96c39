/**
 * Opens the database, with the same driver and code for the embedded and for an external PostgreSQL. Migrations run
 * under an advisory lock, so any number of nodes may start concurrently.
 */
import { sql } from 'drizzle-orm';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import type { SerinInstant, WallInstant } from '../../core/values/instant.ts';
import { type ConnectionTarget, readConnectionString } from './connectionString.ts';
import { latestMigration, type MigrationLog, migrationsTable, QUIET, runMigrations } from './migrator.ts';
import { requirePatchedDriver } from './patchedDriver.ts';
import { refuseTransactionPooler } from './pooler.ts';
import { createPoolStats, type PoolStats } from './poolStats.ts';
import { withPreparedStatements } from './preparedStatements.ts';
import { createReplicationWatch } from './replication.ts';
import { createSocketFactory, type SocketFactory } from './socket.ts';
import { sqlStateOf } from './sqlState.ts';

/** Runs statements, either on the pool or inside one transaction. */
export type Queries = Pick<PostgresJsDatabase, 'select' | 'insert' | 'update' | 'delete' | 'execute'>;

export interface Database {
  readonly db: PostgresJsDatabase;
  /** The driver itself, for LISTEN. */
  readonly client: postgres.Sql;
  readonly pool: PoolStats;
  /** The schema that the tables lie in; null for `public`. */
  readonly schema: string | null;
  /** What the server says of the connections: why they cannot be used, and whether its disk is full. */
  readonly sockets: Pick<SocketFactory, 'refusal' | 'waitingForPoolerMs' | 'giveUp' | 'disk'>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  /** Connections in the pool; null for the default. */
  readonly poolSize?: number | null;
  /** The schema of the tables; `public` unless given. */
  readonly schema?: string | null;
  /** Variables that stand in for what the address leaves out, as libpq reads them. */
  readonly variables?: NodeJS.ProcessEnv;
  /** Connections for reading only, which may lead to a standby. */
  readonly readOnly?: boolean;
  /** Called when a connection can be used, with the start time of its server. */
  readonly onServer?: (startedAt: string) => void;
}

/** Connections of the pool; one more listens. */
const DEFAULT_POOL_SIZE = 16;
/** Seconds after which an idle connection is closed. Must be shorter than the silence limit in `socket.ts`. */
const IDLE_SECONDS = 10;
/** Fixed pause before the next connection attempt, without backoff, so that the end of a long outage is noticed soon. */
const RECONNECT_SECONDS = 0.2;

/** What the driver says of the connection that it opens: the one that listens is never idle for too long. */
interface DriverAddress {
  readonly idle_timeout: number | null;
}

/** What the driver asks of a server, which has been chosen already. */
const sessionAttributes = ({ server }: ConnectionTarget) =>
  server === 'PRIMARY' ? ('primary' as const) : ('prefer-standby' as const);

/** What the driver gets: where to connect, and how to encrypt, is decided before it gets a socket. */
function driverOptions(target: ConnectionTarget, sockets: SocketFactory, max: number) {
  const { user, password, database, applicationName, options } = target;
  return {
    host: 'localhost',
    user,
    pass: password,
    database,
    ssl: false,
    max,
    // Each stage of connecting has a limit of its own, see `socket.ts`.
    connect_timeout: 0,
    idle_timeout: IDLE_SECONDS,
    backoff: () => RECONNECT_SECONDS,
    connection: { application_name: applicationName, ...(options === null ? {} : { options }) },
    // The driver would choose a host itself; it gets one that is right.
    ...(process.env.PGTARGETSESSIONATTRS ? { target_session_attrs: sessionAttributes(target) } : {}),
    socket: ({ idle_timeout }: DriverAddress) => sockets.open(idle_timeout === null),
  };
}

/** PostgreSQL's number of the type `text[]`, which no database changes. */
const TEXT_ARRAY = 1009;

/**
 * The driver asks each new connection for the types of arrays: milliseconds, and more with every partition. What the first
 * was told holds for all.
 */
function forgetToFetchTypes({ options }: postgres.Sql): void {
  if (options.serializers[TEXT_ARRAY]) options.fetch_types = false;
}

/** Connects lazily: no connection is opened before the first statement. @throws {BadConnectionString} */
export function openDatabase(options: DatabaseOptions): Database {
  requirePatchedDriver();
  const { url, variables, poolSize, readOnly = false, onServer } = options;
  const target = readConnectionString(url, variables, !readOnly);
  const schema = options.schema ?? target.schema;
  const pool = createPoolStats();
  const sockets = createSocketFactory(target, schema, onServer);
  const replication = createReplicationWatch();
  const driver = driverOptions(target, sockets, poolSize ?? DEFAULT_POOL_SIZE);
  const settings = {
    ...driver,
    async socket(given: DriverAddress) {
      forgetToFetchTypes(client);
      return pool.countSocket(await driver.socket(given));
    },
    onnotice: replication.onNotice,
  };
  const client: postgres.Sql = replication.guard(withPreparedStatements(postgres(settings), pool));
  return {
    db: drizzle(client),
    client,
    pool,
    schema,
    sockets,
    close: () => client.end({ timeout: 2 }),
  };
}

/** Applies the pending migrations. Only one node does so at a time; the others wait and then have nothing to apply. */
export async function migrateDatabase(
  options: DatabaseOptions,
  log: MigrationLog = QUIET,
  signal?: AbortSignal,
): Promise<void> {
  requirePatchedDriver();
  const target = readConnectionString(options.url, options.variables);
  for (const warning of target.warnings) log.warn(warning);
  const schema = options.schema ?? target.schema;
  const sockets = createSocketFactory(target, schema);
  const { connection, ...driver } = driverOptions(target, sockets, 1);
  const named = { ...connection, application_name: `${target.applicationName} migration` };
  // No statement of a migration has an array.
  const settings = { ...driver, connection: named, fetch_types: false, onnotice: () => {} };
  const open = () => postgres({ ...settings });
  const client = open();
  const giveUp = () => void client.end({ timeout: 0 });
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    await refuseTransactionPooler(client, open);
    await runMigrations(client, schema, log);
  } finally {
    signal?.removeEventListener('abort', giveUp);
    await client.end({ timeout: 5 });
  }
}

/** Timestamp of the last migration of this version, epoch milliseconds; read when first needed. */
let latest: number | null = null;
/** SQLSTATEs: the schema does not exist, the table does not exist. */
const MISSING = new Set(['3F000', '42P01']);

/** How the migrations of a database compare with those of this version. */
export type MigrationState = 'missing' | 'current' | 'later';

/** Whether the tables have all migrations of this version, and whether a later version has added some. */
export async function readMigrationState(db: Queries, schema: string | null = null): Promise<MigrationState> {
  latest ??= latestMigration();
  try {
    const [row] = await db.execute<{ at: string | null }>(
      sql`select max(created_at)::text as at from ${sql.raw(migrationsTable(schema))}`,
    );
    const at = Number(row?.at ?? -1);
    return at < latest ? 'missing' : at === latest ? 'current' : 'later';
  } catch (error) {
    if (MISSING.has(sqlStateOf(error))) return 'missing';
    throw error;
  }
}

/** The current time on Serin's clock, epoch milliseconds, and the clock's rate (its seconds per real second). */
export async function readClock(db: Queries): Promise<{ readonly now: SerinInstant; readonly rate: number }> {
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

/** Converts between Serin's clock and the real one. They differ where the clock runs, or once ran, faster. */
export interface ClockConversion {
  toSerin(at: WallInstant): SerinInstant;
  toWall(at: SerinInstant): WallInstant;
}

/** Reads how the clocks correspond since the rate was last set; instants before that are converted at the same rate. */
export async function readClockConversion(db: Queries): Promise<ClockConversion> {
  const [row] = await db.execute<{ epoch: number; anchor: number; rate: number }>(sql`
    select date_part('epoch', epoch) * 1000 as epoch, date_part('epoch', anchored_at) * 1000 as anchor,
      rate::float8 as rate from clock`);
  if (!row) throw new Error('the clock row is missing: the database is not migrated');
  const { epoch, anchor, rate } = row;
  return {
    toSerin: (at) => Math.round(epoch + (at - anchor) * rate),
    toWall: (at) => Math.round(anchor + (at - epoch) / rate),
  };
}
