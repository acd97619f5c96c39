/**
 * From the texts that a provider answered to a report: every figure is read exactly, then the report's own bounds are
 * checked. No figure passes through a float.
 */
import { Decimal, formatDecimal, MAX_INTEGER_DIGITS, toStoredPrecision, ZERO } from '../core/decimal.ts';
import { type MetricsReport, reportViolations } from '../core/metrics.ts';
import type { Parsed, Violation } from '../core/violation.ts';

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

/** A comparison needs these, so a provider without them is refused when it is configured. */
const REQUIRED_METRICS = ['pnlUsd', 'trades'] as const satisfies readonly Metric[];

/** These have no value while there is no trade, and may then be 0/0 rather than absent. */
export const UNDEFINED_AT_FIRST: ReadonlySet<Metric> = new Set<Metric>(['sharpeRatio', 'winRate']);

/** Something for some of the metrics. */
export type PerMetric<T> = { readonly [M in Metric]?: T | undefined };

/** What was answered for each metric, as text; a metric without an answer is left out. */
export type FigureTexts = PerMetric<string>;

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/;
const MAX_TEXT_LENGTH = 200;
const LIMIT = new Decimal(10).pow(MAX_INTEGER_DIGITS);
/** How far from a whole number a count may be: rates are extrapolated, and sums of floats are not exact. */
const WHOLE_TOLERANCE = new Decimal('1e-6');

/** Reads a report and checks it; each violation's path is the name of the metric. */
export function readReport(texts: FigureTexts): Parsed<MetricsReport> {
  const violations: Violation[] = REQUIRED_METRICS.filter((metric) => texts[metric] === undefined).map(
    (metric) => ({ path: [metric], message: 'has no value: nothing was answered for it' }),
  );
  const decimals: Partial<Record<(typeof DECIMAL_METRICS)[number], Decimal>> = {};
  const counts: Partial<Record<(typeof COUNT_METRICS)[number], number>> = {};
  for (const metric of DECIMAL_METRICS) {
    const value = readFigure(texts[metric], readDecimal);
    if (typeof value === 'string') violations.push({ path: [metric], message: value });
    else if (value !== undefined) decimals[metric] = value;
  }
  for (const metric of COUNT_METRICS) {
    const value = readFigure(texts[metric], readCount);
    if (typeof value === 'string') violations.push({ path: [metric], message: value });
    else if (value !== undefined) counts[metric] = value;
  }
  const report: MetricsReport = { ...decimals, ...counts };
  if (violations.length === 0) violations.push(...reportViolations(report));
  return violations.length > 0 ? { ok: false, violations } : { ok: true, value: report };
}

function readFigure<T>(text: string | undefined, read: (text: string) => T | string): T | string | undefined {
  return text === undefined ? undefined : read(text);
}

/**
 * Reads a decimal number, with or without exponent, and rounds it half up to the 18 decimals that are stored.
 * @returns the number, or a sentence that says what is wrong with the text
 */
function readDecimal(text: string): Decimal | string {
  if (text.length > MAX_TEXT_LENGTH || !NUMBER.test(text)) return `is not a number, got ${shown(text)}`;
  const value = toStoredPrecision(new Decimal(text));
  if (value.abs().gte(LIMIT)) {
    return `has more than ${MAX_INTEGER_DIGITS} digits before the point, got ${shown(text)}`;
  }
  return value.isZero() ? ZERO : value;
}

/** Reads a whole number; a millionth beside it is rounded away. */
function readCount(text: string): number | string {
  const value = readDecimal(text);
  if (typeof value === 'string') return value;
  const whole = value.round();
  if (value.minus(whole).abs().gt(WHOLE_TOLERANCE)) {
    return `must be a whole number, got ${shown(text)}: round it where it is made`;
  }
  const count = Number(formatDecimal(whole));
  return Number.isSafeInteger(count) ? count : `is too large to be counted, got ${shown(text)}`;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
