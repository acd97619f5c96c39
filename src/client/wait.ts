/** Waiting between attempts: longer each time, with jitter, and ended immediately by a signal. */

export interface Backoff {
  /** Milliseconds until the next try. */
  next(): number;
  /** After a success the next wait is the first one again. */
  reset(): void;
}

const FIRST_MS = 100;
const LONGEST_MS = 10_000;

/** Doubles from 0.1 s to 10 s; each wait is between half of that and the whole. */
export function createBackoff(longestMs: number = LONGEST_MS): Backoff {
  let wait = FIRST_MS;
  return {
    next() {
      const now = Math.min(wait, longestMs);
      wait = Math.min(wait * 2, longestMs);
      return now * (0.5 + Math.random() / 2);
    },
    reset() {
      wait = FIRST_MS;
    },
  };
}

/** Resolves after the time (null: never), or as soon as the signal is aborted. */
export function sleep(milliseconds: number | null, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      done();
    };
    const timer = milliseconds === null ? undefined : setTimeout(end, milliseconds);
    signal?.addEventListener('abort', end, { once: true });
  });
}
