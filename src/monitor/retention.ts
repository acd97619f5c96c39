/**
 * Retention, a background job of every node: archives one deployment after the other, and drops the partitions that this
 * has emptied. Only one node at a time does it.
 */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import { dropPartitions } from '../store/log/partitions.ts';
import { archiveDue } from '../store/log/retention.ts';
import { type Job, pause, repeat } from './repeat.ts';

/** Poll interval, in Serin's milliseconds. */
const EVERY = 3_600_000;
/** Pause before a deployment or a partition is tried again that others were using, in real time. */
const RETRY_MS = 10_000;
/** Pause between two deployments, so that other work does not wait. */
const PAUSE_MS = 20;

export interface RetentionParts {
  readonly db: PostgresJsDatabase;
  readonly log: Logger;
  /** Days of Serin's clock after its end before a deployment's history is archived. */
  readonly days: number;
  readonly timeScale: number;
}

/** When it stops, what is not archived yet is left. */
export function startRetention({ db, log, days, timeScale }: RetentionParts): Job {
  async function round(stopping: AbortSignal): Promise<number> {
    const all = [await archiveSafely(stopping), await dropSafely()];
    return all.every(Boolean) ? Math.max(EVERY / timeScale, 1000) : RETRY_MS;
  }

  /**
   * Archives what is due. A deployment that cannot be archived is tried again at the next poll. Returns false if one was in
   * use, which is tried again sooner.
   */
  async function archiveSafely(stopping: AbortSignal): Promise<boolean> {
    let all = true;
    try {
      for await (const attempt of archiveDue(db, days, stopping)) {
        const { deploymentId, outcome } = attempt;
        if (outcome === 'ARCHIVED') log.info({ deploymentId }, 'archived');
        else if (outcome === 'IN_USE') all = false;
        else {
          const { error } = attempt;
          log.warn({ deploymentId, error }, `${deploymentId} could not be archived and is tried again later`);
        }
        await pause(PAUSE_MS, stopping);
      }
    } catch (error) {
      log.warn({ error }, 'the deployments to archive could not be read');
    }
    return all;
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

  return repeat(round);
}
