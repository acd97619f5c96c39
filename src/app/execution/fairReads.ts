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
/** The pauses of an operation in all: the largest that its price permits must be answered in time. */
const MAX_PAUSES_MS = 2000;

export interface FairReads {
  /** Runs a read in its caller's turn. Throws the reason of the signal if nobody waits for it by then. */
  run<T>(caller: string, signal: AbortSignal, read: () => Promise<T>): Promise<T>;
}

interface Turns {
  readonly limit: LimitFunction;
  inFlight: number;
  /** The next pause. */
  pauseMs: number;
  /** All pauses so far. */
  pausedMs: number;
}

export function createFairReads(): FairReads {
  /** Callers with reads in flight only: an entry goes with its last read. */
  const callers = new Map<string, Turns>();
  return {
    async run(caller, signal, read) {
      const queue = callers.get(caller) ?? newTurns();
      callers.set(caller, queue);
      queue.inFlight += 1;
      if (queue.inFlight > FEW) queue.limit.concurrency = 1;
      try {
        return await queue.limit(async () => {
          signal.throwIfAborted();
          if (queue.inFlight > FEW && queue.pausedMs < MAX_PAUSES_MS) await pause(queue);
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

const newTurns = (): Turns => ({ limit: pLimit(MAX_CONCURRENT), inFlight: 0, pauseMs: 0, pausedMs: 0 });

async function pause(turns: Turns): Promise<void> {
  turns.pausedMs += turns.pauseMs;
  await sleep(turns.pauseMs);
}
