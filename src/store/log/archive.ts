/**
 * The archived rows of a deployment: its events, samples and trades, and how many signals it had, moved out of their tables and
 * compressed into one value. Functions that read one deployment read the archive if the tables have no rows of it.
 */
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { eq, sql } from 'drizzle-orm';
import { z } from 'zod';
import { STATUSES } from '../../core/lifecycle/state.ts';
import { SIDES } from '../../core/values/side.ts';
import { convertRows } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import { archives } from '../tables/archiveTables.ts';
import { SIGNAL_STATES } from '../tables/tables.ts';

const statusCodec = z.enum(STATUSES).nullable();

/** Rows as JSON; values without a JSON type are strings. The codecs of the rows parse them again. */
const codecs = {
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
  /** How many there were in a state: of what becomes of each, nothing follows once the deployment has ended. */
  signals: z.strictObject({ state: z.enum(SIGNAL_STATES), count: z.int() }),
};

/** The order in which they are stored. */
const KINDS = ['events', 'samples', 'trades', 'signals'] as const;
type Kind = (typeof KINDS)[number];
/** A row of each kind. */
export type ArchivedRows = { readonly [K in Kind]: z.output<(typeof codecs)[K]> };

const codecOf: { readonly [K in Kind]: z.ZodType<ArchivedRows[K]> } = codecs;

/** What stands on a line of its own before the rows of each kind. */
const HEADERS: Readonly<Record<Kind, string>> = {
  events: '{"events":[',
  samples: '],"samples":[',
  trades: '],"trades":[',
  signals: '],"signals":[',
};
const END = ']}';
/** Bytes that are decompressed at a time: some milliseconds of work. */
const PIECE = 65_536;

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
  const counts = { events: 0, samples: 0, trades: 0, signals: 0 };
  async function* json(): AsyncGenerator<string> {
    for (const kind of KINDS) {
      yield `${kind === KINDS[0] ? '' : '\n'}${HEADERS[kind]}`;
      for await (const page of rows[kind]) {
        const lines = await convertRows<unknown, string>(page, (row) => JSON.stringify(row));
        if (lines.length > 0) yield `${counts[kind] === 0 ? '' : ','}\n${lines.join(',\n')}`;
        counts[kind] += lines.length;
      }
    }
    yield `\n${END}\n`;
  }
  const parts: Buffer[] = [];
  const keep = async (compressed: AsyncIterable<Buffer>) => {
    for await (const part of compressed) parts.push(part);
  };
  await pipeline(json, createGzip({ level: 9 }), keep, { signal });
  return { content: Buffer.concat(parts), counts };
}

/**
 * The archived rows of one kind of a deployment, in their order, a piece at a time; none if it is not archived. The archive
 * is read once, and decompressed as far as the caller goes. Between two pieces others have their turn.
 */
export async function* streamArchived<K extends Kind>(
  db: Queries,
  deploymentId: string,
  kind: K,
): AsyncGenerator<ArchivedRows[K][]> {
  const [row] = await db
    .select({ content: archives.content })
    .from(archives)
    .where(eq(archives.deploymentId, deploymentId));
  if (row) yield* unpack(row.content, kind);
}

async function* unpack<K extends Kind>(content: Buffer, kind: K): AsyncGenerator<ArchivedRows[K][]> {
  const codec = codecOf[kind];
  const gunzip = createGunzip({ chunkSize: PIECE });
  gunzip.end(content);
  const wanted = HEADERS[kind];
  let section: string | null = null;
  let isRead = false;
  for await (const lines of linesOf(gunzip)) {
    const rows: unknown[] = [];
    for (const line of lines) {
      const header = headerOf(line);
      if (header !== null) {
        isRead ||= section === wanted;
        section = header;
      } else if (section === wanted) rows.push(JSON.parse(line.toString().replace(/,$/, '')));
      // Archives that an earlier version made are one line.
      else if (section === null) rows.push(...wholeCodec.parse(JSON.parse(line.toString()))[kind]);
    }
    if (rows.length > 0) yield await convertRows(rows, (row) => codec.parse(row));
    if (isRead) return;
  }
}

const wholeCodec = z.object({
  events: z.array(z.unknown()),
  samples: z.array(z.unknown()),
  trades: z.array(z.unknown()),
  signals: z.array(z.unknown()).default([]),
});

const [OPENING, CLOSING] = ['[', ']'].map((character) => character.charCodeAt(0));

/** The text of a line between rows; null for a row. */
const headerOf = (line: Buffer): string | null =>
  line[0] === CLOSING || line.at(-1) === OPENING ? line.toString() : null;

/** The lines of a text that is not empty, those that end in a piece together. */
async function* linesOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer[]> {
  let begun: Buffer[] = [];
  for await (const piece of pieces) {
    const lines: Buffer[] = [];
    let from = 0;
    for (let end = piece.indexOf('\n'); end >= 0; end = piece.indexOf('\n', from)) {
      lines.push(Buffer.concat([...begun, piece.subarray(from, end)]));
      begun = [];
      from = end + 1;
    }
    if (from < piece.length) begun.push(piece.subarray(from));
    yield lines;
  }
  if (begun.length > 0) yield [Buffer.concat(begun)];
}

/** How much of a page is wanted: the first or the last N, or all. */
export interface PageEnd {
  readonly limit?: number | undefined;
  readonly fromEnd?: boolean;
}

/** A page of rows that come in pieces. It reads no further than it needs, and keeps no more than a piece too many. */
export async function pageOf<T>(
  pieces: AsyncIterable<readonly T[]>,
  { limit = Number.POSITIVE_INFINITY, fromEnd = false }: PageEnd,
): Promise<T[]> {
  const found: T[] = [];
  for await (const piece of pieces) {
    for (const row of piece) found.push(row);
    if (found.length < limit) continue;
    if (!fromEnd) return found.slice(0, limit);
    found.splice(0, found.length - limit);
  }
  return found;
}

/** When deployments were archived, epoch milliseconds; without those that were not. */
export async function archivedAt(db: Queries, ids: readonly string[]): Promise<Map<string, number>> {
  const rows = await db
    .select({ id: archives.deploymentId, at: archives.archivedAt })
    .from(archives)
    .where(sql`${archives.deploymentId} = any(${sql.param([...ids])}::text[])`);
  return new Map(rows.map(({ id, at }) => [id, at.getTime()]));
}
