/** Queries of deliveries for operators: pages with all attempts, redelivery, and deletion of old deliveries. */
import { and, asc, desc, eq, gt, inArray, lt, ne, type SQL, sql } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';
import { type DeliveryStatus, webhookAttempts, webhookDeliveries } from '../tables/webhookTables.ts';

export type Delivery = typeof webhookDeliveries.$inferSelect;
export type DeliveryAttempt = typeof webhookAttempts.$inferSelect;

export interface DeliveryPage {
  readonly webhookId: string;
  readonly deploymentId?: string | undefined;
  readonly statuses?: readonly DeliveryStatus[] | undefined;
  readonly limit: number;
  readonly after?: bigint | undefined;
  readonly before?: bigint | undefined;
  readonly fromEnd: boolean;
}

/** A page of deliveries, newest first. */
export async function pageDeliveries(db: Queries, page: DeliveryPage): Promise<Delivery[]> {
  const { seq, webhookId, deploymentId, status } = webhookDeliveries;
  const rows = await db
    .select()
    .from(webhookDeliveries)
    .where(
      and(
        eq(webhookId, page.webhookId),
        // The message of a rewind is no event, and has no type that clients know.
        ne(deploymentId, ''),
        page.deploymentId === undefined ? undefined : eq(deploymentId, page.deploymentId),
        page.statuses === undefined ? undefined : inArray(status, [...page.statuses]),
        page.after === undefined ? undefined : lt(seq, page.after),
        page.before === undefined ? undefined : gt(seq, page.before),
      ),
    )
    .orderBy(page.fromEnd ? asc(seq) : desc(seq))
    .limit(page.limit);
  return page.fromEnd ? rows.reverse() : rows;
}

export async function findDelivery(db: Queries, seq: bigint): Promise<Delivery | null> {
  const [row] = await db.select().from(webhookDeliveries).where(eq(webhookDeliveries.seq, seq));
  return row ?? null;
}

/** The attempts of several deliveries, in order. */
export async function findAttempts(db: Queries, seqs: readonly bigint[]): Promise<DeliveryAttempt[]> {
  return db
    .select()
    .from(webhookAttempts)
    .where(inArray(webhookAttempts.deliverySeq, [...seqs]))
    .orderBy(asc(webhookAttempts.deliverySeq), asc(webhookAttempts.number));
}

/** Schedules one delivery, or all failed ones of a webhook, again with a new day of retries. Returns their number. */
export async function scheduleAgain(
  tx: Queries,
  target: { readonly seq: bigint } | { readonly failedOf: string },
): Promise<number> {
  const condition =
    'seq' in target
      ? sql`seq = ${target.seq.toString()}::bigint`
      : sql`webhook_id = ${target.failedOf} and status = 'FAILED'`;
  const rows = await tx.execute(sql`
    update webhook_deliveries set status = 'PENDING', settled_at = null, tries = 0, lease_until = null,
      lease_token = null, next_attempt_at = clock_timestamp(), give_up_at = clock_timestamp() + interval '1 day'
    where ${condition} returning seq`);
  return rows.length;
}

/** Begins a new day of retries for all that a webhook has not delivered. Attempts in flight count as the first. */
export async function restartPending(tx: Queries, webhookId: string): Promise<void> {
  await tx.execute(sql`
    update webhook_deliveries set tries = 0, next_attempt_at = clock_timestamp(),
      give_up_at = clock_timestamp() + interval '1 day'
    where webhook_id = ${webhookId} and status = 'PENDING'`);
}

/** More than any attempt is put off by: four hours, and a fifth of them at random. */
const LONGEST_PAUSE_SECONDS = 5 * 3600;
/** More than any claim lasts. */
const LONGEST_LEASE_SECONDS = 60;

/**
 * Makes attempts due that were scheduled before the clock was set back: first attempts, which never wait, and those that
 * lie further ahead than a pause may last. Where the step was just seen, all that wait are made due. Claims of attempts in
 * flight stay, and end soon.
 */
export async function makeDistantDeliveriesDue(db: Queries, isSetBack: boolean): Promise<void> {
  const pause = isSetBack ? 0 : LONGEST_PAUSE_SECONDS;
  const inSeconds = (seconds: SQL) => sql`clock_timestamp() + make_interval(secs => ${seconds})`;
  const leaseEnd = inSeconds(sql`${LONGEST_LEASE_SECONDS}`);
  await db.execute(sql`
    update webhook_deliveries set next_attempt_at = least(next_attempt_at, clock_timestamp()),
      give_up_at = least(give_up_at, clock_timestamp() + interval '1 day'),
      lease_until = case when lease_token is not null then least(lease_until, ${leaseEnd}) end
    where status = 'PENDING' and (lease_until > ${leaseEnd}
      or next_attempt_at > ${inSeconds(sql`case when tries = 0 then 1 else ${pause} end`)})`);
}

/** Settled deliveries are deleted after this time. */
const KEPT_DAYS = 7;
/** Maximum number of settled deliveries kept per webhook. */
const KEPT_DELIVERIES = 10_000;
/** Deliveries deleted by one statement, so that it stays short. */
const PRUNE_BATCH_SIZE = 1000;

/** Deletes a batch of old settled deliveries with their attempts. Returns whether there may be more. */
export async function pruneDeliveries(db: Queries): Promise<boolean> {
  const rows = await db.execute(sql`
    delete from webhook_deliveries where seq in (
      select seq from webhook_deliveries
      where status <> 'PENDING' and settled_at < clock_timestamp() - make_interval(days => ${KEPT_DAYS})
      union
      select surplus.seq from webhooks w cross join lateral (
        select d.seq from webhook_deliveries d where d.webhook_id = w.id and d.status <> 'PENDING'
        order by d.seq desc offset ${KEPT_DELIVERIES}) surplus
      limit ${PRUNE_BATCH_SIZE})
    returning seq`);
  return rows.length === PRUNE_BATCH_SIZE;
}
