/**
 * The series of deployments over time, read from their logs. A log only grows, so results are cached and continued: the
 * first read of a deployment reads all of its events, every later one only the new events.
 */
import { LRUCache } from 'lru-cache';
import { type Series, SeriesFold } from '../../core/lifecycle/series.ts';
import type { Queries } from '../postgres/database.ts';
import { readDeploymentEvents } from './eventLog.ts';

/** Points that are cached for all deployments together: about 50 MB. */
const MAX_CACHED_POINTS = 200_000;
/** Events read in one statement. */
const PAGE = 1000;

export interface SeriesReader {
  /** The series of a deployment until now. */
  read(deploymentId: string): Promise<Series>;
}

interface CachedSeries {
  readonly fold: SeriesFold;
  /** The read in flight, which a later one waits for. */
  reading: Promise<void>;
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
    sizeCalculation: ({ fold }) => fold.points.length + 1,
  });

  async function readOn(deploymentId: string, fold: SeriesFold): Promise<void> {
    for (;;) {
      const page = await readDeploymentEvents(db, deploymentId, { afterNo: fold.eventNo, limit: PAGE });
      for (const entry of page) fold.add(entry);
      if (page.length < PAGE) return;
    }
  }

  return {
    async read(deploymentId) {
      const entry = cache.get(deploymentId) ?? { fold: new SeriesFold(), reading: Promise.resolve() };
      const before = entry.fold.points.length;
      // One read at a time: two would add the same events.
      entry.reading = entry.reading.then(() => readOn(deploymentId, entry.fold));
      if (before === 0) cache.set(deploymentId, entry);
      try {
        await entry.reading;
      } catch (error) {
        cache.delete(deploymentId);
        throw error;
      }
      if (entry.fold.points.length !== before) cache.set(deploymentId, entry);
      return entry.fold;
    },
  };
}
