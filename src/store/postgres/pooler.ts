/**
 * A pooler that gives each transaction another server breaks what Serin relies on: settings of the session, LISTEN, and
 * the lock around migrations, which it would never release. It is detected before anything else is done.
 */
import type postgres from 'postgres';

/** How often both connections are asked: a pooler may hand out its servers in turn. */
const ROUNDS = 12;

/**
 * @param one a client with one connection
 * @param open makes another such client
 * @throws {Error} with what to use instead, where both connections share one server
 */
export async function refuseTransactionPooler(one: postgres.Sql, open: () => postgres.Sql): Promise<void> {
  const other = open();
  try {
    const first = new Set<unknown>();
    const second = new Set<unknown>();
    for (let round = 0; round < ROUNDS; round += 1) {
      first.add(await backendOf(one));
      second.add(await backendOf(other));
      // A session has one server process, and no other session has it.
      if (first.size > 1 || second.size > 1 || [...second].some((pid) => first.has(pid))) throw pooled();
    }
  } catch (error) {
    const text = error instanceof Error ? error.message : '';
    if (/statement pooling|prepared statement .* does not exist/.test(text)) throw pooled();
    throw error;
  } finally {
    await other.end({ timeout: 1 });
  }
}

async function backendOf(client: postgres.Sql): Promise<unknown> {
  const [row] = await client`select pg_backend_pid() as pid`.simple();
  return row?.pid;
}

const pooled = () =>
  new Error(
    'DATABASE_URL leads to a pooler in transaction mode, which gives every transaction another session: use its session ' +
      'mode (pgbouncer: pool_mode = session), or the direct address of the database (hosted: the one without "pooler", ' +
      'often port 5432 instead of 6543)',
  );
