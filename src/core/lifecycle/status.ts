/** A deployment as its owner sees it: the fields of the contract, computed for a moment. Instants are epoch milliseconds. */
import { errorRate, type MetricsBySide, type SideMetrics } from '../metrics/sideMetrics.ts';
import type { Comparison } from '../rule/comparison.ts';
import { type Decimal, toStoredPrecision, ZERO } from '../values/decimal.ts';
import type { SerinInstant } from '../values/instant.ts';
import type { BySide, Side } from '../values/side.ts';
import { type Allocation, requestedUsd } from './allocation.ts';
import type { Action } from './command.ts';
import { availableActions } from './decide.ts';
import {
  allocationOf,
  type CanaryStatus,
  comparisonOf,
  type DeploymentState,
  forSides,
  type Observation,
  observationDeadline,
  observationOf,
  observationRemainingMs,
} from './state.ts';

/** What a side has done since the deployment started: running totals, zero until it is reported. */
export interface PerformanceMetrics {
  readonly netPnlUsd: Decimal;
  readonly totalPnlUsd: Decimal;
  readonly maxDrawdown: Decimal;
  readonly sharpeRatio: Decimal | null;
  readonly winRate: Decimal | null;
  readonly totalTrades: number;
  readonly totalGasUsd: Decimal;
  readonly avgTradeSizeUsd: Decimal;
  readonly uptimeSeconds: number;
  readonly measurementStart: number;
  /** When the latest report came; null before the first. */
  readonly measurementEnd: number | null;
}

export interface CanaryMetrics {
  readonly versionId: string;
  readonly isCanary: boolean;
  readonly capitalAllocatedUsd: Decimal;
  readonly metrics: PerformanceMetrics;
  readonly tradeCount: number;
  readonly errorCount: number;
  /** Null when there are errors and no trade. */
  readonly errorRate: Decimal | null;
  readonly measurementStart: number;
  readonly durationSeconds: number;
}

export interface DeploymentStatus {
  readonly deploymentId: string;
  readonly strategyId: string;
  readonly chain: string;
  readonly stableVersionId: string;
  readonly canaryVersionId: string;
  readonly status: CanaryStatus;
  readonly revision: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly totalCapitalUsd: Decimal;
  readonly canaryCapitalUsd: Decimal;
  readonly stableCapitalUsd: Decimal;
  readonly allocation: Allocation | null;
  /** The running step of the ramp, counted from 1. */
  readonly step: number;
  readonly observationDeadline: number | null;
  readonly observationRemainingSeconds: number;
  readonly observationComplete: boolean;
  readonly canaryMetrics: CanaryMetrics | null;
  readonly stableMetrics: CanaryMetrics | null;
  readonly comparison: Comparison | null;
  readonly availableActions: readonly Action[];
}

/** The status of a deployment at a moment. */
export function statusOf(
  state: DeploymentState,
  metrics: MetricsBySide,
  now: SerinInstant,
): DeploymentStatus {
  const seen = observationOf(state);
  const allocation = allocationOf(state);
  const remainingMs = observationRemainingMs(state, now);
  const sides = seen && sideStatus(state, seen, metrics, now);
  const { id, strategyId, chain, stableVersionId, canaryVersionId, status, revision } = state;
  return {
    deploymentId: id,
    strategyId,
    chain,
    stableVersionId,
    canaryVersionId,
    status,
    revision,
    startedAt: seen?.startedAt ?? null,
    endedAt: 'endedAt' in state ? state.endedAt : null,
    totalCapitalUsd: allocation?.totalUsd ?? ZERO,
    canaryCapitalUsd: allocation ? requestedUsd(allocation, 'CANARY') : ZERO,
    stableCapitalUsd: allocation ? requestedUsd(allocation, 'STABLE') : ZERO,
    allocation,
    step: (seen?.step.index ?? 0) + 1,
    observationDeadline: seen && observationDeadline(state, seen),
    observationRemainingSeconds: Math.ceil(remainingMs / 1000),
    observationComplete: state.status !== 'PENDING' && remainingMs === 0,
    canaryMetrics: sides?.CANARY ?? null,
    stableMetrics: sides?.STABLE ?? null,
    comparison: comparisonOf(state, metrics),
    availableActions: availableActions(state),
  };
}

function sideStatus(
  state: DeploymentState,
  { basis, startedAt }: Observation,
  metrics: MetricsBySide,
  now: SerinInstant,
): BySide<CanaryMetrics> {
  const until = 'endedAt' in state ? state.endedAt : now;
  return forSides((side: Side): CanaryMetrics => {
    const known = metrics[side];
    const rate = known ? errorRate(known) : ZERO;
    return {
      versionId: side === 'CANARY' ? state.canaryVersionId : state.stableVersionId,
      isCanary: side === 'CANARY',
      capitalAllocatedUsd: basis[side].capitalUsd,
      metrics: performanceOf(known, startedAt),
      tradeCount: known?.trades ?? 0,
      errorCount: known?.errors ?? 0,
      errorRate: rate && toStoredPrecision(rate),
      measurementStart: startedAt,
      durationSeconds: Math.max(0, Math.floor((until - startedAt) / 1000)),
    };
  });
}

function performanceOf(known: SideMetrics | null, startedAt: number): PerformanceMetrics {
  return {
    netPnlUsd: known?.netPnlUsd ?? ZERO,
    totalPnlUsd: known?.totalPnlUsd ?? ZERO,
    maxDrawdown: known?.maxDrawdown ?? ZERO,
    sharpeRatio: known?.sharpeRatio ?? null,
    winRate: known?.winRate ?? null,
    totalTrades: known?.trades ?? 0,
    totalGasUsd: known?.totalGasUsd ?? ZERO,
    avgTradeSizeUsd: known?.avgTradeSizeUsd ?? ZERO,
    uptimeSeconds: known?.uptimeSeconds ?? 0,
    measurementStart: startedAt,
    measurementEnd: known?.reportedAt ?? null,
  };
}
