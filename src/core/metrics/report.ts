import { type Decimal, type NumberInput, parseCount, parseDecimalRounded, shown } from '../values/decimal.ts';
import type { Parsed, Violation } from '../values/violation.ts';
import { type MetricsReport, reportViolations } from './sideMetrics.ts';

const DECIMAL_METRICS = [
  'pnlUsd',
  'totalPnlUsd',
  'drawdown',
  'sharpeRatio',
  'winRate',
  'totalGasUsd',
  'avgTradeSizeUsd',
] as const;
const COUNT_METRICS = ['trades', 'errors', 'uptimeSeconds'] as const;

export type Metric = keyof MetricsReport;
export const METRICS = [...DECIMAL_METRICS, ...COUNT_METRICS] as const satisfies readonly Metric[];

/** A report as it is given: what is left out, or null, stays as it was. */
export type GivenReport = { readonly [M in Metric]?: NumberInput | null | undefined };

/**
 * Reads a report and checks it.
 * @param given what may be a {@link GivenReport}; each violation's path is the name of the metric
 */
export function readReport(given: unknown): Parsed<MetricsReport> {
  if (typeof given !== 'object' || given === null) {
    return { ok: false, violations: [{ path: [], message: `a report is an object, got ${shown(given)}` }] };
  }
  const fields = new Map<string, unknown>(Object.entries(given));
  const names = new Set<string>(METRICS);
  const violations = [...fields.keys()].flatMap((name): Violation[] =>
    names.has(name) ? [] : [{ path: [name], message: `is no metric; there are ${METRICS.join(', ')}` }],
  );
  const read = <T>(metric: Metric, reader: (value: unknown) => T | string): T | undefined => {
    const value = fields.get(metric) ?? undefined;
    if (value === undefined) return undefined;
    const result = reader(value);
    if (typeof result !== 'string') return result;
    violations.push({ path: [metric], message: result });
    return undefined;
  };
  const decimals: Partial<Record<(typeof DECIMAL_METRICS)[number], Decimal>> = {};
  const counts: Partial<Record<(typeof COUNT_METRICS)[number], number>> = {};
  for (const metric of DECIMAL_METRICS) {
    const value = read(metric, parseDecimalRounded);
    if (value !== undefined) decimals[metric] = value;
  }
  for (const metric of COUNT_METRICS) {
    const value = read(metric, parseCount);
    if (value !== undefined) counts[metric] = value;
  }
  const report: MetricsReport = { ...decimals, ...counts };
  if (violations.length === 0) violations.push(...reportViolations(report));
  return violations.length > 0 ? { ok: false, violations } : { ok: true, value: report };
}
