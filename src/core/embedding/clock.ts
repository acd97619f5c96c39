/** The clock of an embedder: the engine's functions have none of their own. */

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls back once after `milliseconds`; returns a cancel function. */
  wakeIn(milliseconds: number, callback: () => void): () => void;
}

/** The longest time of a timer, milliseconds: one that is set for longer calls back immediately. */
const LONGEST_MS = 2 ** 31 - 1;

/** The machine's clock. Its timers do not keep the process alive, and call back after 24 days at the latest. */
export const systemClock: Clock = {
  now: () => Date.now(),
  wakeIn(milliseconds, callback) {
    const timer = setTimeout(callback, Math.min(milliseconds, LONGEST_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
