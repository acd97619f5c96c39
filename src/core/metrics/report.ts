/** Reads a report that no compiler has checked: of an embedder, a provider or a document. */
import { type Decimal, type NumberInput, parseCount, parseDecimalRounded, shown } from '../values/decimal.ts';
import { isDate, LAST_INSTANT } from '../values/instant.ts';
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
  'unrealizedPnlUsd',
] as const;
const COUNT_METRICS = ['trades', 'errors', 'uptimeSeconds'] as const;

export const METRICS = [
  'pnlUsd',
  'totalPnlUsd',
  'drawdown',
  'sharpeRatio',
  'winRate',
  'totalGasUsd',
  'avgTradeSizeUsd',
  'trades',
  'errors',
  'uptimeSeconds',
  'unrealizedPnlUsd',
] as const satisfies readonly (keyof MetricsReport)[];
/** A figure of a side. */
export type Metric = (typeof METRICS)[number];

/** What a report says about itself, besides its figures. */
const ORIGIN = ['session', 'sequence', 'asOf', 'since', 'baseline'] as const satisfies readonly Exclude<
  keyof MetricsReport,
  Metric
>[];

const NAMES: ReadonlySet<string> = new Set([...METRICS, ...ORIGIN]);

/** A report as it is given: what is left out, or null, stays as it was. */
export interface GivenReport extends GivenFigures {
  /** The owner's name of its run. */
  readonly session?: string | null | undefined;
  /** Rises from report to report within a session. */
  readonly sequence?: number | null | undefined;
  /** When the figures were taken: epoch milliseconds, a Date, or an RFC 3339 string. */
  readonly asOf?: InstantInput | null | undefined;
  /** Since when the run's totals count. */
  readonly since?: InstantInput | null | undefined;
  /** The first totals of the run are its zero. */
  readonly baseline?: boolean | null | undefined;
}

type GivenFigures = { readonly [M in Metric]?: NumberInput | null | undefined };
export type InstantInput = number | string | Date;

/**
 * Reads a report and checks it.
 * @param given what may be a {@link GivenReport}; each violation's path is the name of the metric
 */
export function readReport(given: unknown): Parsed<MetricsReport> {
  if (typeof given !== 'object' || given === null) {
    return { ok: false, violations: [{ path: [], message: `a report is an object, got ${shown(given)}` }] };
  }
  const fields = new Map<string, unknown>(Object.entries(given));
  const violations: Violation[] = [];
  for (const name of fields.keys()) {
    if (NAMES.has(name)) continue;
    violations.push({ path: [name], message: `is not a metric; valid ones are ${METRICS.join(', ')}` });
  }
  /** @param reader returns what it read, or a sentence that says what is wrong */
  const read = <T extends object | number | boolean>(
    field: keyof MetricsReport,
    reader: (value: unknown) => T | string,
  ): T | undefined => {
    const value = fields.get(field) ?? undefined;
    if (value === undefined) return undefined;
    const result = reader(value);
    if (typeof result !== 'string') return result;
    violations.push({ path: [field], message: result });
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
  const session = read('session', readName);
  const sequence = read('sequence', parseCount);
  const asOf = read('asOf', readInstant);
  const since = read('since', readInstant);
  const baseline = read('baseline', readFlag);
  const report: MetricsReport = {
    ...decimals,
    ...counts,
    ...(session && { session: session.name }),
    ...(sequence !== undefined && { sequence }),
    ...(asOf !== undefined && { asOf }),
    ...(since !== undefined && { since }),
    ...(baseline !== undefined && { baseline }),
  };
  if (violations.length === 0) violations.push(...reportViolations(report));
  return violations.length > 0 ? { ok: false, violations } : { ok: true, value: report };
}

const readName = (given: unknown) =>
  typeof given === 'string' ? { name: given } : `must be a string, got ${shown(given)}`;

const readFlag = (given: unknown) =>
  typeof given === 'boolean' ? given : `must be true or false, got ${shown(given)}`;

/** Epoch milliseconds of a Date, a number of them, or an RFC 3339 string. */
function readInstant(given: unknown): number | string {
  const text = typeof given === 'string' && /^\d{4}-\d{2}-\d{2}T[\d:.]+(Z|[+-]\d{2}:\d{2})$/i.test(given);
  // Date.parse would shift a date that does not exist, such as February 30, to another one.
  const parsed = text && isDate(given.slice(0, 10)) ? Date.parse(given) : Number.NaN;
  const instant = given instanceof Date ? given.getTime() : text ? parsed : given;
  // Later ones cannot be written: microseconds in the place of milliseconds.
  if (typeof instant === 'number' && Number.isSafeInteger(Math.round(instant)) && instant <= LAST_INSTANT) {
    return Math.round(instant);
  }
  return `must be a Date, epoch milliseconds or an RFC 3339 string, got ${shown(given)}`;
}
