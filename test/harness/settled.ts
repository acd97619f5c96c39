/** The log at rest: what a test reads of it now, it reads again later. */
import type postgres from 'postgres';
import { until } from './serin.ts';

/**
 * Waits until no open transaction holds back committed events, also one of another test: their databases are of one
 * server. A read waits for a second itself, and then leaves out what is held back.
 */
export const untilSettled = (sql: postgres.Sql): Promise<void> =>
  until(async () => {
    const held = await sql`select from events where (incarnation, xid) >=
      ((select max(number) from incarnations), pg_snapshot_xmin(pg_current_snapshot())) limit 1`;
    return held.length === 0;
  });
