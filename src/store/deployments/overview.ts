/** The overview of all deployments within a scope: counts, capital and losses. */
import { type SQL, sql } from 'drizzle-orm';
import { type CanaryStatus, LIVE_STATUSES } from '../../core/lifecycle/state.ts';
import { type Decimal, decimal } from '../../core/values/decimal.ts';
import { inScope, type Scope } from '../access/strategyScope.ts';
import type { Queries } from '../postgres/database.ts';
import { deployments } from '../tables/tables.ts';

export interface Overview {
  /** The time of the read on Serin's clock, epoch milliseconds. */
  readonly at: number;
  readonly counts: readonly { readonly status: CanaryStatus; readonly count: number }[];
  readonly capitalOnTrialUsd: Decimal;
  readonly lossTodayUsd: Decimal;
  readonly overdueAllocations: number;
}

interface OverviewRow extends Record<string, unknown> {
  readonly at: number;
  readonly counts: readonly { readonly status: CanaryStatus; readonly count: number }[] | null;
  readonly capital: string;
  readonly loss: string;
  readonly overdue: number;
}

/** SQL: whether a deployment has not ended. */
export const isLive = sql.raw(
  `deployments.status in (${LIVE_STATUSES.map((status) => `'${status}'`).join(', ')})`,
);
/** SQL: whether the strategy of a deployment is within a scope. */
export const isVisible = (scope: Scope): SQL => inScope(deployments.strategyId, scope) ?? sql`true`;

/**
 * Reads the overview in one statement. Capital is the amount that the canary has acknowledged, or the requested amount if
 * it never acknowledges. The loss of today is the sum of the losses of canaries since midnight (UTC, on Serin's clock),
 * without the gains of others; a canary that ended today counts until its end.
 * @param now Serin's time, epoch ms, where the database's own is another (a replica)
 */
export async function readOverview(db: Queries, scope: Scope, now?: number): Promise<Overview> {
  const clock = now === undefined ? sql`serin_now()` : sql`${new Date(now).toISOString()}::timestamptz`;
  const [row] = await db.execute<OverviewRow>(sql`
    with clock as materialized (
      select now, date_trunc('day', now at time zone 'UTC') at time zone 'UTC' as midnight
      from (select ${clock} as now) moment),
    seen as materialized (
      select deployments.id, deployments.born, deployments.status, deployments.started_at, deployments.ended_at,
        deployments.canary_capital_usd, deployments.detail
      from deployments where ${isLive} and ${isVisible(scope)}
      union all
      select deployments.id, deployments.born, deployments.status, deployments.started_at, deployments.ended_at,
        deployments.canary_capital_usd, deployments.detail
      from deployments, clock where deployments.ended_at >= clock.midnight and ${isVisible(scope)}),
    counted as (select status, count(*)::int as count from seen group by status order by status),
    earned as (
      select coalesce(m.net_pnl_usd, 0) - coalesce((
        select (s.metrics #>> '{CANARY,netPnlUsd}')::numeric from samples s
        where s.deployment_id = seen.id and s.born = seen.born and s.at < clock.midnight order by s."check" desc limit 1), 0) as pnl
      from seen cross join clock
      join side_metrics m on m.deployment_id = seen.id and m.side = 'CANARY'
      where seen.started_at is not null)
    select date_part('epoch', clock.now) * 1000 as at,
      (select jsonb_agg(jsonb_build_object('status', status, 'count', count)) from counted) as counts,
      (select coalesce(sum(coalesce((detail #>> '{allocation,acknowledged,CANARY,heldUsd}')::numeric,
        canary_capital_usd)), 0)::text from seen where ended_at is null) as capital,
      (select coalesce(-sum(pnl) filter (where pnl < 0), 0)::text from earned) as loss,
      (select count(*)::int from deployments, clock
        where settle_by is not null and settle_by <= clock.now and ${isVisible(scope)}) as overdue
    from clock`);
  if (!row) throw new Error('the overview has no row');
  return {
    at: Math.round(row.at),
    counts: row.counts ?? [],
    capitalOnTrialUsd: decimal(row.capital),
    lossTodayUsd: decimal(row.loss),
    overdueAllocations: row.overdue,
  };
}
