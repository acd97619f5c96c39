/** From the texts that a provider answered to a report: what it must have, beside what every report is read by. */

import { type Metric, readReport } from '../core/metrics/report.ts';
import type { MetricsReport } from '../core/metrics/sideMetrics.ts';
import type { Parsed, Violation } from '../core/values/violation.ts';

/** A comparison needs these, so a provider without them is refused when it is configured. */
const REQUIRED_METRICS = ['pnlUsd', 'trades'] as const satisfies readonly Metric[];

/** These have no value while there is no trade, and may then be 0/0 rather than absent. */
export const UNDEFINED_AT_FIRST: ReadonlySet<Metric> = new Set<Metric>(['sharpeRatio', 'winRate']);

/** Something for some of the metrics. */
export type PerMetric<T> = { readonly [M in Metric]?: T | undefined };

/** What was answered for each metric, as text; a metric without an answer is left out. */
export type FigureTexts = PerMetric<string>;

/** Reads what was answered for each metric and checks it; each violation's path is the name of the metric. */
export function readFigures(texts: FigureTexts): Parsed<MetricsReport> {
  const missing = REQUIRED_METRICS.filter((metric) => texts[metric] === undefined).map(
    (metric): Violation => ({ path: [metric], message: 'has no value: nothing was answered for it' }),
  );
  const read = readReport(texts);
  if (missing.length === 0) return read;
  // What is wrong with the rest is worth knowing too; that a report without figures names none is not.
  const others = read.ok ? [] : read.violations.filter(({ path }) => path.length > 0);
  return { ok: false, violations: [...missing, ...others] };
}
