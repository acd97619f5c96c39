/** The GraphQL pipeline, shared by HTTP, SSE and WebSocket so that all three behave the same. */
import { type DocumentNode, type ExecutionResult, GraphQLError } from 'graphql';
import { createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { Access } from '../../access/access.ts';
import type { Actor } from '../../access/actor.ts';
import type { Commands } from '../../app/commands.ts';
import type { App } from '../../app/context.ts';
import type { Heartbeats } from '../../app/heartbeats.ts';
import type { Reports } from '../../app/reports.ts';
import { ENDPOINT, type HttpSettings, type Limits } from '../../environment/limits.ts';
import type { Feed } from '../../feed/feed.ts';
import type { Context } from '../../graphql/builder.ts';
import { schema } from '../../graphql/schema.ts';
import type { Replica } from '../../store/postgres/replica.ts';
import type { Metrics } from '../telemetry/prometheus.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { endWithRights, identifyCallers } from './authentication.ts';
import { lengthOfBody, readBodies } from './body.ts';
import { ALWAYS_PRESENT, watchCaller } from './callerPresence.ts';
import { createDocumentCache, type DocumentCache } from './documentCache.ts';
import { boundDocuments, exceededLimit } from './documentLimits.ts';
import { presentError, withoutSuggestion } from './errors.ts';
import { createExecutor } from './executor.ts';
import type { Operation, OperationContext, OperationOrigin } from './operation.ts';
import { createObserver, type Observer, observeRest } from './operationObserver.ts';
import { createOperationSizes } from './operationSizes.ts';
import { createOperationTimeout } from './operationTimeout.ts';
import { createPersistedQueries, type PersistedQueries } from './persistedQueries.ts';
import { createKeyRate, type KeyRate, limitRefusal } from './rateLimits.ts';
import { createReadRouting, type ReadRouting } from './readRouting.ts';
import { boundSubscriptions, type SubscriptionQuota } from './subscriptionQuota.ts';

export interface GraphQLParts {
  readonly access: Access;
  readonly app: App;
  readonly feed: Feed;
  readonly commands: Commands;
  readonly reports: Reports;
  readonly heartbeats: Heartbeats;
  readonly subscriptionQuota: SubscriptionQuota;
  readonly log: Logger;
  /** Seconds of Serin's clock per real second; part of every response if it is not 1. */
  readonly timeScale: number;
  readonly httpSettings: HttpSettings;
  /** The read replica; null without one. */
  readonly replica: Replica | null;
  /** What HTTP adds to Yoga. */
  readonly httpPlugins: readonly Plugin[];
  readonly metrics: Metrics;
  readonly tracing: Tracing | null;
}

/** Parses, validates and executes the operations of all transports. */
export interface GraphQLServer {
  readonly yoga: YogaServerInstance<OperationOrigin, Context>;
  /** Parses and validates a document; returns its errors if it is invalid. */
  read(text: string): DocumentNode | readonly GraphQLError[];
  readonly persistedQueries: PersistedQueries;
  /** The context of an operation of this caller. */
  contextOf(actor: Actor, origin: OperationOrigin): OperationContext;
  /** Runs a valid query or mutation, as Yoga does. */
  run(operation: Operation): Promise<ExecutionResult>;
  /** The rate of keys, for operations that do not run here on their own. */
  readonly keyRate: KeyRate;
}

export function createGraphQLServer(parts: GraphQLParts): GraphQLServer {
  const {
    access,
    app,
    feed,
    commands,
    reports,
    heartbeats,
    subscriptionQuota,
    log,
    timeScale,
    httpSettings,
    httpPlugins,
    replica,
    metrics,
    tracing,
  } = parts;
  const callers = identifyCallers(access, log);
  const persistedQueries = createPersistedQueries();
  const documents = createDocumentCache();
  const routing = createReadRouting({ app, replica, log, onRead: metrics.countReplicaRead });
  const present = presenter(log, httpSettings.introspection);
  const observe = createObserver({ log, metrics, tracing });
  const keyRate = createKeyRate(httpSettings.limits.keyRate);
  const operations = createOperations({
    limits: httpSettings.limits,
    keyRate,
    timeScale,
    routing,
    observe,
    present,
  });
  // Written out: copying the parts of a context takes longer than a small operation.
  const contextOf = (
    actor: Actor,
    { req, res, connection, characters }: OperationOrigin,
  ): OperationContext => ({
    access,
    app,
    feed,
    commands,
    reports,
    heartbeats,
    actor,
    reads: routing.primary,
    loaders: routing.loadersFor(actor),
    position: { at: null },
    list: { parts: 'ALL', about: null, isShown: () => false },
    presence: ALWAYS_PRESENT,
    req,
    res,
    connection,
    characters,
  });
  const yoga = createYoga<OperationOrigin, Context>({
    schema,
    graphqlEndpoint: ENDPOINT,
    landingPage: false,
    multipart: false,
    batching: false,
    // Admission decides which pages of other origins may send requests.
    cors: false,
    // Yoga's own caches are bounded by number, not by size, and remember what is invalid.
    parserAndValidationCache: false,
    // GraphiQL is served by itself: Yoga's page needs inline scripts.
    graphiql: false,
    maskedErrors: { maskError: (error) => presentError(error, log) },
    // `presentError` logs errors. Yoga's own log would repeat what callers sent.
    logging: false,
    context: ({ request, actor, characters = lengthOfBody(request), ...origin }) =>
      contextOf(actor ?? callers.actorOf(request), { ...origin, characters }),
    plugins: [
      callers.plugin,
      ...httpPlugins,
      endWithRights(access),
      persistedQueries.plugin,
      readBodies(httpSettings.limits.bodyBytes),
      documents.plugin,
      boundDocuments(httpSettings.limits, httpSettings.introspection),
      operations.plugin,
      boundSubscriptions(subscriptionQuota),
      presentErrors(present),
      observeRest(observe, metrics),
    ],
  });
  return {
    yoga,
    read: createReader(yoga, documents, present),
    contextOf,
    run: operations.run,
    keyRate,
    persistedQueries,
  };
}

function createReader(
  { getEnveloped }: GraphQLServer['yoga'],
  documents: DocumentCache,
  present: Present,
): GraphQLServer['read'] {
  return (text) => {
    const known = documents.find(text);
    if (known) return known;
    try {
      const { parse, validate } = getEnveloped({ request: undefined, params: { query: text } });
      const document: DocumentNode = parse(text);
      const errors = validate(schema, document);
      return errors.length > 0 ? errors : document;
    } catch (error) {
      return present([error]);
    }
  };
}

/** Creates the function that masks errors for clients. */
function presenter(log: Logger, introspection: boolean): Present {
  return (errors) =>
    errors.map((error) => {
      const shown = presentError(error, log);
      return introspection ? shown : withoutSuggestion(shown);
    });
}

/** Masks errors outside of execution. Yoga masks after its plugins, and does not mask validation errors. */
function presentErrors(present: Present): Plugin {
  return {
    // Yoga sets this for HTTP requests only, but caches the error with the document for every transport.
    onParse() {
      return ({ result }) => {
        if (!(result instanceof GraphQLError)) return;
        const http = { spec: true, status: 400 };
        Object.assign(result.extensions, { code: 'GRAPHQL_PARSE_FAILED', http, ...result.extensions });
      };
    },
    onValidate() {
      return ({ result, setResult }) => {
        if (result.length > 0) setResult(present(result));
      };
    },
    onSubscribe() {
      return {
        onSubscribeResult({ result, setResult }) {
          if ('errors' in result && result.errors) setResult({ ...result, errors: present(result.errors) });
        },
      };
    },
  };
}

/** Masks errors for clients. */
export type Present = (errors: readonly unknown[]) => GraphQLError[];

export interface OperationParts {
  readonly limits: Limits;
  readonly keyRate: KeyRate;
  /** Seconds of Serin's clock per real second; part of every response if it is not 1. */
  readonly timeScale: number;
  readonly routing: ReadRouting;
  readonly observe: Observer;
  readonly present: Present;
}

export interface Operations {
  /** Runs a valid query or mutation. */
  run(operation: Operation): Promise<ExecutionResult>;
  /** Makes Yoga run operations the same way. */
  readonly plugin: Plugin<OperationContext>;
}

function createOperations(parts: OperationParts): Operations {
  const { limits, keyRate, timeScale, routing, observe, present } = parts;
  const execute = createExecutor();
  const withTimeout = createOperationTimeout();
  const countSize = createOperationSizes(limits.bodyBytes);

  /** Not a promise where nothing has to be waited for: most operations are not counted by a key. */
  const refuse = (operation: Operation) =>
    exceededLimit(operation, limits) ?? keyRate.refuse(operation.contextValue);

  async function answer(operation: Operation): Promise<ExecutionResult> {
    const { contextValue: own } = operation;
    const endSize = countSize(own.actor.subject, own.characters ?? 0);
    if (!endSize)
      return { errors: [limitRefusal('with large messages at a time', 1, own.req !== undefined)] };
    const leave = own.app.fairShare.enter(own.actor.subject);
    const presence = watchCaller(own);
    own.presence = presence;
    try {
      const refusal = refuse(operation);
      const refused = refusal instanceof Promise ? await refusal : refusal;
      if (refused) return { errors: [refused] };
      const run = () =>
        routing.run(operation, (contextValue) =>
          execute(contextValue === own ? operation : { ...operation, contextValue }),
        );
      const answered = withTimeout(run, () => presence.leave());
      const result = answered instanceof Promise ? await answered : answered;
      return result.errors ? { ...result, errors: present(result.errors) } : result;
    } catch (error) {
      return { errors: present([error]) };
    } finally {
      presence.end();
      leave();
      endSize();
    }
  }

  async function run(operation: Operation): Promise<ExecutionResult> {
    const end = observe(operation);
    const result = await answer(operation);
    end(result);
    return timeScale === 1 ? result : { ...result, extensions: { timeScale } };
  }

  return {
    run,
    plugin: {
      onExecute: ({ args, setExecuteFn }) => setExecuteFn(() => run(args)),
      async onSubscribe({ args, setResultAndStopExecution }) {
        const refused = await refuse(args);
        if (refused) setResultAndStopExecution({ errors: [refused] });
      },
    },
  };
}
