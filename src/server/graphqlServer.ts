/** The GraphQL pipeline: one for HTTP, SSE and WebSocket, so that all three answer the same. */
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import { GraphQLError } from 'graphql';
import { createYoga, handleStreamOrSingleExecutionResult, type Plugin } from 'graphql-yoga';
import type { Logger } from 'pino';
import type { Access } from '../access/access.ts';
import type { App } from '../app/app.ts';
import type { Reports } from '../app/reports.ts';
import type { Feed } from '../feed/feed.ts';
import type { Context } from '../graphql/builder.ts';
import { createLoaders } from '../graphql/loaders.ts';
import { schema } from '../graphql/schema.ts';
import type { Arrival } from './arrival.ts';
import { endWithRights, identifyCallers } from './authentication.ts';
import { readBodies } from './body.ts';
import { boundOperations } from './bounds.ts';
import { ENDPOINT } from './endpoint.ts';
import { presentError, withoutSuggestion } from './errors.ts';
import type { DoorSettings } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { observeOperations } from './observe.ts';
import { answerInTime } from './patience.ts';
import { boundKeys } from './rate.ts';
import { boundSubscriptions, type SubscriptionPlaces } from './subscriptionPlaces.ts';
import type { Tracing } from './tracing.ts';

export interface GraphQLParts {
  readonly access: Access;
  readonly app: App;
  readonly feed: Feed;
  readonly reports: Reports;
  readonly places: SubscriptionPlaces;
  readonly log: Logger;
  /** Seconds of Serin's time in a real one; shown on every answer when it is not 1. */
  readonly timeScale: number;
  readonly door: DoorSettings;
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

export type GraphQLServer = ReturnType<typeof createGraphQLServer>;

export function createGraphQLServer(parts: GraphQLParts) {
  const { access, app, feed, reports, places, log, timeScale, door, metrics, tracing } = parts;
  const callers = identifyCallers(access, log);
  return createYoga<Arrival, Context>({
    schema,
    graphqlEndpoint: ENDPOINT,
    landingPage: false,
    multipart: false,
    batching: false,
    // Which pages of other origins may ask is the gate's business.
    cors: false,
    graphiql: door.introspection ? { title: 'Serin', subscriptionsProtocol: 'WS' } : false,
    renderGraphiQL(options) {
      // The page that is served offline takes its first query from `query`, not from `defaultQuery`.
      const page = { ...options, query: WELCOME };
      return renderGraphiQL(page);
    },
    maskedErrors: { maskError: (error) => presentError(error, log) },
    // What is to be said of an error, `presentError` says. Yoga would say again, for the log, what callers sent.
    logging: false,
    context: ({ request, actor: known }) => {
      const actor = known ?? callers.actorOf(request);
      return {
        access,
        app,
        feed,
        reports,
        actor,
        loaders: createLoaders(app.db, actor),
        place: { at: null },
      };
    },
    plugins: [
      callers.plugin,
      endWithRights(access),
      answerInTime(),
      readBodies(door.limits.bodyBytes),
      boundOperations(door.limits, door.introspection),
      boundKeys(door.limits.keyRate),
      boundSubscriptions(places),
      presentErrors(log, door.introspection),
      observeOperations({ log, metrics, tracing }),
      ...(timeScale === 1 ? [] : [showTimeScale(timeScale)]),
    ],
  });
}

/**
 * Errors as the caller sees them, for the plugins that follow. Yoga masks only after its plugins, and errors of
 * validation pass by its masking.
 */
function presentErrors(log: Logger, introspection: boolean): Plugin {
  const present = (errors: readonly unknown[]) =>
    errors.map((error) => {
      const shown = presentError(error, log);
      return introspection ? shown : withoutSuggestion(shown);
    });
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
    onExecute() {
      return {
        onExecuteDone: (payload) =>
          handleStreamOrSingleExecutionResult(payload, ({ result, setResult }) => {
            if (result.errors) setResult({ ...result, errors: present(result.errors) });
          }),
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

/** Simulated time is never mistaken for real time. */
function showTimeScale(timeScale: number): Plugin {
  return {
    onExecute() {
      return {
        onExecuteDone: (payload) =>
          handleStreamOrSingleExecutionResult(payload, ({ result, setResult }) =>
            setResult({ ...result, extensions: { ...result.extensions, timeScale } }),
          ),
      };
    },
  };
}
