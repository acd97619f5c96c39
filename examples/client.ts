/** What the example bot asks Serin: one query, two mutations and one feed, with plain `fetch` and `graphql-sse`. */
import { createClient } from 'graphql-sse';

export type Side = 'CANARY' | 'STABLE';

export interface Connection {
  /** The GraphQL endpoint. */
  readonly url: string;
  /** An API key or a token; an open server needs none. */
  readonly token?: string | undefined;
}

/** A refusal is an answer, not an exception: nothing has changed, and `error` says why. */
export interface Outcome {
  readonly success: boolean;
  readonly message: string;
  readonly error: { readonly code: string } | null;
}

export interface AllocationEvent {
  readonly cursor: string;
  readonly details: {
    readonly number: number;
    readonly cause: string;
    readonly canaryUsd: string;
    readonly stableUsd: string;
  };
}

interface SideFigures {
  readonly tradeCount: number;
  readonly errorCount: number;
  readonly metrics: {
    readonly netPnlUsd: string;
    readonly totalPnlUsd: string;
    readonly maxDrawdown: string;
    readonly winRate: string | null;
    readonly avgTradeSizeUsd: string;
  };
}

export interface Deployment {
  readonly status: string;
  readonly canaryMetrics: SideFigures | null;
  readonly stableMetrics: SideFigures | null;
}

interface Envelope {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly { readonly message: string }[];
}

const FIGURES =
  '{ tradeCount errorCount metrics { netPnlUsd totalPnlUsd maxDrawdown winRate avgTradeSizeUsd } }';
const READ = `query ($id: ID!) { answer: deployment(id: $id) {
  status canaryMetrics ${FIGURES} stableMetrics ${FIGURES} } }`;
const OUTCOME = '{ success message error { code } }';
const ACKNOWLEDGE = `mutation ($input: AcknowledgeAllocationInput!) { answer: acknowledgeAllocation(input: $input) ${OUTCOME} }`;
const REPORT = {
  CANARY: `mutation ($input: UpdateMetricsInput!) { answer: updateCanaryMetrics(input: $input) ${OUTCOME} }`,
  STABLE: `mutation ($input: UpdateMetricsInput!) { answer: updateStableMetrics(input: $input) ${OUTCOME} }`,
};
const ALLOCATIONS = `subscription ($id: ID!, $after: String!) {
  eventAppended(deploymentId: $id, types: [ALLOCATION_REQUESTED], after: $after) { cursor details } }`;
/** Longer than Serin takes to answer that it cannot. */
const TIMEOUT_MS = 10_000;

export class SerinClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Null when there is no such deployment. */
  deployment(id: string): Promise<Deployment | null> {
    return this.#ask(READ, { id });
  }

  report(side: Side, input: Readonly<Record<string, unknown>>): Promise<Outcome> {
    return this.#ask(REPORT[side], { input });
  }

  acknowledge(input: Readonly<Record<string, unknown>>): Promise<Outcome> {
    return this.#ask(ACKNOWLEDGE, { input });
  }

  /** Every allocation after the cursor, in order, until the connection breaks. */
  async *allocations(id: string, after: string): AsyncGenerator<AllocationEvent> {
    const client = createClient({ url: this.#connection.url, headers: this.#headers(), retryAttempts: 0 });
    try {
      const variables = { id, after };
      const feed = client.iterate<{ eventAppended: AllocationEvent }>({ query: ALLOCATIONS, variables });
      for await (const { data, errors } of feed) {
        if (!data) throw new Error(errors?.[0]?.message);
        yield data.eventAppended;
      }
    } finally {
      client.dispose();
    }
  }

  /** Throws when Serin cannot be reached or does not understand; `answer` is what the document names so. */
  async #ask<T>(query: string, variables: Readonly<Record<string, unknown>>): Promise<T> {
    const response = await fetch(this.#connection.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.#headers() },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const { data, errors }: { data?: { answer: T } } & Envelope = await response.json();
    if (errors || !data)
      throw new Error(errors?.map(({ message }) => message).join('; ') ?? response.statusText);
    return data.answer;
  }

  #headers(): Record<string, string> {
    const { token } = this.#connection;
    return token ? { authorization: `Bearer ${token}` } : {};
  }
}
