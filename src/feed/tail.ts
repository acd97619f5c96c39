/**
 * The tail of the log, followed by one reader per node: it wakes on NOTIFY, also polls slowly, and emits every settled
 * entry exactly once, in log order.
 */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import { lastSettledPosition, readLogTail } from '../store/log/eventLog.ts';
import type { LogEntry } from '../store/log/logEntry.ts';
import type { LogPosition } from '../store/log/position.ts';
import type { Notifier } from '../store/postgres/notifier.ts';
import { oldestWriter } from '../store/postgres/openTransactions.ts';
import { createSignal } from './queue.ts';
import { type Rewound, watchServer } from './serverWatch.ts';

const PAGE = 1000;
/** Poll interval: how long a lost notification can go unnoticed. */
const POLL_MS = 1000;
/** First delay before reading again while an open transaction blocks entries; it doubles up to the poll interval. */
const UNSETTLED_MS = 3;
/** How long a transaction may block the log before it is logged. */
const BLOCKED_MS = 5000;
/** How often it is logged again. */
const BLOCKED_AGAIN_MS = 60_000;

export interface Tail {
  /** Calls back with every batch of new entries. Returns a function that stops. */
  subscribe(onEntries: (entries: readonly LogEntry[]) => void): () => void;
  /** Calls back when entries that were handed on have ceased to exist. Returns a function that stops. */
  onRewound(callBack: (rewound: Rewound) => void): () => void;
  /** Milliseconds since this reader last reached the end of the log. */
  lagMs(): number;
  /** The transaction blocking this reader, if any. */
  blockedBy(): BlockedBy | null;
  stop(): Promise<void>;
}

/** The log has entries that cannot be read yet, because an earlier transaction is still open. */
export interface BlockedBy {
  readonly ms: number;
  /** The transaction, described for an operator. */
  readonly by: string;
}

export async function startTail(db: PostgresJsDatabase, notifier: Notifier, log: Logger): Promise<Tail> {
  const server = await watchServer(db, log);
  const listeners = new Set<(entries: readonly LogEntry[]) => void>();
  let position: LogPosition = await lastSettledPosition(db);
  const stopping = new AbortController();
  const growth = createSignal(stopping.signal);
  // By the monotonic clock, as all durations here: readers wait by them, and the clock of the machine may be set.
  let atEnd = performance.now();
  let blockedBy: { since: number; by: string; logAt: number } | null = null;
  const unlisten = await notifier.listen(growth.notify);
  const running = follow();

  return {
    subscribe(onEntries) {
      listeners.add(onEntries);
      return () => listeners.delete(onEntries);
    },
    onRewound: server.onRewound,
    lagMs: () => performance.now() - atEnd,
    blockedBy: () => blockedBy && { ms: performance.now() - blockedBy.since, by: blockedBy.by },
    async stop() {
      stopping.abort();
      await running;
      await unlisten().catch(() => {});
    },
  };

  async function follow(): Promise<void> {
    let pause = POLL_MS;
    while (await growth.next(pause)) {
      try {
        pause = await readOn(pause);
      } catch (error) {
        log.warn({ error }, 'cannot read the log; trying again');
        pause = Math.min(Math.max(pause * 2, 100), 2000);
      }
    }
  }

  /** Reads to the end of the settled entries; returns how long to sleep. */
  async function readOn(before: number): Promise<number> {
    for (;;) {
      const { entries, heldBack } = await readLogTail(db, position, PAGE);
      const last = entries.at(-1);
      await server.check(last?.position.incarnation.number);
      if (last) {
        server.keep(entries);
        position = last.position;
        blockedBy = null;
        for (const listener of listeners) listener(entries);
      }
      if (heldBack) {
        await findBlocker();
        return Math.min(before >= POLL_MS ? UNSETTLED_MS : before * 2, POLL_MS);
      }
      if (entries.length < PAGE) {
        blockedBy = null;
        atEnd = performance.now();
        return POLL_MS;
      }
    }
  }

  /** Finds and logs the blocking transaction; an operator has to end it. */
  async function findBlocker(): Promise<void> {
    const now = performance.now();
    blockedBy ??= { since: now, by: 'a transaction that is still open', logAt: now + BLOCKED_MS };
    if (now < blockedBy.logAt) return;
    const writer = await oldestWriter(db);
    const age = writer?.seconds ? `, open for ${Math.round(writer.seconds)} s` : '';
    if (writer) blockedBy.by = `${writer.who}${age}`;
    blockedBy.logAt = now + BLOCKED_AGAIN_MS;
    log.warn(
      { heldMs: now - blockedBy.since, by: blockedBy.by },
      'an open transaction blocks the feeds: end it',
    );
  }
}
