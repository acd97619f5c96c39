/**
 * Deployments that are due for a check. Where bots report, nothing is waited for: the check locks what is due and writes
 * in the same transaction. Where a provider is asked first, a node claims the row for the length of a lease. If the node
 * dies, the lease expires. If it continues after its lease has expired, it fails the token check.
 */
import { sql } from 'drizzle-orm';
import { RULE } from '../../core/rule/ruleVersion.ts';
import { EVENTS_LOCK } from '../postgres/advisoryLocks.ts';
import type { Queries } from '../postgres/database.ts';
import { idList } from './views.ts';

/** A deployment that this node may check now. */
export interface Claim {
  readonly deploymentId: string;
  /** The fencing token, unique per claim. The row must still have it when the result of the check is written. */
  readonly token: string;
  /** The metrics provider to query; null if bots report. */
  readonly provider: string | null;
}

/** How many checks of each provider may start now. */
export interface ProviderSlots {
  /** For a provider that {@link left} does not contain. */
  readonly each: number;
  /** For providers with checks in flight; a provider with no slot left is busy. */
  readonly left: ReadonlyMap<string, number>;
}

/** The condition for a claim: no lease is valid, the provider is not busy, and this node knows the version of the rule. */
function claimable({ left }: ProviderSlots) {
  const busy = [...left].filter(([, slots]) => slots <= 0).map(([name]) => name);
  return sql`
  (lease_until is null or lease_until < clock_timestamp())
  and coalesce((detail ->> 'rule')::int <= ${RULE}, true)
  and not coalesce(config ->> 'metricsProvider' = any(${sql.param(busy)}::text[]), false)`;
}

/** Which of the deployments that are due: those with a provider, those without, or all of them. */
export type DueKind = 'PROVIDED' | 'REPORTED' | 'ALL';

const OF_KIND = {
  PROVIDED: sql`and config ->> 'metricsProvider' is not null`,
  REPORTED: sql`and config ->> 'metricsProvider' is null`,
  ALL: sql``,
} as const;

export interface ClaimRequest {
  readonly kind: DueKind;
  readonly limit: number;
  /** Of a claim, real seconds. */
  readonly leaseSeconds: number;
  /** The same by provider, for those that may take longer. */
  readonly providerLeases?: ReadonlyMap<string, number> | undefined;
  /** Due checks beyond a provider's slots are left for later, and for other nodes. */
  readonly slots: ProviderSlots;
}

/** Claims due deployments, the most overdue first, skipping rows that other transactions have locked. */
export async function claimDue(
  db: Queries,
  { kind, limit, leaseSeconds, providerLeases = new Map(), slots }: ClaimRequest,
): Promise<Claim[]> {
  const left = JSON.stringify(Object.fromEntries(slots.left));
  const leases = JSON.stringify(Object.fromEntries(providerLeases));
  const rows = await db.execute<{ id: string; token: string; provider: string | null }>(sql`
    with due as materialized (
      select id, next_check_at, config ->> 'metricsProvider' as provider from deployments
      where next_check_at <= (select serin_now()) and ${claimable(slots)} ${OF_KIND[kind]}
      order by next_check_at limit ${limit} for update skip locked),
    queued as (select id, provider, row_number() over (partition by provider order by next_check_at) as place from due)
    update deployments
    set lease_token = gen_random_uuid(), lease_until = clock_timestamp() + make_interval(secs =>
      coalesce((${leases}::jsonb ->> (config ->> 'metricsProvider'))::float8, ${leaseSeconds}))
    where id in (
      select id from queued
      where provider is null or place <= coalesce((${left}::jsonb ->> provider)::int, ${slots.each}))
    returning id, lease_token as token, config ->> 'metricsProvider' as provider`);
  return rows.map(({ id, token, provider }) => ({ deploymentId: id, token, provider }));
}

const NO_SLOTS: ProviderSlots = { each: 0, left: new Map() };

/**
 * Takes the advisory locks of deployments that are due and whose bots report, the most overdue first, without those that
 * other transactions hold. They are to be locked by their rows next: see `lockDeployment` for why in this order.
 */
export async function lockDue(tx: Queries, limit: number): Promise<string[]> {
  // As one condition: PostgreSQL takes half of the rows to meet it. It would multiply guesses about each part and expect 25
  // rows where 60,000 are due, on which it cannot plan. `offset 0` keeps the locks out of that scan.
  const rows = await tx.execute<{ id: string }>(sql`
    select id from (
      select id from deployments
      where next_check_at <= (select serin_now()) and coalesce(${claimable(NO_SLOTS)} ${OF_KIND.REPORTED}, false)
      order by next_check_at offset 0) as due
    where pg_try_advisory_xact_lock(${EVENTS_LOCK}, hashtext(id)) limit ${limit}`);
  return rows.map(({ id }) => id);
}

/** Those that are still due, claimed by nobody and locked by no other; call it under the locks of their rows. */
export async function stillDue(tx: Queries, ids: readonly string[]): Promise<Set<string>> {
  const rows = await tx.execute<{ id: string }>(sql`
    select deployments.id from ${idList(ids)} join deployments on deployments.id = given.id
    where next_check_at <= (select serin_now()) and (lease_until is null or lease_until < clock_timestamp())
      ${OF_KIND.REPORTED}
    for no key update of deployments skip locked`);
  return new Set(rows.map(({ id }) => id));
}

/** Makes checks due that lie further ahead than an interval: the clock was set back since they were scheduled. */
export async function makeDistantChecksDue(db: Queries): Promise<void> {
  await db.execute(sql`
    update deployments set next_check_at = serin_now()
    where next_check_at > serin_now() + make_interval(secs => (config ->> 'checkIntervalSeconds')::float8 + 1)`);
}

/** Real milliseconds until the next deployment is due; null if no check is scheduled. */
export async function untilNextDue(
  db: Queries,
  kind: DueKind,
  slots: ProviderSlots = NO_SLOTS,
): Promise<number | null> {
  const [row] = await db.execute<{ ms: number | null }>(sql`
    select (extract(epoch from min(next_check_at) - (select serin_now())) * 1000 / (select rate from clock))::float8 as ms
    from deployments where next_check_at is not null and ${claimable(slots)} ${OF_KIND[kind]}`);
  return row?.ms ?? null;
}

/**
 * The deployments whose claims are still valid; call it under the locks of their rows. An expired claim is not valid,
 * even if no other node has claimed the row.
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

/** Releases a claim without a check: the deployment stays due, and another node checks it. */
export async function returnClaim(db: Queries, { deploymentId, token }: Claim): Promise<void> {
  await db.execute(sql`
    update deployments set lease_until = null, lease_token = null
    where id = ${deploymentId} and lease_token = ${token}`);
}

/** Sets when the next check of a locked deployment is due, and releases its claim. */
export async function setNextCheck(tx: Queries, id: string, nextCheckAt: number | null): Promise<void> {
  const next = nextCheckAt === null ? null : new Date(nextCheckAt).toISOString();
  await tx.execute(sql`
    update deployments set lease_until = null, lease_token = null, next_check_at = ${next}::timestamptz
    where id = ${id}`);
}
