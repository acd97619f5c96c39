/** A snapshot of what is committed: it decides which events were there before a subscription began. */
import { sql } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';
import { CURRENT } from './incarnations.ts';
import type { LogPosition } from './position.ts';

export interface Horizon {
  readonly incarnation: number;
  readonly xmin: bigint;
  readonly xmax: bigint;
  readonly running: ReadonlySet<bigint>;
}

export async function currentHorizon(db: Queries): Promise<Horizon> {
  const [row] = await db.execute<{ snapshot: string; incarnation: number }>(
    sql`select pg_current_snapshot()::text as snapshot, ${CURRENT} as incarnation`,
  );
  const [xmin, xmax, running] = (row?.snapshot ?? '0:0:').split(':');
  const ids = running ? running.split(',').map((id) => BigInt(id)) : [];
  return {
    incarnation: row?.incarnation ?? 1,
    xmin: BigInt(xmin ?? 0),
    xmax: BigInt(xmax ?? 0),
    running: new Set(ids),
  };
}

/** Whether an entry was already committed at that moment. */
export function wasCommitted(
  { incarnation, xmin, xmax, running }: Horizon,
  { incarnation: { number }, xid }: LogPosition,
): boolean {
  if (number !== incarnation) return number < incarnation;
  return xid < xmin || (xid < xmax && !running.has(xid));
}
