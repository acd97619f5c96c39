/**
 * The history of a strategy's stable version. It follows from its deployments, whose rows stay when their events are
 * archived: the first one names the version before it, and each promoted one moved it.
 */
import { and, asc, eq } from 'drizzle-orm';
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

/** Every version that was stable, oldest first. */
export async function readStableVersions(db: Queries, strategy: Strategy): Promise<StableVersion[]> {
  const of = eq(deployments.strategyId, strategy.id);
  const [first] = await db
    .select({ versionId: deployments.stableVersionId, at: deployments.createdAt })
    .from(deployments)
    .where(of)
    .orderBy(asc(deployments.createdAt), asc(deployments.id))
    .limit(1);
  const promoted = await db
    .select({ id: deployments.id, versionId: deployments.canaryVersionId, at: deployments.endedAt })
    .from(deployments)
    .where(and(of, eq(deployments.status, 'PROMOTED')))
    .orderBy(asc(deployments.endedAt));
  const versions: Omit<StableVersion, 'until'>[] = promoted.flatMap(({ id, versionId, at }) =>
    at ? [{ versionId, since: at.getTime(), deploymentId: id }] : [],
  );
  if (first) {
    const since = Math.min(strategy.createdAt, first.at.getTime());
    versions.unshift({ versionId: first.versionId, since, deploymentId: null });
  }
  // Moved in another way, such as by an imported document.
  if (versions.at(-1)?.versionId !== strategy.stableVersionId) {
    versions.push({ versionId: strategy.stableVersionId, since: strategy.updatedAt, deploymentId: null });
  }
  return versions.map((version, index) => ({ ...version, until: versions[index + 1]?.since ?? null }));
}
