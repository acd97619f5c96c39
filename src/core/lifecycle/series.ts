/**
 * The course of a deployment as numbers to draw: one point a check, made by replaying its log, and what happened in
 * between. Returns are those that decisions are made on, each interval on the capital of its own.
 */
import { NO_METRICS } from '../metrics/sideMetrics.ts';
import { testResultOf } from '../rule/comparison.ts';
import type { CanaryDecision } from '../rule/gate.ts';
import { type EvidenceVerdict, speakingInterval } from '../rule/sequentialTest.ts';
import type { Decimal } from '../values/decimal.ts';
import type { BySide, Side } from '../values/side.ts';
import { describeEvent } from './describe.ts';
import type { CanaryEvent, EventType } from './events.ts';
import { evolve } from './evolve.ts';
import { comparisonOf, type DeploymentState, forSides, observationOf, sideReturn } from './state.ts';

/** What a check saw. Returns, drawdowns and intervals are fractions; intervals are of the mean difference a check. */
export interface SeriesPoint {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly check: number;
  readonly decision: CanaryDecision;
  /** Return since the start; null before the side has reported. */
  readonly returns: BySide<number | null>;
  /** How far the return lies below its highest so far, at least 0. */
  readonly drawdowns: BySide<number | null>;
  /** What the side works with, USD. */
  readonly heldUsd: BySide<Decimal>;
  /** The interval that speaks; null before there is one. */
  readonly interval: Ends | null;
  readonly whenEarning: Ends | null;
  readonly whenLosing: Ends | null;
  readonly verdict: EvidenceVerdict | null;
  /** The drift detector's level, a natural logarithm; null under the first version of the rule. */
  readonly drift: number | null;
}

interface Ends {
  readonly low: number;
  readonly high: number;
}

/** Something that happened, to be marked on the picture. */
export interface SeriesMarker {
  readonly at: number;
  readonly type: EventType;
  readonly description: string;
}

export interface Series {
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

/** A series that grows with its log. */
export class SeriesFold implements Series {
  readonly points: SeriesPoint[] = [];
  readonly markers: SeriesMarker[] = [];
  #state: DeploymentState | null = null;
  #highest: BySide<number> = { CANARY: 0, STABLE: 0 };

  /** The number of the event it has come to; 0 at the start. */
  get eventNo(): number {
    return this.#state?.eventCount ?? 0;
  }

  /** Takes the next event. Throws on an event that cannot follow. */
  add({ event, timeline }: SeriesEntry): void {
    this.#state = evolve(this.#state, event);
    const { type, at } = event;
    if (type === 'CANARY_METRICS_UPDATED') {
      this.#addPoint(this.#state, event.netPnlUsd, { at, check: event.check, decision: event.decision });
    } else if (!NEVER_MARKED.has(type) && (timeline || ALWAYS_MARKED.has(type))) {
      this.markers.push({ at, type, description: describeEvent(event) });
    }
  }

  #addPoint(
    state: DeploymentState,
    netPnlUsd: BySide<Decimal | null>,
    taken: Pick<SeriesPoint, 'at' | 'check' | 'decision'>,
  ): void {
    const observation = observationOf(state);
    if (!observation) return;
    const { basis } = observation;
    const returns = forSides((side) => {
      const pnl = netPnlUsd[side];
      return pnl === null ? null : sideReturn(basis[side], pnl).toNumber();
    });
    this.#highest = forSides((side) => Math.max(this.#highest[side], returns[side] ?? 0));
    const below = (side: Side) => {
      const earned = returns[side];
      return earned === null ? null : this.#highest[side] - earned;
    };
    const evidence = comparisonOf(state, NO_METRICS)?.evidence ?? null;
    this.points.push({
      ...taken,
      returns,
      drawdowns: forSides(below),
      heldUsd: forSides((side) => basis[side].capitalUsd),
      interval: evidence && speakingInterval(evidence),
      whenEarning: evidence?.y1 ?? null,
      whenLosing: evidence?.y2 ?? null,
      verdict: evidence?.verdict ?? null,
      drift: (evidence && testResultOf(evidence)?.drift.value) ?? null,
    });
  }
}

/** Points that a thinned series keeps of each part: the first, and the extremes of both sides, so that spikes stay. */
const KEPT_OF_PART = 5;

/**
 * Thins a series to a maximum number of points, in order, always with the first and the last.
 * @param limit at least 2
 */
export function thinned(points: readonly SeriesPoint[], limit: number): readonly SeriesPoint[] {
  const last = points.at(-1);
  if (points.length <= limit || !last) return points;
  const parts = Math.max(1, Math.floor((limit - 1) / KEPT_OF_PART));
  const kept = new Set<SeriesPoint>();
  for (let part = 0; part < parts; part += 1) {
    const from = Math.floor((part * points.length) / parts);
    const to = Math.floor(((part + 1) * points.length) / parts);
    for (const point of extremes(points.slice(from, to))) kept.add(point);
  }
  const chosen = points.filter((point) => kept.has(point)).slice(0, limit - 1);
  return chosen.at(-1) === last ? chosen : [...chosen, last];
}

function extremes(part: readonly SeriesPoint[]): SeriesPoint[] {
  const found = part.slice(0, 1);
  for (const side of ['CANARY', 'STABLE'] as const) {
    const value = ({ returns }: SeriesPoint) => returns[side] ?? 0;
    for (const sign of [1, -1]) {
      const [first, ...rest] = part;
      if (!first) continue;
      found.push(
        rest.reduce((best, point) => (sign * value(point) > sign * value(best) ? point : best), first),
      );
    }
  }
  return found;
}
