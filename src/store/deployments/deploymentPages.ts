/** Pages of deployments by keyset, and what else is asked of many of them. */
import { and, asc, desc, eq, gt, gte, inArray, lt, lte, notInArray, or, type SQL, sql } from 'drizzle-orm';
import { type CanaryStatus, isEnded, LIVE_STATUSES, observationOf } from '../../core/lifecycle/state.ts';
import { covers, inScope, type Scope } from '../access/strategyScope.ts';
import type { Pace } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import { deployments } from '../tables/tables.ts';
import { type DeploymentView, readPage } from './views.ts';

export interface DeploymentFilter {
  readonly strategyId?: string | undefined;
  readonly chain?: string | undefined;
  readonly statuses?: readonly CanaryStatus[] | undefined;
  readonly canaryVersionId?: string | undefined;
  readonly stableVersionId?: string | undefined;
  /** Epoch milliseconds, inclusive. */
  readonly startedFrom?: number | undefined;
  /** Epoch milliseconds, exclusive. */
  readonly startedBefore?: number | undefined;
  /** Patterns of strategy names, of which one must match. */
  readonly strategies?: readonly string[] | undefined;
  /** true: only deployments that have not ended; false: only those that have. */
  readonly live?: boolean | undefined;
  /** Only deployments of strategies that the caller may see. */
  readonly scope: Scope;
}

/** Whether a deployment matches a filter: the conditions of a page, on a deployment that has been read. */
export function isMatch(filter: DeploymentFilter, { state }: DeploymentView): boolean {
  const { strategyId, chain, statuses, canaryVersionId, stableVersionId, startedFrom, startedBefore } =
    filter;
  const startedAt = observationOf(state)?.startedAt ?? null;
  return (
    (strategyId === undefined || state.strategyId === strategyId) &&
    (chain === undefined || state.chain === chain) &&
    (statuses === undefined || statuses.includes(state.status)) &&
    (canaryVersionId === undefined || state.canaryVersionId === canaryVersionId) &&
    (stableVersionId === undefined || state.stableVersionId === stableVersionId) &&
    (startedFrom === undefined || (startedAt !== null && startedAt >= startedFrom)) &&
    (startedBefore === undefined || (startedAt !== null && startedAt < startedBefore)) &&
    (filter.live === undefined || filter.live === !isEnded(state)) &&
    covers(filter.strategies ?? null, state.strategyId) &&
    covers(filter.scope, state.strategyId)
  );
}

/** Columns that pages can be ordered by. Every order ends with the id, so that it is total. */
export const DEPLOYMENT_ORDERS = ['CREATED_AT', 'STARTED_AT', 'ENDED_AT'] as const;
export type DeploymentOrder = (typeof DEPLOYMENT_ORDERS)[number];

const ORDER_COLUMNS = {
  CREATED_AT: deployments.createdAt,
  STARTED_AT: deployments.startedAt,
  ENDED_AT: deployments.endedAt,
} as const;

/** The position of a deployment in an order: the column's value (null sorts last) and its id. */
export interface Position {
  readonly at: number | null;
  readonly id: string;
}

export interface PageRequest {
  readonly filter: DeploymentFilter;
  readonly order: { readonly by: DeploymentOrder; readonly descending: boolean };
  readonly limit: number;
  readonly after?: Position | undefined;
  readonly before?: Position | undefined;
  /** Return the last ones instead of the first. */
  readonly fromEnd: boolean;
  readonly pace?: Pace | undefined;
}

/** Written with the statuses, as the index has them. */
const livingCondition = (live: boolean) =>
  (live ? inArray : notInArray)(deployments.status, [...LIVE_STATUSES]);

function matches(filter: DeploymentFilter): (SQL | undefined)[] {
  const { strategyId, chain, statuses, canaryVersionId, stableVersionId, startedFrom, startedBefore } =
    filter;
  return [
    strategyId === undefined ? undefined : eq(deployments.strategyId, strategyId),
    chain === undefined ? undefined : eq(deployments.chain, chain),
    statuses === undefined ? undefined : inArray(deployments.status, [...statuses]),
    canaryVersionId === undefined ? undefined : eq(deployments.canaryVersionId, canaryVersionId),
    stableVersionId === undefined ? undefined : eq(deployments.stableVersionId, stableVersionId),
    startedFrom === undefined ? undefined : gte(deployments.startedAt, new Date(startedFrom)),
    startedBefore === undefined ? undefined : lt(deployments.startedAt, new Date(startedBefore)),
    filter.live === undefined ? undefined : livingCondition(filter.live),
    inScope(deployments.strategyId, filter.strategies ?? null),
    inScope(deployments.strategyId, filter.scope),
  ];
}

/** A page of deployments, in the requested order. */
export async function pageDeployments(db: Queries, page: PageRequest): Promise<DeploymentView[]> {
  const column = ORDER_COLUMNS[page.order.by];
  const nullable = page.order.by !== 'CREATED_AT';
  /** Deployments without the date come last in either direction. */
  const beyond = (position: Position, forward: boolean): SQL | undefined => {
    const ascending = forward !== page.order.descending;
    const idBeyond = ascending ? gt(deployments.id, position.id) : lt(deployments.id, position.id);
    if (position.at === null) {
      const tied = and(sql`${column} is null`, idBeyond);
      return forward ? tied : or(sql`${column} is not null`, tied);
    }
    const at = new Date(position.at);
    const withoutDate = nullable && forward ? sql`${column} is null` : undefined;
    const strictly = ascending ? gt(column, at) : lt(column, at);
    const sameOrBeyond = ascending ? gte(column, at) : lte(column, at);
    return or(and(sameOrBeyond, or(strictly, idBeyond)), withoutDate);
  };
  const ascending = page.order.descending === page.fromEnd;
  const direction = ascending ? asc : desc;
  const nulls = nullable ? [page.fromEnd ? sql`${column} is null desc` : sql`${column} is null`] : [];
  const conditions = [
    ...matches(page.filter),
    page.after && beyond(page.after, true),
    page.before && beyond(page.before, false),
  ];
  const order = sql.join([...nulls, direction(column), direction(deployments.id)], sql`, `);
  const { pace, ...identity } = page;
  const found = await readPage(
    db,
    sql`where ${and(sql`true`, ...conditions)} order by ${order} limit ${page.limit}`,
    JSON.stringify(identity),
    pace,
  );
  return page.fromEnd ? found.reverse() : found;
}

/** Live deployments of one strategy: one a chain. */
export const MAX_LIVE = 100;

/** The live deployments of each of these strategies, the newest first, at most {@link MAX_LIVE} each. */
export async function readLiveDeployments(
  db: Queries,
  strategyIds: readonly string[],
): Promise<DeploymentView[]> {
  return readPage(
    db,
    sql`where deployments.id in (
      select live.id from unnest(${sql.param([...strategyIds])}::text[]) as given (id) cross join lateral (
        select id from deployments where strategy_id = given.id and ${livingCondition(true)}
        order by created_at desc, id desc limit ${MAX_LIVE}) as live)
      order by deployments.created_at desc, deployments.id desc`,
    `live ${strategyIds.join(' ')}`,
  );
}

export async function countDeployments(db: Queries, filter: DeploymentFilter): Promise<number> {
  const [row] = await db
    .select({ count: sql<string>`count(*)` })
    .from(deployments)
    .where(and(...matches(filter)));
  return Number(row?.count ?? 0);
}
