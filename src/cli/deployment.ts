/** One deployment as `serin get` and `serin why` read it. */
import type { Context } from './context.ts';
import { notFound } from './exitCodes.ts';
import type { SideFigures } from './words.ts';

export interface GateView {
  readonly name: string;
  readonly outcome: string;
  readonly severity: string;
  readonly measured: string | null;
  readonly threshold: string | null;
  readonly reason: string;
}

export interface ComparisonView {
  readonly decision: string;
  readonly decisionReasons: readonly string[];
  readonly gates: readonly GateView[];
  readonly evidence: {
    readonly verdict: string;
    readonly summary: string;
  };
}

export interface DecisionView {
  readonly decision: string;
  readonly at: string;
  readonly actor: string;
  readonly automatic: boolean;
  readonly cause: string;
  readonly reason: string | null;
  readonly reasons: readonly string[];
  readonly comparison: ComparisonView;
}

interface SideView extends SideFigures {
  readonly tradeCount: number;
  readonly errorCount: number;
  readonly reportedAt: string | null;
  readonly metrics: {
    readonly netPnlUsd: string;
    readonly maxDrawdown: string;
    readonly sharpeRatio: string | null;
    readonly winRate: string | null;
  };
}

interface SampleView {
  readonly check: number;
  readonly canaryMetrics: SideFigures | null;
  readonly stableMetrics: SideFigures | null;
}

export interface DeploymentView {
  readonly id: string;
  readonly strategyId: string;
  readonly chain: string;
  readonly stableVersionId: string;
  readonly canaryVersionId: string;
  readonly status: string;
  readonly revision: number;
  readonly summary: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly nextCheckAt: string | null;
  readonly observationRemainingSeconds: number;
  readonly observationDeadline: string | null;
  readonly totalCapitalUsd: string;
  readonly canaryCapitalUsd: string;
  readonly stableCapitalUsd: string;
  readonly availableActions: readonly string[];
  readonly promotionRequest: { readonly by: string; readonly at: string } | null;
  readonly config: {
    readonly steps: readonly {
      readonly canaryPercent: string;
      readonly minutes: number;
      readonly gate: string;
    }[];
  };
  readonly step: {
    readonly number: number;
    readonly of: number;
    readonly canaryPercent: string;
    readonly endsAt: string | null;
  };
  readonly canaryMetrics: SideView | null;
  readonly stableMetrics: SideView | null;
  readonly comparison: ComparisonView | null;
  readonly decisionHistory: readonly DecisionView[];
  readonly allocation: {
    readonly number: number;
    readonly cause: string;
    readonly sides: readonly {
      readonly side: string;
      readonly requestedUsd: string;
      readonly heldUsd: string | null;
      readonly unansweredSeconds: number;
    }[];
  } | null;
  readonly lease: {
    readonly seconds: number;
    readonly until: string | null;
    readonly heartbeatAt: string | null;
    readonly expired: boolean;
    readonly stoodDown: boolean;
  } | null;
  readonly samples: { readonly edges: readonly { readonly node: SampleView }[] };
}

const COMPARISON = `decision decisionReasons gates { name outcome severity measured threshold reason }
  evidence { verdict summary pairs minSamples plannedChecks }`;
const SIDE = `capitalAllocatedUsd tradeCount errorCount reportedAt
  metrics { netPnlUsd maxDrawdown sharpeRatio winRate }`;
const RETURN = 'capitalAllocatedUsd metrics { netPnlUsd }';
const SAMPLES = 200;

const QUERY = `query ($id: ID!) { deployment(id: $id) {
  id strategyId chain stableVersionId canaryVersionId status revision summary startedAt endedAt nextCheckAt
  observationRemainingSeconds observationDeadline totalCapitalUsd canaryCapitalUsd stableCapitalUsd availableActions
  promotionRequest { by at } config { steps { canaryPercent minutes gate } }
  step { number of canaryPercent endsAt }
  canaryMetrics { ${SIDE} } stableMetrics { ${SIDE} } comparison { ${COMPARISON} }
  decisionHistory { decision at actor automatic cause reason reasons comparison { ${COMPARISON} } }
  allocation { number cause sides { side requestedUsd heldUsd unansweredSeconds } }
  lease { seconds until heartbeatAt expired stoodDown }
  samples(last: ${SAMPLES}) { edges { node { check canaryMetrics { ${RETURN} } stableMetrics { ${RETURN} } } } } } }`;

/** @throws {CommandFailed} where there is no such deployment */
export async function readDeployment(id: string, { serin }: Context): Promise<DeploymentView> {
  const { deployment } = await serin.query<{ deployment: DeploymentView | null }>(QUERY, { id });
  if (!deployment)
    throw notFound(`There is no deployment ${id} (or this key may not see it): serin ls --all lists them`);
  return deployment;
}

/** The return on capital of both sides, check by check, each gain over the capital that was held while it was made. */
export function curvesOf({ samples }: DeploymentView): {
  readonly canary: number[];
  readonly stable: number[];
} {
  const nodes = samples.edges.map(({ node }) => node);
  return {
    canary: curve(nodes.map(({ canaryMetrics }) => canaryMetrics)),
    stable: curve(nodes.map(({ stableMetrics }) => stableMetrics)),
  };
}

function curve(figures: readonly (SideFigures | null)[]): number[] {
  let before = 0;
  let total = 0;
  return figures.map((side) => {
    if (side) {
      const [net, capital] = [Number(side.metrics.netPnlUsd), Number(side.capitalAllocatedUsd)];
      if (capital > 0) total += (net - before) / capital;
      before = net;
    }
    return total;
  });
}
