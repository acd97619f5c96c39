/**
 * Prepares the operations of a WebSocket: parses and validates each one, and decides how it runs, on its own or sharing
 * the execution of equal subscriptions. An operation that fails is answered with its error and never closes the socket.
 */
import {
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  getOperationAST,
  OperationTypeNode,
} from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { isAsyncIterable } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { Access } from '../../access/access.ts';
import { type Actor, withSameRights } from '../../access/actor.ts';
import type { Feed } from '../../feed/feed.ts';
import { presentError, UNAUTHENTICATED } from '../pipeline/errors.ts';
import type { GraphQLServer } from '../pipeline/pipeline.ts';
import type { SubscriptionQuota } from '../pipeline/subscriptionQuota.ts';
import { createSharedSubscriptions, isShareable, type Opened } from './sharedSubscriptions.ts';

type Result = ExecutionResult | AsyncIterable<ExecutionResult>;

export interface SocketOperations {
  /** The arguments of a valid operation, to run with `run`, or the errors of an invalid one. Never throws. */
  prepare(
    caller: SocketCaller,
    id: string,
    payload: SubscribePayload,
  ): Promise<ExecutionArgs | GraphQLError[]>;
  /** Runs an operation that `prepare` returned. Never rejects. */
  run(args: ExecutionArgs): Promise<Result>;
}

export interface SocketCaller {
  readonly socket: WebSocket;
  readonly actor: Actor;
}

export interface SocketOperationParts {
  readonly access: Access;
  readonly feed: Feed;
  readonly graphql: GraphQLServer;
  readonly subscriptionQuota: SubscriptionQuota;
  readonly log: Logger;
}

/** The end of a message whose payload comes last. */
const TAIL = Buffer.from('}');
/** Sends bytes as a text frame. */
const TEXT_FRAME = { binary: false };

export function createSocketOperations(parts: SocketOperationParts): SocketOperations {
  const { access, feed, graphql, subscriptionQuota, log } = parts;
  const shared = createSharedSubscriptions(feed);
  /** How each prepared operation runs. */
  const runs = new WeakMap<ExecutionArgs, () => Promise<Result> | Result>();

  const envelopedFor = (actor: Actor, params: SubscribePayload) =>
    graphql.yoga.getEnveloped({ actor, request: undefined, params });

  async function prepareOperation(
    { socket, actor }: SocketCaller,
    id: string,
    payload: SubscribePayload,
  ): Promise<ExecutionArgs | readonly GraphQLError[]> {
    const { schema, execute, subscribe, contextFactory, parse, validate } = envelopedFor(actor, payload);
    const document = parse(payload.query);
    const errors = validate(schema, document);
    if (errors.length > 0) return errors;
    const { operationName, variables: variableValues } = payload;
    const args = { schema, document, operationName, variableValues };
    if (isShareable(document, operationName, variableValues)) {
      const prepared = { ...args, contextValue: {} };
      runs.set(prepared, () => joinShared(socket, id, actor, payload, args));
      return prepared;
    }
    const prepared = { ...args, contextValue: await contextFactory() };
    const isSubscription =
      getOperationAST(document, operationName)?.operation === OperationTypeNode.SUBSCRIPTION;
    runs.set(prepared, () => (isSubscription ? subscribe(prepared) : execute(prepared)));
    return prepared;
  }

  /** Joins the shared execution of equal subscriptions of callers with equal rights. */
  async function joinShared(
    socket: WebSocket,
    id: string,
    actor: Actor,
    payload: SubscribePayload,
    args: Omit<ExecutionArgs, 'contextValue'>,
  ): Promise<Result> {
    const release = subscriptionQuota.take(actor);
    if (!release) return { errors: [subscriptionQuota.refusal()] };
    const { query, operationName, variables } = payload;
    const key = JSON.stringify([actor.rightsKey, query, operationName ?? null, variables ?? null]);
    const open = async (): Promise<Opened | ExecutionResult> => {
      const { subscribe, contextFactory } = envelopedFor(withSameRights(actor), payload);
      const contextValue = await contextFactory();
      const results: Result = await subscribe({ ...args, contextValue });
      return isAsyncIterable(results) ? { results, position: contextValue.position } : results;
    };
    const head = Buffer.from(`{"id":${JSON.stringify(id)},"type":"next","payload":`);
    let unwatch = () => {};
    const subscriber = {
      send: (result: Buffer) => socket.send(Buffer.concat([head, result, TAIL]), TEXT_FRAME),
      backlog: () => socket.bufferedAmount,
      ended() {
        unwatch();
        release();
      },
    };
    const joined = await shared.join(key, open, subscriber).catch((error: unknown) => {
      release();
      throw error;
    });
    if (!isAsyncIterable(joined)) {
      release();
      return joined;
    }
    unwatch = access.watch(actor, (why) => {
      const error = new GraphQLError(why, { extensions: { code: UNAUTHENTICATED } });
      joined.finish({ errors: [error] });
    });
    return joined;
  }

  return {
    async prepare(caller, id, payload) {
      try {
        const prepared = await prepareOperation(caller, id, payload);
        return 'schema' in prepared ? prepared : [...prepared];
      } catch (error) {
        return [presentError(error, log)];
      }
    },
    async run(args) {
      try {
        const run = runs.get(args);
        if (!run) throw new Error('an operation ran before it was prepared');
        return await run();
      } catch (error) {
        return { errors: [presentError(error, log)] };
      }
    },
  };
}
