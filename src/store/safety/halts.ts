/** Queries of halts. */
import { and, eq, isNull, type SQL, sql } from 'drizzle-orm';
import { inScope, type Scope } from '../access/strategyScope.ts';
import type { Queries } from '../postgres/database.ts';
import { HALT_ACTIONS, type HaltAction, type HaltOutcome, halts } from '../tables/safetyTables.ts';
import { deployments } from '../tables/tables.ts';

export type { HaltAction, HaltOutcome };
export { HALT_ACTIONS };

export interface Halt {
  readonly actor: string;
  readonly key: string;
  readonly request: string;
  readonly deploymentIds: readonly string[];
  readonly freezeId: string | null;
  readonly outcomes: readonly HaltOutcome[] | null;
}

/** Finds the halt that was begun under a key. */
export async function findHalt(db: Queries, actor: string, key: string): Promise<Halt | null> {
  const [row] = await db
    .select()
    .from(halts)
    .where(and(eq(halts.actor, actor), eq(halts.key, key)));
  return row ?? null;
}

/** Stores a halt that begins; null if another transaction has begun one under the same key. */
export async function insertHalt(tx: Queries, halt: Omit<Halt, 'outcomes'>): Promise<Halt | null> {
  const [row] = await tx
    .insert(halts)
    .values({ ...halt, deploymentIds: [...halt.deploymentIds] })
    .onConflictDoNothing()
    .returning();
  return row ?? null;
}

/** Stores what became of a halt. */
export async function saveHaltOutcomes(
  db: Queries,
  { actor, key }: Pick<Halt, 'actor' | 'key'>,
  outcomes: readonly HaltOutcome[],
): Promise<void> {
  await db
    .update(halts)
    .set({ outcomes: [...outcomes] })
    .where(and(eq(halts.actor, actor), eq(halts.key, key)));
}

/**
 * Age of the oldest halt whose outcomes are not stored although a deployment of it is live, in seconds of Serin's clock: its
 * node died in the middle, or works on it still. 0 if there is none. A halt is forgotten after a day, as its key may be.
 */
export async function readUnfinishedHaltSeconds(db: Queries): Promise<number> {
  const [row] = await db.execute<{ seconds: number }>(sql`
    select greatest(0, coalesce(extract(epoch from serin_now() - min(h.created_at)), 0))::float8 as seconds
    from halts h where h.outcomes is null and h.created_at > serin_now() - interval '1 day'
      and exists (select from deployments d where d.id = any(h.deployment_ids) and d.ended_at is null)`);
  return row?.seconds ?? 0;
}

/** The live deployments whose strategy and chain match the patterns, within a scope. */
export async function findLiveMatching(
  tx: Queries,
  patterns: { readonly strategies: readonly string[]; readonly chains: readonly string[] },
  scope: Scope,
): Promise<string[]> {
  const conditions: (SQL | undefined)[] = [
    isNull(deployments.endedAt),
    inScope(deployments.strategyId, patterns.strategies),
    inScope(deployments.chain, patterns.chains),
    inScope(deployments.strategyId, scope),
  ];
  const rows = await tx
    .select({ id: deployments.id })
    .from(deployments)
    .where(and(sql`true`, ...conditions))
    .orderBy(deployments.id);
  return rows.map(({ id }) => id);
}
