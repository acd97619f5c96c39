/**
 * How old the figures of a deployment are. Nothing is promoted and no step begins automatically on figures
 * older than the limit. (Silence is another measure: watched time without news; only it leads to FAILED.)
 */
import { type CanaryConfig, STALE_CHECKS } from '../config/config.ts';
import type { MetricsBySide } from '../metrics/sideMetrics.ts';
import { CLOCK_TOLERANCE_MS } from '../metrics/trade.ts';
import type { SerinInstant } from '../values/instant.ts';
import { type BySide, SIDES } from '../values/side.ts';
import { forSides, type Imported } from './state.ts';

/** How old figures may be, milliseconds: `maxStaleSeconds`, or five checks. */
function staleMs(config: CanaryConfig): number {
  const { maxStaleSeconds } = config.guardrails;
  return maxStaleSeconds === null ? fiveChecksMs(config) : maxStaleSeconds * 1000;
}

/** Milliseconds that five checks take. */
export function fiveChecksMs({ checkIntervalSeconds }: CanaryConfig): number {
  return STALE_CHECKS * checkIntervalSeconds * 1000;
}

/** Milliseconds since each side's figures were taken, or arrived where their owner does not say; null before the first. */
export function agesOf(metrics: MetricsBySide, now: SerinInstant): BySide<number | null> {
  return forSides((side) => {
    const known = metrics[side];
    return known && now - (known.asOf ?? known.reportedAt);
  });
}

/**
 * Whether the figures of both sides are recent enough to be promoted on. Figures from the future are those of before a
 * step of the clock: their age is unknown.
 */
export function isFresh(
  { config, imported }: { readonly config: CanaryConfig; readonly imported?: Imported | undefined },
  metrics: MetricsBySide,
  now: SerinInstant,
): boolean {
  const limit = staleMs(config);
  // What came with a document is no news of the sides.
  if (imported && SIDES.some((side) => (metrics[side]?.reportedAt ?? 0) <= imported.at)) return false;
  const ages = agesOf(metrics, now);
  return SIDES.every((side) => {
    const age = ages[side];
    return age !== null && age <= limit && age >= -CLOCK_TOLERANCE_MS;
  });
}

/** The ages of both sides' figures: "canary figures 78 min old, stable figures 20 s old". */
export function describeAges(ages: BySide<number | null>): string {
  return SIDES.map((side) => {
    const age = ages[side];
    const name = side.toLowerCase();
    return age === null ? `no figures of the ${name} side` : `${name} figures ${duration(age)} old`;
  }).join(', ');
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 180 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
