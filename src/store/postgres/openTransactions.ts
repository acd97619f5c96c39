/** Other work in the same PostgreSQL, seen where it stands in Serin's way. */
import { sql } from 'drizzle-orm';
import type { Queries } from './database.ts';

/** A transaction that has written and is still open: until it ends, nobody may read the log past it. */
export interface OpenWriter {
  /** Whose it is, as a person would look for it. */
  readonly who: string;
  /** Real seconds since it began; null where this role may not see it. */
  readonly seconds: number | null;
}

/**
 * The oldest one of the whole server, in any database; null when there is none. A role without `pg_read_all_stats`
 * does not see what others do.
 */
export async function oldestWriter(db: Queries): Promise<OpenWriter | null> {
  const [row] = await db.execute<{ who: string; seconds: number }>(sql`
    select who, seconds from (
      select format('process %s (%s) of %s on %s, %s', pid, coalesce(nullif(application_name, ''), 'no application name'),
          usename, datname, state) as who,
        extract(epoch from clock_timestamp() - xact_start)::float8 as seconds, age(backend_xid) as age
      from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()
      union all
      select format('prepared transaction %s of %s on %s', gid, owner, database),
        extract(epoch from clock_timestamp() - prepared)::float8, age(transaction)
      from pg_prepared_xacts) writers
    order by age desc limit 1`);
  if (row) return row;
  const [held] = await db.execute(sql`
    select 1 where pg_snapshot_xmin(pg_current_snapshot()) < pg_snapshot_xmax(pg_current_snapshot())`);
  return held ? { who: 'a process this role may not see (grant it pg_read_all_stats)', seconds: null } : null;
}
