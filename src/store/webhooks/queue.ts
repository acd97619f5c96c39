/**
 * The queue of deliveries, filled from the log and shared by nodes through claims on rows. The transaction that inserts
 * deliveries also moves the webhook's cursor, so no event is lost or doubled. Only the earliest pending delivery of a
 * deployment can be claimed, so the later ones wait for it.
 */
import { sql } from 'drizzle-orm';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { CURRENT, epochOf, eventId, labelText, settledBefore } from '../log/incarnations.ts';
import { BETWEEN_EVENTS, type LogPosition } from '../log/position.ts';
import type { Queries } from '../postgres/database.ts';

/** Events that one transaction turns into deliveries, per webhook. */
const PAGE = 500;
/** Events that one transaction looks at, per webhook: a filter that few match would have it go through a large log. */
const LOOKED_AT = 5000;
/** Webhooks per transaction. */
const BATCH = 20;
/** Maximum number of pending deliveries per webhook; further events stay in the log. */
const MAX_PENDING = 20_000;

/** Whether any webhook is enabled. A cheap test first, because most installations have none. */
export async function anyEnabled(db: Queries): Promise<boolean> {
  const rows = await db.execute(sql`select from webhooks where status = 'ENABLED' limit 1`);
  return rows.length > 0;
}

/**
 * Inserts deliveries of new events for enabled webhooks. Returns whether there may be more. Skips webhooks that another
 * node is processing.
 */
export async function fanOut(db: PostgresJsDatabase): Promise<boolean> {
  return db.transaction(async (tx) => {
    const behind = await tx.execute<{ id: string }>(sql`
      select w.id from webhooks w
      where w.status = 'ENABLED'
        and exists (select 1 from events e
          where (e.incarnation, e.xid, e.id) > (w.cursor_incarnation, w.cursor_xid, w.cursor_id)
            and (e.incarnation, e.xid) < ${settledBefore})
        and not exists (select 1 from webhook_deliveries d
          where d.webhook_id = w.id and d.status = 'PENDING' offset ${MAX_PENDING})
      limit ${BATCH} for update of w skip locked`);
    if (behind.length === 0) return false;
    // A statement of its own after the lock, so that it sees what the previous holder of the lock committed.
    const moved = await tx.execute<{ full: boolean }>(sql`
      with horizon as materialized (
        select ${CURRENT} as incarnation, pg_snapshot_xmin(pg_current_snapshot()) as xmin),
      behind as (select * from webhooks where id in ${behind.map(({ id }) => id)}),
      page as (
        select b.id as webhook_id, e.*,
          (select epoch from incarnations i where i.number = e.incarnation) as epoch from behind b cross join lateral (
          select looked.*, row_number() over (order by incarnation, xid, looked.id) as nth from (
            select e.incarnation, e.xid, e.id, e.deployment_id, e.no, e.type,
              row_number() over (order by e.incarnation, e.xid, e.id) as place,
              e.timeline and (b.strategy_id is null or e.strategy_id = b.strategy_id)
                and (b.event_types is null or e.type = any(b.event_types)) as matches
            from events e
            where (e.incarnation, e.xid, e.id) > (b.cursor_incarnation, b.cursor_xid, b.cursor_id)
              and (e.incarnation, e.xid) < ((select incarnation from horizon), (select xmin from horizon))
            order by e.incarnation, e.xid, e.id limit ${LOOKED_AT}) looked
          where matches or place = ${LOOKED_AT}
          order by incarnation, xid, looked.id limit ${PAGE}) e),
      added as (
        insert into webhook_deliveries (webhook_id, deployment_id, no, epoch, event_type, give_up_at)
        select webhook_id, deployment_id, no, epoch, type, clock_timestamp() + interval '1 day'
        from page where matches order by webhook_id, nth on conflict do nothing)
      update webhooks w set
        cursor_incarnation = coalesce(last.incarnation, (select incarnation from horizon)),
        cursor_xid = coalesce(last.xid, ((select xmin from horizon)::text::numeric - 1)::text::xid8),
        cursor_id = coalesce(last.id, ${BETWEEN_EVENTS.toString()}::bigint)
      from behind b left join page last on last.webhook_id = b.id
        and (last.nth = ${PAGE} or last.place = ${LOOKED_AT})
      where w.id = b.id returning last.id is not null as full`);
    return behind.length === BATCH || moved.some(({ full }) => full);
  });
}

/** Enabled webhooks with a due delivery. The caller claims from each separately, so that none delays another. */
export async function webhooksDue(db: Queries): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    select w.id from webhooks w
    where w.status = 'ENABLED' and exists (select 1 from webhook_deliveries d
      where d.webhook_id = w.id and d.status = 'PENDING' and d.next_attempt_at <= clock_timestamp())
    order by w.id`);
  return rows.map(({ id }) => id);
}

/** A delivery that one node may attempt now. The token fences the recording of the attempt. */
export interface DeliveryClaim {
  readonly seq: bigint;
  readonly webhookId: string;
  readonly url: string;
  readonly deploymentId: string;
  readonly no: number;
  /** Attempts since it was last scheduled, without this one. */
  readonly tries: number;
  readonly token: string;
}

/**
 * Claims due deliveries of a webhook, one a deployment: the earliest that is pending. The message that history was
 * rewound goes before everything else, until it has been tried once.
 */
export async function claimDeliveries(
  db: Queries,
  webhookId: string,
  { limit, leaseSeconds, token }: { limit: number; leaseSeconds: number; token: string },
): Promise<DeliveryClaim[]> {
  const rows = await db.execute<{
    seq: string;
    url: string;
    deploymentId: string;
    no: number;
    tries: number;
  }>(sql`
    with recursive heads as (
      (select seq, deployment_id from webhook_deliveries
        where webhook_id = ${webhookId} and status = 'PENDING' order by deployment_id, no limit 1)
      union all
      select next.seq, next.deployment_id from heads h cross join lateral (
        select d.seq, d.deployment_id from webhook_deliveries d
        where d.webhook_id = ${webhookId} and d.status = 'PENDING' and d.deployment_id > h.deployment_id
        order by d.deployment_id, d.no limit 1) next),
    free as (
      select d.seq from webhook_deliveries d
      where d.seq in (select seq from heads) and d.status = 'PENDING' and d.next_attempt_at <= clock_timestamp()
        and (d.lease_until is null or d.lease_until < clock_timestamp())
        and (d.deployment_id = '' or not exists (select 1 from webhook_deliveries first
          where first.webhook_id = d.webhook_id and first.deployment_id = '' and first.status = 'PENDING'
            and first.attempts = 0))
      order by d.next_attempt_at, d.seq limit ${limit} for update of d skip locked)
    update webhook_deliveries d
    set lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds}), lease_token = ${token}
    from webhooks w
    where d.seq in (select seq from free) and w.id = d.webhook_id and w.status = 'ENABLED'
    returning d.seq::text as seq, w.url, d.deployment_id as "deploymentId", d.no, d.tries`);
  return rows.map(({ seq, ...claim }) => ({ ...claim, seq: BigInt(seq), webhookId, token }));
}

/** The message to one webhook that history was rewound. */
export interface RewindMessage extends Record<string, unknown> {
  /** `epoch.mark` of the incarnation in which the rewind was detected. */
  readonly label: string;
  /** When the rewind was detected. */
  readonly at: Date;
  /** The last event before the rewind that the webhook was sent; null if there is none. */
  readonly last: { readonly position: LogPosition; readonly messageId: string } | null;
}

/** The message of a delivery without a deployment; null if the webhook was deleted. */
export async function findRewind(
  db: Queries,
  webhookId: string,
  incarnation: number,
): Promise<RewindMessage | null> {
  const [row] = await db.execute<{
    label: string;
    at: string;
    number: number | null;
    lastLabel: string;
    xid: string;
    id: string;
    deploymentId: string;
    no: number;
  }>(sql`
    select i.epoch || '.' || i.mark as label, i.found_at::text as at, e.incarnation as number,
      ${sql.raw(labelText('e.incarnation'))} as "lastLabel", e.xid::text, e.id::text,
      e.deployment_id as "deploymentId", e.no
    from incarnations i join webhooks w on w.id = ${webhookId} left join lateral (
      select e.* from events e where e.incarnation < i.number and e.timeline
        and (w.strategy_id is null or e.strategy_id = w.strategy_id)
        and (w.event_types is null or e.type = any(w.event_types))
      order by e.incarnation desc, e.xid desc, e.id desc limit 1) e on true
    where i.number = ${incarnation}`);
  if (!row) return null;
  const { label, number, lastLabel, xid, id, deploymentId, no } = row;
  const at = new Date(row.at);
  if (number === null) return { label, at, last: null };
  const position = { incarnation: { number, label: lastLabel }, xid: BigInt(xid), id: BigInt(id) };
  return {
    label,
    at,
    last: { position, messageId: eventId(deploymentId, no, epochOf(position.incarnation)) },
  };
}

/** The outcome of an attempt. */
export interface Attempt {
  readonly startedAt: number;
  readonly durationMs: number;
  /** The status code of the response; null if there was none. */
  readonly httpStatus: number | null;
  /** Why the attempt failed, as a message; null if it was delivered. */
  readonly error: string | null;
  /** How long to wait before the next attempt. */
  readonly retryAfterMs: number;
}

/** Maximum number of attempts kept per delivery, the newest ones. */
const KEPT_ATTEMPTS = 50;

/**
 * Records an attempt and settles the delivery or schedules the next attempt, the last of them at `give_up_at`. Returns
 * the new status; null, and nothing is written, if the claim was lost in the meantime.
 */
export async function recordAttempt(
  tx: Queries,
  { seq, token }: DeliveryClaim,
  attempt: Attempt,
): Promise<'PENDING' | 'DELIVERED' | 'FAILED' | null> {
  const { startedAt, durationMs, httpStatus, error, retryAfterMs } = attempt;
  const [row] = await tx.execute<{ status: 'PENDING' | 'DELIVERED' | 'FAILED' }>(sql`
    with tried as (
      update webhook_deliveries set
        status = case when ${error}::text is null then 'DELIVERED'
          when clock_timestamp() >= give_up_at then 'FAILED' else 'PENDING' end,
        settled_at = case when ${error}::text is null or clock_timestamp() >= give_up_at then clock_timestamp() end,
        next_attempt_at = least(clock_timestamp() + make_interval(secs => ${retryAfterMs / 1000}), give_up_at),
        attempts = attempts + 1, tries = tries + 1, lease_until = null, lease_token = null
      where seq = ${seq.toString()}::bigint and lease_token = ${token}
      returning seq, attempts, status, next_attempt_at),
    forgotten as (
      delete from webhook_attempts a using tried t
      where a.delivery_seq = t.seq and a.number <= t.attempts - ${KEPT_ATTEMPTS}),
    kept as (
      insert into webhook_attempts (delivery_seq, number, started_at, duration_ms, http_status, error, next_attempt_at)
      select seq, attempts, ${new Date(startedAt).toISOString()}::timestamptz, ${durationMs}::int, ${httpStatus}::int,
        ${error}::text, case when status = 'PENDING' then next_attempt_at end
      from tried)
    select status from tried`);
  return row?.status ?? null;
}

/** Releases claims without an attempt. */
export async function releaseClaims(db: Queries, token: string): Promise<void> {
  await db.execute(
    sql`update webhook_deliveries set lease_until = null, lease_token = null where lease_token = ${token}`,
  );
}
