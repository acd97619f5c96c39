/**
 * Operations over HTTP: one request and one answer, tried again on another node while nothing is known of its outcome.
 * Whatever is sent through here may be sent twice, so it must be a query, or a mutation that does nothing twice.
 */
import { addressesOf, credentialHeaders, type Endpoint } from './endpoint.ts';
import { codeOf, type GraphQLFailure, isPassing, messageOf, SerinError, SerinUnavailable } from './errors.ts';
import { createWrittenPosition } from './position.ts';
import { underSignals } from './signals.ts';
import { createBackoff, sleep } from './wait.ts';

/** How a client reaches Serin, and how long it tries. */
export interface HttpOptions extends Endpoint {
  /** Milliseconds that one request may take. 10,000 unless given: a node answers within 8 s, if only UNAVAILABLE. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds for which an operation is tried again. 30,000 unless given. */
  readonly retryForMs?: number | undefined;
  /** Called with a sentence for a person: what failed, and when it is tried again. */
  readonly onNotice?: ((sentence: string) => void) | undefined;
}

export interface Http {
  /**
   * Sends an operation until it is answered.
   * @throws {SerinError} where Serin refuses it
   * @throws {SerinUnavailable} where no node answered in time
   * @throws {TypeError} that names the variable that is NaN or infinite
   */
  send<T>(query: string, variables: Variables, signal?: AbortSignal): Promise<T>;
  /**
   * One try.
   * @param withinMs where it may take less than any request
   * @throws {Again} when the outcome is not known or it may be sent again
   */
  attempt<T>(query: string, variables: Variables, signal?: AbortSignal, withinMs?: number): Promise<T>;
}

/** Variables of a document, as JSON. */
export type Variables = Readonly<Record<string, unknown>>;

/** A try that failed in a way that passes. */
export class Again extends Error {
  constructor(
    message: string,
    /** Milliseconds that the server asked to wait. */
    readonly afterMs: number | null = null,
  ) {
    super(message);
  }
}

const TIMEOUT_MS = 10_000;
const RETRY_FOR_MS = 30_000;
/** A proxy or a node that is starting or stopping. */
const PASSING_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

interface Answer {
  readonly data?: unknown;
  readonly errors?: readonly GraphQLFailure[];
}

export function createHttp(options: HttpOptions): Http {
  const addresses = addressesOf(options);
  const { timeoutMs = TIMEOUT_MS, retryForMs = RETRY_FOR_MS, onNotice } = options;
  const fetch = options.fetch ?? globalThis.fetch;
  const written = createWrittenPosition();
  /** The address that answered last; the next one is asked after a failure. */
  let turn = 0;

  async function attempt<T>(
    query: string,
    variables: Variables,
    signal?: AbortSignal,
    withinMs: number = timeoutMs,
  ): Promise<T> {
    const asked = turn;
    const address = addresses[asked % addresses.length] ?? '';
    try {
      return await exchange<T>(address, query, variables, Math.ceil(Math.min(withinMs, timeoutMs)), signal);
    } catch (error) {
      // Once for all that were on their way to this address: two that fail must not come back to it.
      if (error instanceof Again && turn === asked) turn += 1;
      throw error;
    }
  }

  async function exchange<T>(
    address: string,
    query: string,
    variables: Variables,
    limitMs: number,
    signal?: AbortSignal,
  ): Promise<T> {
    refuseNonFinite(variables);
    const body = JSON.stringify({ query, variables });
    for (let renewed = false; ; renewed = true) {
      const headers = {
        'content-type': 'application/json',
        ...written.headers(),
        ...(await credentials()),
      };
      const { status, retryAfter, text } = await post(address, headers, body, limitMs, signal);
      const answer = readAnswer(text);
      if (!answer) throw notAnAnswer(address, status, retryAfter);
      if (!answer.errors) return answer.data as T;
      const code = codeOf(answer.errors);
      // A function is asked once more: the token may have expired on the way.
      if (code === 'UNAUTHENTICATED' && typeof options.key === 'function' && !renewed) continue;
      const message = answer.errors.map((error) => error.message).join('; ');
      throw isPassing(code) ? new Again(message, retryAfter) : new SerinError(message, code);
    }
  }

  /** A function that fails, because its token cannot be had at the moment, is asked again like a node that does not answer. */
  async function credentials(): Promise<Record<string, string>> {
    try {
      return await credentialHeaders(options);
    } catch (error) {
      if (error instanceof SerinError) throw error;
      throw new Again(`the function for the key failed: ${messageOf(error)}`);
    }
  }

  async function post(
    address: string,
    headers: Readonly<Record<string, string>>,
    body: string,
    limitMs: number,
    signal?: AbortSignal,
  ): Promise<{ status: number; retryAfter: number | null; text: string }> {
    const timeout = AbortSignal.timeout(limitMs);
    try {
      return await underSignals(signal ? [signal, timeout] : [timeout], async (limited) => {
        const response = await fetch(address, { method: 'POST', headers, body, signal: limited });
        written.note(response.headers);
        const retryAfter = readRetryAfter(response.headers.get('retry-after'));
        return { status: response.status, retryAfter, text: await response.text() };
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Again(timeout.aborted ? `${address} did not answer within ${limitMs} ms` : messageOf(error));
    }
  }

  return {
    attempt,
    async send<T>(query: string, variables: Variables, signal?: AbortSignal) {
      const until = performance.now() + retryForMs;
      const backoff = createBackoff();
      for (;;) {
        try {
          return await attempt<T>(query, variables, signal);
        } catch (error) {
          if (!(error instanceof Again)) throw error;
          const wait = Math.max(error.afterMs ?? 0, backoff.next());
          if (performance.now() + wait > until) {
            const where = addresses.map((address) => new URL(address).origin).join(', ');
            throw new SerinUnavailable(`Serin at ${where} does not answer: ${error.message}`);
          }
          onNotice?.(`${error.message}; trying again in ${Math.round(wait)} ms`);
          await sleep(wait, signal);
        }
      }
    },
  };
}

/**
 * JSON has neither NaN nor Infinity: `JSON.stringify` writes null, which means "not given".
 * @throws {TypeError} that names the field
 */
function refuseNonFinite(value: unknown, path = ''): void {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new TypeError(`${path} must be a number, got ${value}`);
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    refuseNonFinite(inner, path === '' ? name : `${path}.${name}`);
  }
}

/** The answer of GraphQL in a body, or null where it is something else. */
function readAnswer(text: string): Answer | null {
  try {
    const parsed: Answer | null = JSON.parse(text);
    return parsed?.data !== undefined || Array.isArray(parsed?.errors) ? parsed : null;
  } catch {
    return null;
  }
}

function notAnAnswer(address: string, status: number, retryAfter: number | null): Error {
  const message = `${address} answered HTTP ${status} without a GraphQL answer`;
  return PASSING_STATUS.has(status)
    ? new Again(message, retryAfter)
    : new SerinError(`${message}: is this the address of a Serin?`, 'NOT_SERIN');
}

/** Both forms of the header, in milliseconds; null where there is none. */
function readRetryAfter(value: string | null): number | null {
  if (value === null) return null;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now());
}
