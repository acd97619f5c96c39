/** What waits for one consumer: entries, up to a bound, or the news that something has happened. */
import type { LogEntry } from '../store/log/logEntry.ts';

/** Most queued entries of a slow consumer; beyond that its feed is closed. */
const QUEUE_LIMIT = 1024;

export interface Queue {
  push(entry: LogEntry): void;
  /** The next entry; null at the end of the stream or after an overrun. */
  next(): Promise<LogEntry | null>;
  overrun(): boolean;
  reset(): void;
  /** Removes entries. */
  drop(isDropped: (entry: LogEntry) => boolean): void;
  /** Ends the stream with an error, which {@link check} throws. */
  fail(error: Error): void;
  check(): void;
}

/** The bounded queue of a consumer: beyond the limit all entries are dropped and the overrun is recorded. */
export function createQueue(signal: AbortSignal): Queue {
  let entries: LogEntry[] = [];
  let overrun = false;
  let failure: Error | null = null;
  const wakeup = createSignal(signal);
  return {
    fail(error) {
      failure ??= error;
      entries = [];
      wakeup.notify();
    },
    check() {
      if (failure) throw failure;
    },
    push(entry) {
      if (overrun || failure) return;
      if (entries.length >= QUEUE_LIMIT) {
        entries = [];
        overrun = true;
      } else {
        entries.push(entry);
      }
      wakeup.notify();
    },
    async next() {
      while (entries.length === 0 && !overrun && !failure) {
        if (!(await wakeup.next())) return null;
      }
      return entries.shift() ?? null;
    },
    overrun: () => overrun,
    reset() {
      entries = [];
      overrun = false;
    },
    drop(isDropped) {
      entries = entries.filter((entry) => !isDropped(entry));
    },
  };
}

export interface Signal {
  notify(): void;
  /**
   * Resolves after a notification, immediately if one is pending; false at the end.
   * @param withinMs resolves without one after this time; waits indefinitely if omitted
   */
  next(withinMs?: number): Promise<boolean>;
}

export function createSignal(signal: AbortSignal): Signal {
  let notified = false;
  let wake: () => void = () => {};
  signal.addEventListener('abort', () => wake(), { once: true });
  return {
    notify() {
      notified = true;
      wake();
    },
    async next(withinMs) {
      if (!notified && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const late = withinMs === undefined ? undefined : setTimeout(resolve, withinMs).unref();
          wake = () => {
            clearTimeout(late);
            resolve();
          };
        });
      }
      notified = false;
      return !signal.aborted;
    },
  };
}
