/** Operations over WebSocket, `graphql-transport-ws`, through the same pipeline as HTTP. */
import type { Server } from 'node:http';
import { GraphQLError } from 'graphql';
import { CloseCode } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import type { Logger } from 'pino';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Access } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { Unauthenticated } from '../access/unauthenticated.ts';
import { introductionOf } from './authentication.ts';
import { presentError, UNAUTHENTICATED } from './errors.ts';
import { ENDPOINT, type GraphQLServer } from './graphqlServer.ts';

/** The largest message a client may send, bytes. */
const MAX_MESSAGE = 1_000_000;

type Executor = Pick<ReturnType<GraphQLServer['getEnveloped']>, 'execute' | 'subscribe'>;

interface SocketParts {
  readonly access: Access;
  readonly log: Logger;
  readonly yoga: GraphQLServer;
}

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
export function serveWebSocket(server: Server, { access, log, yoga }: SocketParts): () => Promise<void> {
  const sockets = new WebSocketServer({ server, path: ENDPOINT, maxPayload: MAX_MESSAGE });
  const actors = new WeakMap<WebSocket, Actor>();
  const serving = useServer<Record<string, unknown>, { executor?: Executor }>(
    {
      async onConnect({ connectionParams, extra: { socket, request } }) {
        try {
          const actor = await access.identify(introductionOf(connectionParams, request));
          actors.set(socket, actor);
          socket.once(
            'close',
            access.watch(actor, (why) => refuse(socket, why)),
          );
          return true;
        } catch (error) {
          if (error instanceof Unauthenticated) refuse(socket, error.message);
          else socket.close(CloseCode.InternalServerError, closeReason(presentError(error, log).message));
          return false;
        }
      },
      // What runs an operation is what its own `onSubscribe` prepared.
      execute: (args) => executorOf(args.rootValue).execute(args),
      subscribe: (args) => executorOf(args.rootValue).subscribe(args),
      async onSubscribe(context, _id, payload) {
        const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
          actor: actors.get(context.extra.socket),
          request: undefined,
          params: payload,
        });
        const document = parsed(() => parse(payload.query));
        if (document instanceof GraphQLError) return [document];
        const errors = validate(schema, document);
        if (errors.length > 0) return errors;
        return {
          schema,
          document,
          operationName: payload.operationName,
          variableValues: payload.variables,
          contextValue: await contextFactory(),
          rootValue: { execute, subscribe },
        };
      },
    },
    sockets,
  );
  return async () => {
    for (const socket of sockets.clients) socket.close(1001, 'Going away: resume elsewhere');
    await serving.dispose();
    for (const socket of sockets.clients) socket.terminate();
  };
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
