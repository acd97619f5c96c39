/** Notices when the metrics of watched deployments are written: reports have no entry in the log. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { metricsVersions } from '../store/deployments/sideMetrics.ts';
import type { Queries } from '../store/postgres/database.ts';

const METRICS_POLL_MS = 1000;

/** Polls once per second whether metrics of watched deployments were written. */
export function createMetricsWatch(db: Queries, log: Logger, ended: AbortSignal) {
  const watched = new Map<string, Set<() => void>>();
  const seen = new Map<string, number>();
  let running = false;

  async function poll(): Promise<void> {
    running = true;
    while (watched.size > 0 && !ended.aborted) {
      try {
        const versions = await metricsVersions(db, [...watched.keys()]);
        for (const [id, version] of versions) {
          // Nobody watches it any more: it is not kept.
          if (!watched.has(id) || seen.get(id) === version) continue;
          seen.set(id, version);
          for (const notify of watched.get(id) ?? []) notify();
        }
      } catch (error) {
        log.warn({ error }, 'cannot read the metrics of watched deployments; trying again');
      }
      await sleep(METRICS_POLL_MS, undefined, { ref: false });
    }
    running = false;
  }

  let size = 0;
  return {
    size: () => size,
    /**
     * @param version what the listener knows already: it is told of what is newer; null: also of what there is
     * @returns stops it
     */
    join(deploymentId: string, version: number | null, notify: () => void): () => void {
      const listeners = watched.get(deploymentId) ?? new Set();
      watched.set(deploymentId, listeners.add(notify));
      const latest = seen.get(deploymentId);
      if (latest === undefined && version !== null) seen.set(deploymentId, version);
      if (latest !== undefined && version !== null && latest > version) notify();
      size += 1;
      if (!running) void poll();
      return () => {
        if (!listeners.delete(notify)) return;
        size -= 1;
        if (listeners.size > 0) return;
        watched.delete(deploymentId);
        seen.delete(deploymentId);
      };
    },
  };
}
