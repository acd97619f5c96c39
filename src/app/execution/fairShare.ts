/**
 * A caller's fair share of a node. A large operation needs hundreds of reads and long lists; it must not delay the small
 * operations of others. Its reads take turns, and before each of them, and before each portion of a long list, it gives
 * way while a small operation of another caller is in flight. While others are active it also rests after each portion, so
 * that processors and the collection of garbage have time for them. Where nobody else asks, nothing waits.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
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
const MAX_WAITS_MS = 5000;
const PERIOD_MS = 8000;
/** What the portions and reads of a large caller may take in a period without a rest: a page of a console. */
const FREE_MS = 100;
/** After that it rests this many times as long as each of them took: it has a tenth of the node while others are active. */
const REST = 9;
const MAX_REST_MS = 100;
/** Others are active while an operation of theirs is in flight, and for so long after it. */
const ACTIVE_MS = 1000;

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
  /** Whether the caller is large while others are active: then its portions should be small. */
  mustYield(caller: string): boolean;
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
  /** How long it has waited since something of it is in flight. */
  readonly waited: Spent;
}

/** The end of an operation, by `performance.now()`. */
interface Ended {
  readonly caller: string;
  readonly at: number;
}

/** Time in a period, and when that began, by `performance.now()`. */
interface Spent {
  ms: number;
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
  /** The end of the last of them, and of the last one of another caller than that. */
  let last: Ended = { caller: '', at: Number.NEGATIVE_INFINITY };
  let lastOfAnother = last;
  /** Until then large callers rest. */
  let restUntil = 0;
  /** What the portions of each took in this period. */
  const computedBy = new LRUCache<string, Spent>({ max: 10_000 });
  /** Ends the waits of large callers. */
  const waiting = new Set<() => void>();
  const portionTurn = createPortionQueue(noteComputed);

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

  async function giveWay(name: string, caller: Caller): Promise<void> {
    if (!caller.isLarge) {
      caller.isLarge = true;
      countSmall(-caller.operations);
    }
    if (!othersAreActive(name)) return;
    const { waited } = caller;
    const began = performance.now();
    const before = spentIn(waited, began);
    const left = () => MAX_WAITS_MS - before - (performance.now() - began);
    // What computes now asks for its next portion before it ends.
    await nextTurn();
    if (left() <= 0) return;
    while (mustRest(name) && left() > 0) await sleep(Math.min(left(), restUntil - performance.now()));
    if (small > 0) await untilNoneIsSmall();
    waited.ms += performance.now() - began;
  }

  function noteEnd(name: string): void {
    if (name !== last.caller) lastOfAnother = last;
    last = { caller: name, at: performance.now() };
  }

  /** Whether others than this large caller are active. */
  const othersAreActive = (name: string) =>
    small > 0 || performance.now() - (last.caller === name ? lastOfAnother : last).at < ACTIVE_MS;

  /** Whether a large caller has to rest while others are active: it has computed what it may without a rest. */
  function mustRest(name: string): boolean {
    const now = performance.now();
    if (now >= restUntil) return false;
    const computed = computedBy.get(name);
    return computed !== undefined && spentIn(computed, now) > FREE_MS;
  }

  async function untilNoneIsSmall(): Promise<void> {
    await new Promise<void>((resolve) => {
      const endWait = () => {
        clearTimeout(timer);
        waiting.delete(endWait);
        resolve();
      };
      const timer = setTimeout(endWait, MAX_WAIT_MS);
      waiting.add(endWait);
    });
  }

  /** Runs a read of a large caller, and notes how long it took without its own waits. */
  async function timed<T>(name: string, { waited }: Caller, read: () => Promise<T>): Promise<T> {
    const [began, before] = [performance.now(), waited.ms];
    try {
      return await read();
    } finally {
      noteComputed(name, performance.now() - began - Math.max(0, waited.ms - before));
    }
  }

  /** Notes how long a portion or a read of a caller took. */
  function noteComputed(name: string, ms: number): void {
    const now = performance.now();
    const computed = computedBy.get(name) ?? nothingSpent();
    spentIn(computed, now);
    computed.ms += ms;
    computedBy.set(name, computed);
    restUntil = Math.min(Math.max(restUntil, now) + ms * REST, now + MAX_REST_MS);
  }

  return {
    enter(name) {
      const caller = begin(name);
      caller.operations += 1;
      if (!caller.isLarge) countSmall(1);
      return () => {
        caller.operations -= 1;
        if (!caller.isLarge) {
          countSmall(-1);
          noteEnd(name);
        }
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
          if (!isLong && caller.reads <= FEW) return read();
          await giveWay(name, caller);
          return timed(name, caller, read);
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
          if (caller.isLarge || caller.portions > FEW) await giveWay(name, caller);
          await portionTurn(name);
        });
      } finally {
        caller.portions -= 1;
        end(name, caller);
      }
    },
    mustYield: (name) => callers.get(name)?.isLarge === true && othersAreActive(name),
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
  waited: nothingSpent(),
});

/** The time spent in the period in which `now` is. */
function spentIn(spent: Spent, now: number): number {
  if (now - spent.since > PERIOD_MS) Object.assign(spent, { ms: 0, since: now });
  return spent.ms;
}

const nothingSpent = (): Spent => ({ ms: 0, since: performance.now() });

/**
 * Creates a queue of which one comes to its turn in each turn of the event loop, the oldest first.
 * @param took is called with the caller and the time of its turn
 */
function createPortionQueue(took: (caller: string, ms: number) => void): (caller: string) => Promise<void> {
  const queue: { readonly caller: string; readonly start: () => void }[] = [];
  let running: { readonly caller: string; readonly began: number } | null = null;
  const next = () => {
    if (running) took(running.caller, performance.now() - running.began);
    const first = queue.shift();
    running = first ? { caller: first.caller, began: performance.now() } : null;
    if (!first) return;
    first.start();
    setImmediate(next);
  };
  return (caller) =>
    new Promise((start) => {
      queue.push({ caller, start });
      if (queue.length === 1 && !running) setImmediate(next);
    });
}
