/** What an operator should know about the figures of a live deployment: what they leave out, and what waits for them. */
import type { MetricsBySide, SideMetrics } from '../metrics/sideMetrics.ts';
import type { SerinInstant } from '../values/instant.ts';
import { SIDES, type Side } from '../values/side.ts';
import { agesOf, describeAges, isFresh } from './freshness.ts';
import { describeMissing, mustSettleFirst, overdueSince } from './settlement.ts';
import { allocationOf, type DeploymentState, isWatched, type Watched } from './state.ts';

export interface DeploymentWarning {
  /** The side it is about; null for both. */
  readonly side: Side | null;
  /** What is wrong and what to do. */
  readonly message: string;
}

/** @param now epoch milliseconds */
export function warningsOf(
  state: DeploymentState,
  metrics: MetricsBySide,
  now: SerinInstant,
): readonly DeploymentWarning[] {
  const capital = capitalOnTheWay(state, now);
  if (!isWatched(state)) return capital;
  return [
    ...capital,
    ...SIDES.flatMap((side) => {
      const known = metrics[side];
      return known ? leftOut(side, known) : [];
    }),
    ...waitsForNews(state, metrics, now),
  ];
}

/** A side that does not hold what it should after the deadline, and what waits for it. */
function capitalOnTheWay(state: DeploymentState, now: SerinInstant): DeploymentWarning[] {
  const allocation = allocationOf(state);
  if (!allocation) return [];
  const waits = mustSettleFirst(state.config, allocation);
  const overdue = overdueSince(allocation, now) !== null;
  if (!overdue && !(waits && state.status === 'RUNNING' && now >= state.observation.step.endsAt)) return [];
  const held = waits ? '; the next step and the next canary of the strategy wait for it' : '';
  const message = `${overdue ? 'Overdue' : 'Not settled'}: ${describeMissing(allocation)}${held}`;
  return [{ side: null, message }];
}

function leftOut(side: Side, metrics: SideMetrics): DeploymentWarning[] {
  const name = side.toLowerCase();
  const warnings: DeploymentWarning[] = [];
  if (metrics.unrealizedPnlUsd === undefined) {
    const message = `The ${name} side has never sent unrealizedPnlUsd, so losses in open positions may be missing: send it with pnlUsd, or send equity as pnlUsd`;
    warnings.push({ side, message });
  }
  if (metrics.fellAt !== undefined) {
    const since = new Date(metrics.fellAt).toISOString();
    const message = `The counters of the ${name} side fell at ${since} and no session began, so nothing is promoted automatically: name a session and report that run's own totals`;
    warnings.push({ side, message });
  }
  const { trades, errors, uptimeSeconds, totalGasUsd } = metrics;
  if (metrics.session === undefined && trades + errors + uptimeSeconds === 0 && totalGasUsd.isZero()) {
    const message = `The ${name} side sends neither a session nor a counter, so a restart cannot be noticed: send session, or trades`;
    warnings.push({ side, message });
  }
  return warnings;
}

/** The warning that one credential speaks for both sides, and so decides the comparison that its canary competes in. */
export const oneReporter = (name: string): DeploymentWarning => ({
  side: null,
  message: `The same credential (${name}) reports for both sides, so it decides the comparison that it competes in: give each side a key of its own, made with --sides`,
});

function waitsForNews(state: Watched, metrics: MetricsBySide, now: SerinInstant): DeploymentWarning[] {
  if (state.status !== 'RUNNING' || isFresh(state, metrics, now)) return [];
  if (now < state.observation.step.endsAt) return [];
  const ages = describeAges(agesOf(metrics, now));
  return [{ side: null, message: `The step is over and no promotion is made on old figures: ${ages}` }];
}
