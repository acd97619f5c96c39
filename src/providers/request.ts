/**
 * One GET that always ends with a response or an error message. Time, size, retries and target are bounded.
 * Temporary failures (no connection, timeout, HTTP 429 and 5xx) are retried; everything else is returned as it is.
 */
import { pause, TooSlow, withDeadline } from './deadline.ts';
import type { UrlTemplate } from './urlTemplate.ts';

/** Where and how a provider sends its requests. */
export interface Endpoint {
  readonly url: UrlTemplate;
  readonly headers: Readonly<Record<string, string>>;
  /** Timeout of one attempt, from connecting to the last byte of the body. */
  readonly timeoutMs: number;
  /** Attempts after the first. */
  readonly retries: number;
}

/** The response, whatever its status, or the reason for having none. The message follows the URL. */
export type HttpAnswer =
  | { readonly ok: true; readonly status: number; readonly body: string }
  | { readonly ok: false; readonly message: string };

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 3;
const REDIRECT_STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_000;

interface Attempt {
  readonly answer: HttpAnswer;
  /** Whether another attempt may succeed. */
  readonly passing: boolean;
}

/** Retries until there is a usable response, the retries are used up, or `signal` aborts. Never rejects. */
export async function get(url: URL, endpoint: Endpoint, signal: AbortSignal): Promise<HttpAnswer> {
  for (let retry = 0; ; retry++) {
    const { answer, passing } = await attempt(url, endpoint, signal);
    if (!passing || retry === endpoint.retries || signal.aborted) return withTries(answer, retry + 1);
    await pause(backoffMs(retry) * (0.5 + Math.random() / 2), signal);
    if (signal.aborted) return withTries(answer, retry + 1);
  }
}

/** Timers fire late: an outer limit needs this margin so that it does not fire before an inner one. */
const LATE_TIMERS_MS = 100;

/** The longest that {@link get} can take: every attempt until its timeout, plus every pause. */
export function longestMs({ timeoutMs, retries }: Endpoint): number {
  const pauses = Array.from({ length: retries }, (_, retry) => backoffMs(retry));
  return pauses.reduce((sum, ms) => sum + ms, (retries + 1) * timeoutMs + LATE_TIMERS_MS);
}

export const isSuccess = (status: number) => status >= 200 && status <= 299;

/** A URL for messages: without its query, which can contain a token. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

const backoffMs = (retry: number) => Math.min(FIRST_BACKOFF_MS * 2 ** retry, MAX_BACKOFF_MS);

function withTries(answer: HttpAnswer, tries: number): HttpAnswer {
  return answer.ok || tries === 1
    ? answer
    : { ok: false, message: `${answer.message}, tried ${tries} times` };
}

const failed = (message: string, passing: boolean): Attempt => ({ answer: { ok: false, message }, passing });

async function attempt(url: URL, endpoint: Endpoint, signal: AbortSignal): Promise<Attempt> {
  try {
    return await withDeadline(signal, endpoint.timeoutMs, (limited) =>
      exchange(url, endpoint.headers, limited),
    );
  } catch (error) {
    if (error instanceof TooSlow) return failed(error.message, true);
    if (signal.aborted) return failed('was aborted before it answered', false);
    return failed(describeNetworkError(error), true);
  }
}

async function exchange(
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Attempt> {
  let at = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await fetch(at, { headers: { ...headers }, signal, redirect: 'manual' });
    const location = REDIRECT_STATUSES.has(response.status) ? response.headers.get('location') : null;
    if (location === null) return read(response);
    await response.body?.cancel();
    const next = redirectTarget(location, at);
    if (typeof next === 'string') return failed(next, false);
    at = next;
  }
  return failed(`redirects more than ${MAX_REDIRECTS} times`, false);
}

/** Headers may contain secrets: they are sent to the configured host only, and never from https to http. */
function redirectTarget(location: string, from: URL): URL | string {
  if (!URL.canParse(location, from.href)) return 'redirects to something that is not a URL';
  const next = new URL(location, from);
  const secure = next.protocol === from.protocol || next.protocol === 'https:';
  if (next.host !== from.host || !secure) {
    return `redirects to ${next.protocol}//${next.host}, and redirects to another place are not followed`;
  }
  next.username = '';
  next.password = '';
  return next;
}

async function read(response: Response): Promise<Attempt> {
  const body = await readBody(response);
  if (body === null && response.ok)
    return failed(`answered with a body of more than ${MAX_BODY_BYTES} bytes`, false);
  const passing = response.status >= 500 || response.status === 429;
  return { answer: { ok: true, status: response.status, body: body ?? '' }, passing };
}

/** The body as a string, bounded after decompression; null if it is too large, and the rest is not read. */
async function readBody(response: Response): Promise<string | null> {
  if (!response.body) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

const NETWORK_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'cut the connection',
  UND_ERR_SOCKET: 'cut the connection',
  ENOTFOUND: 'has an unknown host name',
  EAI_AGAIN: 'has a host name that cannot be looked up now',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
  ETIMEDOUT: 'cannot be reached in time',
  UND_ERR_CONNECT_TIMEOUT: 'cannot be reached in time',
};

/** `fetch` hides the reason under `cause`. */
function describeNetworkError(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return 'could not be reached';
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  return NETWORK_ERRORS[code] ?? `could not be reached (${code || cause.message})`;
}
