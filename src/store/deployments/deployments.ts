/** Deployments: reading one, locking one, writing one, and pages of many by keyset. */
import { and, asc, desc, eq, gt, gte, inArray, lt, lte, or, type SQL, sql } from 'drizzle-orm';
import type { CanaryStatus, DeploymentState } from '../../core/lifecycle/state.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import { inScope, type Scope } from '../access/strategyScope.ts';
import type { Queries } from '../postgres/database.ts';
import { deployments } from '../tables/tables.ts';
import { movingColumns, stateToColumns } from './rows.ts';
import { type DeploymentView, readViews, readViewsById } from './views.ts';

export { type DeploymentView, readViewsById } from './views.ts';

export async function findDeployment(db: Queries, id: string): Promise<DeploymentView | null> {
  const [found] = await readViews(db, sql`where deployments.id = ${id}`);
  return found ?? null;
}

/** The strategy of a deployment; null when there is no such deployment. */
export async function findStrategyOf(db: Queries, id: string): Promise<string | null> {
  const [row] = await db
    .select({ strategyId: deployments.strategyId })
    .from(deployments)
    .where(eq(deployments.id, id));
  return row?.strategyId ?? null;
}

/** Several at once; the answer has those that exist, in no order. */
export async function findDeployments(db: Queries, ids: readonly string[]): Promise<DeploymentView[]> {
  const found = await readViewsById(db, ids);
  return [...found.values()].map((view) => {
    if (view instanceof Error) throw view;
    return view;
  });
}

/**
 * Any number that no other lock uses. Whoever writes events of a deployment takes this lock on its name before the row's:
 * one that waits for a row may get its transaction id while it waits, and be overtaken by who comes later; one that waits
 * here has none yet. So ids follow the order of a deployment's events, as long as the lock comes before any write.
 */
const EVENTS_LOCK = 5_371_004;

const textArray = (values: readonly string[]) => sql`${sql.param([...values])}::text[]`;

/** Sends a locking statement now (Drizzle's start when they are awaited), before what looks. Answers the ids it found. */
const locking = (tx: Queries, statement: SQL): Promise<ReadonlySet<string>> =>
  tx.execute<{ id: string }>(statement).then((rows) => new Set(rows.map(({ id }) => id)));

/** Locks a deployment and then looks at it: what is read is what the lock protects. Waits for who is at it. */
export async function lockDeployment(tx: Queries, id: string): Promise<DeploymentView | null> {
  const named = locking(tx, sql`select pg_advisory_xact_lock(${EVENTS_LOCK}, hashtext(${id}))`);
  const locked = locking(tx, sql`select id from deployments where id = ${id} for no key update`);
  const [view] = await Promise.all([findDeployment(tx, id), named, locked]);
  return view;
}

/** Of several deployments; what is in neither set does not exist. */
export interface FreeDeployments {
  /** Locked now, as they stand. */
  readonly free: ReadonlyMap<string, DeploymentView>;
  /** Somebody else is at them. */
  readonly taken: ReadonlySet<string>;
}

/** Locks those of several deployments that nobody else has, without waiting, and looks at them. */
export async function lockFreeDeployments(tx: Queries, ids: readonly string[]): Promise<FreeDeployments> {
  const named = locking(
    tx,
    sql`select id from unnest(${textArray(ids)}) as given (id)
      where pg_try_advisory_xact_lock(${EVENTS_LOCK}, hashtext(id))`,
  );
  const locked = locking(
    tx,
    sql`select id from deployments where id = any(${textArray(ids)}) order by id for no key update skip locked`,
  );
  const [views, names, rows] = await Promise.all([findDeployments(tx, ids), named, locked]);
  const free = new Map<string, DeploymentView>();
  const taken = new Set<string>();
  for (const view of views) {
    const { id } = view.state;
    if (names.has(id) && rows.has(id)) free.set(id, view);
    else taken.add(id);
  }
  return { free, taken };
}

export interface Schedule {
  readonly nextCheckAt: number | null;
  readonly breaches: BreachCounts;
}

const schedule = ({ nextCheckAt, breaches }: Schedule) => ({
  nextCheckAt: nextCheckAt === null ? null : new Date(nextCheckAt),
  breaches,
});

/** Inserts a deployment, or does nothing where its id or its strategy's place is taken. */
export async function insertDeployment(
  tx: Queries,
  state: DeploymentState,
  scheduled: Schedule,
): Promise<boolean> {
  const rows = await tx
    .insert(deployments)
    .values({ ...stateToColumns(state), ...schedule(scheduled) })
    .onConflictDoNothing()
    .returning({ id: deployments.id });
  return rows.length === 1;
}

/** A state to be written over its row. */
export interface Saved extends Schedule {
  readonly state: DeploymentState;
}

/** Writes states over the rows that the transaction has locked, in one statement, and gives back any claims on them. */
export async function saveDeployments(tx: Queries, saved: readonly Saved[]): Promise<void> {
  if (saved.length === 0) return;
  const rows = saved.map(({ state, ...scheduled }) => ({
    id: state.id,
    ...movingColumns(state),
    ...schedule(scheduled),
  }));
  // Written out, as this and the events are most of what a command costs.
  await tx.execute(sql`
    update deployments set status = r.status, revision = r.revision, event_count = r."eventCount",
      started_at = r."startedAt", ended_at = r."endedAt", observation_deadline = r."observationDeadline",
      canary_percent = r."canaryPercent", total_capital_usd = r."totalCapitalUsd",
      canary_capital_usd = r."canaryCapitalUsd", stable_capital_usd = r."stableCapitalUsd",
      detail = r.detail, breaches = r.breaches, next_check_at = r."nextCheckAt",
      lease_until = null, lease_token = null
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as r (id text, status text, revision integer,
      "eventCount" integer, "startedAt" timestamptz, "endedAt" timestamptz, "observationDeadline" timestamptz,
      "canaryPercent" numeric, "totalCapitalUsd" numeric, "canaryCapitalUsd" numeric, "stableCapitalUsd" numeric,
      detail jsonb, breaches jsonb, "nextCheckAt" timestamptz)
    where deployments.id = r.id`);
}

/** Writes only the guardrails' counts. */
export async function saveBreaches(tx: Queries, id: string, breaches: BreachCounts): Promise<void> {
  await tx.update(deployments).set({ breaches }).where(eq(deployments.id, id));
}

/** The deployment that holds a strategy's place on a chain. */
export async function findLive(db: Queries, strategyId: string, chain: string) {
  const [row] = await db
    .select({ id: deployments.id, status: deployments.status })
    .from(deployments)
    .where(
      and(
        eq(deployments.strategyId, strategyId),
        eq(deployments.chain, chain),
        sql`${deployments.endedAt} is null`,
      ),
    );
  return row ?? null;
}

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
  /** Only deployments of strategies that the reader may see. */
  readonly scope?: Scope | undefined;
}

/** Columns that pages can be ordered by; every order ends in the id, so that it is total. */
export const DEPLOYMENT_ORDERS = ['CREATED_AT', 'STARTED_AT', 'ENDED_AT'] as const;
export type DeploymentOrder = (typeof DEPLOYMENT_ORDERS)[number];

const ORDER_COLUMNS = {
  CREATED_AT: deployments.createdAt,
  STARTED_AT: deployments.startedAt,
  ENDED_AT: deployments.endedAt,
} as const;

/** The place of a deployment in an order: the column's value (null sorts last) and its id. */
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
  /** Take the last ones instead of the first. */
  readonly fromEnd: boolean;
}

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
    inScope(deployments.strategyId, filter.scope),
  ];
}

/** One page, in the order asked for. */
export async function pageDeployments(db: Queries, page: PageRequest): Promise<DeploymentView[]> {
  const column = ORDER_COLUMNS[page.order.by];
  const nullable = page.order.by !== 'CREATED_AT';
  /** Deployments without the date come last, whichever way the page runs. */
  const beyond = (position: Position, forward: boolean): SQL | undefined => {
    const rising = forward !== page.order.descending;
    const idBeyond = rising ? gt(deployments.id, position.id) : lt(deployments.id, position.id);
    if (position.at === null) {
      const tied = and(sql`${column} is null`, idBeyond);
      return forward ? tied : or(sql`${column} is not null`, tied);
    }
    const at = new Date(position.at);
    const tail = nullable && forward ? sql`${column} is null` : undefined;
    const strictly = rising ? gt(column, at) : lt(column, at);
    const sameOrBeyond = rising ? gte(column, at) : lte(column, at);
    return or(and(sameOrBeyond, or(strictly, idBeyond)), tail);
  };
  const rising = page.order.descending === page.fromEnd;
  const direction = rising ? asc : desc;
  const nulls = nullable ? [page.fromEnd ? sql`${column} is null desc` : sql`${column} is null`] : [];
  const wanted = [
    ...matches(page.filter),
    page.after && beyond(page.after, true),
    page.before && beyond(page.before, false),
  ];
  const order = sql.join([...nulls, direction(column), direction(deployments.id)], sql`, `);
  const found = await readViews(
    db,
    sql`where ${and(sql`true`, ...wanted)} order by ${order} limit ${page.limit}`,
  );
  return page.fromEnd ? found.reverse() : found;
}

export async function countDeployments(db: Queries, filter: DeploymentFilter): Promise<number> {
  const [row] = await db
    .select({ count: sql<string>`count(*)` })
    .from(deployments)
    .where(and(...matches(filter)));
  return Number(row?.count ?? 0);
}
