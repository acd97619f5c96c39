/**
 * A caller's fair share of a node. A large operation needs hundreds of reads and long lists; it must not delay the small
 * operations of others. Its reads take turns, and before each of them, and before each portion of a long list, it gives
 * way while a small operation of another caller is in flight. Where nobody else asks, nothing waits.
 */
import pLimit, { type LimitFunction } from 'p-limit';

/** Reads of one caller at a time: a quarter of the connections of a node. */
const MAX_CONCURRENT = 4;
/** A caller with more reads or portions than this in flight is large. A page of a console or a client needs fewer. */
const FEW = 12;
/** A read of more rows is long: what it finds keeps the event loop busy for milliseconds. */
const FEW_ROWS = 50;
/** A large caller gives way so long at a time. */
const MAX_WAIT_MS = 10;
/** The waits of a caller in a period: the largest operation that its price permits must be answered in time. */
const MAX_WAITS_MS = 2000;
const PERIOD_MS = 8000;

export interface FairShare {
  /** An operation of the caller begins. Returns what ends it. */
  enter(caller: string): () => void;
  /**
   * Runs a read in its caller's turn. Throws the reason of the signal if nobody waits for it by then.
   * @param rows the most that it finds
   */
  read<T>(caller: string, rows: number, signal: AbortSignal, read: () => Promise<T>): Promise<T>;
  /** Resolves when the next portion of a long list, or of a document, may be computed: one in a turn of the event loop. */
  portion(caller: string): Promise<void>;
}

interface Caller {
  /** Its operations, reads and portions in flight. */
  inFlight: number;
  operations: number;
  reads: number;
  portions: number;
  /** It gives way to others until nothing of it is in flight. */
  isLarge: boolean;
  /** Its queues; null until there is something in one. */
  queues: Queues | null;
  /** Its waits in this period, and when that began, by `performance.now()`. */
  waitedMs: number;
  since: number;
}

interface Queues {
  /** Reads of few rows, and of many. */
  readonly short: LimitFunction;
  readonly long: LimitFunction;
  readonly portions: LimitFunction;
}

export function createFairShare(): FairShare {
  /** Callers with anything in flight only. */
  const callers = new Map<string, Caller>();
  /** Operations in flight of callers that are not large. */
  let small = 0;
  /** Ends the waits of large callers. */
  const waiting = new Set<() => void>();
  const portionTurn = createPortionQueue();

  function begin(name: string): Caller {
    const caller = callers.get(name) ?? newCaller();
    callers.set(name, caller);
    caller.inFlight += 1;
    return caller;
  }

  function end(name: string, caller: Caller): void {
    caller.inFlight -= 1;
    if (caller.inFlight === 0) callers.delete(name);
  }

  function countSmall(change: number): void {
    small += change;
    // The answer of the last one is written in the next turn of the event loop, before a large operation goes on.
    if (small === 0 && waiting.size > 0) setImmediate(setImmediate, endWaits);
  }

  function endWaits(): void {
    if (small === 0) for (const endWait of waiting) endWait();
  }

  async function giveWay(caller: Caller): Promise<void> {
    if (!caller.isLarge) {
      caller.isLarge = true;
      countSmall(-caller.operations);
    }
    const began = performance.now();
    if (began - caller.since > PERIOD_MS) Object.assign(caller, { waitedMs: 0, since: began });
    if (small === 0 || caller.waitedMs >= MAX_WAITS_MS) return;
    await new Promise<void>((resolve) => {
      const endWait = () => {
        clearTimeout(timer);
        waiting.delete(endWait);
        resolve();
      };
      const timer = setTimeout(endWait, MAX_WAIT_MS);
      waiting.add(endWait);
    });
    caller.waitedMs += performance.now() - began;
  }

  return {
    enter(name) {
      const caller = begin(name);
      caller.operations += 1;
      if (!caller.isLarge) countSmall(1);
      return () => {
        caller.operations -= 1;
        if (!caller.isLarge) countSmall(-1);
        end(name, caller);
      };
    },
    async read(name, rows, signal, read) {
      const caller = begin(name);
      caller.reads += 1;
      const queues = queuesOf(caller);
      const isLong = rows > FEW_ROWS;
      try {
        return await queues[isLong ? 'long' : 'short'](async () => {
          signal.throwIfAborted();
          if (isLong || caller.reads > FEW) await giveWay(caller);
          return read();
        });
      } finally {
        caller.reads -= 1;
        end(name, caller);
      }
    },
    async portion(name) {
      const caller = begin(name);
      caller.portions += 1;
      try {
        await queuesOf(caller).portions(async () => {
          if (caller.isLarge || caller.portions > FEW) await giveWay(caller);
          await portionTurn();
        });
      } finally {
        caller.portions -= 1;
        end(name, caller);
      }
    },
  };
}

function queuesOf(caller: Caller): Queues {
  caller.queues ??= { short: pLimit(MAX_CONCURRENT), long: pLimit(1), portions: pLimit(1) };
  return caller.queues;
}

const newCaller = (): Caller => ({
  inFlight: 0,
  operations: 0,
  reads: 0,
  portions: 0,
  isLarge: false,
  queues: null,
  waitedMs: 0,
  since: performance.now(),
});

/** Creates a queue of which one comes to its turn in each turn of the event loop, the oldest first. */
function createPortionQueue(): () => Promise<void> {
  const queue: (() => void)[] = [];
  const next = () => {
    queue.shift()?.();
    if (queue.length > 0) setImmediate(next);
  };
  return () =>
    new Promise((resolve) => {
      queue.push(resolve);
      if (queue.length === 1) setImmediate(next);
    });
}
