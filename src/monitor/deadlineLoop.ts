/**
 * The deadlines of capital: claims those that have passed and applies them. Apart from the observation loop, because a
 * deployment that has ended is watched until its capital is home, and because nothing slow may delay them.
 */
import type { Logger } from 'pino';
import type { App } from '../app/context.ts';
import { applyDeadlines } from '../app/deadlines.ts';
import { describeEvent } from '../core/lifecycle/describe.ts';
import { claimDeadlines, untilNextDeadline } from '../store/deployments/deadlines.ts';
import { type Job, repeat } from './repeat.ts';
import { sleepUntilDue } from './untilDue.ts';

/** Maximum deadlines claimed in one statement. */
const BATCH = 64;
/** Upper bound of the sleep, real milliseconds, so that deadlines that other nodes set are noticed in time. */
const MAX_SLEEP_MS = 500;
const RETRY_MS = 1000;

export function startDeadlineLoop({ app, log }: { readonly app: App; readonly log: Logger }): Job {
  async function round(): Promise<number> {
    try {
      const ids = await claimDeadlines(app.db, BATCH);
      if (ids.length > 0) await apply(ids);
      return ids.length === BATCH ? 0 : sleepUntilDue(await untilNextDeadline(app.db), MAX_SLEEP_MS);
    } catch (error) {
      log.warn({ error }, 'the deadlines of capital cannot reach the database and retry');
      return RETRY_MS;
    }
  }

  async function apply(ids: readonly string[]): Promise<void> {
    for (const result of await applyDeadlines(app, ids)) {
      const { deploymentId } = result;
      if ('error' in result) log.error({ error: result.error, deploymentId }, 'a deadline of capital failed');
      else for (const event of result.events) log.warn({ deploymentId }, describeEvent(event));
    }
  }

  return repeat(round);
}
