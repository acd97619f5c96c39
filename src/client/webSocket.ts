/**
 * One subscription over a WebSocket (`graphql-transport-ws`). A WebSocket cannot be read slowly, so deliveries that wait
 * for the consumer are bounded: with more of them the connection is closed, and the feed is resumed from its cursor
 * once they are taken.
 */
import { type Client, createClient } from 'graphql-ws/client';
import { credentialHeaders, type Endpoint } from './endpoint.ts';
import { FeedRefused, feedError } from './errors.ts';
import type { Variables } from './http.ts';
import type { Execution } from './sse.ts';

/** How a feed over a WebSocket connects. */
export interface SocketOptions extends Pick<Endpoint, 'key' | 'actor'> {
  /** Sent when a connection is opened, such as credentials or `actor`; a function is asked for each connection. */
  readonly connectionParams?: Variables | (() => Variables | Promise<Variables>) | undefined;
  /** The WebSocket to use where the platform has none (Node before 22): the export `WebSocket` of `ws`. */
  readonly webSocketImpl?: unknown;
  /** Milliseconds between two signs of life on a connection; one without is given up. */
  readonly keepAliveMs?: number | undefined;
}

/** How many deliveries may wait for the consumer. */
const MOST_WAITING = 256;
const KEEP_ALIVE_MS = 10_000;

/** The results of one connection; ends or throws with it. */
export async function* subscribeOverWebSocket(
  options: SocketOptions,
  url: string,
  operation: { readonly query: string; readonly variables: Variables },
  signal?: AbortSignal,
): AsyncGenerator<Execution> {
  const client = openClient(url, options);
  const leave = () => client.terminate();
  signal?.addEventListener('abort', leave, { once: true });
  const waiting: Execution[] = [];
  let ended: { readonly error?: unknown } | null = null;
  let wake = () => {};
  const end = (how: { readonly error?: unknown }) => {
    ended ??= how;
    wake();
  };
  client.subscribe<Readonly<Record<string, unknown>>>(
    { ...operation },
    {
      next(result) {
        if (ended) return;
        waiting.push(result);
        wake();
        if (waiting.length < MOST_WAITING) return;
        end({ error: new Error(`${MOST_WAITING} deliveries wait to be taken`) });
        client.terminate();
      },
      error: (error) => end({ error }),
      complete: () => end({}),
    },
  );
  try {
    for (;;) {
      const next = waiting.shift();
      if (next) yield next;
      else if (ended) throw explain(ended);
      else {
        await new Promise<void>((done) => {
          wake = done;
        });
      }
    }
  } finally {
    signal?.removeEventListener('abort', leave);
    await client.dispose();
  }
}

/** Close codes with which a server refuses the caller: to come again changes nothing. */
const REFUSED = new Map([
  [4400, 'BAD_REQUEST'],
  [4401, 'UNAUTHENTICATED'],
  [4403, 'UNAUTHENTICATED'],
  [4406, 'BAD_REQUEST'],
]);

function explain({ error }: { readonly error?: unknown }): unknown {
  if (error === undefined) return new Error('the feed was ended by the server');
  if (Array.isArray(error)) return feedError(error);
  if (typeof error === 'object' && error && 'code' in error && 'reason' in error) {
    const { code, reason } = error;
    const refused = REFUSED.get(Number(code));
    if (refused) return new FeedRefused(String(reason) || `closed with ${code}`, refused);
    return new Error(`the connection was closed (${code}${reason ? `: ${reason}` : ''})`);
  }
  return error;
}

function openClient(url: string, options: SocketOptions): Client {
  const { connectionParams, webSocketImpl, keepAliveMs = KEEP_ALIVE_MS } = options;
  let silence: ReturnType<typeof setTimeout> | undefined;
  const watch = () => {
    silence = setTimeout(() => client.terminate(), keepAliveMs);
  };
  const client = createClient({
    url,
    webSocketImpl: withListener(webSocketImpl),
    connectionParams: async () => ({
      ...(await credentialHeaders(options)),
      ...(typeof connectionParams === 'function' ? await connectionParams() : connectionParams),
    }),
    retryAttempts: 0,
    keepAlive: keepAliveMs,
    connectionAckWaitTimeout: keepAliveMs,
    on: {
      connecting: watch,
      opened: () => clearTimeout(silence),
      ping: (received) => {
        if (!received) watch();
      },
      pong: (received) => {
        if (received) clearTimeout(silence);
      },
      closed: () => clearTimeout(silence),
    },
  });
  return client;
}

type WebSocketClass = new (...given: unknown[]) => Pick<EventTarget, 'addEventListener'>;

/**
 * The WebSocket of `ws` fails when it is left before it is open. graphql-ws does not listen any more then, and an error
 * that nobody listens for would end the process.
 */
function withListener(webSocketImpl: unknown): unknown {
  if (typeof webSocketImpl !== 'function') return webSocketImpl;
  return class extends (webSocketImpl as WebSocketClass) {
    constructor(...given: unknown[]) {
      super(...given);
      this.addEventListener('error', () => {});
    }
  };
}
