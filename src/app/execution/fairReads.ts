/**
 * Reads of one caller take turns: an operation may need hundreds of them, and they must not fill the queue of the
 * connections before the reads of others, nor the event loop with rows. A caller with many has them one by one, with
 * pauses in which the node serves others.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit, { type LimitFunction } from 'p-limit';

/** Reads of one caller at a time: a quarter of the connections of a node. */
const MAX_CONCURRENT = 4;
/** More reads in flight or waiting are many. A page of a console or a client needs fewer. */
const FEW = 12;
/** The pause before each of many reads is as long as the one before it took, at most this. */
const MAX_PAUSE_MS = 10;
/** The pauses of a caller in a period: the largest operation that its price permits must be answered in time. */
const MAX_PAUSES_MS = 2000;
const PERIOD_MS = 8000;

export interface FairReads {
  /** Runs a read in its caller's turn. Throws the reason of the signal if nobody waits for it by then. */
  run<T>(caller: string, signal: AbortSignal, read: () => Promise<T>): Promise<T>;
}

interface CallerReads {
  readonly limit: LimitFunction;
  inFlight: number;
  /** The next pause. */
  pauseMs: number;
  /** All pauses of this period. */
  pausedMs: number;
  /** When this period began, by `performance.now()`. */
  since: number;
}

export function createFairReads(): FairReads {
  /** Callers with reads in flight only: an entry goes with its last read. */
  const callers = new Map<string, CallerReads>();
  return {
    async run(caller, signal, read) {
      const queue = callers.get(caller) ?? newCallerReads();
      callers.set(caller, queue);
      queue.inFlight += 1;
      if (queue.inFlight > FEW) queue.limit.concurrency = 1;
      try {
        return await queue.limit(async () => {
          signal.throwIfAborted();
          if (queue.inFlight > FEW) await pause(queue);
          const began = performance.now();
          const found = await read();
          queue.pauseMs = Math.min(performance.now() - began, MAX_PAUSE_MS);
          return found;
        });
      } finally {
        queue.inFlight -= 1;
        if (queue.inFlight <= FEW) queue.limit.concurrency = MAX_CONCURRENT;
        if (queue.inFlight === 0) callers.delete(caller);
      }
    },
  };
}

const newCallerReads = (): CallerReads => ({
  limit: pLimit(MAX_CONCURRENT),
  inFlight: 0,
  pauseMs: 0,
  pausedMs: 0,
  since: performance.now(),
});

async function pause(reads: CallerReads): Promise<void> {
  const now = performance.now();
  if (now - reads.since > PERIOD_MS) Object.assign(reads, { pausedMs: 0, since: now });
  if (reads.pausedMs >= MAX_PAUSES_MS) return;
  reads.pausedMs += reads.pauseMs;
  await sleep(reads.pauseMs);
}
