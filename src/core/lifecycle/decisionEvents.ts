/** The events that a decision leads to: promotion, rollback, the next step, and the record of the decision itself. */

import { configHash } from '../config/config.ts';
import { type Comparison, compare } from '../rule/comparison.ts';
import type { CanaryDecision } from '../rule/gate.ts';
import type { Decimal } from '../values/decimal.ts';
import {
  type AllocationCause,
  CANARY_ONLY_PERCENT,
  STABLE_ONLY_PERCENT,
  splitCapital,
} from './allocation.ts';
import type { Facts } from './command.ts';
import type { DecisionRecord, EventBody } from './events.ts';
import { leaseEndsAt } from './lease.ts';
import { termsOf } from './settlement.ts';
import { comparisonInput, forSides, stepAt, type Watched } from './state.ts';
import { stepEnd } from './watchedTime.ts';

/** The next request: the whole capital, split anew. */
export function requestAllocation(state: Watched, canaryPercent: Decimal, cause: AllocationCause): EventBody {
  const { number, totalUsd } = state.allocation;
  const split = splitCapital(totalUsd, canaryPercent);
  const terms = termsOf(state.config, state.allocation, split);
  const { breachedAt } = state.observation;
  return {
    type: 'ALLOCATION_REQUESTED',
    number: number + 1,
    cause,
    canaryPercent,
    ...split,
    ...terms,
    ...(breachedAt !== undefined && canaryPercent.isZero() ? { breachedAt } : {}),
  };
}

/** The canary becomes the stable version; all capital to it. */
export function promotion(
  state: Watched,
  reason: string | null,
  overrode: { readonly overrodeFreeze?: string } = {},
): EventBody[] {
  const { canaryVersionId, stableVersionId } = state;
  return [
    {
      type: 'CANARY_PROMOTED',
      stableVersionId: canaryVersionId,
      previousStableVersionId: stableVersionId,
      reason,
      ...overrode,
    },
    requestAllocation(state, CANARY_ONLY_PERCENT, 'PROMOTE'),
  ];
}

/** All capital back to the stable version. */
export function rollback(state: Watched, reason: string | null): EventBody[] {
  const { canaryVersionId, stableVersionId } = state;
  return [
    { type: 'CANARY_ROLLED_BACK', stableVersionId, rolledBackVersionId: canaryVersionId, reason },
    requestAllocation(state, STABLE_ONLY_PERCENT, 'ROLLBACK'),
  ];
}

/** Starts a step of the ramp: a new allocation and a new interval of returns. */
export function startStep(
  state: Watched,
  index: number,
  facts: Pick<Facts, 'now' | 'metrics' | 'heartbeatAt'>,
  reason: string | null,
  overrode: { readonly overrodeFreeze?: string } = {},
): EventBody[] {
  const step = stepAt(state.config, index);
  if (!step) throw new Error(`${state.id} has no step ${index}`);
  const { canaryPercent, minutes } = step;
  const { metrics, now } = facts;
  const leaseUntil = leaseEndsAt(state, facts);
  const netPnlUsd = forSides((side) => metrics[side]?.netPnlUsd ?? state.observation.basis[side].pnlFromUsd);
  return [
    {
      type: 'STEP_STARTED',
      step: index,
      canaryPercent,
      minutes,
      netPnlUsd,
      reason,
      ...overrode,
      ...stepEnd(state.config, now, minutes * 60_000),
    },
    { ...requestAllocation(state, canaryPercent, 'STEP'), ...(leaseUntil === null ? {} : { leaseUntil }) },
  ];
}

/** The record of a decision, with all its inputs. */
export function decisionMade(
  state: Watched,
  { metrics, stableVersionId }: Pick<Facts, 'metrics' | 'stableVersionId'>,
  made: {
    readonly decision: CanaryDecision;
    readonly reasons: readonly string[];
    readonly cause: DecisionRecord['cause'];
    readonly reason?: string | null;
    /** Whether this is the check that ends the observation. */
    readonly ends?: boolean;
    /** The comparison that it was made on, where there is one already. */
    readonly comparison?: Comparison;
  },
): EventBody {
  const { observation, config } = state;
  const { decision, reasons, cause, reason = null, ends = false } = made;
  const compared = comparisonInput(observation, metrics, config);
  const { returns, evidence } = compared;
  return {
    type: 'DECISION_MADE',
    record: {
      decision,
      reasons,
      automatic: cause !== 'COMMAND',
      cause,
      configHash: configHash(config),
      stableVersionId,
      comparison: made.comparison ?? compare({ ...compared, ends }),
      metrics,
      returns,
      capitalUsd: forSides((side) => observation.basis[side].capitalUsd),
      evidence,
      ...(state.rule === 1 ? {} : { rule: state.rule, ends }),
    },
    reason,
  };
}
