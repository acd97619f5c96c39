/**
 * The transaction of a use case: retried after a conflict with another transaction, abandoned once its caller has timed
 * out, rolled back with an answer if the use case refuses, and notifies readers when it appended to the log.
 */
import { isKeyTaken } from '../../store/access/idempotencyKeys.ts';
import { ensureIncarnation, INCARNATION_UNKNOWN } from '../../store/log/incarnations.ts';
import { ConcurrentChange } from '../../store/postgres/concurrentChange.ts';
import type { LogWriteTransaction } from '../../store/postgres/notifier.ts';
import { sqlStateOf } from '../../store/postgres/sqlState.ts';
import type { ExecutionContext } from './executionContext.ts';

/** Milliseconds. After this the caller gets UNAVAILABLE. */
export const REQUEST_TIMEOUT_MS = 8000;

/** Attempts of one transaction. Conflicts are short: one that persists is a fault. */
const MAX_ATTEMPTS = 4;

/** The transaction could not start before its caller timed out. It has done nothing. */
export class CallerTimedOut extends Error {
  readonly code = 'WAITED_TOO_LONG';
  constructor() {
    super('the database was unavailable or busy for too long');
  }
}

/** The result of a use case that refuses: its transaction is rolled back, and the caller gets `answer`. */
class Rollback<A> extends Error {
  constructor(readonly answer: A) {
    super('rolled back');
  }
}

/** Returned by a use case in a {@link transaction}: rolls back everything it wrote and returns `answer`. */
export const rollback = <A>(answer: A) => new Rollback(answer);
export type { Rollback };

/**
 * Runs a use case in a transaction. Runs it again if PostgreSQL aborted the transaction because of another one, or on
 * {@link ConcurrentChange}. If the transaction had to wait for a connection during an outage until its caller timed out,
 * it does nothing: the caller has been asked to retry, and may have decided otherwise.
 * @param askedAt when the caller began to wait, by `performance.now()`
 * @throws {CallerTimedOut} if the caller timed out before the commit
 */
export async function transaction<T>(
  app: ExecutionContext,
  work: (tx: LogWriteTransaction) => Promise<T | Rollback<T>>,
  askedAt = performance.now(),
): Promise<T> {
  const requireInTime = () => {
    if (performance.now() - askedAt > REQUEST_TIMEOUT_MS) throw new CallerTimedOut();
  };
  for (let attempt = 1; ; attempt += 1) {
    const notification = app.notifier.notification();
    const inFlight: Promise<unknown>[] = [];
    const afterCommit: (() => void)[] = [];
    const refused: { by: Rollback<T> | null } = { by: null };
    try {
      const result = await app.db.transaction(async (tx) => {
        requireInTime();
        const outcome = await work(
          Object.assign(tx, { notification, inFlight, afterCommit, form: app.form() }),
        );
        // BEGIN may have waited for a database that was away.
        requireInTime();
        if (!(outcome instanceof Rollback)) return outcome;
        refused.by = outcome;
        // The driver rolls back on an error only.
        throw outcome;
      });
      await Promise.all(inFlight);
      notification.afterCommit();
      for (const call of afterCommit) call();
      return result;
    } catch (error) {
      if (refused.by && error === refused.by) return refused.by.answer;
      const code = sqlStateOf(error);
      const unknown = code === INCARNATION_UNKNOWN;
      if (attempt >= MAX_ATTEMPTS || !(unknown || isConflict(error, code))) throw error;
      if (unknown) await ensureIncarnation(app.db);
    }
  }
}

/** SQLSTATEs of a transaction that PostgreSQL aborted because of another one: serialization failure, deadlock. */
const CONFLICTS = new Set(['40001', '40P01']);

const isConflict = (error: unknown, code: string) =>
  error instanceof ConcurrentChange || CONFLICTS.has(code) || isKeyTaken(error);

/**
 * A {@link transaction} that locks a deployment first and waits for other holders of the lock, in its turn of
 * {@link ExecutionContext.inDeploymentOrder}.
 */
export function transactionInOrder<T>(
  app: ExecutionContext,
  deploymentId: string,
  work: (tx: LogWriteTransaction) => Promise<T | Rollback<T>>,
  askedAt = performance.now(),
): Promise<T> {
  return app.inDeploymentOrder(deploymentId, () => transaction(app, work, askedAt));
}
