/** The last step of every fetch: turns the returned strings into a report, or into an error message. */
import type { FetchResult } from '../core/metrics/fetched.ts';
import { describeViolations } from '../core/values/violation.ts';
import { type FigureTexts, readFigures } from './figures.ts';

/**
 * One invalid figure fails the whole fetch: a partial report would be compared as if it were complete.
 * @param dated whether the provider is configured to say when the figures were taken
 */
export function fetchedFrom(texts: FigureTexts, dated: boolean): FetchResult {
  const read = readFigures(texts, dated);
  return read.ok ? { ok: true, report: read.value } : failedFetch(describeViolations(read.violations));
}

export function failedFetch(message: string, words?: string): FetchResult {
  return { ok: false, message, ...(words === undefined ? {} : { words }) };
}
