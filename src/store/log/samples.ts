/** The samples that checks took: the history of a deployment's metrics. */
import { and, asc, desc, gt, lt } from 'drizzle-orm';
import { z } from 'zod';
import type { Sample } from '../../core/document/document.ts';
import { type SampledPoint, writePoint } from '../../core/lifecycle/seriesPoint.ts';
import { sideMetricsCodec } from '../../core/metrics/sideMetrics.ts';
import { DECISIONS } from '../../core/rule/gate.ts';
import { bySide } from '../../core/values/codecs.ts';
import { parseStored } from '../../core/values/stored.ts';
import { convertRows, type Pace } from '../postgres/convertRows.ts';
import type { Queries } from '../postgres/database.ts';
import { bulkInsert } from '../tables/bulk.ts';
import { samples } from '../tables/tables.ts';
import { pageOf, streamArchived } from './archive.ts';
import { BORN, isOf } from './partitions.ts';

const metricsCodec = bySide(sideMetricsCodec.nullable());

const insertRows = bulkInsert(samples, ['deploymentId', 'check', 'at', 'decision', 'metrics', 'point'], BORN);

/** A sample of a deployment. */
export interface TakenSample extends Sample {
  readonly deploymentId: string;
  /** What it adds to the course; null where that is not known here, so that it is made from the log. */
  readonly point: SampledPoint | null;
}

/** Inserts any number of samples in one statement. */
export async function insertSamples(tx: Queries, taken: readonly TakenSample[]): Promise<void> {
  if (taken.length === 0) return;
  const rows = taken.map(({ deploymentId, check, at, decision, metrics, point }) => ({
    deploymentId,
    check,
    at: new Date(at),
    decision,
    metrics: metricsCodec.encode(metrics),
    point: point && `\\x${Buffer.from(writePoint(point)).toString('hex')}`,
  }));
  await tx.execute(insertRows(rows));
}

/** Samples that are read in one statement where all are wanted. */
const STREAMED = 200;

export interface SamplePage {
  readonly limit?: number;
  /** The number of the check before the page. */
  readonly after?: number | undefined;
  readonly before?: number | undefined;
  readonly fromEnd?: boolean;
  readonly pace?: Pace | undefined;
}

/** A page in ascending order of check number, also of archived samples. */
export async function readSamples(
  db: Queries,
  deploymentId: string,
  page: SamplePage = {},
): Promise<Sample[]> {
  const found = await readTable(db, deploymentId, page);
  // Samples are archived only after the deployment has ended, so they are all in the table or all archived.
  return found.length > 0 ? found : pageOf(archivedSamples(db, deploymentId, page), page);
}

/** Those of the samples that are not archived. */
async function readTable(
  db: Queries,
  deploymentId: string,
  { limit, after, before, fromEnd = false, pace }: SamplePage,
): Promise<Sample[]> {
  const query = db
    .select()
    .from(samples)
    .where(
      and(
        isOf(samples, deploymentId),
        after === undefined ? undefined : gt(samples.check, after),
        before === undefined ? undefined : lt(samples.check, before),
      ),
    )
    .orderBy(fromEnd ? desc(samples.check) : asc(samples.check))
    .$dynamic();
  const rows = limit === undefined ? await query : await query.limit(limit);
  const found = await convertRows(rows, toSample, pace);
  return fromEnd ? found.reverse() : found;
}

/**
 * All samples of a deployment, in order, a few milliseconds of work at a time, also archived ones: their archive is read
 * once.
 */
export async function* streamSamples(db: Queries, deploymentId: string): AsyncGenerator<Sample[]> {
  let after: number | undefined;
  for (;;) {
    const found = await readTable(db, deploymentId, { after, limit: STREAMED });
    if (found.length === 0) yield* archivedSamples(db, deploymentId, { after });
    else yield found;
    if (found.length < STREAMED) return;
    after = found.at(-1)?.check;
  }
}

async function* archivedSamples(
  db: Queries,
  deploymentId: string,
  { after = -1, before = Number.POSITIVE_INFINITY, pace }: SamplePage,
): AsyncGenerator<Sample[]> {
  for await (const rows of streamArchived(db, deploymentId, 'samples')) {
    const wanted = rows.filter(({ check }) => check > after && check < before);
    yield await convertRows(wanted, (row) => toSample({ ...row, at: new Date(row.at) }), pace);
  }
}

function toSample(row: Pick<typeof samples.$inferSelect, 'check' | 'at' | 'decision' | 'metrics'>): Sample {
  return {
    check: row.check,
    at: row.at.getTime(),
    decision: z.enum(DECISIONS).parse(row.decision),
    metrics: parseStored(metricsCodec, row.metrics),
  };
}
