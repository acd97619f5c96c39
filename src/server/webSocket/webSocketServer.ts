/** Operations over WebSocket, `graphql-transport-ws`, through the same pipeline as HTTP. */
import type { IncomingMessage, Server } from 'node:http';
import { type ExecutionArgs, type ExecutionResult, GraphQLError, type GraphQLFormattedError } from 'graphql';
import { CloseCode, MessageType, type SubscribePayload } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { isAsyncIterable } from 'graphql-yoga';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Access } from '../../access/access.ts';
import { type Actor, withSameRights } from '../../access/actor.ts';
import { Unauthenticated } from '../../access/unauthenticated.ts';
import { ENDPOINT, type Limits } from '../../environment/limits.ts';
import type { Feed } from '../../feed/feed.ts';
import type { Admission } from '../pipeline/admission.ts';
import { readCredentials } from '../pipeline/authentication.ts';
import type { ClientAddresses } from '../pipeline/clientAddresses.ts';
import { presentError, UNAUTHENTICATED } from '../pipeline/errors.ts';
import type { GraphQLServer } from '../pipeline/pipeline.ts';
import { rateLimited } from '../pipeline/rateLimits.ts';
import type { SubscriptionQuota } from '../pipeline/subscriptionQuota.ts';
import { createSharedSubscriptions, isShareable, type Opened } from './sharedSubscriptions.ts';

/** Bytes that wait for a client: above these no more is read from it, … */
const PAUSE_ABOVE = 1_000_000;
/** … and above these it is closed. */
const CLOSE_ABOVE = 8_000_000;
/** The end of a message whose payload comes last. */
const TAIL = Buffer.from('}');
/** Bytes that are text. */
const TEXT = { binary: false };
const PACE_MS = 250;
/** "Try again later": a `graphql-ws` client does so by itself. */
const TRY_AGAIN = 1013;
/** How long a client may take to say goodbye. */
const GOODBYE_MS = 1500;

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

type Executor = Pick<ReturnType<GraphQLServer['yoga']['getEnveloped']>, 'execute' | 'subscribe'>;

/** Tells a socket that nobody knows who it is, or no longer: 4403, as graphql-ws does. */
function refuse(socket: WebSocket, why: string): void {
  socket.close(CloseCode.Forbidden, closeReason(`${UNAUTHENTICATED}: ${why}`));
}

/** A close frame has room for 123 bytes. */
function closeReason(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= 123
    ? text
    : `${bytes
        .subarray(0, 118)
        .toString()
        .replace(/\uFFFD+$/, '')}…`;
}

/** Serves the endpoint's upgrades. Answers how to end: clients are told to come again elsewhere (1001). */
export function serveWebSocket(server: Server, parts: SocketParts): () => Promise<void> {
  const { access, feed, graphql, admission, addresses, subscriptionQuota, limits, log } = parts;
  const sockets = new WebSocketServer({
    server,
    path: ENDPOINT,
    maxPayload: limits.bodyBytes,
    verifyClient: ({ req }: { req: IncomingMessage }, decide) => {
      const status = admission.refuseUpgrade(req);
      if (status === null) decide(true);
      else decide(false, status, 'Forbidden');
    },
  });
  const actors = new WeakMap<WebSocket, Actor>();
  const shared = createSharedSubscriptions(feed);

  const envelopedFor = (actor: Actor, params: SubscribePayload) =>
    graphql.yoga.getEnveloped({ actor, request: undefined, params });

  /** Follows together with all who sent the same and have the same rights; what is this socket's own stays so. */
  async function joinShared(
    socket: WebSocket,
    id: string,
    actor: Actor,
    payload: SubscribePayload,
    args: Omit<ExecutionArgs, 'contextValue'>,
  ) {
    const leave = subscriptionQuota.take(actor);
    if (!leave) return { errors: [subscriptionQuota.refusal()] };
    const { query, operationName, variables } = payload;
    const key = JSON.stringify([actor.rightsKey, query, operationName ?? null, variables ?? null]);
    const open = async (): Promise<Opened | ExecutionResult> => {
      const { subscribe, contextFactory } = envelopedFor(withSameRights(actor), payload);
      const contextValue = await contextFactory();
      const results: AsyncIterable<ExecutionResult> | ExecutionResult = await subscribe({
        ...args,
        contextValue,
      });
      return isAsyncIterable(results) ? { results, position: contextValue.position } : results;
    };
    const head = Buffer.from(`{"id":${JSON.stringify(id)},"type":"next","payload":`);
    let unwatch = () => {};
    const subscriber = {
      send: (result: Buffer) => socket.send(Buffer.concat([head, result, TAIL]), TEXT),
      backlog: () => socket.bufferedAmount,
      ended() {
        unwatch();
        leave();
      },
    };
    const joined = await shared.join(key, open, subscriber).catch((error: unknown) => {
      leave();
      throw error;
    });
    if (!isAsyncIterable(joined)) {
      leave();
      return joined;
    }
    unwatch = access.watch(actor, (why) => {
      const error = new GraphQLError(why, { extensions: { code: UNAUTHENTICATED } });
      joined.finish({ errors: [error] });
    });
    return joined;
  }

  const serving = useServer<Record<string, unknown>>(
    {
      isProd: true,
      connectionInitWaitTimeout: limits.initMs,
      jsonMessageReviver: refuseAnswers,
      // Where a stream itself failed, what it says is for the log.
      onError: (_context, _id, _payload, errors) => errors.map((error) => spoken(presentError(error, log))),
      async onConnect({ connectionParams, extra: { socket, request } }) {
        // An introduction costs a look at the database, whoever it is from.
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
      // What runs an operation is what its own `onSubscribe` prepared.
      execute: (args) => executorOf(args.rootValue).execute(args),
      subscribe: (args) => executorOf(args.rootValue).subscribe(args),
      async onSubscribe({ subscriptions, extra: { socket, request } }, id, payload) {
        const actor = actors.get(socket);
        if (!actor) throw new Error('a socket subscribed before it was identified');
        if (Object.keys(subscriptions).length > limits.operationsPerSocket) {
          return [tooManyOperations(limits.operationsPerSocket)];
        }
        const wait = await addresses.overRate(addresses.addressOf(request));
        if (wait !== null) return [rateLimited('from this address', wait)];
        const { schema, execute, subscribe, contextFactory, parse, validate } = envelopedFor(actor, payload);
        const document = parsed(() => parse(payload.query));
        if (document instanceof GraphQLError) return [document];
        const errors = validate(schema, document);
        if (errors.length > 0) return errors;
        const { operationName, variables: variableValues } = payload;
        const args = { schema, document, operationName, variableValues };
        if (isShareable(document, operationName, variableValues)) {
          const join = () => joinShared(socket, id, actor, payload, args);
          return { ...args, contextValue: {}, rootValue: { execute, subscribe: join } };
        }
        return { ...args, contextValue: await contextFactory(), rootValue: { execute, subscribe } };
      },
    },
    sockets,
  );
  // A client that breaks the framing has its connection closed with the code for it, and a line in our log only. One that
  // is gone gets no more; graphql-ws would take what cannot be sent for a fault of ours.
  sockets.on('connection', (socket) => {
    socket.removeAllListeners('error').on('error', (error) => log.debug({ error }, 'a socket broke'));
    const send: (data: string | Buffer, how: object) => void = socket.send.bind(socket);
    Object.assign(socket, {
      send: (data: string | Buffer, how: object | (() => void)) =>
        send(data, typeof how === 'function' ? () => how() : how),
    });
  });
  const stopPacing = pace(sockets);
  return async () => {
    stopPacing();
    for (const socket of sockets.clients) socket.close(1001, 'Going away: resume elsewhere');
    // A client that does not answer is not waited for.
    const forceCloseTimer = setTimeout(() => {
      for (const socket of sockets.clients) socket.terminate();
    }, GOODBYE_MS);
    await serving.dispose();
    clearTimeout(forceCloseTimer);
  };
}

function tooManyOperations(limit: number): GraphQLError {
  const message = `At most ${limit} operations at a time on one connection: complete some, or open another`;
  return new GraphQLError(message, { extensions: { code: 'RATE_LIMITED' } });
}

const ANSWERS: readonly unknown[] = [MessageType.ConnectionAck, MessageType.Next, MessageType.Error];

/** Messages that only a server says are bad messages (4400), not faults of ours. */
function refuseAnswers(key: string, value: unknown): unknown {
  if (key === '' && typeof value === 'object' && value !== null && 'type' in value) {
    if (ANSWERS.includes(value.type)) throw new Error('only a server says this');
  }
  return value;
}

/**
 * Keeps what a client does not take small: while much waits for it nothing more is read from it, and one for which
 * too much has gathered is closed and may come again.
 */
function pace(sockets: WebSocketServer): () => void {
  sockets.on('connection', (socket) => {
    socket.on('message', () => {
      if (socket.bufferedAmount > PAUSE_ABOVE) socket.pause();
    });
  });
  const look = setInterval(() => {
    for (const socket of sockets.clients) {
      if (socket.isPaused && socket.bufferedAmount <= PAUSE_ABOVE) socket.resume();
      if (socket.bufferedAmount <= CLOSE_ABOVE || socket.readyState !== socket.OPEN) continue;
      socket.close(TRY_AGAIN, 'Too slow: come again and resume from the last cursor');
      setTimeout(() => socket.terminate(), GOODBYE_MS).unref();
    }
  }, PACE_MS);
  look.unref();
  return () => clearInterval(look);
}

/** What HTTP makes of an error is no business of a socket. */
function spoken(error: GraphQLError): GraphQLFormattedError {
  const { extensions: { http: _, ...extensions } = {}, ...said } = error.toJSON();
  return { ...said, ...(Object.keys(extensions).length > 0 ? { extensions } : {}) };
}

function parsed<T>(parse: () => T): T | GraphQLError {
  try {
    return parse();
  } catch (error) {
    if (error instanceof GraphQLError) return error;
    throw error;
  }
}

function executorOf(rootValue: unknown): Executor {
  if (isExecutor(rootValue)) return rootValue;
  throw new Error(`an operation was not prepared (${CloseCode.InternalServerError})`);
}

function isExecutor(value: unknown): value is Executor {
  return typeof value === 'object' && value !== null && 'execute' in value && 'subscribe' in value;
}
