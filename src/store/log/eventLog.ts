/**
 * The append-only log. Within a deployment events are numbered; across deployments their order is (incarnation of the
 * server, writer's transaction id, row id), and a reader stays below the oldest transaction that may still write: a
 * plain serial would let it step over an event that commits late.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { and, eq, gt, gte, inArray, lt, type SQL, sql } from 'drizzle-orm';
import { type CanaryEvent, type EventType, readEvent, writeEvent } from '../../core/lifecycle/events.ts';
import type { CanaryStatus } from '../../core/lifecycle/state.ts';
import { inScope, type Scope } from '../access/strategyScope.ts';
import { convertRows, type Pace } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import type { LogWriteTransaction } from '../postgres/notifier.ts';
import { bulkInsert } from '../tables/bulk.ts';
import { events } from '../tables/tables.ts';
import { findArchivedRows } from './archive.ts';
import { CURRENT, labelText, readLabels, settledBefore } from './incarnations.ts';
import { BORN, isOf } from './partitions.ts';
import { BETWEEN_EVENTS, isAfter, type LogPosition } from './position.ts';

/** An event with its position in the log. */
export interface LogEntry {
  readonly position: LogPosition;
  readonly deploymentId: string;
  readonly strategyId: string;
  /** Whether the event belongs to the timeline. */
  readonly timeline: boolean;
  /** The statuses before and after the event; null if it did not change the status. */
  readonly change: { readonly previousStatus: CanaryStatus; readonly status: CanaryStatus } | null;
  readonly event: CanaryEvent;
  /** The event in JSON, also with what this version does not know. */
  readonly stored: Readonly<Record<string, unknown>>;
}

/** An entry before it is written: its position follows from the insert. */
export interface NewEntry extends Omit<LogEntry, 'position' | 'stored'> {}

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

/**
 * Written as SQL for speed: every node reads every event with this query while subscribers wait. `order by` must name the
 * columns with their table, because the outputs with the same names are strings.
 */
const ENTRY_COLUMNS = sql.raw(`select incarnation as number, ${labelText('events.incarnation')} as label,
  xid::text, id::text, deployment_id as "deploymentId", strategy_id as "strategyId",
  timeline, previous_status as "previousStatus", status`);
const entriesWith = (payload: SQL) => sql`${ENTRY_COLUMNS}, ${payload} as payload from events`;
const ENTRIES = entriesWith(sql`payload`);

interface EntryRow extends Record<string, unknown> {
  readonly number: number;
  readonly label: string;
  readonly xid: string;
  readonly id: string;
  readonly deploymentId: string;
  readonly strategyId: string;
  readonly timeline: boolean;
  readonly previousStatus: CanaryStatus | null;
  readonly status: CanaryStatus | null;
  readonly payload: Readonly<Record<string, unknown>>;
}

function toEntry(row: EntryRow): LogEntry {
  const { previousStatus, status } = row;
  return {
    position: {
      incarnation: { number: row.number, label: row.label },
      xid: BigInt(row.xid),
      id: BigInt(row.id),
    },
    deploymentId: row.deploymentId,
    strategyId: row.strategyId,
    timeline: row.timeline,
    change: previousStatus && status ? { previousStatus, status } : null,
    event: readEvent(row.payload),
    stored: row.payload,
  };
}

/** Which events of a deployment to read; undefined fields match every event. */
export interface EventFilter {
  readonly types?: readonly EventType[] | undefined;
  /** Only events of the timeline. */
  readonly timelineOnly?: boolean | undefined;
  /** Only events at this time or later, epoch milliseconds. */
  readonly from?: number | undefined;
  /** Only events before this time, epoch milliseconds. */
  readonly to?: number | undefined;
}

/** Which entries to read; undefined fields match every entry. */
export interface LogFilter extends EventFilter {
  readonly deploymentId?: string | undefined;
  readonly strategyId?: string | undefined;
  /** Only events of strategies that the caller may see. */
  readonly scope: Scope;
}

function matches(filter: LogFilter): (SQL | undefined)[] {
  return [
    filter.deploymentId === undefined ? undefined : isOf(events, filter.deploymentId),
    filter.strategyId === undefined ? undefined : eq(events.strategyId, filter.strategyId),
    filter.types === undefined ? undefined : inArray(events.type, [...filter.types]),
    filter.timelineOnly ? eq(events.timeline, true) : undefined,
    inScope(events.strategyId, filter.scope),
    filter.from === undefined ? undefined : gte(events.at, new Date(filter.from)),
    filter.to === undefined ? undefined : lt(events.at, new Date(filter.to)),
  ];
}

const PLACE = sql`(${events.incarnation}, ${events.xid}, ${events.id})`;
const placeOf = ({ incarnation, xid, id }: LogPosition) =>
  sql`(${incarnation.number}::integer, ${xid.toString()}::xid8, ${id.toString()}::bigint)`;
const afterPosition = (position: LogPosition) => sql`${PLACE} > ${placeOf(position)}`;
const beforePosition = (position: LogPosition) => sql`${PLACE} < ${placeOf(position)}`;

/** No transaction can still write before these. */
const settled = sql`(${events.incarnation}, ${events.xid}) < ${settledBefore}`;
const unsettled = sql`(${events.incarnation}, ${events.xid}) >= ${settledBefore}`;

/** The next settled entries after a position, in log order. */
export async function readLog(
  db: Queries,
  after: LogPosition,
  limit: number,
  filter: LogFilter,
): Promise<LogEntry[]> {
  const rows = await db.execute<EntryRow>(
    sql`${ENTRIES} where ${and(afterPosition(after), settled, ...matches(filter))} order by events.incarnation, events.xid, events.id limit ${limit}`,
  );
  return convertRows(rows, toEntry);
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
  const deadline = Date.now() + SETTLING_MS - blockedMs;
  for (;;) {
    const heldBack = await isHeldBack();
    const found = await readLogPage(db, page, filter);
    // Entries that are held back come after all settled ones: a page that is full from the start does not lack them.
    const lacks = heldBack && (fromEnd || found.length < limit);
    if (!lacks || Date.now() >= deadline) return { found, heldBack: lacks };
    await sleep(SETTLING_POLL_MS);
  }
}

/** A snapshot of what is committed. Decides which events were there before a subscription began. */
export interface Horizon {
  readonly incarnation: number;
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly running: ReadonlySet<bigint>;
}

export async function currentHorizon(db: Queries): Promise<Horizon> {
  const [row] = await db.execute<{ snapshot: string; incarnation: number }>(
    sql`select pg_current_snapshot()::text as snapshot, ${CURRENT} as incarnation`,
  );
  const [xmin, xmax, running] = (row?.snapshot ?? '0:0:').split(':');
  const ids = running ? running.split(',').map((id) => BigInt(id)) : [];
  return {
    incarnation: row?.incarnation ?? 1,
    xmin: BigInt(xmin ?? 0),
    xmax: BigInt(xmax ?? 0),
    running: new Set(ids),
  };
}

/** Whether an entry was already committed at that moment. */
export function wasCommitted(
  { incarnation, xmin, xmax, running }: Horizon,
  { incarnation: { number }, xid }: LogPosition,
): boolean {
  if (number !== incarnation) return number < incarnation;
  return xid < xmin || (xid < xmax && !running.has(xid));
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

/** Which events of a deployment to read: those that match all of the given fields. */
export interface DeploymentLogPage {
  readonly afterNo?: number;
  readonly after?: LogPosition | undefined;
  readonly before?: LogPosition | undefined;
  readonly limit?: number;
  /** Take the last ones instead of the first. */
  readonly fromEnd?: boolean;
  readonly filter?: EventFilter;
  readonly pace?: Pace | undefined;
}

/**
 * A deployment's events in order of number, also archived ones. The newest may not be settled. Their positions are still
 * valid to continue within this deployment, because its events are written one after another. The caller checks that the
 * reader may see the deployment.
 */
export async function readDeploymentEvents(
  db: Queries,
  deploymentId: string,
  page: DeploymentLogPage = {},
): Promise<LogEntry[]> {
  const { afterNo = 0, after, before, limit, fromEnd = false, filter = {}, pace } = page;
  const conditions = [
    ...matches({ ...filter, deploymentId, scope: null }),
    gt(events.no, afterNo),
    after && afterPosition(after),
    before && beforePosition(before),
  ];
  const order = fromEnd ? sql`events.no desc` : sql`events.no`;
  const rows = await db.execute<EntryRow>(
    sql`${ENTRIES} where ${and(...conditions)} order by ${order} limit ${limit ?? null}`,
  );
  const found = await convertRows(rows, toEntry, pace);
  if (fromEnd) found.reverse();
  // Archived events have lower numbers than those in the table. Reading the table first misses no event, even if
  // retention moves rows between the two reads.
  if (found[0]?.event.no === afterNo + 1 || limit === 0) return found;
  if (fromEnd && limit !== undefined && found.length === limit) return found;
  const archived = await readArchivedEvents(db, deploymentId, page);
  const later = found.filter(({ event }) => event.no > (archived.at(-1)?.event.no ?? 0));
  const all = [...archived, ...later];
  if (limit === undefined) return all;
  return fromEnd ? all.slice(Math.max(0, all.length - limit)) : all.slice(0, limit);
}

/** Events of some types of many deployments, for each those after a number, in order of number; not archived ones. */
export async function readEventsOfMany(
  db: Queries,
  wanted: readonly { readonly deploymentId: string; readonly afterNo: number }[],
  types: readonly EventType[],
): Promise<LogEntry[][]> {
  const ids = sql.param(wanted.map(({ deploymentId }) => deploymentId));
  const numbers = sql.param(wanted.map(({ afterNo }) => afterNo));
  const rows = await db.execute<EntryRow & { readonly place: number }>(sql`
    select entries.*, wanted.place::int
    from unnest(${ids}::text[], ${numbers}::int[]) with ordinality as wanted (deployment, after_no, place)
    join deployments on deployments.id = wanted.deployment
    cross join lateral (${ENTRIES} where events.deployment_id = deployments.id and events.born = deployments.born
      and events.no > wanted.after_no and ${inArray(events.type, [...types])}) as entries`);
  const found = wanted.map((): LogEntry[] => []);
  for (const row of rows) found[row.place - 1]?.push(toEntry(row));
  for (const entries of found) entries.sort((one, other) => one.event.no - other.event.no);
  return found;
}

/** The newest event of these types of each deployment, also of archived ones. */
export async function readLatestEvents(
  db: Queries,
  deploymentIds: readonly string[],
  types: readonly EventType[],
): Promise<ReadonlyMap<string, LogEntry>> {
  const rows = await db.execute<EntryRow>(sql`
    select entry.* from unnest(${sql.param([...deploymentIds])}::text[]) as given (id)
    join deployments on deployments.id = given.id cross join lateral (
      ${ENTRIES} where events.deployment_id = deployments.id and events.born = deployments.born
        and ${inArray(events.type, [...types])}
      order by events.no desc limit 1) as entry`);
  const found = new Map(rows.map((row) => [row.deploymentId, toEntry(row)]));
  for (const id of deploymentIds) {
    if (found.has(id)) continue;
    const latest = (await readArchivedEvents(db, id, { filter: { types } })).at(-1);
    if (latest) found.set(id, latest);
  }
  return found;
}

async function readArchivedEvents(
  db: Queries,
  deploymentId: string,
  { afterNo = 0, after, before, filter = {} }: DeploymentLogPage,
): Promise<LogEntry[]> {
  const rows = await findArchivedRows(db, deploymentId);
  const labels = rows ? await readLabels(db) : new Map<number, string>();
  const entries = (rows?.events ?? []).map(({ incarnation = 1, ...row }) =>
    toEntry({ ...row, deploymentId, number: incarnation, label: labels.get(incarnation) ?? '' }),
  );
  return entries.filter(
    ({ event, position, timeline }) =>
      event.no > afterNo &&
      (!after || isAfter(position, after)) &&
      (!before || isAfter(before, position)) &&
      (filter.types === undefined || filter.types.includes(event.type)) &&
      (!filter.timelineOnly || timeline) &&
      event.at >= (filter.from ?? Number.NEGATIVE_INFINITY) &&
      event.at < (filter.to ?? Number.POSITIVE_INFINITY),
  );
}
