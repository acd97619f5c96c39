/**
 * The end of the log, followed by one reader a node: it wakes on the doorbell, polls slowly besides, and hands every
 * settled entry on, once and in the order of the log.
 */
import type { Logger } from 'pino';
import type { Queries } from '../store/database.ts';
import type { Doorbell } from '../store/doorbell.ts';
import { hasUnsettled, type LogEntry, type LogPosition, lastSettledPosition, readLog } from '../store/log.ts';

const PAGE = 1000;
/** How long a lost ring can go unnoticed. */
const POLL_MS = 1000;
/** How soon to look again at entries that a running transaction still holds back, rising to the poll. */
const UNSETTLED_MS = 3;

export interface Tail {
  /** Calls back with every batch of new entries. Answers how to stop. */
  subscribe(onEntries: (entries: readonly LogEntry[]) => void): () => void;
  /** Milliseconds since this reader last saw the end of the log. */
  lagMs(): number;
  stop(): Promise<void>;
}

export async function startTail(db: Queries, doorbell: Doorbell, log: Logger): Promise<Tail> {
  const listeners = new Set<(entries: readonly LogEntry[]) => void>();
  let position: LogPosition = await lastSettledPosition(db);
  let rung = false;
  let wake: () => void = () => {};
  let stopped = false;
  let atEnd = Date.now();
  const ring = () => {
    rung = true;
    wake();
  };
  const unlisten = await doorbell.listen(ring);
  const running = follow();

  return {
    subscribe(onEntries) {
      listeners.add(onEntries);
      return () => listeners.delete(onEntries);
    },
    lagMs: () => Date.now() - atEnd,
    async stop() {
      stopped = true;
      ring();
      await running;
      await unlisten().catch(() => {});
    },
  };

  async function follow(): Promise<void> {
    let pause = POLL_MS;
    while (!stopped) {
      await sleep(pause);
      rung = false;
      try {
        pause = await readOn(pause);
      } catch (error) {
        log.warn({ error }, 'the log cannot be read; trying again');
        pause = Math.min(Math.max(pause * 2, 100), 2000);
      }
    }
  }

  /** Reads to the end of what is settled; answers how long to sleep. */
  async function readOn(before: number): Promise<number> {
    for (;;) {
      const entries = await readLog(db, position, PAGE);
      const last = entries.at(-1);
      if (last) {
        position = last.position;
        for (const listener of listeners) listener(entries);
      }
      if (entries.length < PAGE) break;
    }
    if (await hasUnsettled(db, position)) {
      return Math.min(before >= POLL_MS ? UNSETTLED_MS : before * 2, POLL_MS);
    }
    atEnd = Date.now();
    return POLL_MS;
  }

  function sleep(ms: number): Promise<void> {
    if (rung || stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
