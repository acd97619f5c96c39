/** Turns the strings that a provider returned into a report. A provider has stricter requirements than a bot. */

import { type Metric, readReport } from '../core/metrics/report.ts';
import type { MetricsReport } from '../core/metrics/sideMetrics.ts';
import type { Parsed, Violation } from '../core/values/violation.ts';

/** A comparison needs these; a provider without them is refused when it is configured. */
const REQUIRED_METRICS = ['pnlUsd', 'trades'] as const satisfies readonly Metric[];

/** These have no value while there is no trade; a provider may return 0/0 then. */
export const UNDEFINED_AT_FIRST: ReadonlySet<Metric> = new Set<Metric>(['sharpeRatio', 'winRate']);

/** A value for some of the metrics. */
export type PerMetric<T> = { readonly [M in Metric]?: T | undefined };

/** What was returned per metric, as a string. A metric without a value is absent. */
export type FigureTexts = PerMetric<string>;

/** Parses and checks the value of each metric. Each violation's path is the name of the metric. */
export function readFigures(texts: FigureTexts): Parsed<MetricsReport> {
  const missing = REQUIRED_METRICS.filter((metric) => texts[metric] === undefined).map(
    (metric): Violation => ({ path: [metric], message: 'has no value: the provider returned none' }),
  );
  const read = readReport(texts);
  if (missing.length === 0) return read;
  // Report the errors of the other figures too, but not that a report without figures is empty.
  const others = read.ok ? [] : read.violations.filter(({ path }) => path.length > 0);
  return { ok: false, violations: [...missing, ...others] };
}
