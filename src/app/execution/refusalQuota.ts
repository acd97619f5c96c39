/**
 * How many refusals of one caller are stored under its idempotency keys: storing them is a courtesy to retries, and must
 * not let a caller fill the database with what it may not do. Beyond the quota a retry is decided anew.
 */
import { LRUCache } from 'lru-cache';

/** Stored refusals of one caller an hour, on each node. */
const MAX_AN_HOUR = 1000;
/** Callers that are counted; the least recently counted one is forgotten first. */
const MAX_CALLERS = 10_000;

export interface RefusalQuota {
  /** Counts one refusal of a caller. Returns whether it may be stored. */
  take(subject: string): boolean;
}

export function createRefusalQuota(): RefusalQuota {
  const counted = new LRUCache<string, { stored: number }>({ max: MAX_CALLERS, ttl: 3_600_000 });
  return {
    take(subject) {
      const count = counted.get(subject) ?? { stored: 0 };
      if (count.stored === 0) counted.set(subject, count);
      count.stored += 1;
      return count.stored <= MAX_AN_HOUR;
    },
  };
}
