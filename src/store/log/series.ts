/**
 * The series of deployments over time, read from the points that are stored with their samples. What is known only grows, so
 * results are cached and continued. A deployment without stored points (archived, or older than they are) is replayed from
 * its log.
 */
import DataLoader from 'dataloader';
import { eq, sql } from 'drizzle-orm';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import { MARKED_TYPES, Series, SeriesFold } from '../../core/lifecycle/series.ts';
import type { Queries } from '../postgres/database.ts';
import { deployments } from '../tables/tables.ts';
import { readEventsOfMany, streamDeploymentEvents } from './deploymentEvents.ts';
import type { LogEntry } from './logEntry.ts';

/** Points that are cached for all deployments together: about 25 MB. */
const MAX_CACHED_POINTS = 200_000;
/** Deployments whose points are read in one statement: the first of a page are drawn while PostgreSQL reads the next. */
const POINTS_TOGETHER = 5;
/** Connections that the points of a page are read on at a time. */
const CONNECTIONS = 2;
const EVENTS_TOGETHER = 100;

export interface SeriesReader {
  /** The series of a deployment until now. */
  read(deploymentId: string): Promise<Series>;
}

/** A series in the cache: as it is, and how it continues. */
interface CachedSeries {
  readonly series: Series;
  /** Reads what is new. False if the points are not stored. */
  readOn(): Promise<boolean>;
  /** The latest read. */
  reading: Promise<boolean>;
  /** The read that begins after the one in flight, which all callers until then share; null if there is none. */
  next: Promise<boolean> | null;
}

const readers = new WeakMap<Queries, SeriesReader>();

/** The reader of a database, the same for all callers. */
export function seriesReader(db: Queries): SeriesReader {
  const existing = readers.get(db);
  if (existing) return existing;
  const reader = createSeriesReader(db);
  readers.set(db, reader);
  return reader;
}

function createSeriesReader(db: Queries): SeriesReader {
  const cache = new LRUCache<string, CachedSeries>({
    maxSize: MAX_CACHED_POINTS,
    sizeCalculation: ({ series }) => series.stored.length + 1,
  });
  const rows = rowLoaders(db);

  /** Continues a series; null if its points are not stored. One read at a time: two would add the same points. */
  async function continued(deploymentId: string, entry: CachedSeries): Promise<Series | null> {
    const before = entry.series.stored.length;
    entry.next ??= entry.reading.then(() => {
      entry.next = null;
      return entry.readOn();
    });
    const reading = entry.next;
    entry.reading = reading;
    if (before === 0) cache.set(deploymentId, entry);
    try {
      if (!(await reading)) return null;
    } catch (error) {
      cache.delete(deploymentId);
      throw error;
    }
    if (entry.series.stored.length !== before) cache.set(deploymentId, entry);
    return entry.series;
  }

  return {
    async read(deploymentId) {
      const known = cache.get(deploymentId) ?? fromPoints(rows, deploymentId);
      const series = await continued(deploymentId, known);
      return series ?? (await continued(deploymentId, fromLog(db, deploymentId))) ?? new Series();
    },
  };
}

interface PointsRow extends Record<string, unknown> {
  readonly id: string;
  /** In base64, which is a third shorter than the hexadecimal digits that PostgreSQL sends for bytes. */
  readonly points: string | null;
  /** Samples without a point. */
  readonly missing: number;
  /** Null for a deployment that does not exist. */
  readonly eventCount: number | null;
  readonly archived: boolean;
}

interface RowLoaders {
  /** The points of a deployment after a check, one after another. */
  readonly points: DataLoader<{ readonly deploymentId: string; readonly check: number }, PointsRow>;
  /** Events to mark, after an event number. */
  readonly marked: DataLoader<{ readonly deploymentId: string; readonly afterNo: number }, LogEntry[]>;
}

/** Reads for many deployments together: a page shows two hundred, and a statement for each takes every connection. */
function rowLoaders(db: Queries): RowLoaders {
  const batching = { cache: false, batchScheduleFn: (send: () => void) => void setImmediate(send) };
  const inTurn = pLimit(CONNECTIONS);
  return {
    points: new DataLoader(
      async (wanted) => {
        const statement = sql`
          select wanted.deployment as id, deployments.event_count as "eventCount",
            exists (select 1 from archives where deployment_id = wanted.deployment) as archived, taken.points, taken.missing
          from unnest(${sql.param(wanted.map(({ deploymentId }) => deploymentId))}::text[],
            ${sql.param(wanted.map(({ check }) => check))}::int[]) with ordinality as wanted (deployment, "check", place)
          left join deployments on deployments.id = wanted.deployment
          cross join lateral (select encode(string_agg(point, ''::bytea order by "check"), 'base64') as points,
              (count(*) filter (where point is null))::int as missing
            from samples where deployment_id = deployments.id and born = deployments.born
              and "check" > wanted."check") as taken
          order by wanted.place`;
        const found = await inTurn(() => db.execute<PointsRow>(statement));
        return wanted.map((_, place) => found[place] ?? new Error('the points of a series were not read'));
      },
      { ...batching, maxBatchSize: POINTS_TOGETHER },
    ),
    marked: new DataLoader((wanted) => readEventsOfMany(db, wanted, MARKED_TYPES), {
      ...batching,
      maxBatchSize: EVENTS_TOGETHER,
    }),
  };
}

function fromPoints(rows: RowLoaders, deploymentId: string): CachedSeries {
  const series = new Series();
  let eventNo = 0;
  return {
    series,
    reading: Promise.resolve(true),
    next: null,
    async readOn() {
      const check = series.stored.latestCheck;
      const { points, missing, eventCount, archived } = await rows.points.load({ deploymentId, check });
      // What has moved to the archive is no longer in the tables: the log knows all of it.
      if (archived || missing > 0) return false;
      if (points !== null) series.stored.add(Buffer.from(points, 'base64'));
      if (eventCount === null || eventCount === eventNo) return true;
      const entries = await rows.marked.load({ deploymentId, afterNo: eventNo });
      for (const entry of entries) if (entry.event.no <= eventCount) series.addMarker(entry);
      eventNo = eventCount;
      return true;
    },
  };
}

function fromLog(db: Queries, deploymentId: string): CachedSeries {
  const series = new SeriesFold();
  return {
    series,
    reading: Promise.resolve(true),
    next: null,
    async readOn() {
      // To see that nothing is new, its archive need not be read again.
      if (series.eventNo > 0 && (await eventCount(db, deploymentId)) === series.eventNo) return true;
      for await (const page of streamDeploymentEvents(db, deploymentId, series.eventNo)) {
        for (const entry of page) series.add(entry);
      }
      return true;
    },
  };
}

async function eventCount(db: Queries, deploymentId: string): Promise<number | undefined> {
  const [row] = await db
    .select({ count: deployments.eventCount })
    .from(deployments)
    .where(eq(deployments.id, deploymentId));
  return row?.count;
}
