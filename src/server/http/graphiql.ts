/** GraphiQL, served offline at the endpoint to browsers where introspection is on. */
import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import type { TransportOptions } from '../pipeline/pipeline.ts';

const FIRST_QUERY = `# Serin: canary deployments of trading strategies. The documentation is in the schema (book icon).
query Deployments {
  deployments(first: 10) {
    nodes {
      id strategyId status canaryVersionId stableVersionId observationRemainingSeconds
      comparison { decision decisionReasons }
    }
  }
}
`;

type GraphiqlOptions = Pick<TransportOptions, 'graphiql' | 'renderGraphiQL'>;

/** Yoga's options for GraphiQL. */
export function graphiqlOptions(introspection: boolean): GraphiqlOptions {
  return {
    graphiql: introspection ? { title: 'Serin', subscriptionsProtocol: 'WS' } : false,
    renderGraphiQL(options) {
      // The offline page takes its first query from `query`, not from `defaultQuery`.
      const page = { ...options, query: FIRST_QUERY };
      return renderGraphiQL(page);
    },
  };
}
