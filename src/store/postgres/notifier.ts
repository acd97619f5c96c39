/**
 * Coalesced NOTIFY. A notification says only that the log has grown; a lost one delays a reader until its next slow
 * poll. A node notifies at most every few milliseconds. After an idle period NOTIFY is sent inside the transaction (no
 * extra round trip). Under load it is sent after commit and coalesced, because transactions that NOTIFY commit one at a
 * time in PostgreSQL.
 */
import { sql } from 'drizzle-orm';
import type postgres from 'postgres';
import type { Queries } from './database.ts';

const CHANNEL = 'serin_log';
/** Minimum time between two notifications of this node. */
const COOLDOWN_MS = 4;
/** A notification received within this time means load: other nodes are committing too. */
const BUSY_MS = 2;
/** How often a listener notifies itself. A connection that receives not even these is destroyed as silent (`socket.ts`). */
const TEST_MS = 5000;

export interface Notifier {
  /** Returns the notification of one transaction. */
  notification(): PendingNotification;
  /** Calls back on every notification of any node. Reconnects automatically. Returns a function that stops listening. */
  listen(onNotify: () => void): Promise<() => Promise<void>>;
}

/** Notifies readers that one transaction has appended to the log. */
export interface PendingNotification {
  /** Call it when the transaction appends. After an idle period it adds NOTIFY to the transaction. */
  onAppend(tx: Queries): Promise<void>;
  /** Call it after the commit. Notifies unless the commit did, and only if something was appended. Never waits or throws. */
  afterCommit(): void;
}

/** A transaction that may append to the log. */
export interface LogWriteTransaction extends Queries {
  readonly notification: PendingNotification;
  /**
   * Statements that the commit follows without waiting for their results: if one fails, PostgreSQL commits nothing. They
   * are with the driver already.
   */
  readonly inFlight: Promise<unknown>[];
  /** What is done once it has committed. */
  readonly afterCommit: (() => void)[];
  /** The form that it may write, so that every node on this database can read it. */
  readonly form: number;
}

export function createNotifier(client: postgres.Sql): Notifier {
  let cooling = false;
  /** Whether to notify once more when the cooldown ends. */
  let again = false;
  /** When the last notification of any node was received, by `performance.now()`. */
  let lastReceivedAt = Number.NEGATIVE_INFINITY;

  function startCooldown(): void {
    cooling = true;
    again = false;
    setTimeout(() => {
      cooling = false;
      if (again) notifyNow();
    }, COOLDOWN_MS).unref();
  }
  /** Notifies immediately, or during the cooldown once at its end. */
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
          due = cooling || performance.now() - lastReceivedAt < BUSY_MS;
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
        lastReceivedAt = performance.now();
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
