/**
 * Whether the database is still the one that this node has read from. A server that was started anew, or another one
 * that took over, begins an incarnation; if it lacks what this node has delivered, consumers are notified.
 */
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type { Logger } from 'pino';
import { announceRewind, currentIncarnation, ensureIncarnation } from '../store/log/incarnations.ts';
import type { LogEntry } from '../store/log/logEntry.ts';
import { findLost, isAfter, type LogPosition } from '../store/log/position.ts';

/** Entries that are remembered to find out whether they are still there: more than a standby lags behind. */
const REMEMBERED = 5000;
/** How often the server is checked while no sign of another one was seen. */
const EVERY_MS = 1000;

/** Entries were handed on that no longer exist. */
export interface Rewound {
  /** The first of them. */
  readonly from: LogPosition;
  /** The number of the last incarnation that they are of; what is written since then has a higher one. */
  readonly until: number;
  /** The last position before it. */
  readonly lastCursor: string;
}

/** Whether a position is one of them. */
export const isLost = ({ from, until }: Rewound, position: LogPosition): boolean =>
  !isAfter(from, position) && position.incarnation.number <= until;

export interface ServerWatch {
  /** Checks the server, once in a while or when an entry of another incarnation was read. */
  check(incarnationRead?: number): Promise<void>;
  /** Remembers what is handed on. */
  keep(entries: readonly LogEntry[]): void;
  onRewound(callBack: (rewound: Rewound) => void): () => void;
}

export async function watchServer(db: PostgresJsDatabase, log: Logger): Promise<ServerWatch> {
  const listeners = new Set<(rewound: Rewound) => void>();
  let known = (await ensureIncarnation(db)).incarnation.number;
  let checkedAt = performance.now();
  let remembered: Pick<LogEntry, 'position' | 'deploymentId'>[] = [];

  async function moveOn(): Promise<void> {
    const { incarnation, newEpoch } = await ensureIncarnation(db);
    log.warn(
      { incarnation: incarnation.label, newEpoch },
      'PostgreSQL was started anew, or another took over',
    );
    const lost = await findLost(db, remembered);
    if (lost) {
      const { lastCursor } = lost;
      log.error({ lastCursor }, 'history was rewound: events that feeds were sent no longer exist');
      await announceRewind(db);
      for (const listener of listeners) listener({ from: lost.entry.position, until: known, lastCursor });
    }
    remembered = [];
    known = incarnation.number;
  }

  return {
    async check(incarnationRead = known) {
      if (incarnationRead === known && performance.now() - checkedAt < EVERY_MS) return;
      const current = await currentIncarnation(db);
      if (current?.number !== known) await moveOn();
      checkedAt = performance.now();
    },
    keep(entries) {
      remembered.push(...entries.map(({ position, deploymentId }) => ({ position, deploymentId })));
      if (remembered.length > 2 * REMEMBERED) remembered = remembered.slice(-REMEMBERED);
    },
    onRewound(callBack) {
      listeners.add(callBack);
      return () => listeners.delete(callBack);
    },
  };
}
