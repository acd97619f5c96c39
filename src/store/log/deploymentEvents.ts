/** The events of one deployment, or of each of many, also those that are archived. */
import { and, gt, inArray, sql } from 'drizzle-orm';
import type { EventType } from '../../core/lifecycle/events.ts';
import { convertRows, type Pace } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import { events } from '../tables/tables.ts';
import { type ArchivedRows, pageOf, streamArchived } from './archive.ts';
import { readLabels } from './incarnations.ts';
import {
  afterPosition,
  beforePosition,
  ENTRIES,
  type EntryRow,
  type EventFilter,
  type LogEntry,
  matches,
  toEntry,
} from './logEntry.ts';
import { isAfter, type LogPosition } from './position.ts';

/** Events that are read in one statement where all are wanted. */
const STREAMED = 200;

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
  const { afterNo = 0, limit, fromEnd = false } = page;
  const found = await readTable(db, deploymentId, page);
  // Archived events have lower numbers than those in the table. Reading the table first misses no event, even if
  // retention moves rows between the two reads.
  if (found[0]?.event.no === afterNo + 1 || limit === 0) return found;
  if (fromEnd && limit !== undefined && found.length === limit) return found;
  const archived = await pageOf(archivedEvents(db, deploymentId, page), { limit, fromEnd });
  const later = found.filter(({ event }) => event.no > (archived.at(-1)?.event.no ?? 0));
  const all = [...archived, ...later];
  if (limit === undefined) return all;
  return fromEnd ? all.slice(Math.max(0, all.length - limit)) : all.slice(0, limit);
}

/**
 * All events of a deployment after a number, in order, a few milliseconds of work at a time, also archived ones: their
 * archive is read once.
 */
export async function* streamDeploymentEvents(
  db: Queries,
  deploymentId: string,
  afterNo = 0,
): AsyncGenerator<LogEntry[]> {
  let last = afterNo;
  let archiveIsRead = false;
  for (;;) {
    // As above, the table first.
    const found = await readTable(db, deploymentId, { afterNo: last, limit: STREAMED });
    if (found[0]?.event.no !== last + 1 && !archiveIsRead) {
      archiveIsRead = true;
      for await (const archived of archivedEvents(db, deploymentId, { afterNo: last })) {
        yield archived;
        last = archived.at(-1)?.event.no ?? last;
      }
    }
    const later = found.filter(({ event }) => event.no > last);
    if (later.length > 0) yield later;
    last = later.at(-1)?.event.no ?? last;
    if (found.length < STREAMED) return;
  }
}

/** Those of the events that are not archived. */
async function readTable(
  db: Queries,
  deploymentId: string,
  { afterNo = 0, after, before, limit, fromEnd = false, filter = {}, pace }: DeploymentLogPage,
): Promise<LogEntry[]> {
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
  return fromEnd ? found.reverse() : found;
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
    const [latest] = await pageOf(archivedEvents(db, id, { filter: { types } }), { limit: 1, fromEnd: true });
    if (latest) found.set(id, latest);
  }
  return found;
}

async function* archivedEvents(
  db: Queries,
  deploymentId: string,
  { afterNo = 0, after, before, filter = {}, pace }: DeploymentLogPage,
): AsyncGenerator<LogEntry[]> {
  let labels: ReadonlyMap<number, string> | undefined;
  for await (const rows of streamArchived(db, deploymentId, 'events')) {
    labels ??= await readLabels(db);
    const known = labels;
    const wanted = rows.filter(({ no, timeline }) => no > afterNo && (timeline || !filter.timelineOnly));
    const toArchivedEntry = ({ incarnation = 1, ...row }: ArchivedRows['events']) =>
      toEntry({ ...row, deploymentId, number: incarnation, label: known.get(incarnation) ?? '' });
    const entries = await convertRows(wanted, toArchivedEntry, pace);
    yield entries.filter(
      ({ event, position }) =>
        (!after || isAfter(position, after)) &&
        (!before || isAfter(before, position)) &&
        (filter.types === undefined || filter.types.includes(event.type)) &&
        event.at >= (filter.from ?? Number.NEGATIVE_INFINITY) &&
        event.at < (filter.to ?? Number.POSITIVE_INFINITY),
    );
  }
}
