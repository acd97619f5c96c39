/**
 * Which version of a strategy was stable when. It is read off its deployments, which stay when their history is archived:
 * the first one says what was stable before it, each promoted one moved it.
 */
import { and, asc, eq } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';
import { deployments } from '../tables/tables.ts';
import type { Strategy } from './strategies.ts';

export interface StableVersion {
  readonly versionId: string;
  /** Epoch milliseconds. */
  readonly since: number;
  /** Null for the version of today. */
  readonly until: number | null;
  /** The deployment that promoted it; null where none is known. */
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
  const begun: Omit<StableVersion, 'until'>[] = promoted.flatMap(({ id, versionId, at }) =>
    at ? [{ versionId, since: at.getTime(), deploymentId: id }] : [],
  );
  if (first) {
    const since = Math.min(strategy.createdAt, first.at.getTime());
    begun.unshift({ versionId: first.versionId, since, deploymentId: null });
  }
  // Moved in another way, such as by a document from elsewhere.
  if (begun.at(-1)?.versionId !== strategy.stableVersionId) {
    begun.push({ versionId: strategy.stableVersionId, since: strategy.updatedAt, deploymentId: null });
  }
  return begun.map((version, index) => ({ ...version, until: begun[index + 1]?.since ?? null }));
}
