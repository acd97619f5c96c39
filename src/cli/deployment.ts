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
  readonly metrics: {
    readonly netPnlUsd: string;
    readonly maxDrawdown: string;
    readonly sharpeRatio: string | null;
    readonly winRate: string | null;
  };
}

/** What a check saw: returns on the capital of each interval, and the interval of the evidence, as fractions. */
export interface PointView {
  readonly check: number;
  readonly canaryReturn: number | null;
  readonly stableReturn: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** What a side that is to hold less does with its open positions. */
export interface PlanView {
  readonly positions: string;
  readonly maxSlippageBps: string | null;
  readonly deadlineSeconds: number | null;
}

export interface DeploymentView {
  /** When this was read, on Serin's clock; up to a second before it. */
  readonly asOf: string;
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
    readonly rollbackPlan: PlanView | null;
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
    readonly status: string;
    readonly overdueSince: string | null;
    readonly rollbackPlan: PlanView | null;
    readonly sides: readonly {
      readonly side: string;
      readonly requestedUsd: string;
      readonly heldUsd: string | null;
      readonly openExposureUsd: string | null;
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
  readonly series: { readonly points: readonly PointView[] };
}

const COMPARISON = `decision decisionReasons gates { name outcome severity measured threshold reason }
  evidence { verdict summary pairs minSamples plannedChecks }`;
const SIDE = `capitalAllocatedUsd returnOnCapital tradeCount errorCount reportedAt
  metrics { netPnlUsd maxDrawdown sharpeRatio winRate }`;
const PLAN = 'rollbackPlan { positions maxSlippageBps deadlineSeconds }';
/** Two for each column of the widest view. */
const POINTS = 280;

const QUERY = `query ($id: ID!) { overview { at } deployment(id: $id) {
  id strategyId chain stableVersionId canaryVersionId status revision summary startedAt endedAt nextCheckAt
  observationRemainingSeconds observationDeadline totalCapitalUsd canaryCapitalUsd stableCapitalUsd availableActions
  promotionRequest { by at } config { ${PLAN} steps { canaryPercent minutes gate } }
  step { number of canaryPercent endsAt }
  canaryMetrics { ${SIDE} } stableMetrics { ${SIDE} } comparison { ${COMPARISON} }
  decisionHistory { decision at actor automatic cause reason reasons comparison { ${COMPARISON} } }
  allocation { number cause status overdueSince ${PLAN}
    sides { side requestedUsd heldUsd openExposureUsd unansweredSeconds } }
  lease { seconds until heartbeatAt expired stoodDown }
  series(points: ${POINTS}) { points { check canaryReturn stableReturn low high } } } }`;

/** @throws {CommandFailed} where there is no such deployment */
export async function readDeployment(id: string, { serin }: Context): Promise<DeploymentView> {
  const { overview, deployment } = await serin.query<{
    overview: { at: string };
    deployment: Omit<DeploymentView, 'asOf'> | null;
  }>(QUERY, { id });
  if (!deployment)
    throw notFound(`There is no deployment ${id} (or this key may not see it): serin ls --all lists them`);
  return { asOf: overview.at, ...deployment };
}
