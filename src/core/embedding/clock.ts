/** The clock of an embedder: the engine's functions have none of their own. */

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls back once after `milliseconds`; returns a cancel function. */
  wakeIn(milliseconds: number, callback: () => void): () => void;
}

/** The machine's clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  wakeIn(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
