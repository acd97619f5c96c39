/**
 * Reads a deployment with its metrics in one statement. Almost every request begins with this read, so it is written as
 * SQL: building it with the query builder took longer than the rest of the request.
 */
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { type SQL, sql } from 'drizzle-orm';
import { LRUCache } from 'lru-cache';
import type { DeploymentState } from '../../core/lifecycle/state.ts';
import type { MetricsBySide } from '../../core/metrics/sideMetrics.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import type { SerinInstant } from '../../core/values/instant.ts';
import type { BySide, Side } from '../../core/values/side.ts';
import { convertRows, type Pace } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import {
  type DeploymentRow,
  type Known,
  type KnownBefore,
  type KnownRows,
  knownRows,
  rememberRows,
  type SideRow,
} from './knownRows.ts';
import { breachesOf, parseMetrics, rowToState, type StateRow } from './rows.ts';
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

/** What identifies a server until it is started again: SQL. */
export const SERVER = 'pg_postmaster_start_time()::text';
/** What identifies a version of a row, see `Known.version`: SQL. */
export const versionOf = (table: string) => `${table}.xmin::text || ${table}.ctid::text`;
/** The same of a row that is sent; empty if it is not committed: a transaction reads its own changes. */
const committedVersionOf = (table: string) =>
  `case when ${table}.xmin = pg_current_xact_id_if_assigned()::xid then '' else ${versionOf(table)} end`;
/** Whether the reader does not have this version of a row. */
const isNews = (table: string, key: string) =>
  `(select rows from known) -> deployments.id ->> '${key}' is distinct from ${versionOf(table)}`;

/** A side's figures as one JSON string, with decimals as strings: no digit is lost. */
const sideRow = (table: 'canary' | 'stable', side: Side) => `
  case when ${table}.side is null then '' when ${isNews(table, side)} then json_build_object(
    'rowVersion', ${committedVersionOf(table)}, 'writes', ${table}.version,
    'reportedBy', ${table}.reported_by, 'reportedAs', ${table}.reported_as, 'figures', json_build_object(
    'netPnlUsd', ${table}.net_pnl_usd::text, 'totalPnlUsd', ${table}.total_pnl_usd::text,
    'maxDrawdown', ${table}.max_drawdown::text, 'sharpeRatio', ${table}.sharpe_ratio::text,
    'winRate', ${table}.win_rate::text, 'trades', ${table}.trades, 'errors', ${table}.errors,
    'totalGasUsd', ${table}.total_gas_usd::text, 'avgTradeSizeUsd', ${table}.avg_trade_size_usd::text,
    'uptimeSeconds', ${table}.uptime_seconds,
    'reportedAt', date_part('epoch', ${table}.reported_at) * 1000,
    'unrealizedPnlUsd', ${table}.unrealized_pnl_usd::text, 'asOf', date_part('epoch', ${table}.as_of) * 1000,
    'session', ${table}.run ->> 'session', 'fellAt', ${table}.run ->> 'fellAt'))::text end as "${side}"`;

const heartbeatOf = (side: Side) => `
  (select date_part('epoch', at) * 1000 from heartbeats where deployment_id = deployments.id and side = '${side}')`;

/** The short columns of a deployment's row, as one JSON string. */
const DEPLOYMENT_ROW = `json_build_object('rowVersion', ${committedVersionOf('deployments')},
    'strategyId', deployments.strategy_id, 'chain', deployments.chain,
    'stableVersionId', deployments.stable_version_id, 'canaryVersionId', deployments.canary_version_id,
    'createdAt', date_part('epoch', deployments.created_at) * 1000, 'createdBy', deployments.created_by,
    'revision', deployments.revision, 'eventCount', deployments.event_count,
    'breaches', deployments.breaches::text, 'nextCheckAt', date_part('epoch', deployments.next_check_at) * 1000,
    'deadlineAt', date_part('epoch', deployments.deadline_at) * 1000)::text`;

const COLUMNS = `deployments.id, coalesce((select rows from known) ->> '', ${SERVER}) as server,
  case when ${isNews('deployments', 'deployment')} then ${DEPLOYMENT_ROW} end as deployment,
  case when ${isNews('deployments', 'deployment')} then deployments.config::text end as config,
  case when ${isNews('deployments', 'deployment')} then deployments.detail::text end as detail,
  ${sideRow('canary', 'CANARY')}, ${sideRow('stable', 'STABLE')},
  ${heartbeatOf('CANARY')} as "canaryHeartbeatAt", ${heartbeatOf('STABLE')} as "stableHeartbeatAt",
  strategies.stable_version_id as "strategyStableVersionId",
  strategies.require_approval as "strategyRequiresApproval", date_part('epoch', (select serin_now())) * 1000 as now`;

const JOINS = `
join strategies on strategies.id = deployments.strategy_id
left join side_metrics canary on canary.deployment_id = deployments.id and canary.side = 'CANARY'
left join side_metrics stable on stable.deployment_id = deployments.id and stable.side = 'STABLE'`;

/** The statement of a reader that knows no rows, without conditions. */
export const VIEW_TEXT = `with known as materialized (select null::jsonb as rows)
select ${COLUMNS} from deployments${JOINS}`;

/** The statement of a reader that knows these rows. */
const selectViews = (known: KnownBefore, from: SQL, conditions: SQL) => sql`
with known as materialized (select ${known.json}::jsonb -> ${sql.raw(SERVER)} as rows)
select ${sql.raw(COLUMNS)} from ${from}${sql.raw(JOINS)} ${conditions}`;

interface ViewRow extends Record<string, unknown> {
  readonly id: string;
  /** Its key in {@link KnownBefore}; the start of the server where that is not known. */
  readonly server: string;
  /** JSON strings of the row of `deployments`; null if the reader has this version. */
  readonly deployment: string | null;
  readonly config: string | null;
  readonly detail: string | null;
  /** The row of a side as a JSON string; null if the reader has this version, '' if the side has not reported. */
  readonly CANARY: string | null;
  readonly STABLE: string | null;
  readonly canaryHeartbeatAt: number | null;
  readonly stableHeartbeatAt: number | null;
  readonly strategyStableVersionId: string;
  readonly strategyRequiresApproval: boolean;
  readonly now: SerinInstant;
}

/** What {@link DEPLOYMENT_ROW} makes. */
interface DeploymentJson extends Omit<StateRow, 'id' | 'config' | 'detail'> {
  readonly rowVersion: string;
  readonly breaches: string;
  readonly nextCheckAt: number | null;
  readonly deadlineAt: number | null;
}

/** What {@link sideRow} makes. */
interface SideJson {
  readonly rowVersion: string;
  readonly writes: number;
  readonly reportedBy: string | null;
  readonly reportedAs: string | null;
  readonly figures: unknown;
}

/** Characters of the ids in the results of pages, and of what identifies the pages. */
const PAGES_CHARACTERS = 4_000_000;
/** The ids in the last result of each page. */
const pages = new LRUCache<string, readonly string[]>({
  maxSize: PAGES_CHARACTERS,
  sizeCalculation: (ids, page) => ids.reduce((sum, id) => sum + id.length, page.length),
});

/** A page as PostgreSQL sent it, and what was known when it was asked for. */
interface PageRead {
  readonly rows: readonly ViewRow[];
  readonly known: KnownBefore;
}

/** Reads that begin at the end of this turn of the event loop, by page. */
const beginning = new WeakMap<Queries, Map<string, Promise<PageRead>>>();

/**
 * Reads a page of views. Those who ask for the same page in one turn of the event loop share a statement: many look at the
 * same list. `conditions` is the SQL after the tables, with the order and the limit.
 * @param page identifies the page: the deployments of its last result are probably those of the next
 */
export async function readPage(
  db: Queries,
  conditions: SQL,
  page: string,
  pace?: Pace,
): Promise<DeploymentView[]> {
  const reads = beginning.get(db) ?? new Map<string, Promise<PageRead>>();
  beginning.set(db, reads);
  const read =
    reads.get(page) ??
    endOfTurn().then(() => {
      reads.delete(page);
      return sendPage(db, conditions, page);
    });
  reads.set(page, read);
  const { rows, known } = await read;
  return convertRows(rows, (row) => toView(row, known), pace);
}

async function sendPage(db: Queries, conditions: SQL, page: string): Promise<PageRead> {
  const known = knownRows(pages.get(page) ?? []);
  const rows = await db.execute<ViewRow>(selectViews(known, sql`deployments`, conditions));
  pages.set(
    page,
    rows.map(({ id }) => id),
  );
  return { rows, known };
}

/**
 * Ids to join with: `given.id`. PostgreSQL plans a list anew each time, which takes longer than the read, unless it cannot
 * see how long the list is.
 */
export const idList = (ids: readonly string[]) =>
  sql`unnest((select ${sql.param([...ids])}::text[])) as given (id)`;

/** Reads one view; null if there is no such deployment. */
export async function readView(db: Queries, id: string): Promise<DeploymentView | null> {
  const view = (await readViewsById(db, [id])).get(id) ?? null;
  if (view instanceof Error) throw view;
  return view;
}

/** Reads views by id. A row that cannot be parsed gives an error under its id and does not affect the others. */
export async function readViewsById(
  db: Queries,
  ids: readonly string[],
): Promise<ReadonlyMap<string, DeploymentView | Error>> {
  const [first, ...more] = [...new Set(ids)];
  const known = knownRows(ids);
  const statement =
    more.length === 0
      ? selectViews(known, sql`deployments`, sql`where deployments.id = ${first ?? null}`)
      : selectViews(
          known,
          sql`${idList([first ?? '', ...more])} join deployments on deployments.id = given.id`,
          sql``,
        );
  const rows = await db.execute<ViewRow>(statement);
  return new Map(await convertRows(rows, (row) => [row.id, toViewOrError(row, known)] as const));
}

function toViewOrError(row: ViewRow, known: KnownBefore): DeploymentView | Error {
  try {
    return toView(row, known);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function toView(row: ViewRow, known: KnownBefore): DeploymentView {
  const { strategyStableVersionId, strategyRequiresApproval } = row;
  const { deployment, CANARY, STABLE } = rowsIn(row, known);
  const { state, breaches, nextCheckAt, deadlineAt } = deployment.value;
  return {
    state,
    breaches,
    nextCheckAt,
    deadlineAt,
    metrics: { CANARY: CANARY?.value.metrics ?? null, STABLE: STABLE?.value.metrics ?? null },
    strategyStableVersionId,
    strategyRequiresApproval,
    heartbeats: { CANARY: rounded(row.canaryHeartbeatAt), STABLE: rounded(row.stableHeartbeatAt) },
    reporters: { CANARY: CANARY?.value.reporter ?? null, STABLE: STABLE?.value.reporter ?? null },
    metricsVersion: (CANARY?.value.writes ?? 0) + (STABLE?.value.writes ?? 0),
    now: Math.round(row.now),
  };
}

/** The rows of a deployment: those that PostgreSQL has sent, which are remembered, and those that were known. */
function rowsIn(row: ViewRow, known: KnownBefore): KnownRows {
  const before = known.rowsOf(row.server, row.id);
  const deployment = deploymentIn(row) ?? before?.deployment;
  if (!deployment) throw new Error(`PostgreSQL did not send the row of deployment ${row.id}`);
  const rows = {
    deployment,
    CANARY: sideIn(row.CANARY, before?.CANARY),
    STABLE: sideIn(row.STABLE, before?.STABLE),
  };
  const wasSent = [row.deployment, row.CANARY, row.STABLE].some((json) => json !== null && json !== '');
  if (wasSent) rememberRows(known.startOf(row.server), rows);
  return rows;
}

function deploymentIn({ id, deployment, config, detail }: ViewRow): Known<DeploymentRow> | null {
  if (deployment === null || config === null || detail === null) return null;
  const { rowVersion, breaches, nextCheckAt, deadlineAt, ...columns }: DeploymentJson =
    JSON.parse(deployment);
  return {
    version: rowVersion,
    size: deployment.length + config.length + detail.length,
    value: {
      state: rowToState({ id, config, detail, ...columns }),
      breaches: breachesOf(breaches),
      nextCheckAt: rounded(nextCheckAt),
      deadlineAt: rounded(deadlineAt),
    },
  };
}

function sideIn(json: string | null, before: Known<SideRow> | null = null): Known<SideRow> | null {
  if (json === null) return before;
  if (json === '') return null;
  const { rowVersion, writes, reportedBy, reportedAs, figures }: SideJson = JSON.parse(json);
  const reporter = reportedBy === null ? null : { name: reportedBy, subject: reportedAs };
  return {
    version: rowVersion,
    size: json.length,
    value: { metrics: parseMetrics(figures), reporter, writes },
  };
}

const rounded = (at: number | null) => (at === null ? null : Math.round(at));
