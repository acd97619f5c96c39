/**
 * Prepared statements for everything that Drizzle sends. Drizzle uses the driver's `unsafe`, which prepares nothing:
 * every statement is parsed and planned again, and a round trip of its own first fetches its parameter types. A
 * statement that the connection has prepared takes one round trip and no planning.
 */
import type postgres from 'postgres';
import type { PoolStatsRecorder } from './poolStats.ts';

type Begin = postgres.Sql['begin'];

/** Changes the client so that it prepares every statement, also inside transactions, and counts its transactions. */
export function withPreparedStatements(client: postgres.Sql, pool: PoolStatsRecorder): postgres.Sql {
  prepareUnsafe(client);
  const begin: Begin = client.begin.bind(client);
  const prepared = <T>(options: string, work: (tx: postgres.TransactionSql) => T | Promise<T>) =>
    pool.countTransaction((onConnected) =>
      begin(options, (tx) => {
        onConnected();
        return work(prepareUnsafe(tx));
      }),
    );
  return Object.assign(client, {
    begin<T>(
      first: string | ((tx: postgres.TransactionSql) => T | Promise<T>),
      second?: (tx: postgres.TransactionSql) => T | Promise<T>,
    ) {
      if (typeof first === 'function') return prepared('', first);
      if (!second) throw new TypeError('begin needs a function to run in the transaction');
      return prepared(first, second);
    },
  });
}

function prepareUnsafe<T extends postgres.ISql>(client: T): T {
  const unsafe = client.unsafe.bind(client);
  return Object.assign(client, {
    unsafe: (
      text: string,
      parameters?: Parameters<typeof unsafe>[1],
      options?: postgres.UnsafeQueryOptions,
    ) => unsafe(text, parameters, { ...options, prepare: true }),
  });
}
