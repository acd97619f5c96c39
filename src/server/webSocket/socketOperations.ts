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
import { type Actor, withSameRights } from '../../access/actor.ts';
import type { Feed } from '../../feed/feed.ts';
import type { Context, ListPosition } from '../../graphql/builder.ts';
import type { LogPosition } from '../../store/log/position.ts';
import { presentError } from '../pipeline/errors.ts';
import type { OperationOrigin } from '../pipeline/operation.ts';
import type { GraphQLServer } from '../pipeline/pipeline.ts';
import type { Asked, SubscriptionQuota } from '../pipeline/subscriptionQuota.ts';
import { ListMember } from './listMember.ts';
import { LogMember } from './logMember.ts';
import type { Opening, ServedSocket } from './servedSocket.ts';
import { shareableAs } from './shareable.ts';
import { createSharedSubscriptions, type Opened, type Subscriber } from './sharedSubscriptions.ts';

type Result = ExecutionResult | AsyncIterable<ExecutionResult>;

export interface SocketOperations {
  /**
   * The arguments of a valid operation, to run with `run`, or the errors of one that is invalid or refused. Never rejects,
   * and never resolves where its client no longer waits for it.
   */
  prepare(
    caller: SocketCaller,
    id: string,
    payload: SubscribePayload,
    refuse: Refuse,
  ): Promise<ExecutionArgs | GraphQLError[]>;
  /**
   * Runs an operation that `prepare` returned, once; rejects any other. What goes wrong in it is in the result. Never resolves
   * where its client no longer waits for it.
   */
  run(args: ExecutionArgs): Promise<Result>;
}

/** Why an operation is refused before it is read; null if it is not. */
type Refuse = () => Promise<GraphQLError | null>;

export interface SocketCaller {
  readonly socket: ServedSocket;
  readonly actor: Actor;
}

export interface SocketOperationParts {
  readonly feed: Feed;
  readonly graphql: GraphQLServer;
  readonly subscriptionQuota: SubscriptionQuota;
  readonly log: Logger;
}

/** The end of a message whose payload comes last. */
const TAIL = Buffer.from('}');

/** Who receives the results of a shared subscription, under the id that its client chose. */
class SocketSubscriber implements Subscriber {
  readonly #socket: ServedSocket;
  readonly #id: string;
  readonly #release: () => void;
  /** The beginning of its messages: most subscribers wait long for their first. */
  #head: Buffer | null = null;

  /** @param release called when no more results will come */
  constructor(socket: ServedSocket, id: string, release: () => void) {
    this.#socket = socket;
    this.#id = id;
    this.#release = release;
  }

  send(payload: Buffer): void {
    this.#head ??= Buffer.from(`{"id":${JSON.stringify(this.#id)},"type":"next","payload":`);
    this.#socket.sendText(Buffer.concat([this.#head, payload, TAIL]));
  }

  backlog(): number {
    return this.#socket.bufferedAmount;
  }

  ended(): void {
    this.#release();
  }
}

export function createSocketOperations(parts: SocketOperationParts): SocketOperations {
  const { feed, graphql, subscriptionQuota, log } = parts;
  const sharedLogs = createSharedSubscriptions<LogMember, LogPosition | null>();
  const sharedLists = createSharedSubscriptions<ListMember, ListPosition | null>();
  /** How each prepared operation runs. */
  const runs = new WeakMap<ExecutionArgs, () => Promise<Result>>();
  const openings = new WeakMap<ExecutionArgs, Opening>();

  const envelopedFor = (
    actor: Actor,
    params: SubscribePayload,
    own: Pick<OperationOrigin, 'connection' | 'characters'>,
  ) => graphql.yoga.getEnveloped({ actor, ...own, request: undefined, params });

  async function prepareOperation(
    { socket, actor }: SocketCaller,
    id: string,
    payload: SubscribePayload,
    characters: number,
    refuse: Refuse,
  ): Promise<ExecutionArgs | readonly GraphQLError[]> {
    const refused = await refuse();
    if (refused) return [refused];
    const { schema, execute, subscribe, contextFactory, parse, validate } = envelopedFor(actor, payload, {
      connection: socket,
      characters,
    });
    const document = parse(payload.query);
    const errors = validate(schema, document);
    if (errors.length > 0) return errors;
    const { operationName, variables: variableValues } = payload;
    const args = { schema, document, operationName, variableValues };
    const shared = shareableAs(document, operationName, variableValues);
    if (shared) {
      const join = shared === 'LOG' ? joinLog : joinList;
      // All in one literal, with what graphql-ws would add: only then these objects share the description of their shape.
      const prepared: ExecutionArgs = {
        schema,
        document,
        operationName,
        variableValues,
        rootValue: undefined,
        contextValue: undefined,
      };
      runs.set(prepared, async () =>
        joinShared(socket, id, actor, { document, characters }, (subscriber) =>
          join(actor, payload, args, subscriber),
        ),
      );
      return prepared;
    }
    const prepared = { ...args, contextValue: await contextFactory() };
    const isSubscription =
      getOperationAST(document, operationName)?.operation === OperationTypeNode.SUBSCRIPTION;
    runs.set(prepared, async () => (isSubscription ? subscribe(prepared) : execute(prepared)));
    return prepared;
  }

  type Arguments = Omit<ExecutionArgs, 'contextValue'>;
  type Joined = Promise<LogMember | ListMember | ExecutionResult>;

  /** Executes a subscription for an actor; what it is about is read from its context. */
  async function execute<About>(
    actor: Actor,
    payload: SubscribePayload,
    args: Arguments,
    prepare: (context: Context) => () => About,
  ): Promise<Opened<About> | ExecutionResult> {
    // What was asked is counted with its subscriber.
    const { subscribe, contextFactory } = envelopedFor(actor, payload, { characters: 0 });
    const contextValue = await contextFactory();
    const about = prepare(contextValue);
    const results: Result = await subscribe({ ...args, contextValue });
    return isAsyncIterable(results) ? { results, about } : results;
  }

  const keyOf = (actor: Actor, { query, operationName, variables }: SubscribePayload) =>
    JSON.stringify([actor.rightsKey, query, operationName ?? null, variables ?? null]);

  async function joinLog(
    actor: Actor,
    payload: SubscribePayload,
    args: Arguments,
    subscriber: Subscriber,
  ): Joined {
    // The shared execution is nobody's own.
    const refused = await graphql.keyRate.refuse({ actor });
    if (refused) return { errors: [refused] };
    const open = () =>
      execute(
        withSameRights(actor),
        payload,
        args,
        ({ position }) =>
          () =>
            position.at,
      );
    return sharedLogs.join(
      keyOf(actor, payload),
      open,
      (leave) => new LogMember(subscriber, leave, feed.now()),
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
    return sharedLists.join(
      keyOf(actor, payload),
      open,
      (leave) => new ListMember(subscriber, leave, picture),
    );
  }

  /**
   * Joins the shared execution of equal subscriptions of callers with equal rights. When the caller's rights end, its
   * socket is closed, and takes no more results.
   */
  async function joinShared(
    socket: ServedSocket,
    id: string,
    actor: Actor,
    asked: Asked,
    join: (subscriber: Subscriber) => Joined,
  ): Promise<Result> {
    const release = subscriptionQuota.take(actor, asked);
    if (release instanceof GraphQLError) return { errors: [release] };
    try {
      const joined = await join(new SocketSubscriber(socket, id, release));
      if (!isAsyncIterable(joined)) release();
      return joined;
    } catch (error) {
      release();
      throw error;
    }
  }

  return {
    async prepare(caller, id, payload, refuse) {
      const opening = caller.socket.begin(id);
      const prepared = await prepareOperation(caller, id, payload, opening.characters, refuse).catch(
        (error: unknown) => [presentError(error, log)],
      );
      if (!opening.isWanted()) return never();
      if (!('schema' in prepared)) {
        opening.ended();
        return [...prepared];
      }
      openings.set(prepared, opening);
      return prepared;
    },
    async run(args) {
      const [run, opening] = [runs.get(args), openings.get(args)];
      if (!run || !opening) throw new Error('an operation ran before it was prepared');
      runs.delete(args);
      openings.delete(args);
      const result = await run().catch((error: unknown) => ({ errors: [presentError(error, log)] }));
      if (opening.isWanted()) {
        opening.ended();
        return result;
      }
      if (isAsyncIterable(result)) await result[Symbol.asyncIterator]().return?.();
      return never();
    },
  };
}

/** Of what its client no longer waits for, graphql-ws must not learn: it would answer it to another one. */
const never = () => new Promise<never>(() => {});
