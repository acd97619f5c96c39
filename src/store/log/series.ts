/**
 * The course of deployments, read from their logs. A log only grows, so what was read is kept and continued: the first
 * look at a deployment reads all of its events, every later one only the new.
 */
import { LRUCache } from 'lru-cache';
import { type Series, SeriesFold } from '../../core/lifecycle/series.ts';
import type { Queries } from '../postgres/database.ts';
import { readDeploymentEvents } from './eventLog.ts';

/** Points that are kept of all deployments together: about 50 MB. */
const KEPT_POINTS = 200_000;
/** Events read in one statement. */
const PAGE = 1000;

export interface SeriesReader {
  /** The course of a deployment until now. */
  read(deploymentId: string): Promise<Series>;
}

interface Kept {
  readonly fold: SeriesFold;
  /** The reading under way, which a later one waits for. */
  reading: Promise<void>;
}

const readers = new WeakMap<Queries, SeriesReader>();

/** The reader of a database; the same for all who ask. */
export function seriesReader(db: Queries): SeriesReader {
  const known = readers.get(db);
  if (known) return known;
  const made = createSeriesReader(db);
  readers.set(db, made);
  return made;
}

function createSeriesReader(db: Queries): SeriesReader {
  const kept = new LRUCache<string, Kept>({
    maxSize: KEPT_POINTS,
    sizeCalculation: ({ fold }) => fold.points.length + 1,
  });

  async function goOn(deploymentId: string, fold: SeriesFold): Promise<void> {
    for (;;) {
      const page = await readDeploymentEvents(db, deploymentId, { afterNo: fold.eventNo, limit: PAGE });
      for (const entry of page) fold.add(entry);
      if (page.length < PAGE) return;
    }
  }

  return {
    async read(deploymentId) {
      const entry = kept.get(deploymentId) ?? { fold: new SeriesFold(), reading: Promise.resolve() };
      const before = entry.fold.points.length;
      // One reading after the other: two would add the same events.
      entry.reading = entry.reading.then(() => goOn(deploymentId, entry.fold));
      if (before === 0) kept.set(deploymentId, entry);
      try {
        await entry.reading;
      } catch (error) {
        kept.delete(deploymentId);
        throw error;
      }
      if (entry.fold.points.length !== before) kept.set(deploymentId, entry);
      return entry.fold;
    },
  };
}
