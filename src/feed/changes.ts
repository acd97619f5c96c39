/** Which deployments of a scope have changed: followed through the log, and through the writes of metrics. */
import type { Scope } from '../store/access/strategyScope.ts';
import type { createMetricsWatch } from './metricsWatch.ts';
import { createSignal } from './queue.ts';
import type { createTopics } from './topics.ts';

/** Deployments that have changed, for one consumer: the newest, never a queue. */
export interface Changes {
  /**
   * Tells of the deployment's metrics, too, at most once a second, until the returned function is called.
   * @param version of the metrics that are known already; null if none are
   */
  withMetrics(deploymentId: string, version: number | null): () => void;
  /**
   * What has changed since the last call, each once; waits for something to change. Null at the end.
   * @param withinMs resolves without a change after this time; waits indefinitely if omitted
   */
  next(withinMs?: number): Promise<ReadonlySet<string> | null>;
}

/** Follows the changes of a scope until the signal. */
export function watchChanges(
  topics: ReturnType<typeof createTopics>,
  metrics: ReturnType<typeof createMetricsWatch>,
  scope: Scope,
  signal: AbortSignal,
): Changes {
  const wakeup = createSignal(signal);
  let changed = new Set<string>();
  const add = (deploymentId: string) => {
    changed.add(deploymentId);
    wakeup.notify();
  };
  const watched = new Map<string, () => void>();
  const leave = topics.join({
    filter: { scope },
    take: (entry) => add(entry.deploymentId),
    // Any of them may be as it was earlier, or not be there.
    rewound: () => watched.forEach((_, deploymentId) => void add(deploymentId)),
  });
  const end = () => {
    leave();
    for (const unwatch of watched.values()) unwatch();
    watched.clear();
  };
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  return {
    withMetrics(deploymentId, version) {
      if (!signal.aborted && !watched.has(deploymentId)) {
        watched.set(
          deploymentId,
          metrics.join(deploymentId, version, () => add(deploymentId)),
        );
      }
      return () => {
        watched.get(deploymentId)?.();
        watched.delete(deploymentId);
      };
    },
    async next(withinMs) {
      if (!(await wakeup.next(withinMs))) return null;
      const found = changed;
      changed = new Set();
      return found;
    },
  };
}
