/**
 * The history of a strategy's stable version. It follows from its deployments, whose rows stay when their events are
 * archived: the first one names the version before it, and each promoted one moved it. One that had ended when it was
 * imported moved it only if the others say so.
 */
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';
import { deployments } from '../tables/tables.ts';
import type { Strategy } from './strategies.ts';

export interface StableVersion {
  readonly versionId: string;
  /** Epoch milliseconds. */
  readonly since: number;
  /** Null for the current version. */
  readonly until: number | null;
  /** The deployment that promoted it; null if there is none. */
  readonly deploymentId: string | null;
}

interface Promotion {
  readonly id: string;
  readonly strategyId: string;
  readonly versionId: string;
  /** The stable version before it. */
  readonly before: string;
  readonly endedAt: Date | null;
  readonly arrivedAt: Date;
}

/** An SQL condition: the deployment had ended when its row was inserted, so it was imported. */
const CAME_ENDED = sql`deployments.ended_at < deployments.arrived_at`;

/** Every version of each of these strategies that was stable, oldest first. */
export async function readStableVersions(
  db: Queries,
  strategies: readonly Strategy[],
): Promise<ReadonlyMap<Strategy, StableVersion[]>> {
  const ids = strategies.map(({ id }) => id);
  const firsts = await db.execute<{ strategyId: string; versionId: string; at: number }>(sql`
    select given.id as "strategyId", first.stable_version_id as "versionId",
      date_part('epoch', first.created_at) * 1000 as at
    from unnest(${sql.param(ids)}::text[]) as given (id) cross join lateral (
      select stable_version_id, created_at from deployments
      where strategy_id = given.id and (${CAME_ENDED}) is not true
      order by created_at, deployments.id limit 1) as first`);
  const promotions: Promotion[] = await db
    .select({
      id: deployments.id,
      strategyId: deployments.strategyId,
      versionId: deployments.canaryVersionId,
      before: deployments.stableVersionId,
      endedAt: deployments.endedAt,
      arrivedAt: deployments.arrivedAt,
    })
    .from(deployments)
    .where(and(inArray(deployments.strategyId, ids), eq(deployments.status, 'PROMOTED')))
    .orderBy(asc(sql`greatest(${deployments.endedAt}, ${deployments.arrivedAt})`), asc(deployments.id));
  const firstOf = new Map(firsts.map((first) => [first.strategyId, first]));
  return new Map(
    strategies.map((strategy) => [
      strategy,
      historyOf(
        strategy,
        firstOf.get(strategy.id),
        promotions.filter(({ strategyId }) => strategyId === strategy.id),
      ),
    ]),
  );
}

/** The promotions that moved the stable version here, from the last one back: what came with a document may not have. */
function movesOf(strategy: Strategy, promoted: readonly Promotion[]): Omit<StableVersion, 'until'>[] {
  const versions: Omit<StableVersion, 'until'>[] = [];
  let after = strategy.stableVersionId;
  for (const { id, versionId, before, endedAt, arrivedAt } of promoted.toReversed()) {
    const at = Math.max(endedAt?.getTime() ?? 0, arrivedAt.getTime());
    const imported = endedAt !== null && endedAt < arrivedAt;
    if (imported && versionId !== after) continue;
    versions.unshift({ versionId, since: at, deploymentId: id });
    after = before;
  }
  return versions.filter(({ versionId }, index) => versionId !== versions[index - 1]?.versionId);
}

/** @param first the version before the first deployment, and when that was created; undefined if there is none */
function historyOf(
  strategy: Strategy,
  first: { readonly versionId: string; readonly at: number } | undefined,
  promoted: readonly Promotion[],
): StableVersion[] {
  const versions = movesOf(strategy, promoted);
  if (first && versions[0]?.versionId !== first.versionId) {
    const since = Math.min(strategy.createdAt, Math.round(first.at));
    versions.unshift({ versionId: first.versionId, since, deploymentId: null });
  }
  // Moved in another way, such as by an imported document.
  if (versions.at(-1)?.versionId !== strategy.stableVersionId) {
    versions.push({ versionId: strategy.stableVersionId, since: strategy.updatedAt, deploymentId: null });
  }
  return versions.map((version, index) => ({ ...version, until: versions[index + 1]?.since ?? null }));
}
