import type { CanaryEvent } from '../lifecycle/events.ts';
import type { DeploymentState } from '../lifecycle/state.ts';
import { readReport } from '../metrics/report.ts';
import type { MetricsBySide, SideMetrics } from '../metrics/sideMetrics.ts';
import { sizeViolations } from '../metrics/takeReport.ts';
import { formatDecimal, parseExactDecimal } from '../values/decimal.ts';
import { nameViolations } from '../values/identifiers.ts';
import { SIDES } from '../values/side.ts';
import type { Violation } from '../values/violation.ts';

export interface Bounded {
  readonly state: DeploymentState;
  readonly metrics: MetricsBySide;
  readonly events: readonly CanaryEvent[];
}

/** Names, figures and amounts of a document that violate the API's rules, each with its path. */
export function boundViolations({ state, metrics, events }: Bounded, path: readonly string[]): Violation[] {
  const { id, strategyId, chain, stableVersionId, canaryVersionId } = state;
  const names = nameViolations({ id, strategyId, chain, stableVersionId, canaryVersionId });
  const figures = SIDES.flatMap((side) => {
    const known = metrics[side];
    return known ? under(['metrics', side], metricsViolations(known)) : [];
  });
  return under(path, [...under(['deployment'], names), ...figures, ...amountViolations(events)]);
}

function amountViolations(events: readonly CanaryEvent[]): Violation[] {
  return events.flatMap((event, index): Violation[] => {
    if (event.type !== 'CANARY_STARTED') return [];
    const read = parseExactDecimal(formatDecimal(event.capitalUsd));
    return typeof read === 'string' ? [{ path: ['events', String(index), 'capitalUsd'], message: read }] : [];
  });
}

/** The report's names of figures that are stored under another name. */
const KEPT_AS: Readonly<Record<string, string>> = { pnlUsd: 'netPnlUsd', drawdown: 'maxDrawdown' };

/** Checks a side's metrics as if they were reported. When a counter fell is Serin's own mark. */
function metricsViolations({
  netPnlUsd,
  maxDrawdown,
  reportedAt,
  fellAt,
  ...same
}: SideMetrics): Violation[] {
  const read = readReport({ ...same, pnlUsd: netPnlUsd, drawdown: maxDrawdown });
  if (read.ok) return sizeViolations({ ...same, pnlUsd: netPnlUsd });
  return read.violations.map(({ path, message }) => ({
    path: path.map((name) => KEPT_AS[name] ?? name),
    message,
  }));
}

const under = (path: readonly string[], violations: readonly Violation[]): Violation[] =>
  violations.map((violation) => ({ ...violation, path: [...path, ...violation.path] }));
