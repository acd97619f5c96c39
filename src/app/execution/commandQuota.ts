/**
 * How often commands may change one deployment: each change is kept in its log indefinitely, and two acknowledgements in turn
 * would append events without end. Counted on each node, in real time.
 */
import { LRUCache } from 'lru-cache';

export const MAX_COMMANDS_A_MINUTE = 120;
const MINUTE_MS = 60_000;
/** Deployments that are counted; the least recently changed one is forgotten first. */
const MAX_DEPLOYMENTS = 10_000;

export interface CommandQuota {
  /** Whether a deployment may be changed once more. */
  has(deploymentId: string): boolean;
  /** Counts a change. */
  count(deploymentId: string): void;
}

export function createCommandQuota(): CommandQuota {
  const counted = new LRUCache<string, { changes: number }>({ max: MAX_DEPLOYMENTS, ttl: MINUTE_MS });
  return {
    has: (deploymentId) => (counted.get(deploymentId)?.changes ?? 0) < MAX_COMMANDS_A_MINUTE,
    count(deploymentId) {
      const entry = counted.get(deploymentId);
      if (entry) entry.changes += 1;
      else counted.set(deploymentId, { changes: 1 });
    },
  };
}
