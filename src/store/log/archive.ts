/**
 * The archived rows of a deployment: its events, samples and trades, moved out of their tables and compressed into one
 * value. Functions that read one deployment read the archive if the tables have no rows of it.
 */
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGzip, gunzip } from 'node:zlib';
import { eq, sql } from 'drizzle-orm';
import { z } from 'zod';
import { STATUSES } from '../../core/lifecycle/state.ts';
import { SIDES } from '../../core/values/side.ts';
import { convertRows } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import { archives } from '../tables/archiveTables.ts';

const statusCodec = z.enum(STATUSES).nullable();

/** Rows as JSON; values without a JSON type are strings. The codecs of the rows parse them again. */
const rowCodecs = {
  events: z.strictObject({
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
  samples: z.strictObject({ check: z.int(), at: z.string(), decision: z.string(), metrics: z.unknown() }),
  trades: z.strictObject({
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
};

/** The order in which they are stored. */
const KINDS = ['events', 'samples', 'trades'] as const;
type Kind = (typeof KINDS)[number];
/** A row of each kind. */
export type ArchivedRows = { readonly [K in Kind]: z.output<(typeof rowCodecs)[K]> };

/** Rows as they are stored: JSON, compressed with gzip. */
export interface Packed {
  readonly content: Buffer;
  readonly counts: Readonly<Record<Kind, number>>;
}

/**
 * Packs rows as they come, so that those of the largest deployment need little memory and nobody waits for them. Each row is
 * a line of the JSON.
 * @throws the reason of the signal
 */
export async function pack(
  rows: { readonly [K in Kind]: AsyncIterable<readonly ArchivedRows[K][]> },
  signal: AbortSignal,
): Promise<Packed> {
  const counts = { events: 0, samples: 0, trades: 0 };
  async function* json(): AsyncGenerator<string> {
    for (const kind of KINDS) {
      yield `${kind === 'events' ? '{' : '\n],'}"${kind}":[`;
      for await (const page of rows[kind]) {
        const lines = await convertRows<unknown, string>(page, (row) => JSON.stringify(row));
        if (lines.length > 0) yield `${counts[kind] === 0 ? '' : ','}\n${lines.join(',\n')}`;
        counts[kind] += lines.length;
      }
    }
    yield '\n]}\n';
  }
  const parts: Buffer[] = [];
  const keep = async (compressed: AsyncIterable<Buffer>) => {
    for await (const part of compressed) parts.push(part);
  };
  await pipeline(json, createGzip({ level: 9 }), keep, { signal });
  return { content: Buffer.concat(parts), counts };
}

const contentCodec = z.strictObject({
  events: z.array(rowCodecs.events),
  samples: z.array(rowCodecs.samples),
  trades: z.array(rowCodecs.trades),
});
type ArchivedContent = z.output<typeof contentCodec>;

/** The archived rows of a deployment; null if it is not archived. */
export async function findArchivedRows(db: Queries, deploymentId: string): Promise<ArchivedContent | null> {
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
