/** Deletes old answers to idempotency keys, a background job of every node, apart from the checks, which must not wait for it. */
import type { Logger } from 'pino';
import { deleteOldAnswers } from '../store/access/idempotencyKeys.ts';
import type { Queries } from '../store/postgres/database.ts';
import { type Job, repeat } from './repeat.ts';

/** Real milliseconds between two rounds: answers are kept for two days, so that an hour more or less is nothing. */
const EVERY_MS = 3_600_000;
/** Real milliseconds to the next round after one that failed. */
const RETRY_MS = 2000;

export function startAnswerKeeper({ db, log }: { readonly db: Queries; readonly log: Logger }): Job {
  return repeat(async (stopping) => {
    try {
      while (!stopping.aborted && (await deleteOldAnswers(db)));
      return EVERY_MS;
    } catch (error) {
      log.warn({ error }, 'old answers to idempotency keys cannot be deleted; trying again');
      return RETRY_MS;
    }
  });
}
