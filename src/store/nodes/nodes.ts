/** Queries of the nodes on this database: which versions serve it, and the form of stored data that all of them read. */
import { sql } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';

export interface NodeDescription {
  readonly id: string;
  readonly version: string;
  /** The latest form that it reads and writes. */
  readonly writes: number;
}

/** A node that was not seen for so long, in real seconds, is gone. */
const GONE_AFTER_SECONDS = 60;

/** Renews the row of a node. Returns the latest form that every node reads; removes the rows of nodes long gone. */
export async function renewNode(db: Queries, { id, version, writes }: NodeDescription): Promise<number> {
  const [row] = await db.execute<{ form: number | null }>(sql`
    with renewed as (
      insert into nodes (id, version, writes) values (${id}, ${version}, ${writes})
      on conflict (id) do update set seen_at = clock_timestamp()),
    forgotten as (delete from nodes where seen_at < clock_timestamp() - interval '1 day' and id <> ${id})
    select min(writes) as form from nodes
    where seen_at > clock_timestamp() - make_interval(secs => ${GONE_AFTER_SECONDS})`);
  return Math.min(writes, row?.form ?? writes);
}

/** Removes the row of a node that stops. */
export async function removeNode(db: Queries, id: string): Promise<void> {
  await db.execute(sql`delete from nodes where id = ${id}`);
}
