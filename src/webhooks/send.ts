/** One try: a POST that always ends in what the receiver answered or in words, bounded in time and in size. */
import { type Agent, request } from 'undici';
import { ForbiddenTarget } from './targets.ts';

const TIMEOUT_MS = 10_000;
/** What is read of an answer, so that the connection can be used again; nobody looks at it. */
const MAX_ANSWER_BYTES = 64 * 1024;

export interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** How a try ended. */
export interface Sent {
  /** Null when there was no answer. */
  readonly httpStatus: number | null;
  /** Why it counts as failed, in words; null when it was taken. */
  readonly error: string | null;
  /** What the receiver asked for in `Retry-After`. */
  readonly retryAfterSeconds: number | null;
  readonly durationMs: number;
}

/**
 * Never rejects; `givenUp` ends it early. Only 2xx is success; redirects are not followed: they would lead where
 * nobody has looked.
 */
export async function send(
  dispatcher: Agent,
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
    const answer = await request(url, {
      dispatcher,
      method: 'POST',
      headers,
      body,
      signal: limit.signal,
    });
    await answer.body.dump({ limit: MAX_ANSWER_BYTES, signal: limit.signal });
    const asked = Number(answer.headers['retry-after']);
    return ended({
      httpStatus: answer.statusCode,
      error: refusalOf(answer.statusCode),
      retryAfterSeconds: asked > 0 ? asked : null,
    });
  } catch (error) {
    return ended({ httpStatus: null, error: describe(error), retryAfterSeconds: null });
  } finally {
    clearTimeout(timer);
    givenUp.removeEventListener('abort', giveUp);
  }
}

class TooSlow extends Error {}

function refusalOf(status: number): string | null {
  if (status >= 200 && status <= 299) return null;
  if (status === 410) return 'The receiver answered 410 Gone: it wants no more';
  if (status >= 300 && status <= 399) {
    return `The receiver answered a redirect (HTTP ${status}), which is not followed: give the webhook the final URL`;
  }
  return `The receiver answered HTTP ${status}`;
}

const NETWORK_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'The receiver refused the connection',
  ECONNRESET: 'The receiver cut the connection',
  UND_ERR_SOCKET: 'The receiver cut the connection',
  ENOTFOUND: 'The host name is not known',
  EAI_AGAIN: 'The host name cannot be looked up now',
  EHOSTUNREACH: 'The receiver cannot be reached',
  ENETUNREACH: 'The receiver cannot be reached',
  UND_ERR_CONNECT_TIMEOUT: 'The receiver cannot be reached in time',
  ETIMEDOUT: 'The receiver cannot be reached in time',
};

function describe(error: unknown): string {
  if (error instanceof ForbiddenTarget) return `Not sent: ${error.message}`;
  if (!(error instanceof Error)) return 'It could not be sent';
  if (error instanceof TooSlow) return `The receiver did not answer within ${TIMEOUT_MS / 1000} seconds`;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return NETWORK_ERRORS[code] ?? `It could not be sent (${code || error.name})`;
}
