/** A job of a node that repeats until the node stops. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Job {
  /** Ends the pause, waits for the round in flight, and starts no other. */
  stop(): Promise<void>;
}

/** Pauses, real milliseconds; at the end of the job not longer. */
export const pause = (ms: number, stopping: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal: stopping }).catch(() => {});

/**
 * Runs rounds one after the other.
 * @param round is told when the job stops, and returns the pause after it, real milliseconds; it must not throw
 * @param firstPauseMs the pause before the first round, real milliseconds
 */
export function repeat(round: (stopping: AbortSignal) => Promise<number>, firstPauseMs = 0): Job {
  const stopping = new AbortController();
  const running = run();

  async function run(): Promise<void> {
    if (firstPauseMs > 0) await pause(firstPauseMs, stopping.signal);
    while (!stopping.signal.aborted) await pause(await round(stopping.signal), stopping.signal);
  }

  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
