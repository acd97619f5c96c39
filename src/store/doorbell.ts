/**
 * NOTIFY as a doorbell: it says only that the log has grown. Writers ring after their commit, at most every few
 * milliseconds and outside any transaction; a ring that is lost costs a reader no more than its slow poll.
 */
import type postgres from 'postgres';

const CHANNEL = 'serin_log';
const QUIET_MS = 4;
/** How often a listener rings itself: a line on which not even that is heard is dead, and is opened again. */
const TEST_MS = 5000;

export interface Doorbell {
  /** Says that something was committed. Never waits, never fails. */
  ring(): void;
  /** Calls back on every ring of any node. Answers how to stop; reconnects by itself. */
  listen(onRing: () => void): Promise<() => Promise<void>>;
}

export function createDoorbell(client: postgres.Sql): Doorbell {
  let quiet = false;
  let again = false;
  /** At once when there was no ring for a while; what comes soon after is one more ring. */
  function ring(): void {
    again = quiet;
    if (quiet) return;
    quiet = true;
    client.notify(CHANNEL, '').catch(() => {});
    setTimeout(() => {
      quiet = false;
      if (again) ring();
    }, QUIET_MS).unref();
  }
  return {
    ring,
    async listen(onRing) {
      const { unlisten } = await client.listen(CHANNEL, onRing, onRing);
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
