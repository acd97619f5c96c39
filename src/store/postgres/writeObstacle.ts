/** Finds out whether the database takes writes: a node that can only read is not ready. */
import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { Database } from './database.ts';
import { DISK_FULL, writeRefusal } from './session.ts';
import { sqlStateOf } from './sqlState.ts';

/** More than a table has free: the probe must make a file grow, as the log does. */
const PROBE_BYTES = 256 * 1024;

/** Why nothing can be written to the database at the moment, as a message; null if writing works. */
export async function findWriteObstacle({ db, sockets: { disk } }: Database): Promise<string | null> {
  const [row] = await db.execute<{ recovering: boolean; readOnly: boolean; table: string | null }>(sql`
    select pg_is_in_recovery() as recovering, current_setting('transaction_read_only') = 'on' as "readOnly",
      (select relname from pg_class where relnamespace = quote_ident(current_schema())::regnamespace and relkind in ('r', 'p')
        and not (has_table_privilege(oid, 'INSERT') and has_table_privilege(oid, 'UPDATE')
          and has_table_privilege(oid, 'DELETE'))
        order by relname limit 1) as table`);
  if (!row) return null;
  const refusal = writeRefusal(row.recovering, row.readOnly);
  if (refusal !== null) return refusal;
  if (row.table !== null) return `the role of Serin may not write to the table ${row.table}`;
  if (disk.full && (await lacksSpace(db)))
    return 'the disk of the PostgreSQL server is full: nothing can be written';
  disk.full = false;
  return null;
}

/** Writes something large and takes it back. */
async function lacksSpace(db: Database['db']): Promise<boolean> {
  const text = randomBytes(PROBE_BYTES / 2).toString('hex');
  const takeBack = new Error('taken back');
  try {
    return await db.transaction(async (tx) => {
      await tx.execute(
        sql`insert into nodes (id, version, writes) values (${`space ${text.slice(0, 16)}`}, ${text}, 0)`,
      );
      throw takeBack;
    });
  } catch (error) {
    if (error === takeBack) return false;
    if (sqlStateOf(error) === DISK_FULL) return true;
    throw error;
  }
}
