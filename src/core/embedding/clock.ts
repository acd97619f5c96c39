/** Where an embedder's time comes in: the engine's functions have no clock of their own. */

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls back once, after so many milliseconds; what it answers calls that off. */
  wakeIn(milliseconds: number, callback: () => void): () => void;
}

/** The time of this machine. Its timers keep no process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  wakeIn(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
