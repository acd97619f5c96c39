/**
 * Metrics from any service that returns one JSON document per side. Numbers are read as written, never as floats.
 * Each figure is found by its own name, or by a path of names and list indexes: `pnl.net`, `sides.0.trades`.
 */
import { isLosslessNumber, parse } from 'lossless-json';
import { wallNow } from '../core/values/instant.ts';
import { failedFetch, fetchedFrom } from './fetched.ts';
import { FIGURES, type Figure, type PerFigure } from './figures.ts';
import type { FetchMetrics } from './provider.ts';
import { type Endpoint, get, isSuccess, shownUrl } from './request.ts';
import { renderUrl } from './urlTemplate.ts';
import { valuesOf } from './variables.ts';

export interface HttpSettings {
  readonly endpoint: Endpoint;
  /** The path of each figure in the response; only these are read. Null if all have their own names. */
  readonly fields: PerFigure<readonly string[]> | null;
}

/** Fetches all metrics of a side from one URL. */
export function fromHttp({ endpoint, fields }: HttpSettings): FetchMetrics {
  return async (target, signal) => {
    const url = renderUrl(endpoint.url, valuesOf(target, wallNow()));
    if (typeof url === 'string') return failedFetch(url);
    const refuse = (message: string) => failedFetch(`${shownUrl(url)} ${message}`);
    const answer = await get(url, endpoint, signal);
    if (!answer.ok) return refuse(answer.message);
    if (!isSuccess(answer.status)) return refuse(`answered HTTP ${answer.status}`);
    const document = parseJson(answer.body);
    if (document === undefined) return refuse('answered something that is not JSON');

    const texts: Partial<Record<Figure, string>> = {};
    for (const figure of FIGURES) {
      const path = fields ? fields[figure] : [figure];
      const found = path ? readText(document, path) : null;
      if (found === null) continue;
      if (!found.ok) {
        const expected = figure === 'asOf' ? 'an instant' : 'a number';
        return refuse(`answered ${found.what} for ${figure}, which must be ${expected}`);
      }
      texts[figure] = found.text;
    }
    return fetchedFrom(texts, fields?.asOf !== undefined);
  };
}

/** Nesting too deep to parse counts as not JSON. */
function parseJson(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

type Found = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly what: string };

/** The number or string at a path; null if it is absent or JSON's null. */
function readText(document: unknown, path: readonly string[]): Found | null {
  const value = path.reduce(step, document);
  if (value === undefined || value === null) return null;
  if (isLosslessNumber(value)) return { ok: true, text: value.value };
  if (typeof value === 'string') return { ok: true, text: value };
  if (typeof value === 'boolean') return { ok: false, what: String(value) };
  return { ok: false, what: Array.isArray(value) ? 'a list' : 'an object' };
}

function step(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || isLosslessNumber(value)) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}
