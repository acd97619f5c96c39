/**
 * Who waits for a deployment that somebody holds: one after the other at the same deployment, and not too many at all of
 * them. They wait here, where they cost nothing; each that waits in the database has a connection, and a crowd would
 * take all that a node has.
 */
import pLimit from 'p-limit';

/** Of a node's connections (16 in its pool), so that there are some for everything else whatever is held. */
const MAX_CONCURRENT = 8;

/** Does work at a deployment when its turn has come. */
export type DeploymentQueue = <T>(deploymentId: string, work: () => Promise<T>) => Promise<T>;

export function createDeploymentQueue(): DeploymentQueue {
  const few = pLimit(MAX_CONCURRENT);
  const last = new Map<string, Promise<unknown>>();
  return (deploymentId, work) => {
    const before = last.get(deploymentId) ?? Promise.resolve();
    const outcome = before.then(() => few(work));
    const over = outcome.catch(() => {});
    last.set(deploymentId, over);
    void over.then(() => {
      if (last.get(deploymentId) === over) last.delete(deploymentId);
    });
    return outcome;
  };
}
