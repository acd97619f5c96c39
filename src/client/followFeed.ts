/**
 * Follows one of Serin's feeds for ever: through disconnects, restarts and nodes that come and go, every event once.
 * For clients in TypeScript and JavaScript; it relies on nothing of Serin but the cursors in its schema.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';

export interface FollowOptions {
  /** Where Serin is: `ws://HOST:PORT/graphql`; several nodes are tried in turn. */
  readonly url: string | readonly string[];
  /** A subscription to one feed that takes `$after: String` and selects `cursor`. */
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
  /**
   * Where to begin: the cursor of the last event that was dealt with, or "0" for the beginning. Without it the feed
   * begins now, and what happens before the first event arrives is not repeated after a disconnect.
   */
  readonly after?: string | null;
  /** Sent when a connection is opened, such as credentials or `actor`. */
  readonly connectionParams?: Readonly<Record<string, unknown>>;
  /** The WebSocket to use where the platform has none (Node before 22): the default export of `ws`. */
  readonly webSocketImpl?: unknown;
  /** Ends the feed. */
  readonly signal?: AbortSignal;
  /** Milliseconds between two signs of life on a connection; one without is given up. */
  readonly keepAliveMs?: number;
  /** Told why a connection was lost and how long the next try waits. */
  readonly onDisconnect?: (reason: unknown, waitMs: number) => void;
}

/** What a delivery must have to be resumed from. */
export interface Delivery {
  readonly cursor: string;
}

/** The feed cannot go on: Serin refuses the subscription itself, and would do so again. */
export class FeedRefused extends Error {
  constructor(
    message: string,
    /** `extensions.code` of the first error. */
    readonly code: string,
  ) {
    super(message);
  }
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
/** Errors that pass: the feed is resumed after a wait. */
const PASSING = new Set(['RESUME_FROM_CURSOR', 'UNAVAILABLE', 'RATE_LIMITED', 'INTERNAL_SERVER_ERROR']);

/**
 * Yields deliveries in the order of the log. Keep the cursor of each one you have dealt with: given as `after` it
 * resumes there, in this process or the next.
 * @throws {FeedRefused} when the query, its variables or the credentials are refused
 */
export async function* followFeed<T extends Delivery>(options: FollowOptions): AsyncGenerator<T, void, void> {
  const urls = typeof options.url === 'string' ? [options.url] : options.url;
  let after = options.after ?? null;
  let wait = FIRST_WAIT_MS;
  for (let attempt = 0; !options.signal?.aborted; attempt += 1) {
    let reason: unknown = 'the connection ended';
    try {
      for await (const delivery of connect<T>(urls[attempt % urls.length] ?? '', options, after)) {
        after = delivery.cursor;
        wait = FIRST_WAIT_MS;
        yield delivery;
      }
    } catch (error) {
      if (error instanceof FeedRefused) throw error;
      reason = error;
    }
    if (options.signal?.aborted) return;
    const jittered = wait * (0.5 + Math.random() / 2);
    options.onDisconnect?.(reason, jittered);
    await sleep(jittered, undefined, options.signal ? { signal: options.signal } : {}).catch(() => {});
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

/** The deliveries of one connection; ends or throws with it. */
async function* connect<T extends Delivery>(
  url: string,
  options: FollowOptions,
  after: string | null,
): AsyncGenerator<T> {
  const client = openClient(url, options);
  const leave = () => client.terminate();
  options.signal?.addEventListener('abort', leave, { once: true });
  try {
    const { query, variables } = options;
    for await (const { data, errors } of client.iterate<Record<string, T>>({
      query,
      variables: { ...variables, after },
    })) {
      if (errors) throw explain(errors);
      const delivery = data && Object.values(data)[0];
      if (delivery) yield delivery;
    }
  } catch (error) {
    throw Array.isArray(error) ? explain(error) : error;
  } finally {
    options.signal?.removeEventListener('abort', leave);
    await client.dispose();
  }
}

function openClient(
  url: string,
  { connectionParams, webSocketImpl, keepAliveMs = 10_000 }: FollowOptions,
): Client {
  let silence: NodeJS.Timeout | undefined;
  const client = createClient({
    url,
    webSocketImpl,
    connectionParams: { ...connectionParams },
    retryAttempts: 0,
    keepAlive: keepAliveMs,
    connectionAckWaitTimeout: keepAliveMs,
    on: {
      ping: (received) => {
        if (!received) silence = setTimeout(() => client.terminate(), keepAliveMs);
      },
      pong: (received) => {
        if (received) clearTimeout(silence);
      },
      closed: () => clearTimeout(silence),
    },
  });
  return client;
}

/** Errors that come with a delivery, or instead of the feed. */
function explain(
  errors: readonly { message: string; extensions?: Readonly<Record<string, unknown>> }[],
): Error {
  const [first] = errors;
  const message = first?.message ?? 'the feed was refused';
  const code = String(first?.extensions?.code ?? 'GRAPHQL_VALIDATION_FAILED');
  return PASSING.has(code) ? new Error(message) : new FeedRefused(message, code);
}
