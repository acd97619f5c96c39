/**
 * Prepared statements for everything that goes through Drizzle. Drizzle sends its statements as the driver's `unsafe`,
 * which prepares nothing: each is parsed and planned again, and asks for its parameter types in a round trip of its
 * own first. Prepared, a statement known to the connection is one round trip and no planning.
 */
import type postgres from 'postgres';
import type { CountedPool } from './poolStats.ts';

type Begin = postgres.Sql['begin'];

/** The same client, preparing what it sends, in transactions too, which are counted. */
export function withPreparedStatements(client: postgres.Sql, pool: CountedPool): postgres.Sql {
  prepareUnsafe(client);
  const begin: Begin = client.begin.bind(client);
  const prepared = <T>(options: string, work: (tx: postgres.TransactionSql) => T | Promise<T>) =>
    pool.transaction((begun) =>
      begin(options, (tx) => {
        begun();
        return work(prepareUnsafe(tx));
      }),
    );
  return Object.assign(client, {
    begin<T>(
      first: string | ((tx: postgres.TransactionSql) => T | Promise<T>),
      second?: (tx: postgres.TransactionSql) => T | Promise<T>,
    ) {
      if (typeof first === 'function') return prepared('', first);
      if (!second) throw new TypeError('a transaction needs its work');
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
