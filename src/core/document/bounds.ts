import { CANARY_ONLY_PERCENT, STABLE_ONLY_PERCENT, splitCapital } from '../lifecycle/allocation.ts';
import type { CanaryEvent } from '../lifecycle/events.ts';
import { settleBy } from '../lifecycle/settlement.ts';
import {
  allocationOf,
  type DeploymentState,
  observationDeadline,
  observationOf,
} from '../lifecycle/state.ts';
import { readReport } from '../metrics/report.ts';
import { MAX_COUNT, type MetricsBySide, type SideMetrics } from '../metrics/sideMetrics.ts';
import { sizeViolations } from '../metrics/takeReport.ts';
import { type Decimal, formatDecimal, parseExactDecimal } from '../values/decimal.ts';
import { nameViolations } from '../values/identifiers.ts';
import { LAST_INSTANT } from '../values/instant.ts';
import { SIDES } from '../values/side.ts';
import type { Violation } from '../values/violation.ts';

export interface Bounded {
  readonly state: DeploymentState;
  readonly metrics: MetricsBySide;
  readonly samples: readonly { readonly check: number }[];
  readonly events: readonly CanaryEvent[];
}

/** Names, figures and amounts of a document that violate the API's rules, each with its path. */
export function boundViolations(
  { state, metrics, samples, events }: Bounded,
  path: readonly string[],
): Violation[] {
  const { id, strategyId, chain, stableVersionId, canaryVersionId } = state;
  const names = nameViolations({ id, strategyId, chain, stableVersionId, canaryVersionId });
  const figures = SIDES.flatMap((side) => {
    const known = metrics[side];
    return known ? under(['metrics', side], metricsViolations(known)) : [];
  });
  return under(path, [
    ...under(['deployment'], [...names, ...countViolations('revision', state.revision)]),
    ...figures,
    ...sampleViolations(samples),
    ...amountViolations(events),
    ...deadlineViolations(state),
  ]);
}

function countViolations(field: string, count: number): Violation[] {
  return count > MAX_COUNT ? [{ path: [field], message: `must be at most ${MAX_COUNT}, got ${count}` }] : [];
}

/** A check has one sample. */
function sampleViolations(samples: Bounded['samples']): Violation[] {
  const seen = new Set<number>();
  return samples.flatMap(({ check }, index): Violation[] => {
    const twice = seen.has(check) ? [{ path: ['check'], message: `${check} appears twice` }] : [];
    seen.add(check);
    return under(['samples', String(index)], [...countViolations('check', check), ...twice]);
  });
}

/** Times of a log that no clock reaches. */
function deadlineViolations(state: DeploymentState): Violation[] {
  const [observation, allocation] = [observationOf(state), allocationOf(state)];
  const deadlines = [
    observation && observationDeadline(state, observation),
    allocation && settleBy(allocation),
  ].map((at) => at ?? 0);
  if (deadlines.every((at) => at <= LAST_INSTANT)) return [];
  return [{ path: ['events'], message: 'lead to a deadline after the year 9999' }];
}

/** What an event says of the capital, by the name of its field, and what is wrong with it. */
type Wrong = readonly [field: string, message: string];

/** Capital that was never given, or that an allocation does not split as it says. */
function amountViolations(events: readonly CanaryEvent[]): Violation[] {
  let total: Decimal | null = null;
  let latest = 0;
  return events.flatMap((event, index): Violation[] => {
    const wrong = amountsOf(event);
    if (event.type === 'CANARY_STARTED') total = event.capitalUsd;
    if (event.type === 'ALLOCATION_REQUESTED') latest = event.number;
    return wrong.map(([field, message]) => ({ path: ['events', String(index), field], message }));
  });

  function amountsOf(event: CanaryEvent): Wrong[] {
    switch (event.type) {
      case 'CANARY_STARTED':
        return [
          ...amount('capitalUsd', event.capitalUsd),
          ...(event.capitalUsd.gt(0) ? [] : [['capitalUsd', 'must be above 0'] as const]),
          ...share(event.canaryPercent),
        ];
      case 'ALLOCATION_REQUESTED':
        return allocated(event);
      case 'ALLOCATION_ACKNOWLEDGED':
        return [
          ...amount('heldUsd', event.heldUsd),
          ...exact('netPnlUsd', event.netPnlUsd),
          ...(event.openExposureUsd ? amount('openExposureUsd', event.openExposureUsd) : []),
        ];
      case 'CANARY_METRICS_UPDATED':
      case 'STEP_STARTED':
        return SIDES.flatMap((side) => exact('netPnlUsd', event.netPnlUsd[side]));
      default:
        return [];
    }
  }

  function allocated(event: Extract<CanaryEvent, { type: 'ALLOCATION_REQUESTED' }>): Wrong[] {
    const { number, totalUsd, canaryPercent, canaryUsd } = event;
    if (number !== latest + 1) return [['number', `must be ${latest + 1}`]];
    if (total && !totalUsd.eq(total)) return [['totalUsd', 'is not the capital that was deployed']];
    const outside = share(canaryPercent);
    if (outside.length > 0) return outside;
    const split = splitCapital(totalUsd, canaryPercent);
    return canaryUsd.eq(split.canaryUsd) ? [] : [['canaryUsd', `is not canaryPercent of totalUsd`]];
  }
}

function amount(field: string, value: Decimal): Wrong[] {
  return value.lt(0) ? [[field, 'must not be negative']] : exact(field, value);
}

/** What cannot be stored as it is. */
export function exact(field: string, value: Decimal | null): Wrong[] {
  const read = value && parseExactDecimal(formatDecimal(value));
  return typeof read === 'string' ? [[field, read]] : [];
}

function share(canaryPercent: Decimal): Wrong[] {
  const inside = canaryPercent.gte(STABLE_ONLY_PERCENT) && canaryPercent.lte(CANARY_ONLY_PERCENT);
  return inside ? [] : [['canaryPercent', 'must be between 0 and 100']];
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
