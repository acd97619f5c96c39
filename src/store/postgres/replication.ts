/**
 * Commits whose wait for a synchronous standby was cancelled. PostgreSQL answers success with no more than a warning, and
 * the transaction is lost when that standby takes over: here it is an unknown outcome, never a success.
 */
import { sql } from 'drizzle-orm';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import type postgres from 'postgres';

/** The transaction is committed here, and may not be where it must survive. The same request is to be sent again. */
export class NotReplicated extends Error {
  readonly code = 'NOT_REPLICATED';
  constructor() {
    super(
      'the wait for the synchronous standby was cancelled: whether this outlives a failover is not known',
    );
  }
}

/** Counts the warnings of cancelled waits. The driver does not say whose they are: all that commit meanwhile fail. */
export function createReplicationWatch() {
  let cancelled = 0;
  return {
    onNotice(notice: postgres.Notice): void {
      if (notice.routine === 'SyncRepWaitForLSN') cancelled += 1;
    },
    /** Changes the client so that a transaction fails when a wait was cancelled while it ran. */
    guard(client: postgres.Sql): postgres.Sql {
      const begin: postgres.Sql['begin'] = client.begin.bind(client);
      const guarded = async <T>(run: () => Promise<T>): Promise<T> => {
        const before = cancelled;
        const result = await run();
        if (cancelled !== before) throw new NotReplicated();
        return result;
      };
      return Object.assign(client, {
        begin<T>(
          first: string | ((tx: postgres.TransactionSql) => T | Promise<T>),
          second?: (tx: postgres.TransactionSql) => T | Promise<T>,
        ) {
          if (typeof first === 'function') return guarded(() => begin(first));
          if (!second) throw new TypeError('begin needs a function to run in the transaction');
          return guarded(() => begin(first, second));
        },
      });
    },
  };
}

/**
 * Makes the commit of a transaction wait until everything committed before has reached the synchronous standby, if there
 * is one: for an answer that was stored by a commit whose own wait may have been cancelled.
 */
export async function awaitReplication(tx: Pick<PostgresJsDatabase, 'execute'>): Promise<void> {
  await tx.execute(sql`
    select pg_logical_emit_message(true, 'serin', '')::text
    where current_setting('synchronous_standby_names') <> ''`);
}
