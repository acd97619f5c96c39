/** Converts rows to engine values and back. Amounts are strings and instants are Dates; nothing is rounded. */
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { configCodec, rollbackPlanCodec } from '../../core/config/codec.ts';
import { type CanaryConfig, GUARDRAILS } from '../../core/config/config.ts';
import { ALLOCATION_CAUSES } from '../../core/lifecycle/allocation.ts';
import { personCodec, settlementTerms } from '../../core/lifecycle/events.ts';
import { FREEZE_BLOCKS } from '../../core/lifecycle/freeze.ts';
import { settleBy } from '../../core/lifecycle/settlement.ts';
import {
  allocationOf,
  type DeploymentState,
  isEnded,
  observationDeadline,
  observationOf,
  type ReturnAccount,
} from '../../core/lifecycle/state.ts';
import { type SideRun, sideRunCodec } from '../../core/metrics/run.ts';
import type { SideMetrics } from '../../core/metrics/sideMetrics.ts';
import { evidenceStateCodec, firstEvidenceCodec } from '../../core/rule/evidenceCodec.ts';
import { DECISIONS } from '../../core/rule/gate.ts';
import type { BreachCounts } from '../../core/rule/guardrails.ts';
import { RULE, RULES } from '../../core/rule/ruleVersion.ts';
import { NO_EVIDENCE } from '../../core/rule/version1/evidence.ts';
import { bySide, countCodec, decimalCodec, instantCodec } from '../../core/values/codecs.ts';
import { type Decimal, decimal, formatDecimal, toStoredPrecision, ZERO } from '../../core/values/decimal.ts';
import { parseStored, readStored, withUnknown } from '../../core/values/stored.ts';
import type { deployments } from '../tables/tables.ts';

const acknowledgement = z.strictObject({
  number: countCodec,
  heldUsd: decimalCodec,
  at: instantCodec,
  openExposureUsd: decimalCodec.optional(),
  onBehalf: z.literal(true).optional(),
});

const basis = z.strictObject({
  capitalUsd: decimalCodec,
  since: instantCodec,
  pnlFromUsd: decimalCodec,
  returnBefore: decimalCodec,
});

const approvalRequest = { by: z.string(), at: instantCodec, person: personCodec.nullable().optional() };

const observation = z.strictObject({
  startedAt: instantCodec,
  step: z.strictObject({
    index: countCodec,
    startedAt: instantCodec,
    endsAt: instantCodec,
    idleMs: z.number().optional(),
  }),
  checks: countCodec,
  lastCheckAt: instantCodec,
  resumedAt: instantCodec.optional(),
  leaseFrom: instantCodec.optional(),
  leaseExpired: z.strictObject({ at: instantCodec, stoodDown: z.boolean() }).optional(),
  silentMs: bySide(countCodec),
  extensions: countCodec,
  evidence: z.union([evidenceStateCodec, firstEvidenceCodec]),
  sampled: bySide(decimalCodec),
  basis: bySide(basis),
  tripped: z.boolean(),
  breachedAt: instantCodec.optional(),
  promotionRequest: z.strictObject(approvalRequest).nullable(),
  held: z
    .strictObject({
      block: z.enum(FREEZE_BLOCKS).exclude(['DEPLOY']),
      freezeId: z.string(),
      since: instantCodec,
      until: instantCodec.nullable(),
    })
    .optional(),
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
  settlement: settlementTerms.optional(),
  rollbackPlan: rollbackPlanCodec.optional(),
  breachedAt: instantCodec.optional(),
  leaseUntil: instantCodec.optional(),
  reportedOverdueAt: instantCodec.optional(),
});

/** What every status may have: the version of the decision rule (the first where there is none), and the import. */
const common = {
  rule: z.literal(RULES).optional(),
  imported: z.strictObject({ by: z.string(), at: instantCodec }).optional(),
};
/** What every live status may have: a change of the configuration that another person must approve. */
const live = {
  ...common,
  configRequest: z.strictObject({ ...approvalRequest, before: z.string(), config: configCodec }).optional(),
};
/** Whether it may be of a later version of the rule: the whole check takes as long as reading it. */
const isLater = (json: unknown): boolean =>
  typeof json === 'object' && json !== null && 'rule' in json && Number(json.rule) > RULE;
const laterDetail = z.looseObject({ rule: z.int().gt(RULE), observation: z.looseObject({}).nullish() });

/**
 * The parts of a state that have no column. The evidence under a later version of the rule is unreadable to this one,
 * which neither decides on such a deployment nor writes it: none stands for it, so that the rest can be read.
 */
function parseDetail(json: unknown) {
  const later = isLater(json) ? laterDetail.safeParse(json) : null;
  if (!later?.success) return { ...readStored(detailCodec, json), laterRule: undefined };
  const { rule: laterRule, observation, ...same } = later.data;
  const evidence = z.encode(firstEvidenceCodec, NO_EVIDENCE);
  const readable = observation ? { ...same, observation: { ...observation, evidence } } : same;
  return { ...readStored(detailCodec, readable), laterRule };
}

/** The parts of a state that have no column, by status. */
const detailCodec = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('PENDING'), ...live }),
  z.strictObject({ status: z.literal('RUNNING'), ...live, observation, allocation }),
  z.strictObject({ status: z.literal('PAUSED'), ...live, observation, allocation, pausedAt: instantCodec }),
  z.strictObject({
    status: z.literal('OBSERVATION_COMPLETE'),
    ...live,
    observation,
    allocation,
    completedAt: instantCodec,
    decision: z.enum(DECISIONS),
  }),
  z.strictObject({
    status: z.enum(['PROMOTED', 'ROLLED_BACK', 'CANCELLED', 'FAILED']),
    ...common,
    observation: observation.nullable(),
    allocation: allocation.nullable(),
    endedAt: instantCodec,
  }),
]);

const breachesCodec = z.record(z.enum(GUARDRAILS), countCodec);

type StateColumns = Omit<
  typeof deployments.$inferInsert,
  'nextCheckAt' | 'leaseUntil' | 'leaseToken' | 'breaches' | 'deadlineAt' | 'deadlineClaimedUntil'
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

/** The columns that a command may change; the others are fixed at creation. */
export const MOVING_COLUMNS = [
  'status',
  'revision',
  'eventCount',
  'startedAt',
  'endedAt',
  'observationDeadline',
  'canaryPercent',
  'totalCapitalUsd',
  'canaryCapitalUsd',
  'stableCapitalUsd',
  'settleBy',
  'detail',
] as const;

/** The values of {@link MOVING_COLUMNS}. */
export function movingColumns(state: DeploymentState): Pick<StateColumns, (typeof MOVING_COLUMNS)[number]> {
  const observed = observationOf(state);
  const allocated = allocationOf(state);
  return {
    status: state.status,
    revision: state.revision,
    eventCount: state.eventCount,
    startedAt: date(observed?.startedAt),
    endedAt: date('endedAt' in state ? state.endedAt : null),
    observationDeadline: date(observed ? observationDeadline(state, observed) : null),
    canaryPercent: formatDecimal(allocated?.canaryPercent ?? state.config.canaryPercent),
    totalCapitalUsd: text(allocated?.totalUsd),
    canaryCapitalUsd: text(allocated?.canaryUsd),
    stableCapitalUsd: text(allocated?.stableUsd),
    settleBy: date(allocated && settleBy(allocated)),
    detail: withUnknown(
      z.encode(detailCodec, {
        ...detailOf(state),
        ...(state.rule === 1 ? {} : { rule: state.rule }),
        ...(state.imported ? { imported: state.imported } : {}),
        ...(isEnded(state) || !state.configRequest ? {} : { configRequest: state.configRequest }),
      }),
      state.unknown ?? [],
    ),
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
  /** JSON strings, for {@link configOf} and {@link parseDetail}. */
  readonly config: string;
  readonly detail: string;
}

/** The state of a row. @throws {Error} if the row is not one that Serin wrote */
export function rowToState(row: StateRow): DeploymentState {
  const { id, strategyId, chain, stableVersionId, canaryVersionId } = row;
  const { createdBy, revision, eventCount } = row;
  const { value: detail, unknown, laterRule } = parseDetail(JSON.parse(row.detail));
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
    ...detail,
    rule: detail.rule ?? 1,
    ...(laterRule === undefined ? {} : { laterRule }),
    ...(unknown.length > 0 ? { unknown } : {}),
  };
}

/** Characters of JSON in each cache. A parsed value takes two to three times the memory of its JSON. */
const CACHE_CHARACTERS = 8_000_000;

/** Caches parsed JSON: most deployments share a few configurations. @returns parses a string */
function cached<T extends object>(parse: (value: unknown) => T): (json: string) => T {
  const cache = new LRUCache<string, T>({
    maxSize: CACHE_CHARACTERS,
    sizeCalculation: (_value, json) => json.length,
  });
  return (json) => {
    const latest = cache.get(json);
    if (latest) return latest;
    const value = parse(JSON.parse(json));
    cache.set(json, value);
    return value;
  };
}

/** The configuration in a column's JSON string. */
export const configOf = cached((value): CanaryConfig => parseStored(configCodec, value));
/** What a side's return is computed from, in a column's JSON string. */
export const basisOf = cached((value): ReturnAccount => parseStored(basis, value));
/** The runs of a side in a column's JSON string. */
export const runOfText = cached((value): SideRun => parseStored(sideRunCodec, value));
/** The breach counts of the guardrails in a column's JSON string. */
export const breachesOf = cached((value): BreachCounts => parseStored(breachesCodec, value));

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
  unrealizedPnlUsd: amount,
  asOf: z.number().nullable(),
  session: z.string().nullable(),
  fellAt: z.string().nullable(),
});

/** A side's metrics as queries return them: decimals as strings, `reportedAt` in epoch milliseconds. */
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
    ...(row.unrealizedPnlUsd === null ? {} : { unrealizedPnlUsd: decimal(row.unrealizedPnlUsd) }),
    ...(row.asOf === null ? {} : { asOf: Math.round(row.asOf) }),
    ...(row.session === null ? {} : { session: row.session }),
    ...(row.fellAt === null ? {} : { fellAt: Date.parse(row.fellAt) }),
  };
}

/** A side's metrics in a value that PostgreSQL has made. @throws {Error} if it is not a {@link MetricsRow} */
export const parseMetrics = (value: unknown): SideMetrics => rowToMetrics(metricsRow.parse(value));

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
    unrealizedPnlUsd: optional(metrics.unrealizedPnlUsd ?? null),
    asOf: date(metrics.asOf),
  };
}
