/** Operations over WebSocket, `graphql-transport-ws`, through the same pipeline as HTTP. */
import type { IncomingMessage, Server } from 'node:http';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { CloseCode, MessageType } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Access } from '../../access/access.ts';
import type { Actor } from '../../access/actor.ts';
import { Unauthenticated } from '../../access/unauthenticated.ts';
import { ENDPOINT, type Limits } from '../../environment/limits.ts';
import type { Feed } from '../../feed/feed.ts';
import type { Admission } from '../pipeline/admission.ts';
import { readCredentials } from '../pipeline/authentication.ts';
import { exactNumber } from '../pipeline/body.ts';
import type { ClientAddresses, RequestHead } from '../pipeline/clientAddresses.ts';
import { presentError, UNAUTHENTICATED } from '../pipeline/errors.ts';
import type { GraphQLServer } from '../pipeline/pipeline.ts';
import { rateLimited } from '../pipeline/rateLimits.ts';
import type { SubscriptionQuota } from '../pipeline/subscriptionQuota.ts';
import { holdForNow } from './coalescedWrites.ts';
import { createSocketOperations } from './socketOperations.ts';

/** Unsent bytes of a client above which nothing more is read from it. */
const PAUSE_ABOVE = 1_000_000;
/** Unsent bytes of a client above which it is closed. */
const CLOSE_ABOVE = 8_000_000;
const BACKPRESSURE_POLL_MS = 250;
/** "Try again later": a `graphql-ws` client reconnects automatically. */
const TRY_AGAIN = 1013;
/** How long a client may take to complete the closing handshake. */
const CLOSE_TIMEOUT_MS = 1500;

export interface SocketParts {
  readonly access: Access;
  readonly feed: Feed;
  readonly graphql: GraphQLServer;
  readonly admission: Admission;
  readonly addresses: ClientAddresses;
  readonly subscriptionQuota: SubscriptionQuota;
  readonly limits: Limits;
  readonly log: Logger;
}

/** Closes the socket of a caller that is not authenticated, or no longer: 4403, as graphql-ws does. */
function refuse(socket: WebSocket, why: string): void {
  socket.close(CloseCode.Forbidden, closeReason(`${UNAUTHENTICATED}: ${why}`));
}

/** A close frame holds at most 123 bytes of text. */
function closeReason(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= 123
    ? text
    : `${bytes
        .subarray(0, 118)
        .toString()
        .replace(/\uFFFD+$/, '')}…`;
}

/** Serves WebSocket upgrades of the endpoint. Returns a function that closes all sockets with 1001 (reconnect elsewhere). */
export function serveWebSocket(server: Server, parts: SocketParts): () => Promise<void> {
  const { access, admission, addresses, limits, log } = parts;
  const sockets = new WebSocketServer({
    noServer: true,
    path: ENDPOINT,
    maxPayload: limits.bodyBytes,
    verifyClient: ({ req }: { req: IncomingMessage }, decide) => {
      const status = admission.refuseUpgrade(req);
      if (status === null) decide(true);
      else decide(false, status, 'Forbidden');
    },
  });
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (opened) =>
      sockets.emit('connection', opened, upgradeOf(request)),
    );
  });
  const actors = new WeakMap<WebSocket, Actor>();
  const operations = createSocketOperations(parts);

  const serving = useServer<Record<string, unknown>>(
    {
      isProd: true,
      connectionInitWaitTimeout: limits.initMs,
      jsonMessageReviver: reviveMessage,
      // Errors of a stream itself are logged and masked.
      onError: (_context, _id, _payload, errors) =>
        errors.map((error) => forSocket(presentError(error, log))),
      async onConnect({ connectionParams, extra: { socket, request } }) {
        // Authentication costs a database query, so it counts as an operation.
        const wait = await addresses.overRate(addresses.addressOf(request));
        if (wait !== null) {
          socket.close(TRY_AGAIN, closeReason(rateLimited('from this address', wait).message));
          return false;
        }
        try {
          const actor = await access.identify(readCredentials(connectionParams, request));
          actors.set(socket, actor);
          socket.once(
            'close',
            access.watch(actor, (why) => refuse(socket, why)),
          );
          return true;
        } catch (error) {
          if (error instanceof Unauthenticated) refuse(socket, error.message);
          else socket.close(TRY_AGAIN, closeReason(presentError(error, log).message));
          return false;
        }
      },
      execute: operations.run,
      subscribe: operations.run,
      async onSubscribe({ subscriptions, extra: { socket, request } }, id, payload) {
        const actor = actors.get(socket);
        if (!actor) throw new Error('a socket subscribed before it was authenticated');
        if (Object.keys(subscriptions).length > limits.operationsPerSocket) {
          return [tooManyOperations(limits.operationsPerSocket)];
        }
        const wait = await addresses.overRate(addresses.addressOf(request));
        if (wait !== null) return [rateLimited('from this address', wait)];
        return operations.prepare({ socket, actor }, id, payload);
      },
    },
    sockets,
  );
  // A client that violates the framing is closed with the code for it, and logged at level debug. Sending to a client that
  // has disconnected does nothing; graphql-ws would treat it as an internal error.
  sockets.on('connection', (socket, request: RequestHead) => {
    socket.removeAllListeners('error').on('error', (error) => log.debug({ error }, 'a WebSocket failed'));
    const send: (data: string | Buffer, how: object) => void = socket.send.bind(socket);
    Object.assign(socket, {
      send: (data: string | Buffer, how: object | (() => void)) => {
        holdForNow(request.socket);
        send(data, typeof how === 'function' ? () => how() : how);
      },
    });
  });
  const stopBackpressure = applyBackpressure(sockets);
  return async () => {
    stopBackpressure();
    for (const socket of sockets.clients) socket.close(1001, 'Going away: resume elsewhere');
    // Do not wait for clients that do not respond.
    const forceCloseTimer = setTimeout(() => {
      for (const socket of sockets.clients) socket.terminate();
    }, CLOSE_TIMEOUT_MS);
    await serving.dispose();
    clearTimeout(forceCloseTimer);
  };
}

/** What is needed of the request of an upgrade. graphql-ws keeps it for as long as the socket is open: whole, it is 2 KB. */
function upgradeOf({ socket, headers }: IncomingMessage): RequestHead {
  return { socket, headers: Object.fromEntries(KEPT.map((name) => [name, headers[name]])) };
}

/** Headers that tell who opens a socket. */
const KEPT = ['authorization', 'x-serin-actor', 'x-forwarded-for'];

function tooManyOperations(limit: number): GraphQLError {
  const message = `At most ${limit} concurrent operations on one connection: complete some, or open another`;
  return new GraphQLError(message, { extensions: { code: 'RATE_LIMITED' } });
}

const SERVER_MESSAGES: readonly unknown[] = [MessageType.ConnectionAck, MessageType.Next, MessageType.Error];

/**
 * Refuses messages that only a server sends (4400), and keeps long numbers exact where the runtime shows their source text
 * (Node 22 and later).
 */
function reviveMessage(key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value === 'number' && context?.source !== undefined) return exactNumber(context.source);
  if (key === '' && typeof value === 'object' && value !== null && 'type' in value) {
    if (SERVER_MESSAGES.includes(value.type)) throw new Error('only a server sends this message');
  }
  return value;
}

/**
 * Backpressure: nothing more is read from a client with much unsent data, and one with too much is closed and may
 * reconnect.
 */
function applyBackpressure(sockets: WebSocketServer): () => void {
  sockets.on('connection', (socket) => {
    socket.on('message', () => {
      if (socket.bufferedAmount > PAUSE_ABOVE) socket.pause();
    });
  });
  const poll = setInterval(() => {
    for (const socket of sockets.clients) {
      if (socket.isPaused && socket.bufferedAmount <= PAUSE_ABOVE) socket.resume();
      if (socket.bufferedAmount <= CLOSE_ABOVE || socket.readyState !== socket.OPEN) continue;
      socket.close(TRY_AGAIN, 'Too slow: reconnect and resume from the last cursor');
      setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS).unref();
    }
  }, BACKPRESSURE_POLL_MS);
  poll.unref();
  return () => clearInterval(poll);
}

/** Removes the HTTP status of an error, which has no meaning on a socket. */
function forSocket(error: GraphQLError): GraphQLFormattedError {
  const { extensions: { http: _, ...extensions } = {}, ...formatted } = error.toJSON();
  return { ...formatted, ...(Object.keys(extensions).length > 0 ? { extensions } : {}) };
}
