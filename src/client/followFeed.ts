/**
 * Follows one of Serin's feeds indefinitely: through disconnects, restarts and nodes that come and go, every event once.
 * It relies on nothing of Serin but the cursors in its schema.
 */
import type { Endpoint } from './endpoint.ts';
import { FeedRefused, feedError, SerinError } from './errors.ts';
import { type Execution, subscribeOverSse } from './sse.ts';
import { createBackoff, sleep } from './wait.ts';
import { type SocketOptions, subscribeOverWebSocket } from './webSocket.ts';

/** Which feed to follow, from where, and over what. */
export interface FollowOptions extends SocketOptions, Pick<Endpoint, 'fetch'> {
  /**
   * Where Serin is: `http://HOST:PORT/graphql` (Server-Sent Events: works everywhere, and a slow consumer costs no
   * memory) or `ws://HOST:PORT/graphql` (a WebSocket: for a browser that follows many feeds). Several nodes are tried in
   * turn.
   */
  readonly url: string | readonly string[];
  /** A subscription to one feed that takes `$after: String` and selects `cursor`. */
  readonly query: string;
  /** Its other variables. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Where to begin: the cursor of the last event that was dealt with, or "0" for the beginning. Without it the feed
   * begins now, and what happens before the first event arrives is not repeated after a disconnect.
   */
  readonly after?: string | null | undefined;
  /** Ends the feed. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the reason when a connection was lost, and how long the next try waits. */
  readonly onDisconnect?: ((reason: unknown, waitMs: number) => void) | undefined;
}

/** What a delivery must have to be resumed from. */
export interface Delivery {
  /** The place of the delivery in the log. */
  readonly cursor: string;
}

/**
 * Yields deliveries in the order of the log. Keep the cursor of each one you have dealt with: given as `after` it
 * resumes there, in this process or the next.
 * @throws {FeedRefused} when the query, its variables or the credentials are refused
 */
export async function* followFeed<T extends Delivery>(options: FollowOptions): AsyncGenerator<T, void, void> {
  let after = options.after ?? null;
  for await (const delivery of resume<T>(options, () => ({ ...options.variables, after }))) {
    after = delivery.cursor;
    yield delivery;
  }
}

/**
 * Follows a feed without cursors, such as `deploymentUpdated`: it begins with the state as it is now, also after each
 * disconnect, and a slow consumer skips to the newest.
 * @throws {FeedRefused} when the query, its variables or the credentials are refused
 */
export function followState<T>(options: Omit<FollowOptions, 'after'>): AsyncGenerator<T, void, void> {
  return resume<T>(options, () => options.variables ?? {});
}

/** Connects again and again, with the variables of the moment, until the signal or a refusal. */
async function* resume<T>(
  options: FollowOptions,
  variables: () => Readonly<Record<string, unknown>>,
): AsyncGenerator<T, void, void> {
  const { signal } = options;
  const urls = typeof options.url === 'string' ? [options.url] : options.url;
  const backoff = createBackoff();
  /** A token may expire on the way: a function is asked once more before a refusal counts. */
  let mayRenew = typeof options.key === 'function' || typeof options.connectionParams === 'function';
  for (let attempt = 0; !signal?.aborted; attempt += 1) {
    let reason: unknown = new Error('the feed was ended by the server');
    try {
      const url = urls[attempt % urls.length] ?? '';
      for await (const result of connect(url, options, variables())) {
        if (result.errors) throw feedError(result.errors);
        const delivery = result.data && Object.values(result.data)[0];
        backoff.reset();
        mayRenew = typeof options.key === 'function' || typeof options.connectionParams === 'function';
        if (delivery) yield delivery as T;
      }
    } catch (error) {
      const renewed = error instanceof SerinError && error.code === 'UNAUTHENTICATED' && mayRenew;
      if (error instanceof SerinError && !renewed) throw asRefused(error);
      if (renewed) mayRenew = false;
      reason = error;
    }
    if (signal?.aborted) return;
    const wait = backoff.next();
    options.onDisconnect?.(reason, wait);
    await sleep(wait, signal);
  }
}

/** Credentials that cannot be sent refuse a feed as the server does. */
const asRefused = (error: SerinError): FeedRefused =>
  error instanceof FeedRefused ? error : new FeedRefused(error.message, error.code);

function connect(
  url: string,
  options: FollowOptions,
  variables: Readonly<Record<string, unknown>>,
): AsyncGenerator<Execution> {
  const operation = { query: options.query, variables };
  return url.startsWith('ws')
    ? subscribeOverWebSocket(options, url, operation, options.signal)
    : subscribeOverSse(options, url, operation, options.signal);
}
