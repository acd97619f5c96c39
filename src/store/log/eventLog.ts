/**
 * The append-only log. Within a deployment events are numbered; across deployments their order is (incarnation of the
 * server, writer's transaction id, row id), and a reader stays below the oldest transaction that may still write: a
 * plain serial would let it step over an event that commits late.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { and, type SQL, sql } from 'drizzle-orm';
import { writeEvent } from '../../core/lifecycle/events.ts';
import { convertRows, type Pace } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import type { LogWriteTransaction } from '../postgres/notifier.ts';
import { bulkInsert } from '../tables/bulk.ts';
import { events } from '../tables/tables.ts';
import { settledBefore } from './incarnations.ts';
import {
  afterPosition,
  beforePosition,
  ENTRIES,
  ENTRY_COLUMNS,
  type EntryRow,
  entriesWith,
  type LogEntry,
  type LogFilter,
  matches,
  type NewEntry,
  positionOf,
  toEntry,
} from './logEntry.ts';
import { BORN } from './partitions.ts';
import { BETWEEN_EVENTS, type LogPosition } from './position.ts';

const insertRows = bulkInsert(
  events,
  [
    'deploymentId',
    'strategyId',
    'no',
    'type',
    'at',
    'actor',
    'revision',
    'timeline',
    'previousStatus',
    'status',
    'payload',
  ],
  BORN,
);

/** Appends any number of events in one statement and notifies readers. */
export async function appendEvents(tx: LogWriteTransaction, entries: readonly NewEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const rows = entries.map(({ deploymentId, strategyId, timeline, change, event }) => ({
    deploymentId,
    strategyId,
    no: event.no,
    type: event.type,
    at: new Date(event.at),
    actor: event.actor,
    revision: event.revision,
    timeline,
    previousStatus: change?.previousStatus ?? null,
    status: change?.status ?? null,
    payload: writeEvent(event),
  }));
  const inserted = tx.execute(sql`${insertRows(rows)} order by r."deploymentId", r.no`);
  await Promise.all([inserted, tx.notification.onAppend(tx)]);
}

/** No transaction can still write before these. */
const settled = sql`(${events.incarnation}, ${events.xid}) < ${settledBefore}`;
const unsettled = sql`(${events.incarnation}, ${events.xid}) >= ${settledBefore}`;

/**
 * Events that one statement looks at. With a filter that few match it would go through all of a large log, which takes longer
 * than a statement may.
 */
const LOOKED_AT = 5000;

export interface LogPart {
  /** Settled entries that match, in log order. */
  readonly entries: LogEntry[];
  /** Where to go on; null if nothing settled follows. */
  readonly end: LogPosition | null;
}

interface LookedAtRow extends EntryRow {
  readonly place: number;
  readonly matches: boolean;
}

/** The next settled entries after a position that match, as far as one statement looks. */
export async function readLog(
  db: Queries,
  after: LogPosition,
  limit: number,
  { deploymentId, strategyId, ...filter }: LogFilter,
  lookedAt = LOOKED_AT,
): Promise<LogPart> {
  const order = sql`events.incarnation, events.xid, events.id`;
  // By deployment and strategy there are indexes.
  const among = and(afterPosition(after), settled, ...matches({ deploymentId, strategyId, scope: null }));
  const rows = await db.execute<LookedAtRow>(sql`${ENTRY_COLUMNS}, payload, place::int, matches
    from (select events.*, row_number() over (order by ${order}) as place,
        ${and(sql`true`, ...matches(filter))} as matches
      from events where ${among} order by ${order} limit ${sql.raw(String(lookedAt))}) as events
    where matches or place = ${sql.raw(String(lookedAt))} order by ${order} limit ${limit}`);
  const entries = await convertRows(
    rows.filter((row) => row.matches),
    toEntry,
  );
  const last = rows.at(-1);
  const isAll = !last || (rows.length < limit && last.place < lookedAt);
  return { entries, end: isAll ? null : positionOf(last) };
}

export interface LogTail {
  /** The next settled entries, in log order. */
  readonly entries: LogEntry[];
  /** Whether committed entries follow that open transactions hold back. */
  readonly heldBack: boolean;
}

/** Settled entries have their payload, those that are held back have none: one statement tells of both. */
const ENTRIES_SO_FAR = entriesWith(sql`case when ${settled} then payload end`);

/** What follows a position, for the reader that follows the log. */
export async function readLogTail(db: Queries, after: LogPosition, limit: number): Promise<LogTail> {
  const rows = await db.execute<EntryRow & { readonly payload: EntryRow['payload'] | null }>(
    sql`${ENTRIES_SO_FAR} where ${afterPosition(after)} order by events.incarnation, events.xid, events.id limit ${limit}`,
  );
  const end = rows.findIndex(({ payload }) => payload === null);
  const found = end === -1 ? rows : rows.slice(0, end);
  return { entries: await convertRows(found, toEntry), heldBack: end !== -1 };
}

export interface LogPage {
  readonly after: LogPosition;
  readonly before: LogPosition | undefined;
  readonly limit: number;
  /** Take the last ones instead of the first. */
  readonly fromEnd: boolean;
  readonly pace?: Pace | undefined;
}

/** The settled entries between two positions, in log order. */
async function readLogPage(
  db: Queries,
  { after, before, limit, fromEnd, pace }: LogPage,
  filter: LogFilter,
): Promise<LogEntry[]> {
  const wanted = and(afterPosition(after), before && beforePosition(before), settled, ...matches(filter));
  const order = fromEnd
    ? sql`events.incarnation desc, events.xid desc, events.id desc`
    : sql`events.incarnation, events.xid, events.id`;
  const rows = await db.execute<EntryRow>(sql`${ENTRIES} where ${wanted} order by ${order} limit ${limit}`);
  const found = await convertRows(rows, toEntry, pace);
  return fromEnd ? found.reverse() : found;
}

/**
 * Whether there are committed entries after a position, settled or not. The order has PostgreSQL read its index from
 * the position on: for any one row it expects to find it soon in the table, and reads a whole month where there is none.
 */
async function hasMore(
  db: Queries,
  after: LogPosition,
  ...conditions: (SQL | undefined)[]
): Promise<boolean> {
  const rows = await db
    .select({ id: events.id })
    .from(events)
    .where(and(afterPosition(after), ...conditions))
    .orderBy(events.incarnation, events.xid, events.id)
    .limit(1);
  return rows.length > 0;
}

/** How long a read waits for open transactions, so that it returns what was committed before the request. */
const SETTLING_MS = 1000;
const SETTLING_POLL_MS = 5;

/**
 * The settled entries between two positions, for a caller that may have just written: waits while open transactions hold
 * back committed entries that belong to the page.
 * @param blockedMs for how long the log is known to be blocked, milliseconds; the wait is shorter by this time, so that
 * only the first reads of a blocked log wait
 * @returns the page, and whether it lacks committed entries because they are still held back
 */
export async function readSettledPage(
  db: Queries,
  page: LogPage,
  filter: LogFilter,
  blockedMs: number,
): Promise<{ readonly found: LogEntry[]; readonly heldBack: boolean }> {
  const { after, before, limit, fromEnd } = page;
  const isHeldBack = () =>
    hasMore(db, after, before && beforePosition(before), unsettled, ...matches(filter));
  const deadline = performance.now() + SETTLING_MS - blockedMs;
  for (;;) {
    const heldBack = await isHeldBack();
    const found = await readLogPage(db, page, filter);
    // Entries that are held back come after all settled ones: a page that is full from the start does not lack them.
    const lacks = heldBack && (fromEnd || found.length < limit);
    if (!lacks || performance.now() >= deadline) return { found, heldBack: lacks };
    await sleep(SETTLING_POLL_MS);
  }
}

/** The last settled position, for a reader that starts now. */
export async function lastSettledPosition(db: Queries): Promise<LogPosition> {
  const [row] = await db.execute<{ number: number; label: string; xid: string }>(sql`
    select number, epoch || '.' || mark as label, pg_snapshot_xmin(pg_current_snapshot())::text as xid
    from incarnations order by number desc limit 1`);
  if (!row) throw new Error('the table of incarnations is empty: the database is not migrated');
  return {
    incarnation: { number: row.number, label: row.label },
    xid: BigInt(row.xid) - 1n,
    id: BETWEEN_EVENTS,
  };
}
