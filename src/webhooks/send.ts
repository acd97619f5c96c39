/** One delivery attempt: a POST, bounded in time and size, that always ends in a status or an error message. */
import type { Agent } from 'undici';
import { ForbiddenTarget } from './forbiddenTarget.ts';

const TIMEOUT_MS = 10_000;
/** How long a response body is read, so that the connection can be reused. */
const BODY_MS = 2_000;
/** Most bytes read of a response body, so that the connection can be reused; the content is ignored. */
const MAX_RESPONSE_BYTES = 64 * 1024;

export interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The outcome of an attempt. */
export interface Sent {
  /** Null if there was no response. */
  readonly httpStatus: number | null;
  /** Why the attempt failed, as a message; null if it succeeded. */
  readonly error: string | null;
  /** The receiver's `Retry-After`; null if there was none. */
  readonly retryAfterSeconds: number | null;
  readonly durationMs: number;
}

/**
 * Never rejects; `givenUp` ends it early. Only 2xx is success. Redirects are not followed, because their targets were
 * not checked.
 */
export async function send(
  agent: Agent,
  url: string,
  { headers, body }: Message,
  givenUp: AbortSignal,
): Promise<Sent> {
  const began = performance.now();
  const limit = new AbortController();
  const giveUp = () => limit.abort(givenUp.reason);
  givenUp.addEventListener('abort', giveUp, { once: true });
  const timer = setTimeout(() => limit.abort(new TooSlow()), TIMEOUT_MS);
  const ended = (sent: Omit<Sent, 'durationMs'>): Sent => ({
    ...sent,
    durationMs: Math.round(performance.now() - began),
  });
  try {
    const { origin, pathname, search } = new URL(url);
    const response = await agent.request({
      origin,
      path: pathname + search,
      method: 'POST',
      headers,
      body,
      signal: limit.signal,
    });
    // The status line is the outcome: a body that stalls, breaks off or is too long does not change it.
    void response.body
      .dump({ limit: MAX_RESPONSE_BYTES, signal: AbortSignal.timeout(BODY_MS) })
      .catch(() => {});
    return ended({
      httpStatus: response.statusCode,
      error: refusalOf(response.statusCode),
      retryAfterSeconds: retryAfterSeconds(response.headers['retry-after'], Date.now()),
    });
  } catch (error) {
    return ended({ httpStatus: null, error: describe(error), retryAfterSeconds: null });
  } finally {
    clearTimeout(timer);
    givenUp.removeEventListener('abort', giveUp);
  }
}

/**
 * Parses `Retry-After`, which is a number of seconds or an HTTP date (RFC 9110, 10.2.3).
 * @returns seconds from now, above 0; null if there is none
 */
function retryAfterSeconds(value: string | readonly string[] | undefined, now: number): number | null {
  const text = typeof value === 'string' ? value.trim() : '';
  if (text === '') return null;
  // The obsolete asctime form has no zone: it is UTC as well.
  const date = text.endsWith('GMT') ? text : `${text} GMT`;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(date) - now) / 1000;
  return seconds > 0 ? seconds : null;
}

class TooSlow extends Error {}

function refusalOf(status: number): string | null {
  if (status >= 200 && status <= 299) return null;
  if (status === 410) return 'The receiver returned 410 Gone: it wants no more messages';
  if (status >= 300 && status <= 399) {
    return `The receiver returned a redirect (HTTP ${status}), which is not followed: set the webhook to the final URL`;
  }
  return `The receiver returned HTTP ${status}`;
}

const NETWORK_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'The receiver refused the connection',
  ECONNRESET: 'The receiver closed the connection',
  UND_ERR_SOCKET: 'The receiver closed the connection',
  ENOTFOUND: 'The host name is unknown',
  EAI_AGAIN: 'The host name cannot be resolved now',
  EHOSTUNREACH: 'The receiver cannot be reached',
  ENETUNREACH: 'The receiver cannot be reached',
  UND_ERR_CONNECT_TIMEOUT: 'The connection to the receiver timed out',
  ETIMEDOUT: 'The connection to the receiver timed out',
};

function describe(error: unknown): string {
  if (error instanceof ForbiddenTarget) return `Not sent: ${error.message}`;
  if (!(error instanceof Error)) return 'The request failed';
  if (error instanceof TooSlow) return `The receiver did not respond within ${TIMEOUT_MS / 1000} seconds`;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return NETWORK_ERRORS[code] ?? `The request failed (${code || error.name})`;
}
