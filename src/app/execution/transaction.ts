/**
 * The transaction of a use case: tried again where the database asks for it, given up when nobody waits for it, and rung
 * for when it has appended to the log.
 */
import { ensureIncarnation, INCARNATION_UNKNOWN } from '../../store/log/incarnations.ts';
import type { LogWriteTransaction } from '../../store/postgres/notifier.ts';
import type { ExecutionContext } from './executionContext.ts';

/** How long an answer may take, milliseconds. Who has waited so long is told to try again. */
export const REQUEST_TIMEOUT_MS = 8000;

/** A transaction got its turn only when nobody waited for it any more; it did nothing. */
export class CallerTimedOut extends Error {
  readonly code = 'WAITED_TOO_LONG';
  constructor() {
    super('the database was away, or busy, for too long');
  }
}

const TRANSIENT = new Set(['40001', '40P01']);

/**
 * A transaction that is tried again when the database ended it for the sake of another. One that had to queue through
 * an outage does nothing when it is over: its caller has been told to try again, and may have changed its mind.
 * @param askedAt when somebody began to wait for it, by `performance.now()`
 */
export async function transaction<T>(
  app: ExecutionContext,
  work: (tx: LogWriteTransaction) => Promise<T>,
  askedAt = performance.now(),
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const notification = app.notifier.notification();
    try {
      const result = await app.db.transaction((tx) => {
        if (performance.now() - askedAt > REQUEST_TIMEOUT_MS) throw new CallerTimedOut();
        return work(Object.assign(tx, { notification }));
      });
      notification.afterCommit();
      return result;
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
      if (attempt >= 4 || !(TRANSIENT.has(code) || code === INCARNATION_UNKNOWN)) throw error;
      if (code === INCARNATION_UNKNOWN) await ensureIncarnation(app.db);
    }
  }
}

/**
 * A transaction that waits for a deployment, whoever holds it: when its turn has come (see {@link ExecutionContext.inDeploymentOrder}). It is to
 * lock that deployment first.
 */
export function transactionInOrder<T>(
  app: ExecutionContext,
  deploymentId: string,
  work: (tx: LogWriteTransaction) => Promise<T>,
  askedAt = performance.now(),
): Promise<T> {
  return app.inDeploymentOrder(deploymentId, () => transaction(app, work, askedAt));
}

/** Waits for all parts of a transaction's work, so that none is still sending when it ends; throws if one failed. */
export async function allDone<T>(parts: readonly Promise<T>[]): Promise<T[]> {
  return (await Promise.allSettled(parts)).map((part) => {
    if (part.status === 'rejected') throw part.reason;
    return part.value;
  });
}
