/**
 * The append-only log. Within a deployment events are numbered; across deployments their order is (writer's
 * transaction id, row id), and a reader stays below the oldest transaction that may still write: a plain serial
 * would let it step over an event that commits late.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { and, eq, gt, inArray, type SQL, sql } from 'drizzle-orm';
import { type CanaryEvent, type EventType, eventCodec } from '../../core/lifecycle/events.ts';
import type { CanaryStatus } from '../../core/lifecycle/state.ts';
import { covers, inScope, type Scope } from '../access/strategyScope.ts';
import type { Queries } from '../postgres/database.ts';
import type { LogWriteTransaction } from '../postgres/notifier.ts';
import { events } from '../tables/tables.ts';
import { findArchivedRows } from './archive.ts';

/** A place in the log: everything up to and including it has been read. */
export interface LogPosition {
  readonly xid: bigint;
  readonly id: bigint;
}

export const LOG_START: LogPosition = { xid: 0n, id: 0n };

/** A position as clients see it. `0` is the beginning. */
export function formatCursor({ xid, id }: LogPosition): string {
  return xid === 0n && id === 0n ? '0' : `${xid.toString(36)}-${id.toString(36)}`;
}

/** Reads a cursor; null when it is none. */
export function parseCursor(cursor: string): LogPosition | null {
  if (cursor === '0') return LOG_START;
  const match = /^([0-9a-z]{1,13})-([0-9a-z]{1,13})$/.exec(cursor);
  if (!match?.[1] || !match[2]) return null;
  const [xid, id] = [fromBase36(match[1]), fromBase36(match[2])];
  return xid <= LAST_XID && id <= LAST_ID ? { xid, id } : null;
}

/** The bounds of PostgreSQL's `xid8` and `bigint`. */
const LAST_XID = 2n ** 64n - 1n;
const LAST_ID = 2n ** 63n - 1n;

function fromBase36(text: string): bigint {
  let value = 0n;
  for (const digit of text) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  return value;
}

export function isAfter(a: LogPosition, b: LogPosition): boolean {
  return a.xid > b.xid || (a.xid === b.xid && a.id > b.id);
}

/** An event with its place in the log. */
export interface LogEntry {
  readonly position: LogPosition;
  readonly deploymentId: string;
  readonly strategyId: string;
  readonly timeline: boolean;
  /** The statuses around the event, where it changed the status. */
  readonly change: { readonly previousStatus: CanaryStatus; readonly status: CanaryStatus } | null;
  readonly event: CanaryEvent;
}

/** What is written with an event beside the event itself. */
export interface NewEntry extends Omit<LogEntry, 'position'> {}

export async function appendEvents(tx: LogWriteTransaction, entries: readonly NewEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const rows = entries.map(({ deploymentId, strategyId, timeline, change, event }) => ({
    deployment: deploymentId,
    strategy: strategyId,
    timeline,
    previous: change?.previousStatus ?? null,
    status: change?.status ?? null,
    payload: eventCodec.encode(event),
  }));
  // One statement for any number of events; what has a column is in the payload too.
  const appended = tx.execute(sql`
    insert into events (deployment_id, strategy_id, no, type, at, actor, revision, timeline, previous_status, status, payload)
    select r.deployment, r.strategy, (r.payload ->> 'no')::integer, r.payload ->> 'type',
      (r.payload ->> 'at')::timestamptz, r.payload ->> 'actor', (r.payload ->> 'revision')::integer, r.timeline,
      r.previous, r.status, r.payload
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r (deployment text, strategy text,
      timeline boolean, previous text, status text, payload jsonb)
    order by r.deployment, (r.payload ->> 'no')::integer`);
  await Promise.all([appended, tx.notification.onAppend(tx)]);
}

/**
 * Written out, as every event is read so by every node, and its subscribers wait for it. The order is by the columns: the
 * outputs of the same names are text.
 */
const ENTRIES =
  sql.raw(`select xid::text, id::text, deployment_id as "deploymentId", strategy_id as "strategyId",
  timeline, previous_status as "previousStatus", status, payload from events`);

interface EntryRow extends Record<string, unknown> {
  readonly xid: string;
  readonly id: string;
  readonly deploymentId: string;
  readonly strategyId: string;
  readonly timeline: boolean;
  readonly previousStatus: CanaryStatus | null;
  readonly status: CanaryStatus | null;
  readonly payload: unknown;
}

function toEntry(row: EntryRow): LogEntry {
  const { previousStatus, status } = row;
  return {
    position: { xid: BigInt(row.xid), id: BigInt(row.id) },
    deploymentId: row.deploymentId,
    strategyId: row.strategyId,
    timeline: row.timeline,
    change: previousStatus && status ? { previousStatus, status } : null,
    event: eventCodec.parse(row.payload),
  };
}

/** Narrows a reading of the log. */
export interface LogFilter {
  readonly deploymentId?: string | undefined;
  readonly strategyId?: string | undefined;
  readonly types?: readonly EventType[] | undefined;
  /** Only events of the timeline. */
  readonly timelineOnly?: boolean | undefined;
  /** Only events of strategies that the reader may see. */
  readonly scope?: Scope | undefined;
}

function matches(filter: LogFilter): (SQL | undefined)[] {
  return [
    filter.deploymentId === undefined ? undefined : eq(events.deploymentId, filter.deploymentId),
    filter.strategyId === undefined ? undefined : eq(events.strategyId, filter.strategyId),
    filter.types === undefined ? undefined : inArray(events.type, [...filter.types]),
    filter.timelineOnly ? eq(events.timeline, true) : undefined,
    inScope(events.strategyId, filter.scope),
  ];
}

const afterPosition = ({ xid, id }: LogPosition) =>
  sql`(${events.xid}, ${events.id}) > (${xid.toString()}::xid8, ${id.toString()}::bigint)`;

/** Below this no transaction can still write. */
const settled = sql`${events.xid} < pg_snapshot_xmin(pg_current_snapshot())`;
const unsettled = sql`${events.xid} >= pg_snapshot_xmin(pg_current_snapshot())`;

/** The next settled entries after a position, in the order of the log. */
export async function readLog(
  db: Queries,
  after: LogPosition,
  limit: number,
  filter: LogFilter = {},
): Promise<LogEntry[]> {
  const rows = await db.execute<EntryRow>(
    sql`${ENTRIES} where ${and(afterPosition(after), settled, ...matches(filter))} order by events.xid, events.id limit ${limit}`,
  );
  return rows.map(toEntry);
}

/** Whether there are entries after a position, settled or not. */
async function hasMore(db: Queries, after: LogPosition, ...narrow: (SQL | undefined)[]): Promise<boolean> {
  const rows = await db
    .select({ id: events.id })
    .from(events)
    .where(and(afterPosition(after), ...narrow))
    .limit(1);
  return rows.length > 0;
}

/** Whether there are entries behind the end of what a reader could read: others' transactions hold them back. */
export function hasUnsettled(db: Queries, end: LogPosition): Promise<boolean> {
  return hasMore(db, end);
}

/** How long a reader waits for others' transactions so that it sees what was committed before it asked. */
const SETTLING_MS = 1000;

/**
 * The same as {@link readLog}, for a caller who may have just written: waits, for a moment, while transactions of
 * others still hold back entries that are committed.
 */
export async function readLogWhenSettled(
  db: Queries,
  after: LogPosition,
  limit: number,
  filter: LogFilter = {},
): Promise<LogEntry[]> {
  const deadline = Date.now() + SETTLING_MS;
  const heldBack = () => hasMore(db, after, unsettled, ...matches(filter));
  while ((await heldBack()) && Date.now() < deadline) await sleep(5);
  return readLog(db, after, limit, filter);
}

/** What is committed at one moment: decides which events were there before a subscription began. */
export interface Horizon {
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly running: ReadonlySet<bigint>;
}

export async function currentHorizon(db: Queries): Promise<Horizon> {
  const [row] = await db.execute<{ snapshot: string }>(sql`select pg_current_snapshot()::text as snapshot`);
  const [xmin, xmax, running] = (row?.snapshot ?? '0:0:').split(':');
  const ids = running ? running.split(',').map((id) => BigInt(id)) : [];
  return { xmin: BigInt(xmin ?? 0), xmax: BigInt(xmax ?? 0), running: new Set(ids) };
}

/** Whether an entry was already committed at that moment. */
export function wasCommitted({ xmin, xmax, running }: Horizon, { xid }: LogPosition): boolean {
  return xid < xmin || (xid < xmax && !running.has(xid));
}

/** The last settled position, for a reader that starts now. */
export async function lastSettledPosition(db: Queries): Promise<LogPosition> {
  const [row] = await db.execute<{ xid: string }>(
    sql`select pg_snapshot_xmin(pg_current_snapshot())::text as xid`,
  );
  return { xid: BigInt(row?.xid ?? 1) - 1n, id: 9_223_372_036_854_775_807n };
}

export interface DeploymentLogPage {
  readonly afterNo?: number;
  readonly after?: LogPosition | undefined;
  readonly limit?: number;
  readonly filter?: LogFilter;
}

/**
 * A deployment's events by number, also those that were archived. The newest may not be settled: their positions are
 * good for going on within this deployment, whose events are written one after the other.
 */
export async function readDeploymentEvents(
  db: Queries,
  deploymentId: string,
  page: DeploymentLogPage = {},
): Promise<LogEntry[]> {
  const { afterNo = 0, after, limit, filter = {} } = page;
  const wanted = [
    ...matches({ ...filter, deploymentId }),
    gt(events.no, afterNo),
    after && afterPosition(after),
  ];
  const rows = await db.execute<EntryRow>(
    sql`${ENTRIES} where ${and(...wanted)} order by events.no limit ${limit ?? null}`,
  );
  const found = rows.map(toEntry);
  // What is archived comes before everything in the table. The table is read first, so that nothing slips between.
  if (found[0]?.event.no === afterNo + 1 || limit === 0) return found;
  const archived = await readArchivedEvents(db, deploymentId, page);
  const later = found.filter(({ event }) => event.no > (archived.at(-1)?.event.no ?? 0));
  return [...archived, ...later].slice(0, limit);
}

/** The newest event of these types, also of an archived deployment; null when there is none. */
export async function readLatestEvent(
  db: Queries,
  deploymentId: string,
  types: readonly EventType[],
): Promise<LogEntry | null> {
  const wanted = and(...matches({ deploymentId, types }));
  const [row] = await db.execute<EntryRow>(sql`${ENTRIES} where ${wanted} order by events.no desc limit 1`);
  if (row) return toEntry(row);
  const archived = await readArchivedEvents(db, deploymentId, { filter: { types } });
  return archived.at(-1) ?? null;
}

async function readArchivedEvents(
  db: Queries,
  deploymentId: string,
  { afterNo = 0, after, filter = {} }: DeploymentLogPage,
): Promise<LogEntry[]> {
  const rows = await findArchivedRows(db, deploymentId);
  const entries = (rows?.events ?? []).map((row) => toEntry({ ...row, deploymentId }));
  return entries.filter(
    ({ event, position, strategyId, timeline }) =>
      event.no > afterNo &&
      (!after || isAfter(position, after)) &&
      (filter.types === undefined || filter.types.includes(event.type)) &&
      (filter.strategyId === undefined || filter.strategyId === strategyId) &&
      (!filter.timelineOnly || timeline) &&
      covers(filter.scope ?? null, strategyId),
  );
}
