/**
 * NOTIFY as a doorbell: it says only that the log has grown; a ring that is lost costs a reader no more than its slow
 * poll. A node rings at most every few milliseconds. The first ring after a silence of all nodes goes out with the commit
 * itself, so that readers hear of it without a round trip more; the others follow theirs, as commits that notify wait for
 * one another, and many at once are better off without.
 */
import { sql } from 'drizzle-orm';
import type postgres from 'postgres';
import type { Queries } from './database.ts';

const CHANNEL = 'serin_log';
const COOLDOWN_MS = 4;
/** Others rang so short a time ago: many commit. */
const BUSY_MS = 2;
/** How often a listener rings itself: a line on which not even that is heard is dead, and is opened again. */
const TEST_MS = 5000;

export interface Notifier {
  /** The ring of one transaction. */
  notification(): PendingNotification;
  /** Calls back on every ring of any node. Answers how to stop; reconnects by itself. */
  listen(onNotify: () => void): Promise<() => Promise<void>>;
}

/** Says that a transaction has appended to the log. */
export interface PendingNotification {
  /** To be called where it appends: rings with the commit, when there was no ring for a while. */
  onAppend(tx: Queries): Promise<void>;
  /** To be called after the commit: rings for what it appended, unless the commit did. Never waits, never fails. */
  afterCommit(): void;
}

/** A transaction that may append to the log. */
export interface LogWriteTransaction extends Queries {
  readonly notification: PendingNotification;
}

export function createNotifier(client: postgres.Sql): Notifier {
  let cooling = false;
  let again = false;
  let lastNotifyAt = Number.NEGATIVE_INFINITY;

  function startCooldown(): void {
    cooling = true;
    again = false;
    setTimeout(() => {
      cooling = false;
      if (again) notifyNow();
    }, COOLDOWN_MS).unref();
  }
  /** At once when there was no ring for a while; what comes soon after is one more ring. */
  function notifyNow(): void {
    again = cooling;
    if (cooling) return;
    startCooldown();
    client.notify(CHANNEL, '').catch(() => {});
  }

  return {
    notification() {
      let notified = false;
      let due = false;
      return {
        async onAppend(tx) {
          if (notified) return;
          due = cooling || performance.now() - lastNotifyAt < BUSY_MS;
          if (due) return;
          notified = true;
          startCooldown();
          await tx.execute(sql`select pg_notify(${CHANNEL}, '')`);
        },
        afterCommit() {
          if (due) notifyNow();
        },
      };
    },
    async listen(onNotify) {
      const receive = () => {
        lastNotifyAt = performance.now();
        onNotify();
      };
      const { unlisten } = await client.listen(CHANNEL, receive, onNotify);
      const stopTesting = keepTesting(client);
      return async () => {
        stopTesting();
        await unlisten();
      };
    },
  };
}

function keepTesting(client: postgres.Sql): () => void {
  let testing = false;
  const timer = setInterval(() => {
    if (testing) return;
    testing = true;
    client
      .notify(CHANNEL, '')
      .catch(() => {})
      .finally(() => {
        testing = false;
      });
  }, TEST_MS);
  timer.unref();
  return () => clearInterval(timer);
}
