/**
 * Serialises work per deployment and caps it at 8 across the node. Waiters queue in memory instead of holding database
 * connections: each transaction that waits for a lock has one, and a hot deployment would take all of a node's.
 */
import pLimit from 'p-limit';

/** Half of a node's pool of 16 connections, so that locked deployments leave enough for everything else. */
const MAX_CONCURRENT = 8;

/** Runs work on a deployment after all earlier work on it. */
export type DeploymentQueue = <T>(deploymentId: string, work: () => Promise<T>) => Promise<T>;

export function createDeploymentQueue(): DeploymentQueue {
  const limit = pLimit(MAX_CONCURRENT);
  /** The end of the last queued work of each deployment. */
  const tails = new Map<string, Promise<unknown>>();
  return (deploymentId, work) => {
    const before = tails.get(deploymentId) ?? Promise.resolve();
    const outcome = before.then(() => limit(work));
    const settled = outcome.catch(() => {});
    tails.set(deploymentId, settled);
    void settled.then(() => {
      if (tails.get(deploymentId) === settled) tails.delete(deploymentId);
    });
    return outcome;
  };
}
