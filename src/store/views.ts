/**
 * A deployment as it stands, read in one statement. This is the read that everything begins with, so it is written as
 * SQL: putting it together with the query builder cost more than all the rest of answering a request.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { DeploymentState } from '../core/deployment.ts';
import type { BreachCounts } from '../core/guardrails.ts';
import type { MetricsBySide, SideMetrics } from '../core/metrics.ts';
import type { Queries } from './database.ts';
import { breachesOf, type MetricsRow, rowToMetrics, rowToState, type StateRow } from './rows.ts';

/** One consistent look at a deployment's row, both sides' metrics and the clock. */
export interface DeploymentView {
  readonly state: DeploymentState;
  readonly metrics: MetricsBySide;
  readonly breaches: BreachCounts;
  /** The strategy's stable version today. */
  readonly strategyStableVersionId: string;
  readonly nextCheckAt: number | null;
  /** The time of this look, on Serin's clock. */
  readonly now: number;
}

type Prefix = 'canary_' | 'stable_';
/** A side's figures, all null where it has not reported. */
type Prefixed<P extends Prefix> = { readonly [K in keyof MetricsRow as `${P}${K}`]: MetricsRow[K] | null };

interface ViewRow extends StateRow, Prefixed<'canary_'>, Prefixed<'stable_'>, Record<string, unknown> {
  readonly breaches: string;
  readonly strategyStableVersionId: string;
  readonly nextCheckAt: number | null;
  readonly now: number;
}

const sideColumns = (side: 'canary' | 'stable') => `
  ${side}.net_pnl_usd as "${side}_netPnlUsd", ${side}.total_pnl_usd as "${side}_totalPnlUsd",
  ${side}.max_drawdown as "${side}_maxDrawdown", ${side}.sharpe_ratio as "${side}_sharpeRatio",
  ${side}.win_rate as "${side}_winRate", ${side}.trades::float8 as "${side}_trades",
  ${side}.errors::float8 as "${side}_errors", ${side}.total_gas_usd as "${side}_totalGasUsd",
  ${side}.avg_trade_size_usd as "${side}_avgTradeSizeUsd", ${side}.uptime_seconds::float8 as "${side}_uptimeSeconds",
  date_part('epoch', ${side}.reported_at) * 1000 as "${side}_reportedAt"`;

/** The statement without its conditions: `deployments`, `strategies` and the sides `canary` and `stable`. */
export const VIEW_TEXT = `
select deployments.id, deployments.strategy_id as "strategyId", deployments.chain,
  deployments.stable_version_id as "stableVersionId", deployments.canary_version_id as "canaryVersionId",
  date_part('epoch', deployments.created_at) * 1000 as "createdAt", deployments.created_by as "createdBy",
  deployments.revision, deployments.event_count as "eventCount", deployments.config::text as config,
  deployments.detail, deployments.breaches::text as breaches,
  date_part('epoch', deployments.next_check_at) * 1000 as "nextCheckAt",
  strategies.stable_version_id as "strategyStableVersionId", date_part('epoch', serin_now()) * 1000 as now,
  ${sideColumns('canary')}, ${sideColumns('stable')}
from deployments
join strategies on strategies.id = deployments.strategy_id
left join side_metrics canary on canary.deployment_id = deployments.id and canary.side = 'CANARY'
left join side_metrics stable on stable.deployment_id = deployments.id and stable.side = 'STABLE'`;
const VIEW = sql.raw(VIEW_TEXT);

/** Reads views. `rest` is what follows the tables: conditions, order and limit. */
export async function readViews(db: Queries, rest: SQL): Promise<DeploymentView[]> {
  const rows = await db.execute<ViewRow>(sql`${VIEW} ${rest}`);
  return rows.map(toView);
}

function toView(row: ViewRow): DeploymentView {
  const { strategyStableVersionId, nextCheckAt } = row;
  return {
    state: rowToState(row),
    metrics: { CANARY: sideOf(row, 'canary_'), STABLE: sideOf(row, 'stable_') },
    breaches: breachesOf(row.breaches),
    strategyStableVersionId,
    nextCheckAt: nextCheckAt === null ? null : Math.round(nextCheckAt),
    now: Math.round(row.now),
  };
}

function sideOf(row: ViewRow, side: Prefix): SideMetrics | null {
  const reportedAt = row[`${side}reportedAt` as const];
  if (reportedAt === null) return null;
  return rowToMetrics({
    netPnlUsd: row[`${side}netPnlUsd` as const],
    totalPnlUsd: row[`${side}totalPnlUsd` as const],
    maxDrawdown: row[`${side}maxDrawdown` as const],
    sharpeRatio: row[`${side}sharpeRatio` as const],
    winRate: row[`${side}winRate` as const],
    trades: row[`${side}trades` as const],
    errors: row[`${side}errors` as const],
    totalGasUsd: row[`${side}totalGasUsd` as const],
    avgTradeSizeUsd: row[`${side}avgTradeSizeUsd` as const],
    uptimeSeconds: row[`${side}uptimeSeconds` as const],
    reportedAt,
  });
}
