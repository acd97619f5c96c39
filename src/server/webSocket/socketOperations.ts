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
import type { Context, ListPosition } from '../../graphql/builder.ts';
import type { LogPosition } from '../../store/log/position.ts';
import { presentError, UNAUTHENTICATED } from '../pipeline/errors.ts';
import type { GraphQLServer } from '../pipeline/pipeline.ts';
import type { SubscriptionQuota } from '../pipeline/subscriptionQuota.ts';
import { createListMember, type ListMember } from './listMember.ts';
import { createLogMember, type LogMember } from './logMember.ts';
import { shareableAs } from './shareable.ts';
import {
  createSharedSubscriptions,
  type Membership,
  type Opened,
  type Subscriber,
} from './sharedSubscriptions.ts';

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
  const sharedLogs = createSharedSubscriptions<LogMember, LogPosition | null>();
  const sharedLists = createSharedSubscriptions<ListMember, ListPosition | null>();
  /** How each prepared operation runs. */
  const runs = new WeakMap<ExecutionArgs, () => Promise<Result> | Result>();

  const envelopedFor = (actor: Actor, params: SubscribePayload, connection?: WebSocket) =>
    graphql.yoga.getEnveloped({ actor, connection, request: undefined, params });

  async function prepareOperation(
    { socket, actor }: SocketCaller,
    id: string,
    payload: SubscribePayload,
  ): Promise<ExecutionArgs | readonly GraphQLError[]> {
    const { schema, execute, subscribe, contextFactory, parse, validate } = envelopedFor(
      actor,
      payload,
      socket,
    );
    const document = parse(payload.query);
    const errors = validate(schema, document);
    if (errors.length > 0) return errors;
    const { operationName, variables: variableValues } = payload;
    const args = { schema, document, operationName, variableValues };
    const shared = shareableAs(document, operationName, variableValues);
    if (shared) {
      const join = shared === 'LOG' ? joinLog : joinList;
      const prepared = { ...args, contextValue: {} };
      runs.set(prepared, () =>
        joinShared(socket, id, actor, (subscriber) => join(actor, payload, args, subscriber)),
      );
      return prepared;
    }
    const prepared = { ...args, contextValue: await contextFactory() };
    const isSubscription =
      getOperationAST(document, operationName)?.operation === OperationTypeNode.SUBSCRIPTION;
    runs.set(prepared, () => (isSubscription ? subscribe(prepared) : execute(prepared)));
    return prepared;
  }

  type Arguments = Omit<ExecutionArgs, 'contextValue'>;
  type Joined = Promise<Membership | ExecutionResult>;

  /** Executes a subscription for an actor; what it is about is read from its context. */
  async function execute<About>(
    actor: Actor,
    payload: SubscribePayload,
    args: Arguments,
    prepare: (context: Context) => () => About,
  ): Promise<Opened<About> | ExecutionResult> {
    const { subscribe, contextFactory } = envelopedFor(actor, payload);
    const contextValue = await contextFactory();
    const about = prepare(contextValue);
    const results: Result = await subscribe({ ...args, contextValue });
    return isAsyncIterable(results) ? { results, about } : results;
  }

  const keyOf = (actor: Actor, { query, operationName, variables }: SubscribePayload) =>
    JSON.stringify([actor.rightsKey, query, operationName ?? null, variables ?? null]);

  function joinLog(actor: Actor, payload: SubscribePayload, args: Arguments, subscriber: Subscriber): Joined {
    const open = () =>
      execute(
        withSameRights(actor),
        payload,
        args,
        ({ position }) =>
          () =>
            position.at,
      );
    return sharedLogs.join(keyOf(actor, payload), open, (leave) =>
      createLogMember(subscriber, feed.now(), leave),
    );
  }

  /** The first picture is the caller's own, the changes are shared. A picture that is refused refuses the whole. */
  async function joinList(
    actor: Actor,
    payload: SubscribePayload,
    args: Arguments,
    subscriber: Subscriber,
  ): Joined {
    const picture = await execute(actor, payload, args, ({ list }) => {
      list.parts = 'PICTURE';
      return () => list.about;
    });
    if (!('results' in picture)) return picture;
    const open = (members: ReadonlySet<ListMember>) =>
      execute(withSameRights(actor), payload, args, ({ list }) => {
        list.parts = 'CHANGES';
        list.isShown = (deploymentId) => [...members].some((member) => member.shows(deploymentId));
        return () => list.about;
      });
    return sharedLists.join(keyOf(actor, payload), open, (leave) =>
      createListMember(subscriber, picture, leave),
    );
  }

  /** Joins the shared execution of equal subscriptions of callers with equal rights. */
  async function joinShared(
    socket: WebSocket,
    id: string,
    actor: Actor,
    join: (subscriber: Subscriber) => Joined,
  ): Promise<Result> {
    const release = subscriptionQuota.take(actor);
    if (!release) return { errors: [subscriptionQuota.refusal()] };
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
    const joined = await join(subscriber).catch((error: unknown) => {
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
