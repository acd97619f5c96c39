/** Queries of loss budgets, and the claim of the node that sums their losses. A deleted budget keeps its row. */
import { and, asc, eq, isNull, type SQL, sql } from 'drizzle-orm';
import { type Decimal, decimal, formatDecimal } from '../../core/values/decimal.ts';
import { BUDGET_CREATION_LOCK } from '../postgres/advisoryLocks.ts';
import type { Queries } from '../postgres/database.ts';
import {
  BUDGET_ACTIONS,
  BUDGET_COUNTS,
  BUDGET_REARMS,
  BUDGET_STATES,
  type BudgetAction,
  type BudgetCount,
  type BudgetRearm,
  type BudgetState,
  lossBudgets,
} from '../tables/safetyTables.ts';

export type { BudgetAction, BudgetCount, BudgetRearm, BudgetState };
export { BUDGET_ACTIONS, BUDGET_COUNTS, BUDGET_REARMS, BUDGET_STATES };

/** What a caller may set. */
export interface BudgetTerms {
  readonly name: string;
  readonly windowHours: number;
  /** A loss of this much trips it. */
  readonly maxLossUsd: Decimal;
  readonly action: BudgetAction;
  readonly count: BudgetCount;
}

export interface NewLossBudget extends BudgetTerms {
  readonly id: string;
  /** Patterns of strategy names. */
  readonly strategies: readonly string[];
  readonly rearm: BudgetRearm;
  readonly createdBy: string;
}

/** Times are epoch milliseconds on Serin's clock. */
export interface LossBudget extends NewLossBudget {
  /** The order of creation. */
  readonly seq: bigint;
  readonly state: BudgetState;
  /** When it was last armed again: what was lost before does not count any more. */
  readonly countsFrom: number | null;
  readonly trippedAt: number | null;
  /** The loss that tripped it. */
  readonly trippedLossUsd: Decimal | null;
  /** How often it tripped. */
  readonly trips: number;
  readonly createdAt: number;
  readonly deletedAt: number | null;
}

/** Creates a budget; null if there are `limit` already. */
export async function insertLossBudget(
  tx: Queries,
  budget: NewLossBudget,
  limit: number,
): Promise<LossBudget | null> {
  await tx.execute(sql`select pg_advisory_xact_lock(${BUDGET_CREATION_LOCK})`);
  const [counted] = await tx
    .select({ count: sql<string>`count(*)` })
    .from(lossBudgets)
    .where(isNull(lossBudgets.deletedAt));
  if (Number(counted?.count ?? 0) >= limit) return null;
  const { strategies, maxLossUsd, ...rest } = budget;
  const [row] = await tx
    .insert(lossBudgets)
    .values({ ...rest, strategies: [...strategies], maxLossUsd: formatDecimal(maxLossUsd) })
    .returning();
  if (!row) throw new Error(`loss budget ${budget.id} was not inserted`);
  return toBudget(row);
}

/** All budgets that are not deleted, the oldest first. */
export async function readLossBudgets(db: Queries): Promise<LossBudget[]> {
  const rows = await db
    .select()
    .from(lossBudgets)
    .where(isNull(lossBudgets.deletedAt))
    .orderBy(asc(lossBudgets.seq));
  return rows.map(toBudget);
}

/** Finds a budget, also one that was deleted. */
export async function findLossBudget(db: Queries, id: string): Promise<LossBudget | null> {
  const [row] = await db.select().from(lossBudgets).where(eq(lossBudgets.id, id));
  return row ? toBudget(row) : null;
}

/** Finds a budget that is not deleted and locks its row. */
export async function lockLossBudget(tx: Queries, id: string): Promise<LossBudget | null> {
  const [row] = await tx
    .select()
    .from(lossBudgets)
    .where(and(eq(lossBudgets.id, id), isNull(lossBudgets.deletedAt)))
    .for('update');
  return row ? toBudget(row) : null;
}

/** Changes the terms of a budget that is locked. */
export function saveBudgetTerms(tx: Queries, id: string, terms: Partial<BudgetTerms>): Promise<LossBudget> {
  const { maxLossUsd, ...rest } = terms;
  return update(tx, id, { ...rest, ...(maxLossUsd && { maxLossUsd: formatDecimal(maxLossUsd) }) });
}

/** Marks a budget that is locked as tripped, and its halt as begun by this node. */
export function markBudgetTripped(tx: Queries, id: string, lossUsd: Decimal): Promise<LossBudget> {
  return update(tx, id, {
    state: 'TRIPPED',
    trippedAt: sql`serin_now()`,
    trippedLossUsd: formatDecimal(lossUsd),
    trips: sql`${lossBudgets.trips} + 1`,
    acting: true,
    actingUntil: ACTING_UNTIL,
  });
}

/** Arms a budget that is locked again. */
export function markBudgetArmed(tx: Queries, id: string): Promise<LossBudget> {
  return update(tx, id, { state: 'ARMED', trippedAt: null, trippedLossUsd: null });
}

/** Marks a budget that is locked as deleted: nothing sums it any more. */
export function markBudgetDeleted(tx: Queries, id: string, deletedBy: string): Promise<LossBudget> {
  return update(tx, id, { deletedBy, deletedAt: sql`serin_now()` });
}

type Changes = {
  readonly [K in keyof typeof lossBudgets.$inferInsert]?: (typeof lossBudgets.$inferInsert)[K] | SQL;
};

async function update(tx: Queries, id: string, changes: Changes): Promise<LossBudget> {
  const [row] = await tx.update(lossBudgets).set(changes).where(eq(lossBudgets.id, id)).returning();
  if (!row) throw new Error(`there is no loss budget ${id}`);
  return toBudget(row);
}

/** A node that carries out a halt is left alone for as long. Two at the same time do nothing twice, but double the commands. */
const ACTING_SECONDS = 3;
const ACTING_UNTIL = sql`clock_timestamp() + make_interval(secs => ${ACTING_SECONDS})`;

/** A tripped budget whose halt is not carried out to its end. */
export type UnfinishedTrip = Pick<LossBudget, 'id' | 'trips'>;

/** Claims the halts of tripped budgets that no node works on, also those of budgets that were deleted meanwhile. */
export async function claimUnfinishedTrips(db: Queries): Promise<UnfinishedTrip[]> {
  return db
    .update(lossBudgets)
    .set({ actingUntil: ACTING_UNTIL })
    .where(and(eq(lossBudgets.acting, true), sql`${lossBudgets.actingUntil} < clock_timestamp()`))
    .returning({ id: lossBudgets.id, trips: lossBudgets.trips });
}

/** The halt of a trip is carried out; it changes nothing if the budget has tripped again since. */
export async function finishTrip(db: Queries, { id, trips }: UnfinishedTrip): Promise<void> {
  await db
    .update(lossBudgets)
    .set({ acting: false, actingUntil: null })
    .where(and(eq(lossBudgets.id, id), eq(lossBudgets.trips, trips)));
}

/** Real seconds after which another node may begin a round, if the one that began it does not end it. */
const ROUND_SECONDS = 3;

/** Claims the next round of sums: `NONE` if there is no budget, `TAKEN` if another node is at it or has just been. */
export async function claimRound(db: Queries): Promise<'CLAIMED' | 'TAKEN' | 'NONE'> {
  const [row] = await db.execute<{ exists: boolean; claimed: boolean }>(sql`
    with present as (select exists (select from loss_budgets where deleted_at is null or acting) as "exists"),
    claimed as (
      insert into loss_budget_rounds as r (claimed_until, ended_at)
      select clock_timestamp() + make_interval(secs => ${ROUND_SECONDS}), clock_timestamp()
      from present where present."exists"
      on conflict (id) do update set claimed_until = excluded.claimed_until
      where r.claimed_until <= clock_timestamp() returning 1)
    select present."exists", exists (select from claimed) as claimed from present`);
  if (!row?.exists) return 'NONE';
  return row.claimed ? 'CLAIMED' : 'TAKEN';
}

/** Ends a round: the next one begins after a pause, real milliseconds. */
export async function endRound(db: Queries, pauseMs: number): Promise<void> {
  await db.execute(sql`
    update loss_budget_rounds set ended_at = clock_timestamp(),
      claimed_until = clock_timestamp() + make_interval(secs => ${pauseMs / 1000}::float8)`);
}

function toBudget(row: typeof lossBudgets.$inferSelect): LossBudget {
  const { baselineAt, acting, actingUntil, deletedBy, ...rest } = row;
  return {
    ...rest,
    maxLossUsd: decimal(row.maxLossUsd),
    trippedLossUsd: row.trippedLossUsd === null ? null : decimal(row.trippedLossUsd),
    countsFrom: row.countsFrom?.getTime() ?? null,
    trippedAt: row.trippedAt?.getTime() ?? null,
    createdAt: row.createdAt.getTime(),
    deletedAt: row.deletedAt?.getTime() ?? null,
  };
}
