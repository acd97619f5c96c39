/** What `/ready` says: why this node cannot work, and what needs an operator's attention. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Tail } from './feed/tail.ts';
import type { ClockWatch } from './monitor/clockWatch.ts';
import type { Readiness } from './server/http/operatorEndpoints.ts';
import { type Database, readMigrationState } from './store/postgres/database.ts';
import type { Replica } from './store/postgres/replica.ts';
import { findWriteObstacle } from './store/postgres/writeObstacle.ts';
import { findSchemaDamage } from './store/tables/schemaCheck.ts';

/** A node whose database takes longer than this is not ready. */
const READY_WITHIN_MS = 2000;
/** A feed that is blocked for longer than this causes a warning. */
const BLOCKED_WARNING_MS = 5000;

const NOT_MIGRATED =
  'the tables of the database are missing or older than this version: a node that starts migrates them';

/**
 * Checks for dropped indexes and constraints, and logs them. They do not stop the node: the operator may need it to
 * run until it is built again.
 * @returns reads what is still missing; without a query once nothing is
 */
export async function watchSchema({ db, schema }: Database, log: Logger): Promise<() => Promise<string[]>> {
  let damage = (await readMigrationState(db, schema)) === 'current' ? await findSchemaDamage(db) : [];
  for (const problem of damage) log.error({ problem }, 'the database is not as the migrations left it');
  return async () => {
    if (damage.length > 0) damage = await findSchemaDamage(db);
    return damage;
  };
}

interface ReadinessParts {
  readonly database: Database;
  readonly readDamage: () => Promise<string[]>;
  readonly tail: Tail;
  readonly clock: ClockWatch;
  readonly replica: Replica | null;
}

/** Why this node cannot work, and what needs an operator's attention. */
export async function readReadiness({
  database,
  readDamage,
  tail,
  clock,
  replica,
}: ReadinessParts): Promise<Readiness> {
  const { db, schema, sockets } = database;
  const state = await Promise.race([
    Promise.all([readMigrationState(db, schema), findWriteObstacle(database), readDamage()]).catch(
      () => null,
    ),
    sleep(READY_WITHIN_MS, null, { ref: false }),
  ]);
  const [migrations, obstacle, damage] = state ?? [];
  const blocked = tail.blockedBy();
  const waitingMs = sockets.waitingForPoolerMs();
  const warnings: string[] = [...(damage ?? [])];
  if (blocked && blocked.ms >= BLOCKED_WARNING_MS) {
    warnings.push(`the feeds have been blocked for ${Math.round(blocked.ms / 1000)} s by ${blocked.by}`);
  }
  const stepped = clock.warning();
  if (stepped) warnings.push(stepped);
  if (waitingMs !== null) warnings.push(waitsForPooler(waitingMs));
  const unused = replica?.problem() ?? null;
  if (unused !== null) warnings.push(`all reads go to the primary: ${unused}`);
  const away = sockets.refusal() ?? (waitingMs === null ? null : waitsForPooler(waitingMs));
  const missing = !state
    ? (away ?? 'the database does not respond')
    : migrations === 'missing'
      ? NOT_MIGRATED
      : (obstacle ?? null);
  const lag = replica && { used: unused === null, lagSeconds: Math.round(replica.lagMs()) / 1000 };
  return { missing, warnings, replica: lag };
}

const waitsForPooler = (ms: number) =>
  `a connection has waited ${Math.round(ms / 1000)} s for a server of the pooler: all nodes together must not ask for more ` +
  'connections than it has (pgbouncer: default_pool_size, max_db_connections); each takes SERIN_POOL_SIZE and one more';
