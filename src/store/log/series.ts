/**
 * The series of deployments over time, read from the points that are stored with their samples. What is known only grows, so
 * results are cached and continued. A deployment without stored points (archived, or older than they are) is replayed from
 * its log.
 */
import { sql } from 'drizzle-orm';
import { LRUCache } from 'lru-cache';
import { MARKED_TYPES, Series, SeriesFold } from '../../core/lifecycle/series.ts';
import type { Queries } from '../postgres/database.ts';
import { readDeploymentEvents } from './eventLog.ts';

/** Points that are cached for all deployments together: about 25 MB. */
const MAX_CACHED_POINTS = 200_000;
/** Events read in one statement. */
const PAGE = 1000;

export interface SeriesReader {
  /** The series of a deployment until now. */
  read(deploymentId: string): Promise<Series>;
}

/** A series in the cache: as it is, and how it continues. */
interface CachedSeries {
  readonly series: Series;
  /** Reads what is new. False if the points are not stored. */
  readOn(): Promise<boolean>;
  /** The read in flight, which a later one waits for. */
  reading: Promise<boolean>;
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

  /** Continues a series; null if its points are not stored. One read at a time: two would add the same points. */
  async function continued(deploymentId: string, entry: CachedSeries): Promise<Series | null> {
    const before = entry.series.stored.length;
    entry.reading = entry.reading.then(() => entry.readOn());
    if (before === 0) cache.set(deploymentId, entry);
    try {
      if (!(await entry.reading)) return null;
    } catch (error) {
      cache.delete(deploymentId);
      throw error;
    }
    if (entry.series.stored.length !== before) cache.set(deploymentId, entry);
    return entry.series;
  }

  return {
    async read(deploymentId) {
      const known = cache.get(deploymentId) ?? fromPoints(db, deploymentId);
      const series = await continued(deploymentId, known);
      return series ?? (await continued(deploymentId, fromLog(db, deploymentId))) ?? new Series();
    },
  };
}

function fromPoints(db: Queries, deploymentId: string): CachedSeries {
  const series = new Series();
  let eventNo = 0;
  return {
    series,
    reading: Promise.resolve(true),
    async readOn() {
      const check = series.stored.latestCheck;
      const [found] = await db.execute<{ points: Buffer | null; missing: number; eventCount: number }>(sql`
        select (select event_count from deployments where id = ${deploymentId})::int as "eventCount",
          string_agg(point, ''::bytea order by "check") as points,
          (count(*) filter (where point is null))::int as missing
        from samples where deployment_id = ${deploymentId} and "check" > ${check}`);
      // Without any sample there is none yet, or all are archived: the log knows which.
      if (!found || found.missing > 0 || (found.points === null && check === 0)) return false;
      if (found.points) series.stored.add(found.points);
      if (found.eventCount === eventNo) return true;
      const filter = { types: MARKED_TYPES };
      const events = await readDeploymentEvents(db, deploymentId, { afterNo: eventNo, filter });
      for (const entry of events) if (entry.event.no <= found.eventCount) series.addMarker(entry);
      eventNo = found.eventCount;
      return true;
    },
  };
}

function fromLog(db: Queries, deploymentId: string): CachedSeries {
  const series = new SeriesFold();
  return {
    series,
    reading: Promise.resolve(true),
    async readOn() {
      for (;;) {
        const page = await readDeploymentEvents(db, deploymentId, { afterNo: series.eventNo, limit: PAGE });
        for (const entry of page) series.add(entry);
        if (page.length < PAGE) return true;
      }
    },
  };
}
