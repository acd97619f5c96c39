/** Makes the partitions of the months to come, a background job of every node: at its start, and then once a minute. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import { makePartitions } from '../store/log/partitions.ts';
import { type Job, repeat } from './repeat.ts';

/** Pause between two rounds, which find nothing to do but once a month. Partitions are made two months ahead. */
const EVERY_MS = 60_000;
/** Attempts at the start of a node, which waits for them, and the pause before each further one. */
const ATTEMPTS = 5;
const PAUSE_MS = 300;

/** Resolves after the first round, so that what arrives now finds its partition. */
export async function startPartitionKeeper(parts: {
  readonly db: PostgresJsDatabase;
  readonly log: Logger;
}): Promise<Job> {
  const { db, log } = parts;
  for (let left = ATTEMPTS; !(await round(left === 1)) && left > 1; left -= 1) await sleep(PAUSE_MS);
  /** Returns whether all partitions are there. The default partition holds what has no other: nothing fails meanwhile. */
  async function round(warn: boolean): Promise<boolean> {
    try {
      const { done, failed } = await makePartitions(db);
      if (done.length > 0) log.info({ partitions: done }, 'partitions made');
      for (const failure of warn ? failed : []) log.warn(failure, 'a partition could not be made');
      return failed.length === 0;
    } catch (error) {
      if (warn) log.warn({ error }, 'the partitions could not be checked');
      return false;
    }
  }

  return repeat(async () => {
    await round(true);
    return EVERY_MS;
  }, EVERY_MS);
}
