/** Queries of freezes. A freeze is never changed except that it is lifted, and never deleted. */
import { and, desc, eq, gt, isNull, lt, or, type SQL, sql } from 'drizzle-orm';
import type { FreezeBlock } from '../../core/lifecycle/freeze.ts';
import { overlapsScope, type Scope } from '../access/strategyScope.ts';
import { FREEZE_LOCK } from '../postgres/advisoryLocks.ts';
import { type Queries, readClock } from '../postgres/database.ts';
import { freezes } from '../tables/safetyTables.ts';

/** When a freeze begins each time, and for how long. */
export interface Recurrence {
  /** Five fields of cron: minute, hour, day of the month, month, day of the week. */
  readonly rule: string;
  /** IANA name of the zone that the rule's times are in. */
  readonly timeZone: string;
  readonly durationMinutes: number;
}

export interface NewFreeze {
  readonly id: string;
  /** Patterns of strategy names. */
  readonly strategies: readonly string[];
  /** Patterns of chains. */
  readonly chains: readonly string[];
  readonly blocks: readonly FreezeBlock[];
  /** Epoch milliseconds on Serin's clock; null means from now on. */
  readonly from: number | null;
  /** Null: until it is lifted. */
  readonly until: number | null;
  /** Seconds from its creation to its end, instead of `until`, for one that begins now. */
  readonly durationSeconds?: number;
  readonly recurrence: Recurrence | null;
  readonly reason: string;
  readonly createdBy: string;
  /** The loss budget that it belongs to. */
  readonly lossBudgetId?: string | null;
}

export interface Freeze extends Omit<NewFreeze, 'durationSeconds'> {
  readonly lossBudgetId: string | null;
  readonly from: number;
  /** The order of creation. */
  readonly seq: bigint;
  readonly createdAt: number;
  readonly liftedBy: string | null;
  readonly liftedAt: number | null;
}

/** Not lifted, and not over at an instant; without one, now. */
const standing = (since?: number): SQL | undefined => {
  const instant = since === undefined ? sql`serin_now()` : sql`${new Date(since).toISOString()}::timestamptz`;
  const ends = sql`least(${freezes.untilAt}, ${freezes.liftedAt})`;
  return or(sql`${ends} is null`, gt(ends, instant));
};

/**
 * Creates a freeze; null if there are `limit` standing ones already. When its transaction has committed, no transaction
 * that has not seen it can still raise risk.
 */
export async function insertFreeze(tx: Queries, freeze: NewFreeze, limit: number): Promise<Freeze | null> {
  await tx.execute(sql`select pg_advisory_xact_lock(${FREEZE_LOCK})`);
  const [counted] = await tx.select({ count: sql<string>`count(*)` }).from(freezes).where(standing());
  if (Number(counted?.count ?? 0) >= limit) return null;
  const {
    from: begin,
    until: given,
    durationSeconds,
    recurrence,
    strategies,
    chains,
    blocks,
    ...rest
  } = freeze;
  let [from, until] = [begin, given];
  if (durationSeconds !== undefined) {
    // The time is read under the lock and was rounded: it blocks from the moment of its creation on.
    from ??= (await readClock(tx)).now - 1;
    until = from + durationSeconds * 1000;
  }
  const end = until === null ? null : new Date(until).toISOString();
  const [row] = await tx
    .insert(freezes)
    .values({
      ...rest,
      ...recurrence,
      strategies: [...strategies],
      chains: [...chains],
      blocks: [...blocks],
      // Rounded down: it blocks from the moment of its creation on. One that was over before its turn blocks nothing.
      fromAt:
        from === null
          ? sql`least(date_trunc('milliseconds', serin_now()), ${end}::timestamptz - interval '1 ms')`
          : new Date(from),
      untilAt: until === null ? null : new Date(until),
    })
    .returning();
  if (!row) throw new Error(`freeze ${freeze.id} was not inserted`);
  return toFreeze(row);
}

/** The freezes that stood at an instant. */
export interface StandingFreezes {
  readonly freezes: readonly Freeze[];
  /** On Serin's clock, epoch milliseconds. */
  readonly at: number;
}

/**
 * The standing freezes, for a transaction that would raise risk: until it ends, no further freeze is created. They are
 * those of the time when the lock was granted, which may be later than what the transaction has read before.
 */
export async function readFreezesUnderLock(tx: Queries): Promise<StandingFreezes> {
  await tx.execute(sql`select pg_advisory_xact_lock_shared(${FREEZE_LOCK})`);
  return readStandingFreezes(tx);
}

/** The freezes that stand now. */
export async function readStandingFreezes(db: Queries): Promise<StandingFreezes> {
  const [freezes, { now }] = await Promise.all([readFreezes(db), readClock(db)]);
  return { freezes, at: now };
}

/** The freezes that stand now, or that stood at some time since an instant. */
export async function readFreezes(db: Queries, since?: number): Promise<Freeze[]> {
  return (await db.select().from(freezes).where(standing(since)).orderBy(desc(freezes.seq))).map(toFreeze);
}

/** Finds a freeze and locks its row. */
export async function lockFreeze(tx: Queries, id: string): Promise<Freeze | null> {
  const [row] = await tx.select().from(freezes).where(eq(freezes.id, id)).for('update');
  return row ? toFreeze(row) : null;
}

export async function findFreeze(db: Queries, id: string): Promise<Freeze | null> {
  const [row] = await db.select().from(freezes).where(eq(freezes.id, id));
  return row ? toFreeze(row) : null;
}

/** Lifts a freeze; null if it was lifted before. */
export async function markFreezeLifted(tx: Queries, id: string, liftedBy: string): Promise<Freeze | null> {
  const [row] = await tx
    .update(freezes)
    .set({ liftedBy, liftedAt: sql`serin_now()` })
    .where(and(eq(freezes.id, id), isNull(freezes.liftedAt)))
    .returning();
  return row ? toFreeze(row) : null;
}

/** Lifts the freeze that belongs to a loss budget. */
export async function liftFreezeOfBudget(tx: Queries, lossBudgetId: string, liftedBy: string): Promise<void> {
  await tx
    .update(freezes)
    .set({ liftedBy, liftedAt: sql`serin_now()` })
    .where(and(eq(freezes.lossBudgetId, lossBudgetId), isNull(freezes.liftedAt)));
}

/** A page of the freezes that may be about a strategy of a scope, newest first. */
export async function pageFreezes(
  db: Queries,
  scope: Scope,
  page: { readonly limit: number; readonly before: bigint | undefined; readonly standing: boolean },
): Promise<Freeze[]> {
  const conditions = [
    overlapsScope(freezes.strategies, scope),
    page.before === undefined ? undefined : lt(freezes.seq, page.before),
    page.standing ? standing() : undefined,
  ];
  const rows = await db
    .select()
    .from(freezes)
    .where(and(...conditions))
    .orderBy(desc(freezes.seq))
    .limit(page.limit);
  return rows.map(toFreeze);
}

function toFreeze(row: typeof freezes.$inferSelect): Freeze {
  const { fromAt, untilAt, rule, timeZone, durationMinutes, createdAt, liftedAt, ...rest } = row;
  return {
    ...rest,
    from: fromAt.getTime(),
    until: untilAt?.getTime() ?? null,
    recurrence:
      rule === null || timeZone === null || durationMinutes === null
        ? null
        : { rule, timeZone, durationMinutes },
    createdAt: createdAt.getTime(),
    liftedAt: liftedAt?.getTime() ?? null,
  };
}
