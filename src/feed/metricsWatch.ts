/** Notices when the metrics of watched deployments are written: reports have no entry in the log. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { metricsVersions } from '../store/deployments/sideMetrics.ts';
import type { Queries } from '../store/postgres/database.ts';

const METRICS_POLL_MS = 1000;

/** Polls once per second whether metrics of watched deployments were written. */
export function createMetricsWatch(db: Queries, log: Logger, ended: AbortSignal) {
  /** Of each deployment its listeners, each with the version that it knows. */
  const watched = new Map<string, Map<() => void, number | null>>();
  let running = false;

  async function poll(): Promise<void> {
    running = true;
    while (watched.size > 0 && !ended.aborted) {
      try {
        const versions = await metricsVersions(db, [...watched.keys()]);
        for (const [id, version] of versions) {
          const listeners = watched.get(id);
          for (const [notify, known] of listeners ?? []) {
            if (known === version) continue;
            listeners?.set(notify, version);
            notify();
          }
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
      const listeners = watched.get(deploymentId) ?? new Map<() => void, number | null>();
      watched.set(deploymentId, listeners.set(notify, version));
      size += 1;
      if (!running) void poll();
      return () => {
        if (!listeners.delete(notify)) return;
        size -= 1;
        if (listeners.size === 0) watched.delete(deploymentId);
      };
    },
  };
}
