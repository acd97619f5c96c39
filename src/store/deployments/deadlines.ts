/**
 * Deadlines of capital, of live and ended deployments. They are claimed apart from checks, because a deployment that has
 * ended is not checked any more, and a slow provider must not delay them.
 */
import { sql } from 'drizzle-orm';
import { RULE } from '../../core/rule/ruleVersion.ts';
import type { Queries } from '../postgres/database.ts';

/** Real seconds after which another node may take over a deadline that a node has claimed: it is one transaction. */
const CLAIM_SECONDS = 5;

/** No node has claimed it, and this node knows the version of the rule that it is under. */
const CLAIMABLE = sql`(deadline_claimed_until is null or deadline_claimed_until < clock_timestamp())
  and coalesce((detail ->> 'rule')::int <= ${RULE}, true)`;

/** Claims deployments with a deadline that has passed, the longest overdue first. Returns their ids. */
export async function claimDeadlines(db: Queries, limit: number): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    update deployments set deadline_claimed_until = clock_timestamp() + make_interval(secs => ${CLAIM_SECONDS})
    where id in (
      select id from deployments where deadline_at <= (select serin_now()) and ${CLAIMABLE}
      order by deadline_at limit ${limit} for update skip locked)
    returning id`);
  return rows.map(({ id }) => id);
}

/** Real milliseconds until the next deadline; null if there is none. */
export async function untilNextDeadline(db: Queries): Promise<number | null> {
  const [row] = await db.execute<{ ms: number | null }>(sql`
    select (extract(epoch from min(deadline_at) - (select serin_now())) * 1000 / (select rate from clock))::float8 as ms
    from deployments where deadline_at is not null and ${CLAIMABLE}`);
  return row?.ms ?? null;
}

/** Sets the next deadline of a deployment that is locked and otherwise unchanged, and releases its claim. */
export async function saveDeadline(tx: Queries, id: string, deadlineAt: number | null): Promise<void> {
  const next = deadlineAt === null ? null : new Date(deadlineAt).toISOString();
  await tx.execute(sql`
    update deployments set deadline_claimed_until = null, deadline_at = ${next}::timestamptz where id = ${id}`);
}

/** Makes leases due for a check that lie further ahead than they last: the clock was set back since they were scheduled. */
export async function makeDistantLeasesDue(db: Queries): Promise<void> {
  await db.execute(sql`
    update deployments set deadline_at = serin_now()
    where deadline_at > serin_now() + make_interval(secs => (config ->> 'capitalLeaseSeconds')::float8 + 1)
      and ended_at is null`);
}

/**
 * The latest deployment of a strategy on a chain that has ended, requires settlement, and is not settled; null if there
 * is none.
 */
export async function findUnsettled(tx: Queries, strategyId: string, chain: string): Promise<string | null> {
  const [row] = await tx.execute<{ id: string }>(sql`
    select id from deployments
    where strategy_id = ${strategyId} and chain = ${chain} and settle_by is not null and ended_at is not null
      and config #>> '{settlement,required}' = 'true'
    order by ended_at desc limit 1`);
  return row?.id ?? null;
}
