/**
 * A read replica: a standby of the database that lists, exports and series are read from. It is used only while it is
 * known to lag by less than a bound, to follow the database of this node, and to have what its reader has written.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { BadConnectionString, readConnectionString } from './connectionString.ts';
import { type Database, type DatabaseOptions, openDatabase } from './database.ts';
import { shareUpcoming } from './shareUpcoming.ts';

/** How often both servers are asked where they are. */
const POLL_INTERVAL_MS = 500;
/** A server that takes longer to say so counts as away. */
const ANSWER_WITHIN_MS = 1000;
/** How long a reader waits for the replica to have what it has written. */
const CATCH_UP_MS = 200;
const CATCH_UP_POLL_MS = 10;
/** Positions of the primary that are remembered: ten minutes. A lag that is longer is shown as ten minutes. */
const REMEMBERED = 1200;

/** A position in the write-ahead log (LSN): everything committed before it is on a server that has replayed it. */
export type WalPosition = bigint;

/** Reads a position as PostgreSQL writes it, such as `16/B374D848`; null if it is not one. */
export function parseWalPosition(text: string): WalPosition | null {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  return match ? (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`) : null;
}

export function formatWalPosition(position: WalPosition): string {
  const hex = (part: bigint) => part.toString(16).toUpperCase();
  return `${hex(position >> 32n)}/${hex(position & 0xffff_ffffn)}`;
}

export interface Replica {
  readonly db: PostgresJsDatabase;
  /** Why reads go to the primary at the moment, as a message; null while they go to the replica. */
  problem(): string | null;
  /** By how much it lags at most, in real milliseconds; at least so much while it is away. */
  lagMs(): number;
  /** Waits for a moment until it has everything up to a position. Returns false if it has not by then. */
  reaches(position: WalPosition): Promise<boolean>;
  /** Calls back when it has ceased to answer: reads in flight begin anew on the primary. Returns how to stop. */
  onAway(callBack: () => void): () => void;
  /** The time on Serin's clock, epoch milliseconds, from the primary: the replica's machine has another clock. */
  now(): number;
  /** A position after everything that is committed on the primary by now. Concurrent callers share one query. */
  committedPosition(): Promise<WalPosition>;
  stop(): Promise<void>;
}

export interface ReplicaOptions extends Pick<DatabaseOptions, 'url' | 'schema' | 'poolSize' | 'variables'> {
  /** Real milliseconds. A replica that lags by more is not used. */
  readonly maxLagMs: number;
  readonly primary: Database;
  /** Called with the problem when it changes; null when the replica is used again. */
  readonly onChange: (problem: string | null) => void;
}

interface PrimaryState extends Record<string, unknown> {
  readonly position: string;
  readonly startedAt: string;
  readonly incarnation: string;
  readonly now: number;
  readonly rate: number;
}

interface ReplicaState extends Record<string, unknown> {
  readonly position: string | null;
  readonly startedAt: string;
  readonly recovering: boolean;
  readonly incarnation: string;
}

/** The mark of an incarnation is random: a server has it only by following the one where it began. */
const INCARNATION = `(select mark from incarnations order by number desc limit 1)`;
const PRIMARY_STATE = sql.raw(`select pg_current_wal_lsn()::text as position,
  pg_postmaster_start_time()::text as "startedAt", ${INCARNATION} as incarnation,
  (date_part('epoch', serin_now()) * 1000)::float8 as now, (select rate::float8 from clock) as rate`);
const REPLAYED =
  'case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end::text';
const REPLICA_STATE =
  sql.raw(`select ${REPLAYED} as position, pg_postmaster_start_time()::text as "startedAt",
  pg_is_in_recovery() as recovering, ${INCARNATION} as incarnation`);

/** Checks the address of a replica. @throws {BadConnectionString} */
export function checkReplicaAddress(url: string, variables: NodeJS.ProcessEnv): readonly string[] {
  const named = (text: string) => text.replaceAll('DATABASE_URL', 'SERIN_READ_URL');
  try {
    return readConnectionString(url, variables, false).warnings.map(named);
  } catch (error) {
    if (error instanceof BadConnectionString) throw new BadConnectionString(named(error.message));
    throw error;
  }
}

/** Connects to a replica and follows its state. A replica that is away stops nothing. @throws {BadConnectionString} */
export function openReplica({ primary, maxLagMs, onChange, ...options }: ReplicaOptions): Replica {
  const { db, close, sockets } = openDatabase({ ...options, readOnly: true, onServer });
  /** Where the primary was at the beginning of each poll, by `performance.now()`. */
  let marks: { readonly at: number; readonly position: WalPosition }[] = [];
  let clock = { now: 0, rate: 1, at: 0 };
  let latest: PrimaryState | null = null;
  let server: string | null = null;
  let replayed: WalPosition = 0n;
  let currentAt = performance.now();
  let fault: string | null = 'the replica has not answered yet';
  let said: string | null = null;
  const readers = new Set<() => void>();
  let stopped = false;
  const polling = poll();

  function lagMs(): number {
    return performance.now() - currentAt;
  }

  function problem(): string | null {
    if (fault !== null) return fault;
    const lag = lagMs();
    return lag <= maxLagMs
      ? null
      : `the replica lags by ${Math.round(lag / 1000)} s, more than SERIN_READ_MAX_LAG_SECONDS (${maxLagMs / 1000})`;
  }

  /** Says that the state has changed. */
  function announce(): void {
    const now = problem();
    const kind = now?.replace(/\d+/, '') ?? null;
    if (kind === said || stopped) return;
    said = kind;
    onChange(now);
  }

  function onServer(startedAt: string): void {
    // A connection to another server than the one that was asked how far it is.
    if (server !== null && startedAt !== server) giveUp('the replica is another server than before');
  }

  /** Not used until it has answered again. */
  function giveUp(why: string): void {
    fault = why;
    server = null;
    sockets.giveUp(new Error(why));
    for (const callBack of readers) callBack();
    announce();
  }

  async function poll(): Promise<void> {
    while (!stopped) {
      const at = performance.now();
      const primaryState = await inTime(primary.db.execute<PrimaryState>(PRIMARY_STATE));
      if (primaryState) {
        latest = primaryState;
        marks.push({ at, position: parseWalPosition(primaryState.position) ?? 0n });
        if (marks.length > REMEMBERED) marks = marks.slice(-REMEMBERED);
        clock = { now: primaryState.now, rate: primaryState.rate, at: (at + performance.now()) / 2 };
      }
      take(await inTime(db.execute<ReplicaState>(REPLICA_STATE)));
      announce();
      await sleep(POLL_INTERVAL_MS, undefined, { ref: false });
    }
  }

  function take(state: ReplicaState | null): void {
    if (!state) {
      giveUp('the replica does not answer');
      return;
    }
    const position = state.position === null ? null : parseWalPosition(state.position);
    const isPrimary = state.startedAt === latest?.startedAt;
    if (position === null) fault = 'the replica does not say how far it is';
    else if (!state.recovering && !isPrimary) {
      fault = 'SERIN_READ_URL leads to a server that takes writes and is not that of DATABASE_URL';
    } else if (state.incarnation !== latest?.incarnation) {
      fault = 'the replica does not follow the server of DATABASE_URL, or not yet';
    } else fault = null;
    replayed = position ?? 0n;
    server = state.startedAt;
    // A server of another history does not show by its position what it has.
    if (fault !== null) return;
    const there = marks.filter((mark) => mark.position <= replayed);
    const newest = there.at(-1);
    if (!newest) return;
    currentAt = newest.at;
    marks = marks.slice(there.length - 1);
  }

  let asking: Promise<WalPosition> | null = null;
  async function askReplayed(): Promise<WalPosition> {
    const [row] = await db.execute<{ position: string | null }>(sql.raw(`select ${REPLAYED} as position`));
    return parseWalPosition(row?.position ?? '') ?? 0n;
  }

  async function readCommitted(): Promise<WalPosition> {
    const [row] = await primary.db.execute<{ position: string }>(
      sql.raw('select pg_current_wal_lsn()::text as position'),
    );
    const position = parseWalPosition(row?.position ?? '');
    if (position === null) throw new Error('the primary does not say how far it is');
    return position;
  }

  return {
    db,
    problem,
    lagMs,
    async reaches(position) {
      const deadline = performance.now() + CATCH_UP_MS;
      while (replayed < position) {
        if (performance.now() > deadline || problem() !== null) return false;
        await sleep(CATCH_UP_POLL_MS, undefined, { ref: false });
        asking ??= askReplayed().finally(() => {
          asking = null;
        });
        const late = sleep(CATCH_UP_MS, 0n, { ref: false });
        const found = await Promise.race([asking.catch(() => 0n), late]);
        if (found > replayed && problem() === null) replayed = found;
      }
      return problem() === null;
    },
    onAway(callBack) {
      readers.add(callBack);
      return () => readers.delete(callBack);
    },
    now: () => Math.round(clock.now + (performance.now() - clock.at) * clock.rate),
    committedPosition: shareUpcoming(readCommitted),
    async stop() {
      stopped = true;
      await Promise.race([polling, sleep(ANSWER_WITHIN_MS, undefined, { ref: false })]);
      await close();
    },
  };
}

/** The only row of a query; null if it fails, or takes too long. */
async function inTime<T>(query: Promise<readonly T[]>): Promise<T | null> {
  const late = sleep(ANSWER_WITHIN_MS, null, { ref: false });
  const rows = await Promise.race([query.catch(() => null), late]);
  return rows?.[0] ?? null;
}
