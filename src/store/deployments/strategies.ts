/** Queries of strategies and their current stable versions. */
import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm';
import { inScope, type Scope } from '../access/strategyScope.ts';
import type { Queries } from '../postgres/database.ts';
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

/** Moves the stable version; false if the current one is not `from`. */
export async function moveStableVersion(
  tx: Queries,
  id: string,
  from: string,
  to: string,
  at: number,
): Promise<boolean> {
  const rows = await tx
    .update(strategies)
    .set({ stableVersionId: to, updatedAt: new Date(at) })
    .where(and(eq(strategies.id, id), eq(strategies.stableVersionId, from)))
    .returning({ id: strategies.id });
  return rows.length === 1;
}
