/** Queries of strategies and their current stable versions. */
import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm';
import { z } from 'zod';
import { personCodec } from '../../core/lifecycle/events.ts';
import type { ApprovalRequest } from '../../core/lifecycle/secondPerson.ts';
import { inScope, type Scope } from '../access/strategyScope.ts';
import { ConcurrentChange } from '../postgres/concurrentChange.ts';
import type { Queries } from '../postgres/database.ts';
import { bulkUpdate } from '../tables/bulk.ts';
import { strategies } from '../tables/tables.ts';

const approvalLift = z.strictObject({ by: z.string(), at: z.number(), person: personCodec.nullable() });

export interface Strategy {
  readonly id: string;
  readonly stableVersionId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Whether a promotion of any of its deployments needs two people. */
  readonly requireApproval: boolean;
  /** The request to lift that rule; null if there is none. It may have expired. */
  readonly approvalLift: ApprovalRequest | null;
}

const toStrategy = (row: typeof strategies.$inferSelect): Strategy => ({
  id: row.id,
  stableVersionId: row.stableVersionId,
  createdAt: row.createdAt.getTime(),
  updatedAt: row.updatedAt.getTime(),
  requireApproval: row.requireApproval,
  approvalLift: row.approvalLift === null ? null : approvalLift.parse(row.approvalLift),
});

/** Finds several strategies with one statement. Returns those that exist, in no particular order. */
export async function findStrategies(db: Queries, ids: readonly string[]): Promise<Strategy[]> {
  return (
    await db
      .select()
      .from(strategies)
      .where(inArray(strategies.id, [...ids]))
  ).map(toStrategy);
}

/** A page of the strategies within the scope, in the order of id. */
export async function pageStrategies(
  db: Queries,
  {
    scope,
    limit,
    after,
  }: { readonly scope: Scope; readonly limit: number; readonly after?: string | undefined },
): Promise<Strategy[]> {
  const rows = await db
    .select()
    .from(strategies)
    .where(and(inScope(strategies.id, scope), after === undefined ? undefined : gt(strategies.id, after)))
    .orderBy(asc(strategies.id))
    .limit(limit);
  return rows.map(toStrategy);
}

/**
 * Finds a strategy and prevents other transactions from moving its stable version until this one ends. Creates the
 * strategy if it is new and a stable version is given; otherwise returns null. `requireApproval` turns its rule on.
 */
export async function ensureStrategy(
  tx: Queries,
  id: string,
  stableVersionId: string | null,
  requireApproval: boolean,
): Promise<Strategy | null> {
  if (stableVersionId !== null) {
    await tx
      .insert(strategies)
      .values({ id, stableVersionId, createdAt: sql`serin_now()`, updatedAt: sql`serin_now()` })
      .onConflictDoNothing();
  }
  if (requireApproval) await setApprovalRule(tx, id);
  const [row] = await tx.select().from(strategies).where(eq(strategies.id, id)).for('share');
  return row ? toStrategy(row) : null;
}

/** From now on a promotion of the strategy needs two people. */
export async function setApprovalRule(tx: Queries, id: string): Promise<void> {
  await tx
    .update(strategies)
    .set({ requireApproval: true, approvalLift: null })
    .where(
      and(
        eq(strategies.id, id),
        sql`(not ${strategies.requireApproval} or ${strategies.approvalLift} is not null)`,
      ),
    );
}

/** Lifts the rule of a strategy, or records the request to lift it. */
export async function liftApprovalRule(
  tx: Queries,
  id: string,
  request: ApprovalRequest | null,
): Promise<void> {
  const change = request ? { approvalLift: request } : { requireApproval: false, approvalLift: null };
  await tx.update(strategies).set(change).where(eq(strategies.id, id));
}

/** Locks a strategy for a change, and reads it; null if there is none. */
export async function lockStrategy(tx: Queries, id: string): Promise<Strategy | null> {
  const [row] = await tx.select().from(strategies).where(eq(strategies.id, id)).for('no key update');
  return row ? toStrategy(row) : null;
}

/** A strategy's stable version becomes another one. */
export interface StableMove {
  readonly from: string;
  readonly to: string;
  /** Epoch milliseconds on Serin's clock. */
  readonly at: number;
}

const updateRows = bulkUpdate(strategies, 'id', ['stableVersionId', 'updatedAt']);

/**
 * Moves the stable versions of strategies, by their ids, in one statement.
 * @throws {ConcurrentChange} if the stable version of one of them is not `from`
 */
export async function moveStableVersions(tx: Queries, moves: ReadonlyMap<string, StableMove>): Promise<void> {
  if (moves.size === 0) return;
  const rows = [...moves].map(([id, { to, at }]) => ({ id, stableVersionId: to, updatedAt: new Date(at) }));
  const expected = Object.fromEntries([...moves].map(([id, { from }]) => [id, from]));
  const moved = await tx.execute(sql`
    ${updateRows(rows)} and ${strategies.stableVersionId} = ${JSON.stringify(expected)}::text::jsonb ->> r.id
    returning r.id`);
  if (moved.length < moves.size) throw new ConcurrentChange('a stable version has moved');
}
