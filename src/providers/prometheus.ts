/**
 * Metrics from Prometheus, or anything that implements its instant query API: one query per metric.
 * https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
 */
import { z } from 'zod';
import type { FetchResult } from '../core/metrics/fetched.ts';
import { COUNTERS } from '../core/metrics/run.ts';
import { wallNow } from '../core/values/instant.ts';
import { withDeadline } from './deadline.ts';
import { failedFetch, fetchedFrom } from './fetched.ts';
import { FIGURES, type Figure, type PerFigure, UNDEFINED_AT_FIRST } from './figures.ts';
import { extrapolates, type QueryTemplate, renderQuery } from './promql.ts';
import type { FetchMetrics, MetricsTarget } from './provider.ts';
import { type Endpoint, get, type HttpAnswer, isSuccess, longestMs, shownUrl } from './request.ts';
import { renderUrl } from './urlTemplate.ts';
import { valuesOf } from './variables.ts';

export interface PrometheusSettings {
  readonly endpoint: Endpoint;
  readonly queries: PerFigure<QueryTemplate>;
}

/** Maximum concurrent queries of one fetch. */
const CONCURRENT_QUERIES = 4;

/** A value as a string; null if the query found nothing. */
type Sample = { readonly ok: true; readonly text: string | null } | Failure;

interface Failure {
  readonly ok: false;
  readonly message: string;
  /** What Prometheus said, for the log. */
  readonly words?: string | undefined;
}

/** Queries Prometheus for each metric of a side. */
export function fromPrometheus({ endpoint, queries }: PrometheusSettings): FetchMetrics {
  const asked = FIGURES.flatMap((figure) => {
    const template = queries[figure];
    return template ? [{ figure, template }] : [];
  });

  const estimated = COUNTERS.filter((name) => queries[name] && extrapolates(queries[name]));

  async function fetchReport(target: MetricsTarget, signal: AbortSignal): Promise<FetchResult> {
    const values = valuesOf(target, wallNow());
    const base = renderUrl(endpoint.url, values);
    if (typeof base === 'string') return failedFetch(base);
    const texts: Partial<Record<Figure, string>> = {};
    const failure = await firstFailure(asked, async ({ figure, template }) => {
      const url = queryUrl(base, renderQuery(template, values), endpoint.timeoutMs);
      const sample = readSample(await get(url, endpoint, signal));
      if (!sample.ok) {
        const { message, words } = sample;
        return failedFetch(`${figure} could not be fetched: ${shownUrl(url)} ${message}`, words);
      }
      if (sample.text !== null && !isUndefinedYet(figure, sample.text)) texts[figure] = sample.text;
      return null;
    });
    if (failure) return failure;
    const fetched = fetchedFrom(texts, queries.asOf !== undefined);
    return fetched.ok ? { ...fetched, estimated } : fetched;
  }

  return (target, signal) =>
    withDeadline(signal, longestMs(endpoint), (limited) => fetchReport(target, limited));
}

/** Prometheus returns NaN for 0/0: a ratio that has no value yet. */
function isUndefinedYet(figure: Figure, text: string): boolean {
  return UNDEFINED_AT_FIRST.has(figure) && /^(NaN|[+-]?Inf)$/.test(text);
}

function queryUrl(base: URL, query: string, timeoutMs: number): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/api/v1/query`;
  url.searchParams.set('query', query);
  // Prometheus can stop a query whose result is no longer awaited.
  url.searchParams.set('timeout', `${timeoutMs}ms`);
  return url;
}

/**
 * Runs the work of all items with bounded concurrency; after a failure no further item starts.
 * @returns the first failure, or null
 */
async function firstFailure<T, F>(
  items: readonly T[],
  work: (item: T) => Promise<F | null>,
): Promise<F | null> {
  const waiting = [...items];
  let failure: F | null = null;
  const worker = async () => {
    while (failure === null) {
      const item = waiting.shift();
      if (item === undefined) return;
      const failed = await work(item);
      failure ??= failed;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_QUERIES }, worker));
  return failure;
}

const sampleValue = z.tuple([z.number(), z.string()]);
const answerSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('error'), errorType: z.string().optional(), error: z.string() }),
  z.object({
    status: z.literal('success'),
    warnings: z.array(z.string()).nullish(),
    data: z.discriminatedUnion('resultType', [
      z.object({ resultType: z.literal('scalar'), result: sampleValue }),
      z.object({
        resultType: z.literal('vector'),
        result: z.array(z.object({ value: sampleValue.optional() })),
      }),
      z.object({ resultType: z.literal('matrix') }),
      z.object({ resultType: z.literal('string') }),
    ]),
  }),
]);

const refuse = (message: string, words?: string): Sample => ({ ok: false, message, words });

/** Reads the single value of a response. Every message follows the URL; what Prometheus said is for the log. */
function readSample(answer: HttpAnswer): Sample {
  if (!answer.ok) return answer;
  const { status, body } = answer;
  const json = parseJson(body);
  const read = answerSchema.safeParse(json);
  if (!read.success) {
    const elsewhere = isSuccess(status) || status === 404;
    const what = json === undefined ? 'something that is not JSON' : 'JSON that is not a query response';
    const hint = elsewhere ? ` with ${what}: is it the address of a Prometheus?` : '';
    return refuse(`answered HTTP ${status}${hint}`);
  }
  if (read.data.status === 'error') {
    const { errorType = 'error', error } = read.data;
    return refuse(`answered HTTP ${status}, ${kindOf(errorType)}`, error);
  }
  if (!isSuccess(status)) return refuse(`answered HTTP ${status}`);
  const { data, warnings } = read.data;
  if (warnings && warnings.length > 0) {
    return refuse('answered with warnings, so data may be missing', quoted(warnings));
  }
  switch (data.resultType) {
    case 'scalar':
      return { ok: true, text: data.result[1] };
    case 'vector':
      return readVector(data.result);
    default:
      return refuse(`answered a ${data.resultType}: the query must give one number`);
  }
}

/** The kinds of errors of the API of Prometheus; any other text is not repeated. */
const kindOf = (errorType: string) => (/^[a-z_]{1,30}$/.test(errorType) ? errorType : 'error');

/** Warnings that the log quotes. */
const QUOTED_WARNINGS = 3;

/**
 * A response with warnings may lack data: a store that did not answer (Thanos, Mimir), or samples that the query had to
 * drop. Such a sum is too small, and nothing is decided on it. Remarks on the query itself are `infos`, which are allowed.
 */
function quoted(warnings: readonly string[]): string {
  const more = warnings.length - QUOTED_WARNINGS;
  return `${warnings.slice(0, QUOTED_WARNINGS).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

function readVector(series: readonly { readonly value?: readonly [number, string] | undefined }[]): Sample {
  const [first] = series;
  if (!first) return { ok: true, text: null };
  if (series.length > 1) {
    return refuse(`answered ${series.length} series: the query must give one, for example by sum(...)`);
  }
  return first.value
    ? { ok: true, text: first.value[1] }
    : refuse('answered a histogram: the query must give one number');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
