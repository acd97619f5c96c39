/** The requests for capital of a deployment over time, read off its log. */
import type { Allocation } from './allocation.ts';
import type { CanaryEvent } from './events.ts';

/**
 * Each request as it stood when the next one came, the latest as it stands: with the answers that the sides had given
 * by then, which may be for an earlier request.
 */
export function allocationHistory(events: Iterable<CanaryEvent>): Allocation[] {
  const history: Allocation[] = [];
  for (const event of events) {
    const latest = history.at(-1);
    if (event.type === 'ALLOCATION_REQUESTED') {
      const { number, cause, canaryPercent, totalUsd, canaryUsd, stableUsd, at } = event;
      const { settlement, rollbackPlan, leaseUntil } = event;
      const acknowledged = latest?.acknowledged ?? { CANARY: null, STABLE: null };
      history.push({
        number,
        cause,
        canaryPercent,
        totalUsd,
        canaryUsd,
        stableUsd,
        settlement,
        rollbackPlan,
        leaseUntil,
        requestedAt: at,
        acknowledged,
      });
    } else if (event.type === 'ALLOCATION_ACKNOWLEDGED' && latest) {
      const { number, side, heldUsd, at, openExposureUsd } = event;
      const acknowledged = { ...latest.acknowledged, [side]: { number, heldUsd, at, openExposureUsd } };
      history[history.length - 1] = { ...latest, acknowledged };
    }
  }
  return history;
}
