/** The latest metrics of each side: read with what a report needs to be applied, and written under a version check. */
import { eq, inArray, sql } from 'drizzle-orm';
import type { CanaryConfig } from '../../core/config/config.ts';
import { type ReturnAccount, WATCHED_STATUSES } from '../../core/lifecycle/state.ts';
import { type SideRun, sideRunCodec } from '../../core/metrics/run.ts';
import type { MetricsReport, MetricsSource, SideMetrics } from '../../core/metrics/sideMetrics.ts';
import type { SideRecord } from '../../core/metrics/takeReport.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import type { Side } from '../../core/values/side.ts';
import type { Queries } from '../postgres/database.ts';
import { sideMetrics } from '../tables/tables.ts';
import {
  basisOf,
  breachesOf,
  configOf,
  type MetricsRow,
  metricsToColumns,
  rowToMetrics,
  runOfText,
} from './rows.ts';

/** One side of one deployment. */
export interface SideKey {
  readonly deploymentId: string;
  readonly side: Side;
}

/** A report on its way to the database. */
export interface SideReport extends SideKey {
  readonly report: MetricsReport;
}

/** Who reported the figures of a side. */
export interface Reporter {
  readonly name: string;
  /** The credential, as in `Actor.subject`; null where callers need none. */
  readonly subject: string | null;
}

/** A side as a report finds it. Only sides that take reports of totals are read: see {@link lockSides}. */
export interface StoredSide extends SideKey {
  readonly record: SideRecord;
  /** Counts writes; 0 where the side has not reported. */
  readonly version: number;
  readonly config: CanaryConfig;
  readonly breaches: BreachCounts;
  readonly basis: ReturnAccount;
  readonly startedAt: number;
  /** Serin's time, epoch milliseconds. */
  readonly now: number;
}

const date = (column: string) => sql.raw(`date_part('epoch', ${column}) * 1000`);

/**
 * Locks sides that have reported before, and reads all for their next report. Left out: a side of a deployment that is
 * not there or not watched (not deployed yet, or ended), that has a provider, or that is measured by its trades, as it is
 * with pairs by signal.
 */
export async function lockSides(tx: Queries, keys: readonly SideKey[]): Promise<StoredSide[]> {
  const ids = keys.map(({ deploymentId }) => deploymentId);
  const sides = keys.map(({ side }) => side);
  const wanted = sql`unnest(${sql.param(ids)}::text[], ${sql.param(sides)}::text[]) as k (id, side)`;
  // Sent together. Locked in one order, so that two nodes never wait for each other.
  const locked = tx.execute(sql`
    select 1 from side_metrics m join ${wanted} on m.deployment_id = k.id and m.side = k.side
    order by m.deployment_id, m.side for update of m`);
  const read = tx.execute<SideRow>(sql`
    select d.id as "deploymentId", k.side, d.config::text as config, d.breaches::text as breaches,
      d.detail #>> array['observation', 'basis', k.side] as basis, ${date('d.started_at')} as "startedAt",
      ${date('serin_now()')} as now, coalesce(m.version, 0)::float8 as version, m.run::text as run,
      ${MEASURED}
    from ${wanted}
    join deployments d on d.id = k.id
    left join side_metrics m on m.deployment_id = k.id and m.side = k.side
    where d.status in ${[...WATCHED_STATUSES]} and d.config ->> 'metricsProvider' is null
      and d.config #>> '{evidence,pairing}' is null and coalesce(m.source, 'TOTALS') = 'TOTALS'`);
  const [rows] = await Promise.all([read, locked]);
  return rows.map((row) => ({
    deploymentId: row.deploymentId,
    side: row.side,
    record: recordOf(row),
    version: row.version,
    config: configOf(row.config),
    breaches: breachesOf(row.breaches),
    basis: basisOf(row.basis),
    startedAt: Math.round(row.startedAt),
    now: Math.round(row.now),
  }));
}

/** The record of a side whatever it is measured by. */
export async function readRecord(db: Queries, { deploymentId, side }: SideKey): Promise<SideRecord> {
  const [row] = await db.execute<RecordRow>(sql`
    select m.run::text as run, ${MEASURED} from side_metrics m
    where m.deployment_id = ${deploymentId} and m.side = ${side}`);
  return row ? recordOf(row) : { metrics: null, run: null };
}

/** The figures of `m`, under the names of a {@link MetricsRow}. */
const MEASURED = sql.raw(`m.net_pnl_usd as "netPnlUsd", m.total_pnl_usd as "totalPnlUsd",
  m.max_drawdown as "maxDrawdown", m.sharpe_ratio as "sharpeRatio", m.win_rate as "winRate",
  m.trades::float8 as trades, m.errors::float8 as errors, m.total_gas_usd as "totalGasUsd",
  m.avg_trade_size_usd as "avgTradeSizeUsd", m.uptime_seconds::float8 as "uptimeSeconds",
  date_part('epoch', m.reported_at) * 1000 as "reportedAt", m.unrealized_pnl_usd as "unrealizedPnlUsd",
  date_part('epoch', m.as_of) * 1000 as "asOf", m.run ->> 'session' as session, m.run ->> 'fellAt' as "fellAt"`);

interface RecordRow extends Omit<MetricsRow, 'reportedAt'>, Record<string, unknown> {
  /** Null where the side has not reported. */
  readonly reportedAt: number | null;
  readonly run: string | null;
}

interface SideRow extends RecordRow {
  readonly deploymentId: string;
  readonly side: Side;
  readonly config: string;
  readonly breaches: string;
  readonly basis: string;
  readonly startedAt: number;
  readonly now: number;
  readonly version: number;
}

function recordOf({ run, reportedAt, ...figures }: RecordRow): SideRecord {
  return {
    metrics: reportedAt === null ? null : rowToMetrics({ ...figures, reportedAt }),
    run: run === null ? null : runOfText(run),
  };
}

/** A side to be written over the version that was read. */
export interface ChangedSide extends SideKey {
  readonly metrics: SideMetrics;
  readonly run: SideRun | null;
  /** The version that was read; 0 where there was none. */
  readonly version: number;
  readonly reporter: Reporter;
}

/**
 * Writes sides in one statement.
 * @returns those that were written; missing are sides that another transaction wrote since, or that take no totals any more
 */
export async function writeSides(db: Queries, changed: readonly ChangedSide[]): Promise<SideKey[]> {
  const rows = changed.map(({ deploymentId, side, metrics, run, version, reporter }) => ({
    deploymentId,
    side,
    version: version + 1,
    run: run && sideRunCodec.encode(run),
    ...reporterColumns(reporter),
    ...metricsToColumns(metrics),
  }));
  return db.execute<{ deploymentId: string; side: Side }>(sql`
    insert into side_metrics as m (deployment_id, side, net_pnl_usd, total_pnl_usd, max_drawdown, sharpe_ratio, win_rate,
      trades, errors, total_gas_usd, avg_trade_size_usd, uptime_seconds, reported_at, unrealized_pnl_usd, as_of, run, reported_by, reported_as,
      version)
    select d.id, r.side, r."netPnlUsd", r."totalPnlUsd", r."maxDrawdown", r."sharpeRatio", r."winRate", r.trades,
      r.errors, r."totalGasUsd", r."avgTradeSizeUsd", r."uptimeSeconds", r."reportedAt", r."unrealizedPnlUsd", r."asOf",
      nullif(r.run, 'null'::jsonb), r."reportedBy", r."reportedAs", r.version
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r ("deploymentId" text, side text,
      "netPnlUsd" numeric, "totalPnlUsd" numeric, "maxDrawdown" numeric, "sharpeRatio" numeric, "winRate" numeric,
      trades bigint, errors bigint, "totalGasUsd" numeric, "avgTradeSizeUsd" numeric, "uptimeSeconds" bigint,
      "reportedAt" timestamptz, "unrealizedPnlUsd" numeric, "asOf" timestamptz, run jsonb, "reportedBy" text, "reportedAs" text,
      version bigint)
    join deployments d on d.id = r."deploymentId"
    where d.status in ${[...WATCHED_STATUSES]} and d.config ->> 'metricsProvider' is null
    order by d.id, r.side
    on conflict (deployment_id, side) do update set
      net_pnl_usd = excluded.net_pnl_usd, total_pnl_usd = excluded.total_pnl_usd,
      max_drawdown = excluded.max_drawdown, sharpe_ratio = excluded.sharpe_ratio, win_rate = excluded.win_rate,
      trades = excluded.trades, errors = excluded.errors, total_gas_usd = excluded.total_gas_usd,
      avg_trade_size_usd = excluded.avg_trade_size_usd, uptime_seconds = excluded.uptime_seconds,
      reported_at = excluded.reported_at, unrealized_pnl_usd = excluded.unrealized_pnl_usd, as_of = excluded.as_of,
      run = excluded.run, reported_by = excluded.reported_by, reported_as = excluded.reported_as,
      version = excluded.version
    where m.source = 'TOTALS' and m.version = excluded.version - 1
    returning deployment_id as "deploymentId", side`);
}

const reporterColumns = (reporter: Reporter | null) => ({
  reportedBy: reporter?.name ?? null,
  reportedAs: reporter?.subject ?? null,
});

/**
 * Replaces a side's record, under the deployment's lock: what a provider answered, or what its trades add up to.
 * @param reporter null for a provider and for an import
 * @returns false where the side is measured the other way: nothing was written
 */
export async function saveMetrics(
  tx: Queries,
  { deploymentId, side }: SideKey,
  { metrics, run }: { readonly metrics: SideMetrics; readonly run: SideRun | null },
  source: MetricsSource = 'TOTALS',
  reporter: Reporter | null = null,
): Promise<boolean> {
  const columns = {
    ...metricsToColumns(metrics),
    run: run && sideRunCodec.encode(run),
    ...reporterColumns(reporter),
  };
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

/** The sum of both sides' versions per deployment: watchers compare it with what they saw. */
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
