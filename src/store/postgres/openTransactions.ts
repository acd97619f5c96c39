/** Finds the oldest open transaction that holds back log readers. */
import { sql } from 'drizzle-orm';
import type { Queries } from './database.ts';

/** An open transaction that has written. Log readers cannot pass its position until it ends. */
export interface OpenWriter {
  /** Identifies its session for an operator: process, application, user, database. */
  readonly who: string;
  /** Age in real seconds; null if this role may not see it. */
  readonly seconds: number | null;
}

/**
 * The oldest open writer of the whole server, in any database; null if there is none. A role without
 * `pg_read_all_stats` sees only its own sessions: for others it gets a writer without details.
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
  const [hidden] = await db.execute(sql`
    select 1 where pg_snapshot_xmin(pg_current_snapshot()) < pg_snapshot_xmax(pg_current_snapshot())`);
  return hidden
    ? { who: 'a process this role may not see (grant it pg_read_all_stats)', seconds: null }
    : null;
}
