/** An entry of the log: its columns in SQL, what it is read into, and the conditions that readers ask with. */
import { eq, gte, inArray, lt, type SQL, sql } from 'drizzle-orm';
import { type CanaryEvent, type EventType, readEvent } from '../../core/lifecycle/events.ts';
import type { CanaryStatus } from '../../core/lifecycle/state.ts';
import { inScope, type Scope } from '../access/strategyScope.ts';
import { events } from '../tables/tables.ts';
import { labelText } from './incarnations.ts';
import { isOf } from './partitions.ts';
import type { LogPosition } from './position.ts';

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

/**
 * Written as SQL for speed: every node reads every event with this query while subscribers wait. `order by` must name the
 * columns with their table, because the outputs with the same names are strings.
 */
export const ENTRY_COLUMNS =
  sql.raw(`select incarnation as number, ${labelText('events.incarnation')} as label,
  xid::text, id::text, deployment_id as "deploymentId", strategy_id as "strategyId",
  timeline, previous_status as "previousStatus", status`);
export const entriesWith = (payload: SQL) => sql`${ENTRY_COLUMNS}, ${payload} as payload from events`;
export const ENTRIES = entriesWith(sql`payload`);

export interface EntryRow extends Record<string, unknown> {
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

export const positionOf = ({ number, label, xid, id }: EntryRow): LogPosition => ({
  incarnation: { number, label },
  xid: BigInt(xid),
  id: BigInt(id),
});

export function toEntry(row: EntryRow): LogEntry {
  const { previousStatus, status } = row;
  return {
    position: positionOf(row),
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

export function matches(filter: LogFilter): (SQL | undefined)[] {
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
export const afterPosition = (position: LogPosition) => sql`${PLACE} > ${placeOf(position)}`;
export const beforePosition = (position: LogPosition) => sql`${PLACE} < ${placeOf(position)}`;
