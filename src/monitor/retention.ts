/**
 * Retention, run by every node in the background: one deployment after the other is archived, each in a transaction of
 * its own, and only one node at a time does it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import { archiveOne } from '../store/log/retention.ts';

/** How often it is looked, in Serin's milliseconds. */
const EVERY = 3_600_000;
/** A breath between two deployments, so that nobody else waits. */
const BREATH_MS = 20;

export interface Retention {
  /** Finishes the deployment it is at and stops. */
  stop(): Promise<void>;
}

export interface RetentionParts {
  readonly db: PostgresJsDatabase;
  readonly log: Logger;
  /** Days of Serin's time after its end that a deployment's history stays where it is. */
  readonly days: number;
  readonly timeScale: number;
}

export function startRetention({ db, log, days, timeScale }: RetentionParts): Retention {
  const stopping = new AbortController();
  const running = run();

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const archived = await archiveSafely();
      if (archived) log.info({ deploymentId: archived }, 'archived');
      await pause(archived ? BREATH_MS : Math.max(EVERY / timeScale, 1000));
    }
  }

  /** What cannot be archived now is tried again at the next look. */
  async function archiveSafely(): Promise<string | null> {
    try {
      return await db.transaction((tx) => archiveOne(tx, days));
    } catch (error) {
      log.warn({ error }, 'a deployment could not be archived');
      return null;
    }
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stopping.signal }).catch(() => {});
  }

  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
