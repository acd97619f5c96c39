/**
 * Positions in the log, and their cursors for clients. A cursor contains the epoch and the mark of its incarnation. A
 * rewind assigns the numbers of incarnations again, but not the marks, so a position that no longer exists is recognised.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { Scope } from '../access/strategyScope.ts';
import type { Queries } from '../postgres/database.ts';
import { announceRewind, CURRENT, type Incarnation, numberOf } from './incarnations.ts';

/** A position in the log: everything up to and including it has been read. */
export interface LogPosition {
  readonly incarnation: Incarnation;
  readonly xid: bigint;
  readonly id: bigint;
}

export const LOG_START: LogPosition = { incarnation: { number: 0, label: '' }, xid: 0n, id: 0n };

/** The maxima of PostgreSQL's `xid8` and `bigint`. */
const LAST_XID = 2n ** 64n - 1n;
const LAST_ID = 2n ** 63n - 1n;
/** The id of a position after all events of a transaction; no event has it. */
export const BETWEEN_EVENTS = LAST_ID;

export function isAfter(a: LogPosition, b: LogPosition): boolean {
  const [left, right] = [a.incarnation.number, b.incarnation.number];
  if (left !== right) return left > right;
  return a.xid > b.xid || (a.xid === b.xid && a.id > b.id);
}

/** A position as a cursor for clients. `0` is the beginning of the log. */
export function formatCursor({ incarnation, xid, id }: LogPosition): string {
  return xid === 0n && id === 0n ? '0' : `${incarnation.label}-${xid.toString(36)}-${id.toString(36)}`;
}

/** A parsed cursor. Whether its position exists is only known to the database, see {@link findPosition}. */
export interface Cursor {
  /** Null in cursors of Serin 0.1, which belong to the first incarnation. */
  readonly label: string | null;
  readonly xid: bigint;
  readonly id: bigint;
}

/** Parses a cursor; null if it is not valid. */
export function parseCursor(cursor: string): Cursor | null {
  if (cursor === '0') return { label: null, xid: 0n, id: 0n };
  const match = /^(?:(\d{1,9}\.[0-9a-f]{8,16})-)?([0-9a-z]{1,13})-([0-9a-z]{1,13})$/.exec(cursor);
  if (!match?.[2] || !match[3]) return null;
  const [xid, id] = [fromBase36(match[2]), fromBase36(match[3])];
  return xid <= LAST_XID && id <= LAST_ID ? { label: match[1] ?? null, xid, id } : null;
}

function fromBase36(text: string): bigint {
  let value = 0n;
  for (const digit of text) value = value * 36n + BigInt(Number.parseInt(digit, 36));
  return value;
}

/**
 * The reader has seen events that are no longer in the log, because of a restore or of a promoted standby that lacked
 * them. The reader must read its deployments again, and the log from `lastCursor`.
 */
export class HistoryRewound extends Error {
  constructor(
    /** The last position of the reader's history that still exists. */
    readonly lastCursor: string,
  ) {
    super(
      'The database was set back to an earlier state (a restore, or a standby that took over without the last commits): ' +
        `events up to this cursor no longer exist. Read the deployments again, and continue with \`after: "${lastCursor}"\``,
    );
  }
}

interface FoundCursor extends Record<string, unknown> {
  readonly number: number;
  readonly label: string;
  readonly there: boolean;
  readonly archived: boolean;
  readonly current: boolean;
  readonly ahead: boolean;
}

/**
 * The position of a cursor. If it no longer exists and the reader sees every strategy, webhooks get a message too, because
 * they may have been sent the same events.
 * @throws {HistoryRewound} if its event, or the incarnation it was written in, no longer exists
 */
export async function findPosition(db: Queries, cursor: Cursor, scope: Scope): Promise<LogPosition> {
  const { label, xid, id } = cursor;
  if (xid === 0n && id === 0n) return LOG_START;
  const place = sql`${xid.toString()}::xid8, ${id.toString()}::bigint`;
  const [found] = await db.execute<FoundCursor>(sql`
    select i.number, i.epoch || '.' || i.mark as label, i.number = ${CURRENT} as current,
      exists (select from events e where e.incarnation = i.number and e.xid = ${xid.toString()}::xid8
        and e.id = ${id.toString()}::bigint) as there,
      exists (select from archives a where (a.last_incarnation, a.last_xid, a.last_id) >= (i.number, ${place})) as archived,
      coalesce((${place}) > (i.last_xid, i.last_id), i.number < ${CURRENT}) as ahead
    from incarnations i
    where case when ${label}::text is null then i.number = 1 else i.epoch || '.' || i.mark = ${label}::text end`);
  if (!found) return refuse(db, scope, endBefore(label));
  const position = { incarnation: { number: found.number, label: found.label }, xid, id };
  const exists =
    found.there ||
    id === BETWEEN_EVENTS ||
    // A cursor of 0.1 has no label: it is accepted as in 0.1 unless it is ahead of the end of the first incarnation.
    (label === null ? found.current || !found.ahead : found.archived && (found.current || !found.ahead));
  return exists ? position : refuse(db, scope, upTo(position));
}

async function refuse(db: Queries, scope: Scope, isLeft: SQL): Promise<never> {
  if (scope === null) await announceRewind(db);
  throw new HistoryRewound(await lastCursorOf(db, isLeft));
}

/** An entry that was read earlier. */
interface Remembered {
  readonly position: LogPosition;
  readonly deploymentId: string;
}

/** The first of several entries that is neither in the log nor archived, and the position before it. */
export async function findLost<T extends Remembered>(
  db: Queries,
  entries: readonly T[],
): Promise<{ readonly entry: T; readonly lastCursor: string } | null> {
  const column = (value: (entry: T) => string | number) => sql.param(entries.map(value));
  const [row] = await db.execute<{ nth: string }>(sql`
    select r.nth from unnest(${column(({ position }) => position.incarnation.number)}::integer[],
        ${column(({ position }) => position.xid.toString())}::text[]::xid8[],
        ${column(({ position }) => position.id.toString())}::bigint[],
        ${column(({ deploymentId }) => deploymentId)}::text[])
      with ordinality as r (incarnation, xid, id, deployment_id, nth)
    where not exists (select from events e where e.id = r.id and e.xid = r.xid and e.incarnation = r.incarnation)
      and not exists (select from archives a where a.deployment_id = r.deployment_id)
    order by r.nth limit 1`);
  const lost = row && entries[Number(row.nth) - 1];
  if (!lost) return null;
  return { entry: lost, lastCursor: await lastCursorOf(db, upTo(lost.position)) };
}

/** SQL: events up to a position. */
const upTo = ({ incarnation, xid, id }: LogPosition) =>
  sql`(e.incarnation, e.xid, e.id) <= (${incarnation.number}::integer, ${xid.toString()}::xid8, ${id.toString()}::bigint)`;

/**
 * SQL: events that a reader of an incarnation that no longer exists has in common with this log. They are those of earlier
 * incarnations: what was written since the rewind has higher numbers.
 */
function endBefore(label: string | null): SQL {
  const number = label && numberOf(label);
  return sql`e.incarnation < ${number ? sql`least(${number}::integer, ${CURRENT})` : CURRENT}`;
}

/** The cursor of the last of these events. */
async function lastCursorOf(db: Queries, isLeft: SQL): Promise<string> {
  const [row] = await db.execute<{ number: number; label: string; xid: string; id: string }>(sql`
    select i.number, i.epoch || '.' || i.mark as label, e.xid::text, e.id::text
    from (select e.incarnation, e.xid, e.id from events e where ${isLeft}
      order by e.incarnation desc, e.xid desc, e.id desc limit 1) e
    join incarnations i on i.number = e.incarnation`);
  if (!row) return '0';
  const { number, label, xid, id } = row;
  return formatCursor({ incarnation: { number, label }, xid: BigInt(xid), id: BigInt(id) });
}
