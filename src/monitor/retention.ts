/**
 * Retention, a background job of every node: archives one deployment after the other, each in its own transaction, and
 * drops the partitions that this has emptied. Only one node at a time does it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import { dropPartitions } from '../store/log/partitions.ts';
import { archiveOne } from '../store/log/retention.ts';

/** Poll interval, in Serin's milliseconds. */
const EVERY = 3_600_000;
/** Pause before a partition is tried again that others were using, in real time. */
const RETRY_MS = 10_000;
/** Pause between two deployments, so that other work does not wait. */
const BREATH_MS = 20;

export interface Retention {
  /** Finishes the current deployment and stops. */
  stop(): Promise<void>;
}

export interface RetentionParts {
  readonly db: PostgresJsDatabase;
  readonly log: Logger;
  /** Days of Serin's clock after its end before a deployment's history is archived. */
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
      if (archived) await pause(BREATH_MS);
      else await pause((await dropSafely()) ? Math.max(EVERY / timeScale, 1000) : RETRY_MS);
    }
  }

  /** A deployment that cannot be archived now is retried at the next poll. */
  async function archiveSafely(): Promise<string | null> {
    try {
      return await db.transaction((tx) => archiveOne(tx, days));
    } catch (error) {
      log.warn({ error }, 'a deployment could not be archived');
      return null;
    }
  }

  /** Returns false if a partition has to be tried again. */
  async function dropSafely(): Promise<boolean> {
    try {
      const { done, failed } = await dropPartitions(db);
      if (done.length > 0)
        log.info({ partitions: done }, 'partitions dropped: their deployments are archived');
      for (const failure of failed) log.warn(failure, 'partitions could not be dropped');
      return failed.length === 0;
    } catch (error) {
      log.warn({ error }, 'the partitions to drop could not be read');
      return false;
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
