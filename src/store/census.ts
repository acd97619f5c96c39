/** Counts of what is in the database, for those who watch Serin from outside: one statement, cheap at any size of the log. */
import { sql } from 'drizzle-orm';
import type { Queries } from './database.ts';

export interface Census {
  readonly deployments: readonly { readonly status: string; readonly count: number }[];
  /** Serin's seconds by which the most overdue check is late; 0 when none is. */
  readonly checkLagSeconds: number;
  /** Connections to this database by their state, of all nodes. */
  readonly connections: readonly { readonly state: string; readonly count: number }[];
}

export async function takeCensus(db: Queries): Promise<Census> {
  const [deployments, [lag], connections] = await Promise.all([
    db.execute<{ status: string; count: number }>(
      sql`select status, count(*)::int as count from deployments group by status order by status`,
    ),
    db.execute<{ seconds: number }>(sql`
      select greatest(0, coalesce(extract(epoch from serin_now() - min(next_check_at)), 0))::float8 as seconds
      from deployments where next_check_at is not null`),
    db.execute<{ state: string; count: number }>(sql`
      select coalesce(state, 'unknown') as state, count(*)::int as count from pg_stat_activity
      where datname = current_database() and application_name = 'serin' group by 1 order by 1`),
  ]);
  return { deployments, checkLagSeconds: lag?.seconds ?? 0, connections };
}
