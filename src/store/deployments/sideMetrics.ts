/** The latest metrics of each side, written by reports and read by everyone. */
import { eq, inArray, sql } from 'drizzle-orm';
import type { CanaryConfig } from '../../core/config/config.ts';
import { WATCHED_STATUSES } from '../../core/lifecycle/state.ts';
import type { MetricsReport, MetricsSource, SideMetrics } from '../../core/metrics/sideMetrics.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import { type Decimal, decimal, formatDecimal } from '../../core/values/decimal.ts';
import type { Side } from '../../core/values/side.ts';
import type { Queries } from '../postgres/database.ts';
import { sideMetrics } from '../tables/tables.ts';
import { breachesOf, configOf, type MetricsRow, metricsToColumns, rowToMetrics } from './rows.ts';

/** A report on its way to the database. */
export interface SideReport {
  readonly deploymentId: string;
  readonly side: Side;
  readonly report: MetricsReport;
}

/** A report that was taken: the metrics it led to, and what guardrails need to judge them. */
export interface TakenReport {
  readonly deploymentId: string;
  readonly side: Side;
  readonly metrics: SideMetrics;
  readonly config: CanaryConfig;
  readonly canaryCapitalUsd: Decimal;
  readonly breaches: BreachCounts;
}

const written = (value: Decimal | undefined) => (value ? formatDecimal(value) : undefined);

/**
 * Applies reports, at most one a side, in one statement; what a report leaves out stays as it was. A side of a
 * deployment that is not watched (not deployed yet, or ended), that has a provider, or that is measured by its trades
 * is left alone and missing from the answer.
 */
export async function upsertReports(db: Queries, reports: readonly SideReport[]): Promise<TakenReport[]> {
  const rows = reports.map(({ deploymentId, side, report }) => ({
    deployment_id: deploymentId,
    side,
    net: written(report.pnlUsd),
    total: written(report.totalPnlUsd),
    drawdown: written(report.drawdown),
    sharpe: written(report.sharpeRatio),
    win: written(report.winRate),
    trades: report.trades,
    errors: report.errors,
    gas: written(report.totalGasUsd),
    size: written(report.avgTradeSizeUsd),
    uptime: report.uptimeSeconds,
  }));
  const taken = await db.execute<TakenRow>(sql`
    with taken as (
      insert into side_metrics as m (deployment_id, side, net_pnl_usd, total_pnl_usd, max_drawdown, sharpe_ratio,
        win_rate, trades, errors, total_gas_usd, avg_trade_size_usd, uptime_seconds, reported_at, version)
      select d.id, r.side, r.net, r.total, r.drawdown, r.sharpe, r.win, r.trades, r.errors, r.gas, r.size, r.uptime,
        serin_now(), 1
      from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r (deployment_id text, side text, net numeric,
        total numeric, drawdown numeric, sharpe numeric, win numeric, trades bigint, errors bigint, gas numeric,
        size numeric, uptime bigint)
      join deployments d on d.id = r.deployment_id
      where d.status in ${[...WATCHED_STATUSES]} and d.config ->> 'metricsProvider' is null
      order by d.id, r.side
      on conflict (deployment_id, side) do update set
        net_pnl_usd = coalesce(excluded.net_pnl_usd, m.net_pnl_usd),
        total_pnl_usd = coalesce(excluded.total_pnl_usd, m.total_pnl_usd),
        max_drawdown = coalesce(excluded.max_drawdown, m.max_drawdown),
        sharpe_ratio = coalesce(excluded.sharpe_ratio, m.sharpe_ratio),
        win_rate = coalesce(excluded.win_rate, m.win_rate),
        trades = coalesce(excluded.trades, m.trades),
        errors = coalesce(excluded.errors, m.errors),
        total_gas_usd = coalesce(excluded.total_gas_usd, m.total_gas_usd),
        avg_trade_size_usd = coalesce(excluded.avg_trade_size_usd, m.avg_trade_size_usd),
        uptime_seconds = coalesce(excluded.uptime_seconds, m.uptime_seconds),
        reported_at = excluded.reported_at,
        version = m.version + 1
      where m.source = 'TOTALS'
      returning *)
    select taken.deployment_id as "deploymentId", taken.side, taken.net_pnl_usd as "netPnlUsd",
      taken.total_pnl_usd as "totalPnlUsd", taken.max_drawdown as "maxDrawdown", taken.sharpe_ratio as "sharpeRatio",
      taken.win_rate as "winRate", taken.trades::float8 as trades, taken.errors::float8 as errors,
      taken.total_gas_usd as "totalGasUsd", taken.avg_trade_size_usd as "avgTradeSizeUsd",
      taken.uptime_seconds::float8 as "uptimeSeconds",
      date_part('epoch', taken.reported_at) * 1000 as "reportedAt",
      d.config::text as config, d.breaches::text as breaches, d.detail #>> '{observation,basis,CANARY,capitalUsd}' as "capitalUsd"
    from taken join deployments d on d.id = taken.deployment_id`);
  return taken.map((row) => ({
    deploymentId: row.deploymentId,
    side: row.side,
    metrics: rowToMetrics(row),
    config: configOf(row.config),
    canaryCapitalUsd: decimal(row.capitalUsd),
    breaches: breachesOf(row.breaches),
  }));
}

interface TakenRow extends MetricsRow, Record<string, unknown> {
  readonly deploymentId: string;
  readonly side: Side;
  readonly config: string;
  readonly breaches: string;
  readonly capitalUsd: string;
}

/**
 * Replaces a side's metrics: what a provider answered, or what its trades add up to, is the whole truth.
 * @returns false where the side is measured the other way: nothing was written
 */
export async function saveMetrics(
  tx: Queries,
  deploymentId: string,
  side: Side,
  metrics: SideMetrics,
  source: MetricsSource = 'TOTALS',
): Promise<boolean> {
  const columns = metricsToColumns(metrics);
  const written = await tx
    .insert(sideMetrics)
    .values({ deploymentId, side, ...columns, version: 1, source })
    .onConflictDoUpdate({
      target: [sideMetrics.deploymentId, sideMetrics.side],
      set: { ...columns, version: sql`${sideMetrics.version} + 1` },
      setWhere: eq(sideMetrics.source, source),
    })
    .returning({ side: sideMetrics.side });
  return written.length > 0;
}

/** How often each of these deployments' metrics have been written: watchers compare it with what they saw. */
export async function metricsVersions(
  db: Queries,
  deploymentIds: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await db
    .select({ id: sideMetrics.deploymentId, version: sql<string>`sum(${sideMetrics.version})` })
    .from(sideMetrics)
    .where(inArray(sideMetrics.deploymentId, [...deploymentIds]))
    .groupBy(sideMetrics.deploymentId);
  return new Map(rows.map(({ id, version }) => [id, Number(version)]));
}
