/**
 * The course of a deployment as numbers to draw: one point a check, as it was stored with its sample or made by replaying
 * the log, and what happened in between. Returns are those that decisions are made on, each interval on the capital of its own.
 */
import type { CanaryDecision } from '../rule/gate.ts';
import type { EvidenceVerdict } from '../rule/sequentialTest.ts';
import type { Decimal } from '../values/decimal.ts';
import { SIDES, type Side } from '../values/side.ts';
import { describeEvent } from './describe.ts';
import { type CanaryEvent, EVENT_TYPES, type EventType } from './events.ts';
import { evolve } from './evolve.ts';
import { pointOf, type SampledPoint, StoredPoints, writePoint } from './seriesPoint.ts';
import type { DeploymentState } from './state.ts';

/** A point of a course that is drawn: its numbers are read from their stored form when they are asked for. */
export class SeriesPoint {
  readonly #stored: StoredPoints;
  readonly #index: number;
  readonly #highestCanary: number;
  readonly #highestStable: number;

  /**
   * @param highestCanary the highest return of the canary until then, at least 0
   * @param highestStable the same of the stable side
   */
  constructor(stored: StoredPoints, index: number, highestCanary: number, highestStable: number) {
    stored.requireKnown(index);
    this.#stored = stored;
    this.#index = index;
    this.#highestCanary = highestCanary;
    this.#highestStable = highestStable;
  }

  get at(): number {
    return this.#stored.at(this.#index);
  }

  get check(): number {
    return this.#stored.check(this.#index);
  }

  get decision(): CanaryDecision {
    return this.#stored.decision(this.#index);
  }

  get canaryReturn(): number | null {
    return this.#stored.number(this.#index, 'canaryReturn');
  }

  get stableReturn(): number | null {
    return this.#stored.number(this.#index, 'stableReturn');
  }

  get difference(): number | null {
    const { canaryReturn, stableReturn } = this;
    return canaryReturn === null || stableReturn === null ? null : canaryReturn - stableReturn;
  }

  /** How far the return lies below its highest so far, at least 0. */
  get canaryDrawdown(): number | null {
    const { canaryReturn } = this;
    return canaryReturn === null ? null : this.#highestCanary - canaryReturn;
  }

  get stableDrawdown(): number | null {
    const { stableReturn } = this;
    return stableReturn === null ? null : this.#highestStable - stableReturn;
  }

  get low(): number | null {
    return this.#end('low', 'high');
  }

  get high(): number | null {
    return this.#end('high', 'low');
  }

  get earningLow(): number | null {
    return this.#end('earningLow', 'earningHigh');
  }

  get earningHigh(): number | null {
    return this.#end('earningHigh', 'earningLow');
  }

  get losingLow(): number | null {
    return this.#end('losingLow', 'losingHigh');
  }

  get losingHigh(): number | null {
    return this.#end('losingHigh', 'losingLow');
  }

  get verdict(): EvidenceVerdict | null {
    return this.#stored.verdict(this.#index);
  }

  get drift(): number | null {
    return this.#stored.number(this.#index, 'drift');
  }

  get canaryHeldUsd(): Decimal {
    return this.#stored.heldUsd(this.#index, 'CANARY');
  }

  get stableHeldUsd(): Decimal {
    return this.#stored.heldUsd(this.#index, 'STABLE');
  }

  /** An interval has both ends, or there is none. */
  #end(name: EndName, other: EndName): number | null {
    return this.#stored.number(this.#index, other) === null ? null : this.#stored.number(this.#index, name);
  }
}

type EndName = 'low' | 'high' | 'earningLow' | 'earningHigh' | 'losingLow' | 'losingHigh';

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
    let seen = 0;
    let canary = 0;
    let stable = 0;
    return chosen.map((index) => {
      for (; seen <= index; seen += 1) {
        canary = Math.max(canary, stored.returned(seen, 'CANARY'));
        stable = Math.max(stable, stored.returned(seen, 'STABLE'));
      }
      return new SeriesPoint(stored, index, canary, stable);
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
    const inPart = indexes.slice(from, to);
    for (const side of SIDES) keepExtremes(stored, inPart, side, kept);
  }
  const chosen = [...kept].sort((a, b) => a - b).slice(0, limit - 1);
  return chosen.at(-1) === last ? chosen : [...chosen, last];
}

/** Keeps the first point, and those at which the return of a side is highest and lowest, of equal ones the first. */
function keepExtremes(stored: StoredPoints, part: readonly number[], side: Side, kept: Set<number>): void {
  const [first] = part;
  if (first === undefined) return;
  let highestAt = first;
  let lowestAt = first;
  let highest = stored.returned(first, side);
  let lowest = highest;
  for (const index of part) {
    const value = stored.returned(index, side);
    if (value > highest) {
      highest = value;
      highestAt = index;
    } else if (value < lowest) {
      lowest = value;
      lowestAt = index;
    }
  }
  kept.add(first).add(highestAt).add(lowestAt);
}
