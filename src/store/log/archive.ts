/**
 * The archived rows of a deployment: its events, samples and trades, moved out of their tables and compressed into one
 * value. Functions that read one deployment read the archive if the tables have no rows of it.
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

/** Rows as JSON; values without a JSON type are strings. The codecs of the rows parse them again. */
const contentCodec = z.strictObject({
  events: z.array(
    z.strictObject({
      /** Absent in archives of 0.1. */
      incarnation: z.int().optional(),
      xid: z.string(),
      id: z.string(),
      no: z.int(),
      strategyId: z.string(),
      timeline: z.boolean(),
      previousStatus: statusCodec,
      status: statusCodec,
      payload: z.record(z.string(), z.unknown()),
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
      /** Absent in archives that were made before trades had signals. */
      signalId: z.string().nullish(),
      capitalUsd: z.string(),
      recordedAt: z.string(),
    }),
  ),
});
export type ArchivedRows = z.output<typeof contentCodec>;

/** Rows as they are stored: JSON, compressed with gzip. */
export async function pack(rows: ArchivedRows): Promise<Buffer> {
  return promisify(gzip)(JSON.stringify(rows), { level: 9 });
}

/** The archived rows of a deployment; null if it is not archived. */
export async function findArchivedRows(db: Queries, deploymentId: string): Promise<ArchivedRows | null> {
  const [row] = await db
    .select({ content: archives.content })
    .from(archives)
    .where(eq(archives.deploymentId, deploymentId));
  if (!row) return null;
  const json = await promisify(gunzip)(row.content);
  return contentCodec.parse(JSON.parse(json.toString()));
}

/** When deployments were archived, epoch milliseconds; without those that were not. */
export async function archivedAt(db: Queries, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await db
    .select({ id: archives.deploymentId, at: archives.archivedAt })
    .from(archives)
    .where(sql`${archives.deploymentId} = any(${sql.param([...ids])}::text[])`);
  return new Map(rows.map(({ id, at }) => [id, at.getTime()]));
}
