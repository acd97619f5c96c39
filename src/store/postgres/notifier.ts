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
const QUIET_MS = 4;
/** Others rang so short a time ago: many commit. */
const BUSY_MS = 2;
/** How often a listener rings itself: a line on which not even that is heard is dead, and is opened again. */
const TEST_MS = 5000;

export interface Doorbell {
  /** The ring of one transaction. */
  ring(): Ring;
  /** Calls back on every ring of any node. Answers how to stop; reconnects by itself. */
  listen(onRing: () => void): Promise<() => Promise<void>>;
}

/** Says that a transaction has appended to the log. */
export interface Ring {
  /** To be called where it appends: rings with the commit, when there was no ring for a while. */
  appended(tx: Queries): Promise<void>;
  /** To be called after the commit: rings for what it appended, unless the commit did. Never waits, never fails. */
  committed(): void;
}

/** A transaction that may append to the log. */
export interface Appending extends Queries {
  readonly ring: Ring;
}

export function createDoorbell(client: postgres.Sql): Doorbell {
  let quiet = false;
  let again = false;
  let heardAt = Number.NEGATIVE_INFINITY;

  function keepQuiet(): void {
    quiet = true;
    again = false;
    setTimeout(() => {
      quiet = false;
      if (again) ringNow();
    }, QUIET_MS).unref();
  }
  /** At once when there was no ring for a while; what comes soon after is one more ring. */
  function ringNow(): void {
    again = quiet;
    if (quiet) return;
    keepQuiet();
    client.notify(CHANNEL, '').catch(() => {});
  }

  return {
    ring() {
      let rung = false;
      let due = false;
      return {
        async appended(tx) {
          if (rung) return;
          due = quiet || performance.now() - heardAt < BUSY_MS;
          if (due) return;
          rung = true;
          keepQuiet();
          await tx.execute(sql`select pg_notify(${CHANNEL}, '')`);
        },
        committed() {
          if (due) ringNow();
        },
      };
    },
    async listen(onRing) {
      const hear = () => {
        heardAt = performance.now();
        onRing();
      };
      const { unlisten } = await client.listen(CHANNEL, hear, onRing);
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
