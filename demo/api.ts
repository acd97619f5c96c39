/** What the demo asks Serin, as any client would: mutations over HTTP, feeds over WebSocket. */
import { randomUUID } from 'node:crypto';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

export interface SideStatus {
  readonly versionId: string;
  readonly capitalAllocatedUsd: string;
  readonly tradeCount: number;
  readonly metrics: {
    readonly netPnlUsd: string;
    readonly maxDrawdown: string;
    readonly sharpeRatio: string | null;
    readonly winRate: string | null;
  };
}

export interface DeploymentStatus {
  readonly id: string;
  readonly status: string;
  readonly strategyId: string;
  readonly canaryVersionId: string;
  readonly stableVersionId: string;
  readonly observationRemainingSeconds: number;
  readonly config: { readonly observationPeriodMinutes: number };
  readonly step: { readonly number: number; readonly of: number; readonly canaryPercent: string };
  readonly canaryMetrics: SideStatus | null;
  readonly stableMetrics: SideStatus | null;
  readonly comparison: {
    readonly decision: string;
    readonly decisionReasons: readonly string[];
    readonly gates: readonly { readonly name: string; readonly outcome: string }[];
    readonly evidence: { readonly summary: string };
  } | null;
}

/** What a decision was made of. */
export interface DecisionMade {
  readonly reasons: readonly string[];
  readonly record: { readonly comparison: { readonly evidence: { readonly verdict: string } } } | null;
}

export interface TimelineEvent {
  readonly type: string;
  readonly at: string;
  readonly actor: string;
  readonly description: string;
  /** Empty for events that are no decision. */
  readonly payload: Partial<DecisionMade>;
}

export interface Api {
  /** One mutation; throws when it is refused. */
  command(mutation: string, inputType: string, input: Record<string, unknown>): Promise<void>;
  /** The deployment after every change, the newest. */
  watch(deploymentId: string): AsyncIterable<DeploymentStatus>;
  /** Every event of a strategy worth a line, once. */
  timeline(strategyId: string): AsyncIterable<TimelineEvent>;
  close(): Promise<void>;
}

const SIDE = 'versionId capitalAllocatedUsd tradeCount metrics { netPnlUsd maxDrawdown sharpeRatio winRate }';
const WATCH = `subscription ($id: ID!) { deploymentUpdated(deploymentId: $id) {
  id status strategyId canaryVersionId stableVersionId observationRemainingSeconds
  config { observationPeriodMinutes } step { number of canaryPercent }
  canaryMetrics { ${SIDE} } stableMetrics { ${SIDE} }
  comparison { decision decisionReasons gates { name outcome } evidence { summary } } } }`;
const TIMELINE = `subscription ($strategy: ID!) { eventAppended(strategyId: $strategy, after: "0", types: [
  DEPLOYMENT_CREATED, CANARY_STARTED, ALLOCATION_REQUESTED, ALLOCATION_ACKNOWLEDGED, ALLOCATION_OVERDUE, STEP_STARTED, GUARDRAIL_TRIPPED,
  DECISION_MADE, CANARY_OBSERVATION_COMPLETE, CANARY_PROMOTED, CANARY_ROLLED_BACK, CANARY_FAILED
]) { type at actor description
  payload { ... on DecisionMade { reasons record { comparison { evidence { verdict } } } } } } }`;

/** A slow machine answers UNAVAILABLE after 8 s; the same request is then sent again. */
const RETRY_FOR_MS = 60_000;

export function connect(url: string): Api {
  const endpoint = `${url}/graphql`;
  const client = createClient({ url: endpoint.replace('http', 'ws'), webSocketImpl: WebSocket });
  return {
    async command(mutation, inputType, input) {
      const query = `mutation ($input: ${inputType}!) { answer: ${mutation}(input: $input) { success message } }`;
      // Reports are totals and need no key to be sent again.
      const keyed = inputType === 'UpdateMetricsInput' ? input : { ...input, idempotencyKey: randomUUID() };
      for (const giveUpAt = performance.now() + RETRY_FOR_MS; ; ) {
        const response = await fetch(endpoint, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-serin-actor': 'demo' },
          body: JSON.stringify({ query, variables: { input: keyed } }),
        });
        const { data, errors } = await response.json();
        if (data?.answer.success) return;
        const isAway = errors?.[0]?.extensions?.code === 'UNAVAILABLE';
        if (!isAway || performance.now() > giveUpAt) {
          throw new Error(data?.answer.message ?? errors?.[0]?.message);
        }
      }
    },
    watch: (id) => deliveries<DeploymentStatus>(client, WATCH, { id }),
    timeline: (strategy) => deliveries<TimelineEvent>(client, TIMELINE, { strategy }),
    close: async () => client.dispose(),
  };
}

async function* deliveries<T>(client: Client, query: string, variables: Record<string, unknown>) {
  for await (const { data, errors } of client.iterate<Record<string, T>>({ query, variables })) {
    if (errors?.[0]) throw new Error(errors[0].message);
    for (const delivered of Object.values(data ?? {})) yield delivered;
  }
}
