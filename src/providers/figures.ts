/** Turns the strings that a provider returned into a report. A provider has stricter requirements than a bot. */

import { METRICS, type Metric, readReport } from '../core/metrics/report.ts';
import type { MetricsReport } from '../core/metrics/sideMetrics.ts';
import type { Parsed, Violation } from '../core/values/violation.ts';

/** A comparison needs these; a provider without them is refused when it is configured. */
const REQUIRED_METRICS = ['pnlUsd', 'trades'] as const satisfies readonly Metric[];

/** These have no value while there is no trade; a provider may return 0/0 then. */
export const UNDEFINED_AT_FIRST: ReadonlySet<Figure> = new Set<Figure>(['sharpeRatio', 'winRate']);

/** What a provider can be asked for: the metrics, and when they were taken. */
export const FIGURES = [...METRICS, 'asOf'] as const;
export type Figure = (typeof FIGURES)[number];

/** A value for some of the figures. */
export type PerFigure<T> = { readonly [F in Figure]?: T | undefined };

/** What was returned per figure, as a string. A figure without a value is absent. */
export type FigureTexts = PerFigure<string>;

/**
 * Parses and checks the value of each figure. Each violation's path is the name of the figure.
 * @param dated whether the provider is configured to say when the figures were taken: then it must
 */
export function readFigures(texts: FigureTexts, dated: boolean): Parsed<MetricsReport> {
  const required: readonly Figure[] = dated ? [...REQUIRED_METRICS, 'asOf'] : REQUIRED_METRICS;
  const missing = required
    .filter((figure) => texts[figure] === undefined)
    .map((figure): Violation => ({ path: [figure], message: 'has no value: the provider returned none' }));
  const { asOf } = texts;
  const read = readReport(asOf === undefined ? texts : { ...texts, asOf: instantOf(asOf) });
  if (missing.length === 0) return read;
  // Report the errors of the other figures too, but not that a report without figures is empty.
  const others = read.ok ? [] : read.violations.filter(({ path }) => path.length > 0);
  return { ok: false, violations: [...missing, ...others] };
}

/** Plain numbers below this are seconds: as milliseconds they would be before March 1973. */
const FIRST_MILLISECONDS = 100_000_000_000;

/** Epoch seconds, as Prometheus has them, become milliseconds. Everything else is read as it is. */
function instantOf(text: string): number | string {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number)) return text;
  return number < FIRST_MILLISECONDS ? number * 1000 : number;
}
