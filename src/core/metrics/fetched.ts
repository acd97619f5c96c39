import { type BySide, SIDES } from '../values/side.ts';
import { applyReport, type MetricsBySide, type MetricsReport } from './sideMetrics.ts';

/** The metrics of a side, checked against the bounds of a report, or why they could not be had. */
export type FetchResult =
  | { readonly ok: true; readonly report: MetricsReport }
  /** Words for an operator, without secrets: what was asked for and what was wrong. */
  | { readonly ok: false; readonly message: string };

/** The metrics after a fetch. What was answered is the whole truth: a figure that is no longer answered is gone. */
export function applyFetchResult(
  metrics: MetricsBySide,
  fetched: BySide<FetchResult>,
  now: number,
): MetricsBySide {
  const { CANARY: canary, STABLE: stable } = fetched;
  return {
    CANARY: canary.ok ? applyReport(null, canary.report, now) : metrics.CANARY,
    STABLE: stable.ok ? applyReport(null, stable.report, now) : metrics.STABLE,
  };
}

/** Why metrics could not be had, side by side; null when they could. */
export function fetchFailure(fetched: BySide<FetchResult>): string | null {
  const failures = SIDES.flatMap((side) => {
    const answer = fetched[side];
    return answer.ok ? [] : [`${side.toLowerCase()} side: ${answer.message}`];
  });
  return failures.length > 0 ? failures.join('; ') : null;
}
