/**
 * The course of a deployment as numbers to draw: one point a check, as it was stored with its sample or made by replaying
 * the log, and what happened in between. Returns are those that decisions are made on, each interval on the capital of its own.
 */
import type { BySide, Side } from '../values/side.ts';
import { describeEvent } from './describe.ts';
import { type CanaryEvent, EVENT_TYPES, type EventType } from './events.ts';
import { evolve } from './evolve.ts';
import { pointOf, type SampledPoint, StoredPoints, writePoint } from './seriesPoint.ts';
import { type DeploymentState, forSides } from './state.ts';

/** A point of a course, with what it takes the points before to know. */
export interface SeriesPoint extends SampledPoint {
  /** How far the return lies below its highest so far, at least 0. */
  readonly drawdowns: BySide<number | null>;
}

/** Something that happened, to be marked on the picture. */
export interface SeriesMarker {
  readonly at: number;
  readonly type: EventType;
  readonly description: string;
}

/** The part of a series that a picture shows. */
export interface DrawnSeries {
  readonly points: readonly SeriesPoint[];
  readonly markers: readonly SeriesMarker[];
}

/** An event, and whether it is in the timeline of its deployment. */
export interface SeriesEntry {
  readonly event: CanaryEvent;
  readonly timeline: boolean;
}

/** Facts that stand in the log of every deployment for all to see, in the timeline or not. */
const ALWAYS_MARKED: ReadonlySet<EventType> = new Set([
  'CANARY_STARTED',
  'CANARY_PAUSED',
  'CANARY_RESUMED',
  'DECISION_MADE',
  'CANARY_OBSERVATION_COMPLETE',
  'CANARY_PROMOTED',
  'CANARY_ROLLED_BACK',
  'CANARY_CANCELLED',
  'CANARY_FAILED',
]);
/** Checks are the points themselves. */
const NEVER_MARKED: ReadonlySet<EventType> = new Set(['CANARY_METRICS_UPDATED', 'METRICS_UNAVAILABLE']);
/** Types of events that can be marked. */
export const MARKED_TYPES: readonly EventType[] = EVENT_TYPES.filter((type) => !NEVER_MARKED.has(type));

/** A series that grows with its deployment, fed with points and events in their order. */
export class Series {
  readonly stored = new StoredPoints();
  readonly #markers: SeriesMarker[] = [];

  /** An event is marked if it is in the timeline, or stands for all to see, and is no check. */
  addMarker({ event, timeline }: SeriesEntry): void {
    const { type, at } = event;
    if (NEVER_MARKED.has(type) || !(timeline || ALWAYS_MARKED.has(type))) return;
    this.#markers.push({ at, type, description: describeEvent(event) });
  }

  /**
   * What happened between two instants.
   * @param limit maximum number of points, at least 2: the first and the last are kept, and spikes of both sides
   */
  draw(limit: number, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY): DrawnSeries {
    const { stored } = this;
    const within: number[] = [];
    for (let index = 0; index < stored.length; index += 1) {
      if (stored.at(index) >= from && stored.at(index) <= to) within.push(index);
    }
    return {
      points: this.#withDrawdowns(thinned(stored, within, limit)),
      markers: this.#markers.filter(({ at }) => at >= from && at <= to),
    };
  }

  /** @param chosen indexes in ascending order */
  #withDrawdowns(chosen: readonly number[]): SeriesPoint[] {
    const { stored } = this;
    const highest = { CANARY: 0, STABLE: 0 };
    let seen = 0;
    return chosen.map((index) => {
      for (; seen <= index; seen += 1) {
        highest.CANARY = Math.max(highest.CANARY, stored.returned(seen, 'CANARY'));
        highest.STABLE = Math.max(highest.STABLE, stored.returned(seen, 'STABLE'));
      }
      const point = stored.point(index);
      const below = (side: Side) => {
        const earned = point.returns[side];
        return earned === null ? null : highest[side] - earned;
      };
      return { ...point, drawdowns: forSides(below) };
    });
  }
}

/** A series made by replaying a log, where points were not stored. */
export class SeriesFold extends Series {
  #state: DeploymentState | null = null;

  /** The number of the event it has come to; 0 at the start. */
  get eventNo(): number {
    return this.#state?.eventCount ?? 0;
  }

  /** Takes the next event. Throws on an event that cannot follow. */
  add(entry: SeriesEntry): void {
    const { event } = entry;
    this.#state = evolve(this.#state, event);
    const point = event.type === 'CANARY_METRICS_UPDATED' ? pointOf(this.#state, event) : null;
    if (point) this.stored.add(writePoint(point));
    this.addMarker(entry);
  }
}

/** The points of a whole log, by the number of their check. */
export function pointsByCheck(events: readonly CanaryEvent[]): ReadonlyMap<number, SampledPoint> {
  const fold = new SeriesFold();
  for (const event of events) fold.add({ event, timeline: false });
  const points = Array.from({ length: fold.stored.length }, (_, index) => fold.stored.point(index));
  return new Map(points.map((point) => [point.check, point]));
}

/** Points that a thinned series keeps of each part: the first, and the extremes of both sides, so that spikes stay. */
const KEPT_OF_PART = 5;

/** Thins indexes of points to a maximum number, in order, always with the first and the last. */
function thinned(stored: StoredPoints, indexes: readonly number[], limit: number): readonly number[] {
  const last = indexes.at(-1);
  if (indexes.length <= limit || last === undefined) return indexes;
  const parts = Math.max(1, Math.floor((limit - 1) / KEPT_OF_PART));
  const kept = new Set<number>();
  for (let part = 0; part < parts; part += 1) {
    const from = Math.floor((part * indexes.length) / parts);
    const to = Math.floor(((part + 1) * indexes.length) / parts);
    for (const index of extremes(stored, indexes.slice(from, to))) kept.add(index);
  }
  const chosen = [...kept].sort((a, b) => a - b).slice(0, limit - 1);
  return chosen.at(-1) === last ? chosen : [...chosen, last];
}

function extremes(stored: StoredPoints, part: readonly number[]): number[] {
  const found = part.slice(0, 1);
  for (const side of ['CANARY', 'STABLE'] as const) {
    for (const sign of [1, -1]) {
      const value = (index: number) => sign * stored.returned(index, side);
      const [first, ...rest] = part;
      if (first === undefined) continue;
      found.push(rest.reduce((best, index) => (value(index) > value(best) ? index : best), first));
    }
  }
  return found;
}
