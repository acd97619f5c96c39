/** Rows to engine values and back. Amounts cross as text, instants as Date; nothing is rounded on the way. */
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { configCodec } from '../../core/config/codec.ts';
import { type CanaryConfig, GUARDRAILS } from '../../core/config/config.ts';
import { ALLOCATION_CAUSES } from '../../core/lifecycle/allocation.ts';
import {
  allocationOf,
  type DeploymentState,
  observationDeadline,
  observationOf,
} from '../../core/lifecycle/state.ts';
import type { SideMetrics } from '../../core/metrics/sideMetrics.ts';
import { DECISIONS } from '../../core/rule/comparison.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import { bySide, countCodec, decimalCodec, instantCodec } from '../../core/values/codecs.ts';
import { type Decimal, decimal, formatDecimal, toStoredPrecision, ZERO } from '../../core/values/decimal.ts';
import type { deployments } from '../tables/tables.ts';

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
  promotionRequest: z.strictObject({ by: z.string(), at: instantCodec }).nullable(),
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

type StateColumns = Omit<
  typeof deployments.$inferInsert,
  'nextCheckAt' | 'leaseUntil' | 'leaseToken' | 'breaches'
>;

const date = (instant: number | null | undefined) =>
  instant === null || instant === undefined ? null : new Date(instant);
const text = (value: Decimal | null | undefined) => (value ? formatDecimal(value) : null);

/** The columns of a state. */
export function stateToColumns(state: DeploymentState): StateColumns {
  const { id, strategyId, chain, stableVersionId, canaryVersionId, createdBy } = state;
  return {
    id,
    strategyId,
    chain,
    stableVersionId,
    canaryVersionId,
    createdAt: new Date(state.createdAt),
    createdBy,
    config: z.encode(configCodec, state.config),
    ...movingColumns(state),
  };
}

/** The columns that a command may change; the others stand from the creation on. */
export function movingColumns(state: DeploymentState) {
  const seen = observationOf(state);
  const allocated = allocationOf(state);
  return {
    status: state.status,
    revision: state.revision,
    eventCount: state.eventCount,
    startedAt: date(seen?.startedAt),
    endedAt: date('endedAt' in state ? state.endedAt : null),
    observationDeadline: date(seen ? observationDeadline(state, seen) : null),
    canaryPercent: formatDecimal(allocated?.canaryPercent ?? state.config.canaryPercent),
    totalCapitalUsd: text(allocated?.totalUsd),
    canaryCapitalUsd: text(allocated?.canaryUsd),
    stableCapitalUsd: text(allocated?.stableUsd),
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

/** A deployment's row as views read it. */
export interface StateRow {
  readonly id: string;
  readonly strategyId: string;
  readonly chain: string;
  readonly stableVersionId: string;
  readonly canaryVersionId: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly revision: number;
  readonly eventCount: number;
  /** JSON texts, for {@link configOf} and {@link readDetail}. */
  readonly config: string;
  readonly detail: string;
}

/** The state of a row. A row that cannot be read was not written by Serin: that is an exception. */
export function rowToState(row: StateRow): DeploymentState {
  const { id, strategyId, chain, stableVersionId, canaryVersionId } = row;
  const { createdBy, revision, eventCount } = row;
  return {
    id,
    strategyId,
    chain,
    stableVersionId,
    canaryVersionId,
    config: configOf(row.config),
    createdAt: Math.round(row.createdAt),
    createdBy,
    revision,
    eventCount,
    ...readDetail(row.detail, id),
  };
}

/** How many texts are remembered of each kind; what is made of one takes up to five kilobytes. */
const REMEMBERED = 1000;

/**
 * A text that comes again and again is read once, and gives the same value: most deployments share a few configurations,
 * and what stands of one is looked at far more often than it changes. Of what changes only the latest is remembered.
 * @returns reads a text; `of` is whose it is, where it changes
 */
function remembering<T extends object>(read: (value: unknown) => T): (text: string, of?: string) => T {
  const known = new LRUCache<string, { readonly text: string; readonly value: T }>({ max: REMEMBERED });
  return (text, of = text) => {
    const latest = known.get(of);
    if (latest?.text === text) return latest.value;
    const value = read(JSON.parse(text));
    known.set(of, { text, value });
    return value;
  };
}

/** The configuration in a column's JSON text. */
export const configOf = remembering((value): CanaryConfig => configCodec.parse(value));
/** What a state has beyond the columns, in a column's JSON text. */
const readDetail = remembering((value) => detailCodec.parse(value));
/** The guardrails' counts in a column's JSON text. */
export const breachesOf = remembering((value): BreachCounts => breachesCodec.parse(value));

const amount = z.string().nullable();
const metricsRow = z.strictObject({
  netPnlUsd: amount,
  totalPnlUsd: amount,
  maxDrawdown: amount,
  sharpeRatio: amount,
  winRate: amount,
  trades: countCodec.nullable(),
  errors: countCodec.nullable(),
  totalGasUsd: amount,
  avgTradeSizeUsd: amount,
  uptimeSeconds: countCodec.nullable(),
  reportedAt: z.number(),
});

/** A side's figures as they are read: numbers as text, `reportedAt` in epoch milliseconds. */
export type MetricsRow = Readonly<z.output<typeof metricsRow>>;

export function rowToMetrics(row: MetricsRow): SideMetrics {
  const number = (value: string | null) => (value === null ? ZERO : decimal(value));
  const optional = (value: string | null) => (value === null ? null : decimal(value));
  return {
    netPnlUsd: number(row.netPnlUsd),
    totalPnlUsd: number(row.totalPnlUsd),
    maxDrawdown: number(row.maxDrawdown),
    sharpeRatio: optional(row.sharpeRatio),
    winRate: optional(row.winRate),
    trades: row.trades ?? 0,
    errors: row.errors ?? 0,
    totalGasUsd: number(row.totalGasUsd),
    avgTradeSizeUsd: number(row.avgTradeSizeUsd),
    uptimeSeconds: row.uptimeSeconds ?? 0,
    reportedAt: Math.round(row.reportedAt),
  };
}

/** The figures in a column's JSON text. */
export const metricsOf = remembering((value) => rowToMetrics(metricsRow.parse(value)));

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
