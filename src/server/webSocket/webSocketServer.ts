/** Operations over WebSocket, `graphql-transport-ws`, through the same pipeline as HTTP. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { CloseCode, handleProtocols, MessageType, makeServer } from 'graphql-ws';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import type { Access } from '../../access/access.ts';
import { Unauthenticated } from '../../access/unauthenticated.ts';
import { ENDPOINT, type Limits } from '../../environment/limits.ts';
import type { Feed } from '../../feed/feed.ts';
import type { Admission } from '../pipeline/admission.ts';
import { readCredentials } from '../pipeline/authentication.ts';
import { exactNumber } from '../pipeline/body.ts';
import type { ClientAddresses } from '../pipeline/clientAddresses.ts';
import { presentError, UNAUTHENTICATED } from '../pipeline/errors.ts';
import type { GraphQLServer } from '../pipeline/pipeline.ts';
import { rateLimited } from '../pipeline/rateLimits.ts';
import type { SubscriptionQuota } from '../pipeline/subscriptionQuota.ts';
import { CLOSE_TIMEOUT_MS, ServedSocket, type SocketOwner, TRY_AGAIN, TURN_MS } from './servedSocket.ts';
import { createSocketOperations } from './socketOperations.ts';

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
function refuse(socket: ServedSocket, why: string): void {
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
    clientTracking: false,
    // One message after the other: a `complete` has ended its operation before the next message may use its id again.
    allowSynchronousEvents: false,
    handleProtocols,
    WebSocket: ServedSocket,
    verifyClient: ({ req }: { req: IncomingMessage }, decide) => {
      const status = admission.refuseUpgrade(req);
      if (status === null) decide(true);
      else decide(false, status, 'Forbidden');
    },
  });
  const open = new Set<ServedSocket>();
  const operations = createSocketOperations(parts);

  const graphql = makeServer<Record<string, unknown>, ServedSocket>({
    // A socket waits itself, with a timer that it does not keep.
    connectionInitWaitTimeout: 0,
    jsonMessageReviver: reviveMessage,
    // Errors of a stream itself are logged and masked.
    onError: (_context, _id, _payload, errors) => errors.map((error) => forSocket(presentError(error, log))),
    async onConnect({ connectionParams, extra: socket }) {
      const headers = socket.initialised();
      // Authentication costs a database query, so it counts as an operation.
      const wait = await addresses.overRate(socket.address);
      if (wait !== null) {
        socket.close(TRY_AGAIN, closeReason(rateLimited('from this address', wait).message));
        return false;
      }
      try {
        const actor = await access.identify(readCredentials(connectionParams, headers));
        socket.authenticated(
          actor,
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
    onSubscribe({ subscriptions, extra: socket }, id, payload) {
      const { actor, address } = socket;
      if (!actor) throw new Error('a socket subscribed before it was authenticated');
      return operations.prepare({ socket, actor }, id, payload, async () => {
        if (Object.keys(subscriptions).length > limits.operationsPerSocket) {
          return tooManyOperations(limits.operationsPerSocket);
        }
        const wait = await addresses.overRate(address);
        return wait === null ? null : rateLimited('from this address', wait);
      });
    },
  });
  const owner: SocketOwner = {
    log,
    initMs: limits.initMs,
    serve: (socket) => graphql.opened(socket, socket),
    closed: (socket) => open.delete(socket),
  };
  server.on('upgrade', (request, line: Socket, head) => {
    sockets.handleUpgrade(request, line, head, (socket) => {
      open.add(socket);
      socket.open(owner, line, addresses.addressOf(request), request.headers);
    });
  });
  const timer = setInterval(() => {
    for (const socket of open) socket.lookAfter();
  }, TURN_MS).unref();

  return async () => {
    clearInterval(timer);
    // New ones are refused.
    sockets.close();
    const closing = [...open].map((socket) => new Promise((closed) => socket.once('close', closed)));
    for (const socket of open) socket.close(1001, 'Going away: resume elsewhere');
    // Do not wait for clients that do not respond.
    const forceCloseTimer = setTimeout(() => {
      for (const socket of open) socket.terminate();
    }, CLOSE_TIMEOUT_MS);
    await Promise.all(closing);
    clearTimeout(forceCloseTimer);
  };
}

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

/** Removes the HTTP status of an error, which has no meaning on a socket. */
function forSocket(error: GraphQLError): GraphQLFormattedError {
  const { extensions: { http: _, ...extensions } = {}, ...formatted } = error.toJSON();
  return { ...formatted, ...(Object.keys(extensions).length > 0 ? { extensions } : {}) };
}
