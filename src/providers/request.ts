/**
 * One GET that always ends in an answer or in words: bounded in time, in size, in tries and in where it may be sent.
 * What is likely to pass (no connection, too slow, HTTP 429 and 5xx) is tried again; the rest is answered as it is.
 */
import { pause, TooSlow, withDeadline } from './deadline.ts';
import type { UrlTemplate } from './urlTemplate.ts';

/** Where and how a provider asks. */
export interface Endpoint {
  readonly url: UrlTemplate;
  readonly headers: Readonly<Record<string, string>>;
  /** Of one attempt, from connecting to the last byte of the body. */
  readonly timeoutMs: number;
  /** Attempts after the first. */
  readonly retries: number;
}

/** What came, whatever its status, or why nothing did. The message is made to follow the place that was asked. */
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
  /** Whether another attempt may go better. */
  readonly passing: boolean;
}

/** Asks until there is an answer worth having, the retries are used up, or `signal` aborts. Never rejects. */
export async function get(url: URL, endpoint: Endpoint, signal: AbortSignal): Promise<HttpAnswer> {
  for (let retry = 0; ; retry++) {
    const { answer, passing } = await attempt(url, endpoint, signal);
    if (!passing || retry === endpoint.retries || signal.aborted) return withTries(answer, retry + 1);
    await pause(backoffMs(retry) * (0.5 + Math.random() / 2), signal);
    if (signal.aborted) return withTries(answer, retry + 1);
  }
}

/** Timers fire late; a limit around others must not fire before them. */
const LATE_TIMERS_MS = 100;

/** The longest that {@link get} can take: every attempt to its timeout, and every pause between. */
export function longestMs({ timeoutMs, retries }: Endpoint): number {
  const pauses = Array.from({ length: retries }, (_, retry) => backoffMs(retry));
  return pauses.reduce((sum, ms) => sum + ms, (retries + 1) * timeoutMs + LATE_TIMERS_MS);
}

export const isSuccess = (status: number) => status >= 200 && status <= 299;

/** A URL as it may be shown: its query can hold a token, and says little that the provider's name does not. */
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
    if (signal.aborted) return failed('was given up before it answered', false);
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

/** Headers may hold secrets, so they go to the configured host only, and never from https back to http. */
function redirectTarget(location: string, from: URL): URL | string {
  if (!URL.canParse(location, from.href)) return 'redirects to something that is no URL';
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

/** The body as text, counted after decompression; null when it is too large, and then the rest is not read. */
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
  ENOTFOUND: 'has a host name that is not known',
  EAI_AGAIN: 'has a host name that cannot be looked up now',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
  ETIMEDOUT: 'cannot be reached in time',
  UND_ERR_CONNECT_TIMEOUT: 'cannot be reached in time',
};

/** `fetch` hides the reason under `cause`. */
function describeNetworkError(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return 'could not be asked';
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  return NETWORK_ERRORS[code] ?? `could not be asked (${code || cause.message})`;
}
