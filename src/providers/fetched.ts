/** The last step of every fetch: the texts that were answered become a report, or words about the bad ones. */
import type { FetchResult } from '../core/metrics/fetched.ts';
import { describeViolations } from '../core/values/violation.ts';
import { type FigureTexts, readFigures } from './figures.ts';

/** Reads the figures; one bad figure fails the whole fetch, since half a report would be compared as if it were whole. */
export function fetchedFrom(texts: FigureTexts): FetchResult {
  const read = readFigures(texts);
  return read.ok ? { ok: true, report: read.value } : failedFetch(describeViolations(read.violations));
}

export function failedFetch(message: string): FetchResult {
  return { ok: false, message };
}
