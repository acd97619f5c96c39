/**
 * One heavy read of a caller at a time: exports and replays read a whole history, and one caller's must not delay the
 * others'. A caller's next one waits for its turn, a few at most, and is dropped at its turn if its caller has gone.
 */

/** Heavy reads of one caller that may wait. */
const MAX_WAITING = 4;

/** The caller has too many heavy reads in flight. */
export class TooManyHeavyReads extends Error {}

export interface HeavyReads {
  /**
   * Runs the work of a caller after its earlier ones.
   * @throws {TooManyHeavyReads} if too many of its works wait already
   */
  run<T>(caller: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export function createHeavyReads(): HeavyReads {
  /** Callers with works in flight only: an entry goes with its last work. */
  const callers = new Map<string, { waiting: number; last: Promise<unknown> }>();
  return {
    async run(caller, signal, work) {
      const queue = callers.get(caller) ?? { waiting: 0, last: Promise.resolve() };
      if (queue.waiting > MAX_WAITING) {
        throw new TooManyHeavyReads(
          `At most ${MAX_WAITING + 1} exports and replays of one caller at a time: wait for some of them`,
        );
      }
      callers.set(caller, queue);
      queue.waiting += 1;
      const before = queue.last;
      const done = before.then(() => {
        signal.throwIfAborted();
        return work();
      });
      queue.last = done.catch(() => {});
      try {
        return await done;
      } finally {
        queue.waiting -= 1;
        if (queue.waiting === 0) callers.delete(caller);
      }
    },
  };
}
