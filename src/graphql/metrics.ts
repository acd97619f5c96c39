import { outlookOfDeployment } from '../core/lifecycle/outlook.ts';
import {
  comparisonOf,
  type DeploymentState,
  type Observation,
  observationOf,
  sideReturn,
} from '../core/lifecycle/state.ts';
import { errorRate, MAX_COUNT, type MetricsBySide, type SideMetrics } from '../core/metrics/sideMetrics.ts';
import type { Comparison } from '../core/rule/comparison.ts';
import { DECISIONS, GATE_OUTCOMES, GATES, type GateResult } from '../core/rule/gate.ts';
import type { Outlook } from '../core/rule/outlook.ts';
import { type Decimal, toStoredPrecision, ZERO } from '../core/values/decimal.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import { SIDES, type Side } from '../core/values/side.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { builder } from './builder.ts';
import { EvidenceType } from './evidence.ts';

export const SideType = builder.enumType('Side', {
  description: 'One of the two versions of a deployment.',
  values: {
    CANARY: { description: 'The new version on trial.' },
    STABLE: { description: 'The version that is live today.' },
  },
});

export const DecisionType = builder.enumType('CanaryDecision', {
  description: 'What a comparison, or a person, says should happen.',
  values: DECISIONS,
});

const GateNameType = builder.enumType('GateName', { description: 'The gates, in order.', values: GATES });
const GateOutcomeType = builder.enumType('GateOutcome', {
  description: 'What a gate found.',
  values: GATE_OUTCOMES,
});

/** The metrics of a side at a moment. */
export interface SideView {
  readonly side: Side;
  readonly versionId: string;
  readonly capitalUsd: Decimal;
  /** Its return since the start, a fraction of capital. */
  readonly returned: Decimal;
  readonly metrics: SideMetrics | null;
  readonly startedAt: number;
  readonly at: number;
  /** Who reported the metrics; null where they are not the latest, or nobody did. */
  readonly reportedBy: string | null;
}

/** A deployment at a moment. */
interface Moment {
  readonly state: DeploymentState;
  readonly metrics: MetricsBySide;
  readonly now: SerinInstant;
  readonly reporters?: DeploymentView['reporters'];
}

/** A side at a moment; null for a deployment that was never deployed. */
export function sideView(moment: Moment, side: Side): SideView | null {
  const observation = observationOf(moment.state);
  return observation && observedSide(observation, moment, side);
}

function observedSide(observation: Observation, moment: Moment, side: Side): SideView {
  const { state, metrics, now, reporters } = moment;
  const basis = observation.basis[side];
  return {
    side,
    versionId: side === 'CANARY' ? state.canaryVersionId : state.stableVersionId,
    capitalUsd: basis.capitalUsd,
    returned: sideReturn(basis, metrics[side]?.netPnlUsd ?? basis.pnlFromUsd),
    metrics: metrics[side],
    startedAt: observation.startedAt,
    at: 'endedAt' in state ? state.endedAt : now,
    reportedBy: reporters?.[side]?.name ?? null,
  };
}

/** Counts that were stored before they had bounds must not make the whole deployment unreadable. */
const shownCount = (count: number | undefined) => Math.min(count ?? 0, MAX_COUNT);

const PerformanceMetrics = builder.objectRef<SideView>('PerformanceMetrics').implement({
  description:
    'What a side has done since the deployment started: running totals. Zero until it is reported.',
  fields: (t) => {
    const amount = (
      name: 'netPnlUsd' | 'totalPnlUsd' | 'maxDrawdown' | 'totalGasUsd' | 'avgTradeSizeUsd',
      description: string,
    ) => t.field({ type: 'Decimal', description, resolve: ({ metrics }) => metrics?.[name] ?? ZERO });
    return {
      netPnlUsd: amount(
        'netPnlUsd',
        'Profit and loss after costs, USD, open positions included if reported. Decisions are based on it.',
      ),
      unrealizedPnlUsd: t.field({
        type: 'Decimal',
        nullable: true,
        description: 'The part of `netPnlUsd` in open positions, USD; null if never reported.',
        resolve: ({ metrics }) => metrics?.unrealizedPnlUsd ?? null,
      }),
      totalPnlUsd: amount('totalPnlUsd', 'Profit and loss before costs, USD.'),
      maxDrawdown: amount(
        'maxDrawdown',
        'Largest fall from a high, as a fraction of capital. Of recorded trades: the largest fall of the equity curve ' +
          'below its high-water mark, as a fraction of the mark.',
      ),
      sharpeRatio: t.field({
        type: 'Decimal',
        nullable: true,
        description:
          'Sharpe ratio as the owner computes it; null until reported. Of recorded trades: mean over sample standard ' +
          'deviation of the returns of single trades, not annualised; null below two trades, or where all are alike.',
        resolve: ({ metrics }) => metrics?.sharpeRatio ?? null,
      }),
      winRate: t.field({
        type: 'Decimal',
        nullable: true,
        description:
          'Winning trades over all trades, 0 to 1; null until reported. Of recorded trades: those with a net PnL above 0.',
        resolve: ({ metrics }) => metrics?.winRate ?? null,
      }),
      totalTrades: t.int({
        description: 'Trades made.',
        resolve: ({ metrics }) => shownCount(metrics?.trades),
      }),
      totalGasUsd: amount('totalGasUsd', 'Gas paid, USD.'),
      avgTradeSizeUsd: amount('avgTradeSizeUsd', 'Average size of a trade, USD.'),
      uptimeSeconds: t.int({
        description: 'Seconds the side was up, as reported.',
        resolve: ({ metrics }) => shownCount(metrics?.uptimeSeconds),
      }),
      measurementStart: t.expose('startedAt', {
        type: 'DateTime',
        description: 'When measuring began.',
      }),
      measurementEnd: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When the latest report came; null before the first.',
        resolve: ({ metrics }) => metrics?.reportedAt ?? null,
      }),
    };
  },
});

export const CanaryMetrics = builder.objectRef<SideView>('CanaryMetrics').implement({
  description: 'The metrics of one side of a deployment.',
  fields: (t) => ({
    versionId: t.exposeString('versionId', { description: 'The version these metrics belong to.' }),
    side: t.expose('side', { type: SideType, description: 'Which side it is.' }),
    isCanary: t.boolean({
      description: 'Whether it is the canary.',
      resolve: ({ side }) => side === SIDES[0],
    }),
    capitalAllocatedUsd: t.expose('capitalUsd', {
      type: 'Decimal',
      description:
        'The capital that returns are computed on, USD: what the side last said it holds, or what it was asked to ' +
        'hold where it never answers. While that is 0, the capital before.',
    }),
    metrics: t.field({ type: PerformanceMetrics, description: 'The figures.', resolve: (view) => view }),
    tradeCount: t.int({ description: 'Trades made.', resolve: ({ metrics }) => shownCount(metrics?.trades) }),
    errorCount: t.int({ description: 'Errors met.', resolve: ({ metrics }) => shownCount(metrics?.errors) }),
    errorRate: t.field({
      type: 'Decimal',
      nullable: true,
      description: 'Errors over trades; null when there are errors and no trade.',
      resolve: ({ metrics }) => {
        const rate = metrics ? errorRate(metrics) : ZERO;
        return rate && toStoredPrecision(rate);
      },
    }),
    measurementStart: t.field({
      type: 'DateTime',
      description: 'When measuring began.',
      resolve: ({ startedAt }) => startedAt,
    }),
    durationSeconds: t.int({
      description: 'Seconds measured so far, or until the deployment ended.',
      resolve: ({ startedAt, at }) => Math.max(0, Math.floor((at - startedAt) / 1000)),
    }),
    reportedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the latest news of the side arrived; null if it has never reported.',
      resolve: ({ metrics }) => metrics?.reportedAt ?? null,
    }),
    reportedBy: t.string({
      nullable: true,
      description:
        'Who reported the latest figures; null for those of a provider, of an import, and of earlier moments.',
      resolve: ({ reportedBy }) => reportedBy,
    }),
    asOf: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the owner took the latest figures; null if the owner did not state it.',
      resolve: ({ metrics }) => metrics?.asOf ?? null,
    }),
    session: t.string({
      nullable: true,
      description: "The owner's name of its current run; null if none was given.",
      resolve: ({ metrics }) => metrics?.session ?? null,
    }),
    returnOnCapital: t.field({
      type: 'Decimal',
      description:
        'Return since the deployment started, a fraction: net PnL over capital, each interval on the capital held in it.',
      resolve: ({ returned }) => toStoredPrecision(returned),
    }),
  }),
});

const Gate = builder.objectRef<GateResult>('Gate').implement({
  description: 'One gate of the comparison and what it found.',
  fields: (t) => ({
    name: t.expose('name', { type: GateNameType, description: 'Which gate.' }),
    severity: t.expose('severity', {
      type: DecisionType,
      description: 'The decision it leads to when it fails.',
    }),
    outcome: t.expose('outcome', { type: GateOutcomeType, description: 'What it found.' }),
    measured: t.expose('measured', { type: 'Decimal', nullable: true, description: "The canary's value." }),
    threshold: t.expose('threshold', {
      type: 'Decimal',
      nullable: true,
      description: 'What it was held against.',
    }),
    reason: t.exposeString('reason', { description: 'Both values and the threshold, as a message.' }),
  }),
});

/** A comparison with the sides it compares. */
export interface ComparisonView {
  readonly comparison: Comparison;
  /** Made when it is asked for. */
  readonly side: (side: Side) => SideView;
  /** Computed when it is asked for. Null for a comparison of the past: it has none. */
  readonly outlook: () => Outlook | null;
}

/** A deployment's comparison at a moment; null for one that was never deployed. */
export function comparisonView(moment: Moment): ComparisonView | null {
  const { state, metrics, now } = moment;
  const observation = observationOf(state);
  const comparison = observation && comparisonOf(state, metrics);
  return (
    comparison && {
      comparison,
      side: (side) => observedSide(observation, moment, side),
      outlook: () => outlookOfDeployment(state, now),
    }
  );
}

export const CanaryComparison = builder.objectRef<ComparisonView>('CanaryComparison').implement({
  description: 'Canary against stable under the promotion criteria.',
  fields: (t) => {
    const ratio = (
      name: 'pnlRatio' | 'drawdownRatio' | 'sharpeRatio' | 'winRateRatio',
      description: string,
    ) =>
      t.field({
        type: 'Decimal',
        nullable: true,
        description: `${description} For reading only; null when the denominator is zero, negative or missing.`,
        resolve: ({ comparison }) => comparison[name],
      });
    return {
      canaryMetrics: t.field({
        type: CanaryMetrics,
        description: "The canary's metrics.",
        resolve: ({ side }) => side('CANARY'),
      }),
      stableMetrics: t.field({
        type: CanaryMetrics,
        description: "The stable side's metrics.",
        resolve: ({ side }) => side('STABLE'),
      }),
      pnlRatio: ratio('pnlRatio', 'Canary over stable PnL, on the chosen basis.'),
      drawdownRatio: ratio('drawdownRatio', 'Canary over stable drawdown.'),
      sharpeRatio: ratio('sharpeRatio', 'Canary over stable Sharpe ratio.'),
      winRateRatio: ratio('winRateRatio', 'Canary over stable win rate.'),
      decision: t.field({
        type: DecisionType,
        description: 'What the gates lead to.',
        resolve: ({ comparison }) => comparison.decision,
      }),
      decisionReasons: t.stringList({
        description: 'Why, the deciding gate first.',
        resolve: ({ comparison }) => [...comparison.decisionReasons],
      }),
      gates: t.field({
        type: [Gate],
        description: 'Every gate in order; empty while a side has not reported.',
        resolve: ({ comparison }) => [...comparison.gates],
      }),
      evidence: t.field({
        type: EvidenceType,
        description: 'The sequential test.',
        resolve: ({ comparison, outlook }) => ({ evidence: comparison.evidence, outlook }),
      }),
    };
  },
});
