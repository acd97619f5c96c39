/**
 * Incarnations: the runs of PostgreSQL in which the log is written. Transaction ids order events within one run only. A
 * restored dump, a promoted standby, a recovery to a point in time or a copied folder assigns ids again. Therefore the
 * order of the log begins with the incarnation, and the first node that sees a new start of the server begins the next.
 */
import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { INCARNATION_LOCK } from '../postgres/advisoryLocks.ts';
import type { Queries } from '../postgres/database.ts';
import { sqlStateOf } from '../postgres/sqlState.ts';

/** The SQLSTATE that the function `serin_incarnation` raises when this start of the server has no incarnation yet. */
export const INCARNATION_UNKNOWN = 'SI001';

/** The incarnation of a position in the log. */
export interface Incarnation {
  readonly number: number;
  /**
   * `epoch.mark`. Unlike the number it is never the same as that of an incarnation that a rewind has removed. The mark is
   * random, followed by the number: a reader that comes back with a label that no longer exists is told from where on.
   */
  readonly label: string;
}

/** Random bytes of a mark. */
const MARK_BYTES = 4;

/** The number in a label; null in labels of earlier versions, which do not have it. */
export function numberOf(label: string): number | null {
  const digits = label.split('.')[1]?.slice(MARK_BYTES * 2);
  return digits ? Number.parseInt(digits, 16) : null;
}

/** The epoch of an incarnation; the first is 1. */
export const epochOf = ({ label }: Incarnation): number => Number(label.split('.')[0]);

/** The id of an event and of its webhook message. Unique, although a rewind assigns numbers again. */
export const eventId = (deploymentId: string, no: number, epoch: number): string =>
  epoch === 1 ? `${deploymentId}:${no}` : `${deploymentId}:${no}~${epoch}`;

/** SQL for the label of the incarnation that a column names. */
export const labelText = (column: string) =>
  `(select i.epoch || '.' || i.mark from incarnations i where i.number = ${column})`;

/** The labels of all incarnations by their numbers. */
export async function readLabels(db: Queries): Promise<ReadonlyMap<number, string>> {
  const rows = await db.execute<{ number: number; label: string }>(
    sql`select number, epoch || '.' || mark as label from incarnations`,
  );
  return new Map(rows.map(({ number, label }) => [number, label]));
}

/** SQL for the number of the current incarnation, see {@link settledBefore}. */
export const CURRENT = sql.raw('(select max(number) from incarnations)');

/** SQL for the end of the settled log: no writes before it, neither in ended incarnations nor by open transactions. */
export const settledBefore = sql.raw(
  '((select max(number) from incarnations), pg_snapshot_xmin(pg_current_snapshot()))',
);

/** The current incarnation; null if no node has seen this start of the server yet. */
export async function currentIncarnation(db: Queries): Promise<Incarnation | null> {
  const [row] = await db.execute<{ number: number; label: string; current: boolean }>(sql`
    select number, epoch || '.' || mark as label, postmaster_started_at = pg_postmaster_start_time() as current
    from incarnations order by number desc limit 1`);
  return row?.current ? { number: row.number, label: row.label } : null;
}

/**
 * SQL for the least number of an incarnation that begins now, seconds since 2026. A database that was set back does not
 * know the numbers of the incarnations that it has lost, and a node that has read them must not take a new one for such.
 */
const SECONDS_BY_NOW = sql.raw(
  `floor(extract(epoch from clock_timestamp() - timestamptz '2026-01-01 00:00:00+00'))::integer`,
);

/** The cluster and its timeline, as PostgreSQL identifies them. */
interface ServerIdentity {
  readonly systemIdentifier: string | null;
  readonly timeline: string | null;
}

/** A field is null if this role may not read it, as on some hosted servers. */
async function identify(db: Queries): Promise<ServerIdentity> {
  const read = async (what: string) => {
    try {
      const [row] = await db.execute<{ value: string }>(sql`select ${sql.raw(what)} as value`);
      return row?.value ?? null;
    } catch {
      return null;
    }
  };
  return {
    systemIdentifier: await read('(select system_identifier::text from pg_control_system())'),
    // Not the timeline of the last checkpoint, which is old for a while after a promotion.
    timeline: await read('left(pg_walfile_name(pg_current_wal_lsn()), 8)'),
  };
}

/** The result of {@link ensureIncarnation}. */
export interface Found {
  readonly incarnation: Incarnation;
  /** Whether this call created it. */
  readonly begun: boolean;
  /** Whether it starts a new epoch. */
  readonly newEpoch: boolean;
}

/**
 * Ensures that this start of the server has an incarnation. A new one has the same epoch if the cluster, its timeline and
 * its transaction counter continue; otherwise webhooks get a message that history may have been rewound.
 */
export async function ensureIncarnation(db: PostgresJsDatabase): Promise<Found> {
  const known = await currentIncarnation(db);
  const { systemIdentifier, timeline } = await identify(db);
  if (known) {
    await db.execute(sql`
      update incarnations set system_identifier = coalesce(system_identifier, ${systemIdentifier}::text),
        timeline = coalesce(timeline, ${timeline}::text)
      where number = ${known.number} and (system_identifier is null or timeline is null)
        and (${systemIdentifier}::text is not null or ${timeline}::text is not null)`);
    return { incarnation: known, begun: false, newEpoch: false };
  }
  return db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${INCARNATION_LOCK})`);
    const meanwhile = await currentIncarnation(tx);
    if (meanwhile) return { incarnation: meanwhile, begun: false, newEpoch: false };
    const mark = randomBytes(MARK_BYTES).toString('hex');
    // An id at or above the counter was assigned by another cluster, or by a later state of this one.
    const [row] = await tx.execute<{ number: number; label: string; newEpoch: boolean }>(sql`
      with before as (select * from incarnations order by number desc limit 1),
      last as (
        select * from (
          (select incarnation, xid, id from events order by incarnation desc, xid desc, id desc limit 1)
          union all
          (select last_incarnation, last_xid, last_id from archives
            order by last_incarnation desc, last_xid desc, last_id desc limit 1)) ends
        order by incarnation desc, xid desc, id desc limit 1),
      changed as (
        select coalesce(b.system_identifier <> ${systemIdentifier}::text, false)
          or coalesce(b.timeline <> ${timeline}::text, false)
          or exists (select from last l join incarnations i on i.number = l.incarnation
            where i.epoch = b.epoch and l.xid >= pg_snapshot_xmax(pg_current_snapshot())) as epoch
        from before b),
      ended as (
        update incarnations i set last_xid = l.xid, last_id = l.id from before b, last l
        where i.number = b.number and l.incarnation = b.number)
      insert into incarnations (number, epoch, mark, postmaster_started_at, system_identifier, timeline)
      select n.number, b.epoch + c.epoch::int, ${mark} || lpad(to_hex(n.number), 8, '0'), pg_postmaster_start_time(),
        coalesce(${systemIdentifier}::text, b.system_identifier), coalesce(${timeline}::text, b.timeline)
      from before b, changed c, lateral (select greatest(b.number + 1, ${SECONDS_BY_NOW}) as number) n
      returning number, epoch || '.' || mark as label,
        (select epoch from changed) as "newEpoch"`);
    if (!row) throw new Error('the table of incarnations is empty: the database is not migrated');
    if (row.newEpoch) await announceRewind(tx);
    return { incarnation: { number: row.number, label: row.label }, begun: true, newEpoch: row.newEpoch };
  });
}

/** A transaction that writes what the log orders, repeated once if this start of the server has no incarnation yet. */
export async function inIncarnation<T>(
  db: PostgresJsDatabase,
  work: (tx: Queries) => Promise<T>,
): Promise<T> {
  try {
    return await db.transaction(work);
  } catch (error) {
    if (sqlStateOf(error) !== INCARNATION_UNKNOWN) throw error;
    await ensureIncarnation(db);
    return db.transaction(work);
  }
}

/**
 * Inserts a delivery for every webhook, at most one per incarnation: events that it was sent may have been undone. One that
 * is disabled sends it when it is enabled. The delivery has no deployment and is otherwise like any other.
 */
export async function announceRewind(tx: Queries): Promise<void> {
  await tx.execute(sql`
    insert into webhook_deliveries (webhook_id, deployment_id, no, event_type, give_up_at)
    select id, '', ${CURRENT}, 'HISTORY_REWOUND', clock_timestamp() + interval '1 day'
    from webhooks on conflict do nothing`);
}
