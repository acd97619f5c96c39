/**
 * Reads a deployment with its metrics in one statement. Almost every request begins with this read, so it is written as
 * SQL: building it with the query builder took longer than the rest of the request.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { DeploymentState } from '../../core/lifecycle/state.ts';
import type { MetricsBySide, SideMetrics } from '../../core/metrics/sideMetrics.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import type { SerinInstant } from '../../core/values/instant.ts';
import type { BySide, Side } from '../../core/values/side.ts';
import { convertRows, type Pace } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import { breachesOf, metricsOf, rowToState, type StateRow } from './rows.ts';
import type { Reporter } from './sideMetrics.ts';

/** A consistent read of a deployment's row, the metrics of both sides and the clock. */
export interface DeploymentView {
  readonly state: DeploymentState;
  readonly metrics: MetricsBySide;
  readonly breaches: BreachCounts;
  /** The current stable version of the strategy. */
  readonly strategyStableVersionId: string;
  /** Whether a rule of the strategy requires two people for a promotion. */
  readonly strategyRequiresApproval: boolean;
  readonly nextCheckAt: number | null;
  /** When the next deadline of its capital must be checked. */
  readonly deadlineAt: number | null;
  /** When the bot of each side last sent a heartbeat; null if it never did. */
  readonly heartbeats: BySide<number | null>;
  /** Who reported the latest figures of each side; null for a provider, and where that is not known. */
  readonly reporters: BySide<Reporter | null>;
  /** Rises with every write of either side's metrics, see `metricsVersions`; null where it was not read. */
  readonly metricsVersion: number | null;
  /** The time of the read on Serin's clock, epoch milliseconds. */
  readonly now: SerinInstant;
}

/** The heartbeats of a deployment that is new here. */
export const NO_HEARTBEATS: DeploymentView['heartbeats'] = { CANARY: null, STABLE: null };
/** Nobody has reported to a deployment that is new here. */
export const NO_REPORTERS: DeploymentView['reporters'] = { CANARY: null, STABLE: null };

interface ViewRow extends StateRow, Record<string, unknown> {
  /** A side's metrics as a JSON string; null if the side has not reported. */
  readonly canary: string | null;
  readonly stable: string | null;
  readonly breaches: string;
  readonly strategyStableVersionId: string;
  readonly strategyRequiresApproval: boolean;
  readonly nextCheckAt: number | null;
  readonly deadlineAt: number | null;
  readonly canaryHeartbeatAt: number | null;
  readonly stableHeartbeatAt: number | null;
  readonly canaryReportedBy: string | null;
  readonly canaryReportedAs: string | null;
  readonly stableReportedBy: string | null;
  readonly stableReportedAs: string | null;
  readonly metricsVersion: number;
  readonly now: SerinInstant;
}

/** A side's metrics as one JSON string with decimals as strings: loses no digits, and can be cached as parsed. */
const figuresOf = (side: 'canary' | 'stable') => `
  case when ${side}.side is not null then json_build_object(
    'netPnlUsd', ${side}.net_pnl_usd::text, 'totalPnlUsd', ${side}.total_pnl_usd::text,
    'maxDrawdown', ${side}.max_drawdown::text, 'sharpeRatio', ${side}.sharpe_ratio::text,
    'winRate', ${side}.win_rate::text, 'trades', ${side}.trades, 'errors', ${side}.errors,
    'totalGasUsd', ${side}.total_gas_usd::text, 'avgTradeSizeUsd', ${side}.avg_trade_size_usd::text,
    'uptimeSeconds', ${side}.uptime_seconds,
    'reportedAt', date_part('epoch', ${side}.reported_at) * 1000,
    'unrealizedPnlUsd', ${side}.unrealized_pnl_usd::text, 'asOf', date_part('epoch', ${side}.as_of) * 1000,
    'session', ${side}.run ->> 'session', 'fellAt', ${side}.run ->> 'fellAt')::text end as ${side}`;

const heartbeatOf = (side: Side) => `
  (select date_part('epoch', at) * 1000 from heartbeats where deployment_id = deployments.id and side = '${side}')`;

/** The statement without its conditions: `deployments`, `strategies` and the sides `canary` and `stable`. */
export const VIEW_TEXT = `
select deployments.id, deployments.strategy_id as "strategyId", deployments.chain,
  deployments.stable_version_id as "stableVersionId", deployments.canary_version_id as "canaryVersionId",
  date_part('epoch', deployments.created_at) * 1000 as "createdAt", deployments.created_by as "createdBy",
  deployments.revision, deployments.event_count as "eventCount", deployments.config::text as config,
  deployments.detail::text as detail, deployments.breaches::text as breaches,
  date_part('epoch', deployments.next_check_at) * 1000 as "nextCheckAt",
  date_part('epoch', deployments.deadline_at) * 1000 as "deadlineAt",
  ${heartbeatOf('CANARY')} as "canaryHeartbeatAt", ${heartbeatOf('STABLE')} as "stableHeartbeatAt",
  canary.reported_by as "canaryReportedBy", canary.reported_as as "canaryReportedAs",
  stable.reported_by as "stableReportedBy", stable.reported_as as "stableReportedAs",
  (coalesce(canary.version, 0) + coalesce(stable.version, 0))::float8 as "metricsVersion",
  strategies.stable_version_id as "strategyStableVersionId",
  strategies.require_approval as "strategyRequiresApproval", date_part('epoch', (select serin_now())) * 1000 as now,
  ${figuresOf('canary')}, ${figuresOf('stable')}
from deployments
join strategies on strategies.id = deployments.strategy_id
left join side_metrics canary on canary.deployment_id = deployments.id and canary.side = 'CANARY'
left join side_metrics stable on stable.deployment_id = deployments.id and stable.side = 'STABLE'`;
const VIEW = sql.raw(VIEW_TEXT);

/** Reads views. `rest` is the SQL after the tables: conditions, order and limit. */
export async function readViews(db: Queries, rest: SQL, pace?: Pace): Promise<DeploymentView[]> {
  const rows = await db.execute<ViewRow>(sql`${VIEW} ${rest}`);
  return convertRows(rows, toView, pace);
}

/** Reads views by id. A row that cannot be parsed gives an error under its id and does not affect the others. */
export async function readViewsById(
  db: Queries,
  ids: readonly string[],
): Promise<ReadonlyMap<string, DeploymentView | Error>> {
  const [first, ...more] = ids;
  // PostgreSQL keeps the plan for a single key; a list is planned every time, which takes longer than the read itself.
  const condition = more.length === 0 ? sql`= ${first ?? null}` : sql`= any(${sql.param([...ids])}::text[])`;
  const rows = await db.execute<ViewRow>(sql`${VIEW} where deployments.id ${condition}`);
  return new Map(await convertRows(rows, (row) => [row.id, toViewOrError(row)] as const));
}

function toViewOrError(row: ViewRow): DeploymentView | Error {
  try {
    return toView(row);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function toView(row: ViewRow): DeploymentView {
  const { strategyStableVersionId, strategyRequiresApproval, nextCheckAt } = row;
  return {
    state: rowToState(row),
    metrics: { CANARY: metricsIn(row, 'canary'), STABLE: metricsIn(row, 'stable') },
    breaches: breachesOf(row.breaches),
    strategyStableVersionId,
    strategyRequiresApproval,
    nextCheckAt: rounded(nextCheckAt),
    deadlineAt: rounded(row.deadlineAt),
    heartbeats: { CANARY: rounded(row.canaryHeartbeatAt), STABLE: rounded(row.stableHeartbeatAt) },
    reporters: {
      CANARY: reporterOf(row.canaryReportedBy, row.canaryReportedAs),
      STABLE: reporterOf(row.stableReportedBy, row.stableReportedAs),
    },
    metricsVersion: row.metricsVersion,
    now: Math.round(row.now),
  };
}

const reporterOf = (name: string | null, subject: string | null) =>
  name === null ? null : { name, subject };

const rounded = (at: number | null) => (at === null ? null : Math.round(at));

function metricsIn(row: ViewRow, side: 'canary' | 'stable'): SideMetrics | null {
  const json = row[side];
  return json === null ? null : metricsOf(json, `${row.id} ${side}`);
}
