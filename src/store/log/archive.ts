/**
 * What of a deployment was moved out of its tables: events, samples and trades as they stood there, compressed into
 * one value. Readers of one deployment look here when its tables have nothing to say.
 */
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { eq, sql } from 'drizzle-orm';
import { z } from 'zod';
import { STATUSES } from '../../core/lifecycle/state.ts';
import { SIDES } from '../../core/values/side.ts';
import type { Queries } from '../postgres/database.ts';
import { archives } from '../tables/archiveTables.ts';

const statusCodec = z.enum(STATUSES).nullable();

/** Rows, with what is no JSON as text. They are read once more by their own codecs. */
const contentCodec = z.strictObject({
  events: z.array(
    z.strictObject({
      xid: z.string(),
      id: z.string(),
      no: z.int(),
      strategyId: z.string(),
      timeline: z.boolean(),
      previousStatus: statusCodec,
      status: statusCodec,
      payload: z.unknown(),
    }),
  ),
  samples: z.array(
    z.strictObject({ check: z.int(), at: z.string(), decision: z.string(), metrics: z.unknown() }),
  ),
  trades: z.array(
    z.strictObject({
      side: z.enum(SIDES),
      id: z.string(),
      at: z.string(),
      pnlUsd: z.string().nullable(),
      feesUsd: z.string(),
      gasUsd: z.string(),
      notionalUsd: z.string().nullable(),
      error: z.string().nullable(),
      capitalUsd: z.string(),
      recordedAt: z.string(),
    }),
  ),
});
export type ArchivedRows = z.output<typeof contentCodec>;

export async function pack(rows: ArchivedRows): Promise<Buffer> {
  return promisify(gzip)(JSON.stringify(rows), { level: 9 });
}

/** The archived rows of a deployment; null when it has none. */
export async function findArchivedRows(db: Queries, deploymentId: string): Promise<ArchivedRows | null> {
  const [row] = await db
    .select({ content: archives.content })
    .from(archives)
    .where(eq(archives.deploymentId, deploymentId));
  if (!row) return null;
  const text = await promisify(gunzip)(row.content);
  return contentCodec.parse(JSON.parse(text.toString()));
}

/** When deployments were archived; the answer has those that were. */
export async function archivedAt(db: Queries, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await db
    .select({ id: archives.deploymentId, at: archives.archivedAt })
    .from(archives)
    .where(sql`${archives.deploymentId} = any(${sql.param([...ids])}::text[])`);
  return new Map(rows.map(({ id, at }) => [id, at.getTime()]));
}
