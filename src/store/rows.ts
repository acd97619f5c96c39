/** Rows to engine values and back. Amounts cross as text, instants as Date; nothing is rounded on the way. */
import { z } from 'zod';
import { ALLOCATION_CAUSES } from '../core/capital.ts';
import { bySide, countCodec, decimalCodec, instantCodec } from '../core/codec.ts';
import { DECISIONS } from '../core/comparison.ts';
import { type CanaryConfig, GUARDRAILS } from '../core/config.ts';
import { configCodec } from '../core/configCodec.ts';
import { type Decimal, decimal, formatDecimal, toStoredPrecision } from '../core/decimal.ts';
import {
  allocationOf,
  type DeploymentState,
  observationDeadline,
  observationOf,
} from '../core/deployment.ts';
import type { BreachCounts } from '../core/guardrails.ts';
import type { SideMetrics } from '../core/metrics.ts';
import type { deployments, sideMetrics } from './schema.ts';

const sums = z.strictObject({ n: countCodec, mean: z.number(), m2: z.number() });
const acknowledgement = z.strictObject({ number: countCodec, heldUsd: decimalCodec, at: instantCodec });

const observation = z.strictObject({
  startedAt: instantCodec,
  step: z.strictObject({ index: countCodec, startedAt: instantCodec, endsAt: instantCodec }),
  checks: countCodec,
  lastCheckAt: instantCodec,
  silentMs: bySide(countCodec),
  extensions: countCodec,
  evidence: z.strictObject({ y1: sums, y2: sums }),
  sampled: bySide(decimalCodec),
  basis: bySide(
    z.strictObject({
      capitalUsd: decimalCodec,
      since: instantCodec,
      pnlFromUsd: decimalCodec,
      returnBefore: decimalCodec,
    }),
  ),
  tripped: z.boolean(),
});

const allocation = z.strictObject({
  number: countCodec,
  cause: z.enum(ALLOCATION_CAUSES),
  canaryPercent: decimalCodec,
  totalUsd: decimalCodec,
  canaryUsd: decimalCodec,
  stableUsd: decimalCodec,
  requestedAt: instantCodec,
  acknowledged: bySide(acknowledgement.nullable()),
});

/** What a state has beyond the columns, status by status. */
const detailCodec = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('PENDING') }),
  z.strictObject({ status: z.literal('RUNNING'), observation, allocation }),
  z.strictObject({ status: z.literal('PAUSED'), observation, allocation, pausedAt: instantCodec }),
  z.strictObject({
    status: z.literal('OBSERVATION_COMPLETE'),
    observation,
    allocation,
    completedAt: instantCodec,
    decision: z.enum(DECISIONS),
  }),
  z.strictObject({
    status: z.enum(['PROMOTED', 'ROLLED_BACK', 'CANCELLED', 'FAILED']),
    observation: observation.nullable(),
    allocation: allocation.nullable(),
    endedAt: instantCodec,
  }),
]);

const breachesCodec = z.record(z.enum(GUARDRAILS), countCodec);

type DeploymentRow = typeof deployments.$inferSelect;
type StateColumns = Omit<
  typeof deployments.$inferInsert,
  'nextCheckAt' | 'leaseUntil' | 'leaseToken' | 'breaches'
>;

const date = (instant: number | null | undefined) =>
  instant === null || instant === undefined ? null : new Date(instant);
const text = (value: Decimal | null | undefined) => (value ? formatDecimal(value) : null);

/** The columns of a state. */
export function stateToColumns(state: DeploymentState): StateColumns {
  const seen = observationOf(state);
  const allocated = allocationOf(state);
  return {
    id: state.id,
    strategyId: state.strategyId,
    chain: state.chain,
    stableVersionId: state.stableVersionId,
    canaryVersionId: state.canaryVersionId,
    status: state.status,
    revision: state.revision,
    eventCount: state.eventCount,
    createdAt: new Date(state.createdAt),
    createdBy: state.createdBy,
    startedAt: date(seen?.startedAt),
    endedAt: date('endedAt' in state ? state.endedAt : null),
    observationDeadline: date(seen ? observationDeadline(state, seen) : null),
    canaryPercent: formatDecimal(allocated?.canaryPercent ?? state.config.canaryPercent),
    totalCapitalUsd: text(allocated?.totalUsd),
    canaryCapitalUsd: text(allocated?.canaryUsd),
    stableCapitalUsd: text(allocated?.stableUsd),
    config: z.encode(configCodec, state.config),
    detail: z.encode(detailCodec, detailOf(state)),
  };
}

function detailOf(state: DeploymentState): z.output<typeof detailCodec> {
  switch (state.status) {
    case 'PENDING':
      return { status: state.status };
    case 'RUNNING':
      return { status: state.status, observation: state.observation, allocation: state.allocation };
    case 'PAUSED': {
      const { status, observation, allocation, pausedAt } = state;
      return { status, observation, allocation, pausedAt };
    }
    case 'OBSERVATION_COMPLETE': {
      const { status, observation, allocation, completedAt, decision } = state;
      return { status, observation, allocation, completedAt, decision };
    }
    default: {
      const { status, observation, allocation, endedAt } = state;
      return { status, observation, allocation, endedAt };
    }
  }
}

/** The state of a row. A row that cannot be read was not written by Serin: that is an exception. */
export function rowToState(row: DeploymentRow): DeploymentState {
  const detail = detailCodec.parse(row.detail);
  return {
    id: row.id,
    strategyId: row.strategyId,
    chain: row.chain,
    stableVersionId: row.stableVersionId,
    canaryVersionId: row.canaryVersionId,
    config: rowToConfig(row),
    createdAt: row.createdAt.getTime(),
    createdBy: row.createdBy,
    revision: row.revision,
    eventCount: row.eventCount,
    ...detail,
  };
}

export function rowToConfig(row: Pick<DeploymentRow, 'config'>): CanaryConfig {
  return configCodec.parse(row.config);
}

export function rowToBreaches(row: Pick<DeploymentRow, 'breaches'>): BreachCounts {
  return breachesCodec.parse(row.breaches);
}

type MetricsRow = Omit<typeof sideMetrics.$inferSelect, 'deploymentId' | 'side' | 'version'>;

export function rowToMetrics(row: MetricsRow): SideMetrics {
  const optional = (value: string | null) => (value === null ? null : decimal(value));
  return {
    netPnlUsd: decimal(row.netPnlUsd ?? 0),
    totalPnlUsd: decimal(row.totalPnlUsd ?? 0),
    maxDrawdown: decimal(row.maxDrawdown ?? 0),
    sharpeRatio: optional(row.sharpeRatio),
    winRate: optional(row.winRate),
    trades: row.trades ?? 0,
    errors: row.errors ?? 0,
    totalGasUsd: decimal(row.totalGasUsd ?? 0),
    avgTradeSizeUsd: decimal(row.avgTradeSizeUsd ?? 0),
    uptimeSeconds: row.uptimeSeconds ?? 0,
    reportedAt: row.reportedAt.getTime(),
  };
}

/** The columns of a side's metrics. */
export function metricsToColumns(metrics: SideMetrics) {
  const optional = (value: Decimal | null) =>
    value === null ? null : formatDecimal(toStoredPrecision(value));
  return {
    netPnlUsd: formatDecimal(metrics.netPnlUsd),
    totalPnlUsd: formatDecimal(metrics.totalPnlUsd),
    maxDrawdown: formatDecimal(metrics.maxDrawdown),
    sharpeRatio: optional(metrics.sharpeRatio),
    winRate: optional(metrics.winRate),
    trades: metrics.trades,
    errors: metrics.errors,
    totalGasUsd: formatDecimal(metrics.totalGasUsd),
    avgTradeSizeUsd: formatDecimal(metrics.avgTradeSizeUsd),
    uptimeSeconds: metrics.uptimeSeconds,
    reportedAt: new Date(metrics.reportedAt),
  };
}
