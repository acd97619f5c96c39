/** Queries of strategies and their current stable versions. */
import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm';
import { inScope, type Scope } from '../access/strategyScope.ts';
import { ConcurrentChange } from '../postgres/concurrentChange.ts';
import type { Queries } from '../postgres/database.ts';
import { bulkUpdate } from '../tables/bulk.ts';
import { strategies } from '../tables/tables.ts';

export interface Strategy {
  readonly id: string;
  readonly stableVersionId: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

const toStrategy = (row: typeof strategies.$inferSelect): Strategy => ({
  id: row.id,
  stableVersionId: row.stableVersionId,
  createdAt: row.createdAt.getTime(),
  updatedAt: row.updatedAt.getTime(),
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
 * strategy if it is new and a stable version is given; otherwise returns null.
 */
export async function ensureStrategy(
  tx: Queries,
  id: string,
  stableVersionId: string | null,
): Promise<Strategy | null> {
  if (stableVersionId !== null) {
    await tx
      .insert(strategies)
      .values({ id, stableVersionId, createdAt: sql`serin_now()`, updatedAt: sql`serin_now()` })
      .onConflictDoNothing();
  }
  const [row] = await tx.select().from(strategies).where(eq(strategies.id, id)).for('share');
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
