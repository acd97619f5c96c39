/**
 * Watched time: what an observation is measured in. The difference of two clock readings is not it, since Serin or its
 * database may have been away in between, and the clock may have been set. Time outside of trading hours does not count.
 */
import type { CanaryConfig } from '../config/config.ts';
import { afterOpenMs, nextOpening, openMsBetween } from '../config/tradingCalendar.ts';
import type { SerinInstant } from '../values/instant.ts';
import { LONGEST_INTERVAL } from './evidence.ts';
import type { Watched } from './state.ts';

/** From this many planned intervals on, the time between is a gap: bots may have been unable to report. */
const GAP_INTERVALS = 5;
/** The clock of a transaction that waited may be late by this many milliseconds. */
const JITTER_MS = 1000;

/** The time between the latest check and now, in milliseconds. */
export interface Interval {
  /** At most one and a half planned intervals. */
  readonly watchedMs: number;
  /** The rest: what the step is extended by. Negative where the clock was set back. */
  readonly unwatchedMs: number;
  readonly isGap: boolean;
}

/** The interval that ends now. The length of one in which the clock was set back is unknown: it counts as planned. */
export function intervalUntil({ config, observation }: Watched, now: SerinInstant): Interval {
  const planned = config.checkIntervalSeconds * 1000;
  const elapsed = elapsedMs(config, observation.lastCheckAt, now);
  if (elapsed < -JITTER_MS) return { watchedMs: planned, unwatchedMs: elapsed - planned, isGap: true };
  const watchedMs = Math.max(0, Math.min(elapsed, LONGEST_INTERVAL * planned));
  return {
    watchedMs,
    unwatchedMs: Math.max(0, elapsed - watchedMs),
    isGap: elapsed > GAP_INTERVALS * planned,
  };
}

/** The interval that ends now in a replay: its unwatched time, and whether it is a gap, are in the record. */
export function recordedInterval(
  { config, observation }: Watched,
  now: SerinInstant,
  { unwatchedMs, isGap }: Pick<Interval, 'unwatchedMs' | 'isGap'>,
): Interval {
  const elapsed = elapsedMs(config, observation.lastCheckAt, now) - unwatchedMs;
  const longest = LONGEST_INTERVAL * config.checkIntervalSeconds * 1000;
  return { watchedMs: Math.max(0, Math.min(elapsed, longest)), unwatchedMs, isGap };
}

/** Milliseconds of trading hours between two readings of the clock; where it was set back, by how much, negative. */
export function elapsedMs(config: CanaryConfig, from: number, to: SerinInstant): number {
  return to < from ? to - from : openMsBetween(config, from, to);
}

/** Whether the market is closed, and was so since the latest check. The check at the close comes a little after it. */
export function isClosed({ config, observation }: Watched, now: SerinInstant): boolean {
  return nextOpening(config, now) !== null && openMsBetween(config, observation.lastCheckAt, now) <= 0;
}

/** Whether something is known to have happened since the latest check; an instant after now is from an earlier clock. */
export function isSinceLastCheck({ observation }: Watched, instant: number, now: SerinInstant): boolean {
  return instant >= observation.lastCheckAt && instant <= now + JITTER_MS;
}

/**
 * When a step ends by trading hours, for an event; nothing where the market never closes, or where no time is added.
 * @param ms observation that follows, milliseconds
 */
export function stepEnd(config: CanaryConfig, from: number, ms: number): { readonly endsAt?: number } {
  if (!config.tradingHours || ms === 0) return {};
  return { endsAt: afterOpenMs(config, from, ms) };
}

/**
 * When a step ends by trading hours after time that does not count, for an event. Where the clock was set back, as much
 * trading time is left as before: it may now be in another session.
 * @param time the time since a reading of the clock
 * @param ms how much of it does not count, milliseconds; negative where the clock was set back, with what does count
 */
export function laterStepEnd(
  config: CanaryConfig,
  endsAt: number,
  time: { readonly from: number; readonly to: SerinInstant },
  ms: number,
): { readonly endsAt?: number } {
  if (!config.tradingHours || ms >= 0) return stepEnd(config, endsAt, ms);
  const counted = time.to - time.from - ms;
  const left = Math.max(0, openMsBetween(config, time.from, endsAt) - counted);
  return { endsAt: afterOpenMs(config, time.to, left) };
}
