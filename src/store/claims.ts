/**
 * Work shared by claims on rows: a due deployment is claimed by one node for the length of a lease. A node that dies
 * loses its claim when the lease is over; one that wakes too late finds another token on the row.
 */
import { sql } from 'drizzle-orm';
import type { Queries } from './database.ts';

export interface Claim {
  readonly deploymentId: string;
  /** Fences what the claimer writes: it must still stand on the row. */
  readonly token: string;
}

/** Claims due deployments, the longest overdue first, passing over those that others hold. */
export async function claimDue(
  db: Queries,
  { limit, leaseSeconds, token }: { limit: number; leaseSeconds: number; token: string },
): Promise<Claim[]> {
  const rows = await db.execute<{ id: string }>(sql`
    update deployments set lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds}), lease_token = ${token}
    where id in (
      select id from deployments
      where next_check_at <= (select serin_now()) and (lease_until is null or lease_until < clock_timestamp())
      order by next_check_at limit ${limit} for update skip locked)
    returning id`);
  return rows.map(({ id }) => ({ deploymentId: id, token }));
}

/** Real milliseconds until the next deployment is due; null when none is scheduled. */
export async function untilNextDue(db: Queries): Promise<number | null> {
  const [row] = await db.execute<{ ms: number | null }>(sql`
    select (extract(epoch from min(next_check_at) - (select serin_now())) * 1000 / (select rate from clock))::float8 as ms
    from deployments where next_check_at is not null and (lease_until is null or lease_until < clock_timestamp())`);
  return row?.ms ?? null;
}

/** Whether a claim still stands; asked under the row's lock. */
export async function holdsClaim(tx: Queries, { deploymentId, token }: Claim): Promise<boolean> {
  const rows = await tx.execute(
    sql`select 1 from deployments where id = ${deploymentId} and lease_token = ${token}`,
  );
  return rows.length === 1;
}

/** Gives a claim back, with the time of the next look. */
export async function releaseClaim(
  tx: Queries,
  { deploymentId, token }: Claim,
  nextCheckAt: number | null,
): Promise<void> {
  const next = nextCheckAt === null ? null : new Date(nextCheckAt).toISOString();
  await tx.execute(sql`
    update deployments set lease_until = null, lease_token = null, next_check_at = ${next}::timestamptz
    where id = ${deploymentId} and lease_token = ${token}`);
}
