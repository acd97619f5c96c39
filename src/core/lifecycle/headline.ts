/** A deployment in one sentence for a list: what it does now, or how it ended. */
import { nextOpening } from '../config/tradingCalendar.ts';
import type { MetricsBySide } from '../metrics/sideMetrics.ts';
import type { SerinInstant } from '../values/instant.ts';
import { openRequest } from './approval.ts';
import { describeEnd } from './freeze.ts';
import { comparisonOf, type DeploymentState, isEnded } from './state.ts';

/**
 * What a live deployment does or waits for, and the reason that weighs most. Of one that has ended this is null: its last
 * event says why.
 * @param requestFrozenMs how long freezes have blocked promotions since one was requested, milliseconds; 0 is as good within
 * the request's day
 */
export function headlineOf(
  state: DeploymentState,
  metrics: MetricsBySide,
  now: SerinInstant,
  requestFrozenMs: number,
): string | null {
  if (isEnded(state)) return null;
  if (state.status === 'PENDING') return 'Waits for capital: nothing trades before it is deployed';
  const request = openRequest(state, now, requestFrozenMs);
  if (request) return `${request.by} asked for the promotion: another person must approve it`;
  if (state.laterRule !== undefined) return 'A later version of Serin decides on it';
  const { held } = state.observation;
  if (held) {
    const what = held.block === 'PROMOTE' ? 'The promotion' : 'The next step';
    const end = held.until !== null && held.until <= now ? 'until the next check' : describeEnd(held.until);
    return `${what} is held ${end} by the freeze ${held.freezeId}`;
  }
  const comparison = comparisonOf(state, metrics);
  const reason = comparison?.decisionReasons[0] ?? 'nothing can be compared yet';
  if (state.status === 'PAUSED') return `Paused: ${reason}`;
  if (state.status === 'OBSERVATION_COMPLETE') {
    return `A person must decide: ${reason}`;
  }
  const opening = nextOpening(state.config, now);
  return opening === null
    ? reason
    : `Outside trading hours until ${new Date(opening).toISOString()}: ${reason}`;
}
