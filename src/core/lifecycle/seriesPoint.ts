/**
 * What a check saw, as numbers to draw: made of the state after its sample, and as bytes that are stored with the sample, so
 * that a picture of many checks needs no replay.
 */
import { NO_METRICS } from '../metrics/sideMetrics.ts';
import { testResultOf } from '../rule/comparison.ts';
import { type CanaryDecision, DECISIONS } from '../rule/gate.ts';
import { EVIDENCE_VERDICTS, type EvidenceVerdict, speakingInterval } from '../rule/sequentialTest.ts';
import { Decimal } from '../values/decimal.ts';
import type { BySide, Side } from '../values/side.ts';
import type { CanaryEvent } from './events.ts';
import { comparisonOf, type DeploymentState, forSides, observationOf, sideReturn } from './state.ts';

/** What a check saw. Returns, drawdowns and intervals are fractions; intervals are of the mean difference a check. */
export interface SampledPoint {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly check: number;
  readonly decision: CanaryDecision;
  /** Return since the start; null before the side has reported. */
  readonly returns: BySide<number | null>;
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

export interface Ends {
  readonly low: number;
  readonly high: number;
}

/**
 * The point of a sample.
 * @param state the deployment right after it; null is returned if it was never deployed
 */
export function pointOf(
  state: DeploymentState,
  { at, check, decision, netPnlUsd }: Extract<CanaryEvent, { type: 'CANARY_METRICS_UPDATED' }>,
): SampledPoint | null {
  const observation = observationOf(state);
  if (!observation) return null;
  const { basis } = observation;
  const evidence = comparisonOf(state, NO_METRICS)?.evidence ?? null;
  return {
    at,
    check,
    decision,
    returns: forSides((side) => {
      const pnl = netPnlUsd[side];
      return pnl === null ? null : sideReturn(basis[side], pnl).toNumber();
    }),
    heldUsd: forSides((side) => basis[side].capitalUsd),
    interval: evidence && endsOf(speakingInterval(evidence)),
    whenEarning: evidence && endsOf(evidence.y1),
    whenLosing: evidence && endsOf(evidence.y2),
    verdict: evidence?.verdict ?? null,
    drift: (evidence && testResultOf(evidence)?.drift.value) ?? null,
  };
}

const endsOf = (interval: Ends | null): Ends | null => interval && { low: interval.low, high: interval.high };

/**
 * The stored form, version 1, little endian: milliseconds (float64), check (uint32), decision and verdict (uint8 each, their
 * places in the lists; 255 for none), version (uint8), a spare byte, nine float64 (returns, three intervals, drift; NaN for
 * none), and the capital of both sides as signed 128-bit integers of 10^-18 USD.
 */
const POINT_BYTES = 120;
const VERSION = 1;
const NONE = 255;
const NUMBERS_AT = 16;
const HELD_AT = 88;
/** The order of the numbers. */
const PLACES = {
  canaryReturn: 0,
  stableReturn: 1,
  low: 2,
  high: 3,
  earningLow: 4,
  earningHigh: 5,
  losingLow: 6,
  losingHigh: 7,
  drift: 8,
} as const;
const LOW_64 = (1n << 64n) - 1n;
const USD_UNIT = new Decimal('1e-18');

export function writePoint(point: SampledPoint): Uint8Array {
  const bytes = new Uint8Array(POINT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, point.at, true);
  view.setUint32(8, point.check, true);
  view.setUint8(12, DECISIONS.indexOf(point.decision));
  view.setUint8(13, point.verdict === null ? NONE : EVIDENCE_VERDICTS.indexOf(point.verdict));
  view.setUint8(14, VERSION);
  const { returns, interval, whenEarning, whenLosing, drift } = point;
  const ends = [interval, whenEarning, whenLosing].flatMap((each) => [each?.low ?? null, each?.high ?? null]);
  for (const [index, value] of [returns.CANARY, returns.STABLE, ...ends, drift].entries()) {
    view.setFloat64(NUMBERS_AT + 8 * index, value ?? Number.NaN, true);
  }
  writeUsd(view, HELD_AT, point.heldUsd.CANARY);
  writeUsd(view, HELD_AT + 16, point.heldUsd.STABLE);
  return bytes;
}

function writeUsd(view: DataView, offset: number, usd: Decimal): void {
  const units = BigInt(usd.div(USD_UNIT).toFixed(0));
  view.setBigUint64(offset, units & LOW_64, true);
  view.setBigInt64(offset + 8, units >> 64n, true);
}

/** Points of one deployment in their stored form, one after another. Only those that are drawn are ever read as objects. */
export class StoredPoints {
  #bytes = new Uint8Array(64 * POINT_BYTES);
  #view = new DataView(this.#bytes.buffer);
  /** Capital changes seldom, and a decimal costs more than the rest of a point. */
  readonly #amounts = new Map<bigint, Decimal>();
  length = 0;

  /** Adds points in their stored form. */
  add(bytes: Uint8Array): void {
    const used = this.length * POINT_BYTES;
    if (used + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, used + bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#bytes.set(bytes, used);
    this.length += Math.floor(bytes.length / POINT_BYTES);
  }

  /** When a point was taken, epoch milliseconds. */
  at(index: number): number {
    return this.#view.getFloat64(index * POINT_BYTES, true);
  }

  /** The number of the check. */
  check(index: number): number {
    return this.#view.getUint32(index * POINT_BYTES + 8, true);
  }

  decision(index: number): CanaryDecision {
    return DECISIONS[this.#view.getUint8(index * POINT_BYTES + 12)] ?? 'CONTINUE';
  }

  verdict(index: number): EvidenceVerdict | null {
    return EVIDENCE_VERDICTS[this.#view.getUint8(index * POINT_BYTES + 13)] ?? null;
  }

  /** One of the numbers of a point; null where it has none. */
  number(index: number, name: keyof typeof PLACES): number | null {
    const value = this.#number(index, PLACES[name]);
    return Number.isNaN(value) ? null : value;
  }

  /** A side's return; 0 before it has reported. */
  returned(index: number, side: Side): number {
    const value = this.#number(index, side === 'CANARY' ? PLACES.canaryReturn : PLACES.stableReturn);
    return Number.isNaN(value) ? 0 : value;
  }

  /** What a side worked with, USD. */
  heldUsd(index: number, side: Side): Decimal {
    return this.#usd(index * POINT_BYTES + HELD_AT + (side === 'CANARY' ? 0 : 16));
  }

  /** The number of the check of the latest point; 0 before the first. */
  get latestCheck(): number {
    return this.length === 0 ? 0 : this.check(this.length - 1);
  }

  /** Throws for a point of a version that is not known here. */
  requireKnown(index: number): void {
    const version = this.#view.getUint8(index * POINT_BYTES + 14);
    if (version !== VERSION) throw new Error(`a point has the version ${version}`);
  }

  point(index: number): SampledPoint {
    this.requireKnown(index);
    const ends = (low: keyof typeof PLACES, high: keyof typeof PLACES): Ends | null => {
      const found = { low: this.number(index, low), high: this.number(index, high) };
      return found.low === null || found.high === null ? null : { low: found.low, high: found.high };
    };
    return {
      at: this.at(index),
      check: this.check(index),
      decision: this.decision(index),
      returns: { CANARY: this.number(index, 'canaryReturn'), STABLE: this.number(index, 'stableReturn') },
      heldUsd: { CANARY: this.heldUsd(index, 'CANARY'), STABLE: this.heldUsd(index, 'STABLE') },
      interval: ends('low', 'high'),
      whenEarning: ends('earningLow', 'earningHigh'),
      whenLosing: ends('losingLow', 'losingHigh'),
      verdict: this.verdict(index),
      drift: this.number(index, 'drift'),
    };
  }

  #number(index: number, place: number): number {
    return this.#view.getFloat64(index * POINT_BYTES + NUMBERS_AT + 8 * place, true);
  }

  #usd(offset: number): Decimal {
    const units = (this.#view.getBigInt64(offset + 8, true) << 64n) + this.#view.getBigUint64(offset, true);
    const known = this.#amounts.get(units);
    if (known) return known;
    const usd = new Decimal(units.toString()).times(USD_UNIT);
    this.#amounts.set(units, usd);
    return usd;
  }
}
