/** The GraphQL pipeline: one for HTTP, SSE and WebSocket, so that all three answer the same. */
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import { type DocumentNode, type ExecutionResult, execute, GraphQLError } from 'graphql';
import { createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import type { Access } from '../../access/access.ts';
import type { Actor } from '../../access/actor.ts';
import type { Commands } from '../../app/commands.ts';
import type { App } from '../../app/context.ts';
import type { Reports } from '../../app/reports.ts';
import { ENDPOINT, type HttpSettings, type Limits } from '../../environment/limits.ts';
import type { Feed } from '../../feed/feed.ts';
import type { Context } from '../../graphql/builder.ts';
import { createLoaders } from '../../graphql/loaders.ts';
import { schema } from '../../graphql/schema.ts';
import type { Metrics } from '../telemetry/prometheus.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { endWithRights, identifyCallers } from './authentication.ts';
import { readBodies } from './body.ts';
import { boundDocuments, exceededLimit } from './documentLimits.ts';
import { presentError, withoutSuggestion } from './errors.ts';
import type { Operation, OperationContext, OperationOrigin } from './operation.ts';
import { createObserver, type Observer, observeRest } from './operationObserver.ts';
import { createOperationTimeout } from './operationTimeout.ts';
import { createKeyRate } from './rateLimits.ts';
import { boundSubscriptions, type SubscriptionQuota } from './subscriptionQuota.ts';

export interface GraphQLParts {
  readonly access: Access;
  readonly app: App;
  readonly feed: Feed;
  readonly commands: Commands;
  readonly reports: Reports;
  readonly subscriptionQuota: SubscriptionQuota;
  readonly log: Logger;
  /** Seconds of Serin's time in a real one; shown on every answer when it is not 1. */
  readonly timeScale: number;
  readonly httpSettings: HttpSettings;
  readonly metrics: Metrics;
  readonly tracing: Tracing | null;
}

const WELCOME = `# Serin: canary deployments of trading strategies. The documentation is in the schema (book icon).
query Deployments {
  deployments(first: 10) {
    nodes {
      id strategyId status canaryVersionId stableVersionId observationRemainingSeconds
      comparison { decision decisionReasons }
    }
  }
}
`;

/** Parses, validates and executes the operations of all doors. */
export interface GraphQLServer {
  readonly yoga: YogaServerInstance<OperationOrigin, Context>;
  /** The document of a text, or what is wrong with it. */
  read(text: string): DocumentNode | readonly GraphQLError[];
  /** The context of an operation of this caller. */
  contextOf(actor: Actor): Context;
  /** Runs a valid query or mutation, as Yoga does. */
  run(operation: Operation): Promise<ExecutionResult>;
}

export function createGraphQLServer(parts: GraphQLParts): GraphQLServer {
  const {
    access,
    app,
    feed,
    commands,
    reports,
    subscriptionQuota,
    log,
    timeScale,
    httpSettings,
    metrics,
    tracing,
  } = parts;
  const callers = identifyCallers(access, log);
  const loadersFor = createLoaders(app.db);
  const present = presenter(log, httpSettings.introspection);
  const observe = createObserver({ log, metrics, tracing });
  const operations = createOperations({ limits: httpSettings.limits, timeScale, observe, present });
  const contextOf = (actor: Actor): Context => ({
    access,
    app,
    feed,
    commands,
    reports,
    actor,
    loaders: loadersFor(actor),
    position: { at: null },
  });
  const yoga = createYoga<OperationOrigin, Context>({
    schema,
    graphqlEndpoint: ENDPOINT,
    landingPage: false,
    multipart: false,
    batching: false,
    // Which pages of other origins may ask is the gate's business.
    cors: false,
    graphiql: httpSettings.introspection ? { title: 'Serin', subscriptionsProtocol: 'WS' } : false,
    renderGraphiQL(options) {
      // The page that is served offline takes its first query from `query`, not from `defaultQuery`.
      const page = { ...options, query: WELCOME };
      return renderGraphiQL(page);
    },
    maskedErrors: { maskError: (error) => presentError(error, log) },
    // What is to be said of an error, `presentError` says. Yoga would say again, for the log, what callers sent.
    logging: false,
    context: ({ request, actor }) => contextOf(actor ?? callers.actorOf(request)),
    plugins: [
      callers.plugin,
      endWithRights(access),
      readBodies(httpSettings.limits.bodyBytes),
      boundDocuments(httpSettings.limits, httpSettings.introspection),
      operations.plugin,
      boundSubscriptions(subscriptionQuota),
      presentErrors(present),
      observeRest(observe, metrics),
    ],
  });
  return { yoga, read: createReader(yoga, present), contextOf, run: operations.run };
}

/** Characters of the documents that are remembered to be valid. */
const REMEMBERED = 1_000_000;

function createReader({ getEnveloped }: GraphQLServer['yoga'], present: Present): GraphQLServer['read'] {
  const valid = new LRUCache<string, DocumentNode>({
    maxSize: REMEMBERED,
    sizeCalculation: (_document, text) => text.length,
  });
  return (text) => {
    const known = valid.get(text);
    if (known) return known;
    try {
      const { parse, validate } = getEnveloped({ request: undefined, params: { query: text } });
      const document: DocumentNode = parse(text);
      const errors = validate(schema, document);
      if (errors.length > 0) return errors;
      valid.set(text, document);
      return document;
    } catch (error) {
      return present([error]);
    }
  };
}

/** Makes errors fit to be shown. */
function presenter(log: Logger, introspection: boolean): Present {
  return (errors) =>
    errors.map((error) => {
      const shown = presentError(error, log);
      return introspection ? shown : withoutSuggestion(shown);
    });
}

/** Errors of what is not executed. Yoga masks only after its plugins, and errors of validation pass by its masking. */
function presentErrors(present: Present): Plugin {
  return {
    // Yoga says this of requests only; but the error is kept with the document, and the next may come another way.
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

/** Errors as callers may see them. */
export type Present = (errors: readonly unknown[]) => GraphQLError[];

export interface OperationParts {
  readonly limits: Limits;
  /** Seconds of Serin's time in a real one; told with every answer when it is not 1. */
  readonly timeScale: number;
  readonly observe: Observer;
  readonly present: Present;
}

export interface Operations {
  /** Runs a valid query or mutation. */
  run(operation: Operation): Promise<ExecutionResult>;
  /** Lets Yoga run operations this way, too. */
  readonly plugin: Plugin<OperationContext>;
}

export function createOperations({ limits, timeScale, observe, present }: OperationParts): Operations {
  const withTimeout = createOperationTimeout();
  const keys = createKeyRate(limits.keyRate);

  const refuse = async (operation: Operation) =>
    exceededLimit(operation, limits) ?? (await keys.refuse(operation.contextValue));

  async function answer(operation: Operation): Promise<ExecutionResult> {
    try {
      const refused = await refuse(operation);
      if (refused) return { errors: [refused] };
      const result = await withTimeout(() => execute(operation));
      return result.errors ? { ...result, errors: present(result.errors) } : result;
    } catch (error) {
      return { errors: present([error]) };
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
