/** The last step of every fetch: turns the returned strings into a report, or into an error message. */
import type { FetchResult } from '../core/metrics/fetched.ts';
import { describeViolations } from '../core/values/violation.ts';
import { type FigureTexts, readFigures } from './figures.ts';

/** One invalid figure fails the whole fetch: a partial report would be compared as if it were complete. */
export function fetchedFrom(texts: FigureTexts): FetchResult {
  const read = readFigures(texts);
  return read.ok ? { ok: true, report: read.value } : failedFetch(describeViolations(read.violations));
}

export function failedFetch(message: string): FetchResult {
  return { ok: false, message };
}
