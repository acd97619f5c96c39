/**
 * Reads of one caller take turns: an operation may need hundreds of them, and they must not fill the queue of the
 * connections before the reads of others.
 */
import pLimit, { type LimitFunction } from 'p-limit';

/** Reads of one caller at a time: a quarter of the connections of a node. */
const MAX_CONCURRENT = 4;

export interface FairReads {
  /** Runs a read in its caller's turn. Throws the reason of the signal if nobody waits for it by then. */
  run<T>(caller: string, signal: AbortSignal, read: () => Promise<T>): Promise<T>;
}

export function createFairReads(): FairReads {
  /** Callers with reads in flight only: an entry goes with its last read. */
  const callers = new Map<string, { readonly limit: LimitFunction; inFlight: number }>();
  return {
    async run(caller, signal, read) {
      const queue = callers.get(caller) ?? { limit: pLimit(MAX_CONCURRENT), inFlight: 0 };
      callers.set(caller, queue);
      queue.inFlight += 1;
      try {
        return await queue.limit(() => {
          signal.throwIfAborted();
          return read();
        });
      } finally {
        queue.inFlight -= 1;
        if (queue.inFlight === 0) callers.delete(caller);
      }
    },
  };
}
