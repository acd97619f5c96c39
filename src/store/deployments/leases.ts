/**
 * Work shared by claims on rows: a due deployment is claimed by one node for the length of a lease. A node that dies
 * loses its claim when the lease is over; one that wakes too late finds another token on the row.
 */
import { sql } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';

export interface Claim {
  readonly deploymentId: string;
  /** Fences what the claimer writes: it must still stand on the row. Every claim has its own. */
  readonly token: string;
  /** The provider to ask; null when the bots report. */
  readonly provider: string | null;
}

/** The checks of each provider that may begin now. */
export interface ProviderSlots {
  /** Of a provider that {@link left} does not name. */
  readonly each: number;
  /** Of those with checks under way; a provider without any is busy. */
  readonly left: ReadonlyMap<string, number>;
}

/** What may be claimed: not leased to anyone, and not of a provider that is busy. */
function claimable({ left }: ProviderSlots) {
  const busy = [...left].filter(([, slots]) => slots <= 0).map(([name]) => name);
  return sql`
  (lease_until is null or lease_until < clock_timestamp())
  and not coalesce(config ->> 'metricsProvider' = any(${sql.param(busy)}::text[]), false)`;
}

export interface ClaimRequest {
  readonly limit: number;
  readonly leaseSeconds: number;
  /** What is due beyond a provider's places is left for later, and for other nodes. */
  readonly slots: ProviderSlots;
}

/** Claims due deployments, the longest overdue first, passing over those that others hold. */
export async function claimDue(db: Queries, { limit, leaseSeconds, slots }: ClaimRequest): Promise<Claim[]> {
  const left = JSON.stringify(Object.fromEntries(slots.left));
  const rows = await db.execute<{ id: string; token: string; provider: string | null }>(sql`
    with due as materialized (
      select id, next_check_at, config ->> 'metricsProvider' as provider from deployments
      where next_check_at <= (select serin_now()) and ${claimable(slots)}
      order by next_check_at limit ${limit} for update skip locked),
    queued as (select id, provider, row_number() over (partition by provider order by next_check_at) as place from due)
    update deployments
    set lease_until = clock_timestamp() + make_interval(secs => ${leaseSeconds}), lease_token = gen_random_uuid()
    where id in (
      select id from queued
      where provider is null or place <= coalesce((${left}::jsonb ->> provider)::int, ${slots.each}))
    returning id, lease_token as token, config ->> 'metricsProvider' as provider`);
  return rows.map(({ id, token, provider }) => ({ deploymentId: id, token, provider }));
}

/** Real milliseconds until the next deployment is due; null when none is scheduled. */
export async function untilNextDue(db: Queries, slots: ProviderSlots): Promise<number | null> {
  const [row] = await db.execute<{ ms: number | null }>(sql`
    select (extract(epoch from min(next_check_at) - (select serin_now())) * 1000 / (select rate from clock))::float8 as ms
    from deployments where next_check_at is not null and ${claimable(slots)}`);
  return row?.ms ?? null;
}

/**
 * The deployments whose claims still stand; asked under the rows' locks. A claim that has run out does not, even if
 * nobody took it.
 */
export async function standingClaims(tx: Queries, claims: readonly Claim[]): Promise<Set<string>> {
  const ids = claims.map(({ deploymentId }) => deploymentId);
  const tokens = claims.map(({ token }) => token);
  const rows = await tx.execute<{ id: string }>(sql`
    select id from deployments
    join unnest(${sql.param(ids)}::text[], ${sql.param(tokens)}::text[]) as claim (deployment_id, token)
      on claim.deployment_id = deployments.id and claim.token = deployments.lease_token
    where lease_until > clock_timestamp()`);
  return new Set(rows.map(({ id }) => id));
}

/** Gives a claim back as it was: another node looks instead. */
export async function returnClaim(db: Queries, { deploymentId, token }: Claim): Promise<void> {
  await db.execute(sql`
    update deployments set lease_until = null, lease_token = null
    where id = ${deploymentId} and lease_token = ${token}`);
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
