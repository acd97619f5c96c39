/** Reads of the feeds that outlast an outage of the database. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { HistoryRewound } from '../store/log/position.ts';

/**
 * Retries while the database is away, so that streams stay open and catch up. A fault is logged once, however many streams
 * meet it, until it has passed for all of them.
 */
export function createRetrying(log: Logger) {
  /** How many streams meet each fault now. */
  const meeting = new Map<string, number>();
  const meet = (fault: string, error: unknown) => {
    const others = meeting.get(fault) ?? 0;
    meeting.set(fault, others + 1);
    if (others === 0) log.warn({ error }, 'cannot read the log for a feed; trying again');
  };
  const pass = (fault: string) => {
    const others = (meeting.get(fault) ?? 1) - 1;
    if (others === 0) meeting.delete(fault);
    else meeting.set(fault, others);
  };
  return async <T>(read: () => Promise<T>, signal: AbortSignal): Promise<T> => {
    const met = new Set<string>();
    try {
      for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
        try {
          return await read();
        } catch (error) {
          if (signal.aborted || error instanceof HistoryRewound) throw error;
          const fault = kindOf(error);
          if (!met.has(fault)) meet(fault, error);
          met.add(fault);
          await sleep(pause, undefined, { signal, ref: false }).catch(() => {});
          if (signal.aborted) throw error;
        }
      }
    } finally {
      for (const fault of met) pass(fault);
    }
  };
}

/** What faults of one kind have in common: the message of a failed query has its parameters in it. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error) return String(error.code);
  return error.cause === undefined ? error.message : kindOf(error.cause);
}
