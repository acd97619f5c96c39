/**
 * From what the comparison says to what is decided: the policy for the inconclusive, and the stable version that moved
 * meanwhile. A record of a decision has all that this needs, so every decision can be made again from its own record.
 */

import type { CanaryConfig } from '../config/config.ts';
import type { DecisionRecord } from '../lifecycle/events.ts';
import { type CanaryDecision, type Comparison, compare } from './comparison.ts';

/** What of a deployment a decision depends on, beside the numbers. */
export interface Terms {
  readonly config: CanaryConfig;
  /** The stable version that the canary is tried against. */
  readonly stableVersionId: string;
}

export interface Settled {
  readonly decision: CanaryDecision;
  /** Why it is not what the comparison says; null when it is. */
  readonly because: string | null;
}

/** Neither good enough to promote nor bad enough to roll back. */
export function isInconclusive(decision: CanaryDecision): boolean {
  return decision === 'CONTINUE' || decision === 'MANUAL_REVIEW';
}

/**
 * Settles what a comparison decides at the end of a step, or earlier on evidence.
 * @param stableVersionId the strategy's stable version today
 */
export function settle(
  compared: CanaryDecision,
  cause: 'EVIDENCE' | 'OBSERVATION_OVER',
  terms: Terms,
  stableVersionId: string,
): Settled {
  if (compared === 'PROMOTE' && stableVersionId !== terms.stableVersionId) {
    const because = `The strategy's stable version has moved to ${stableVersionId} meanwhile`;
    return { decision: 'MANUAL_REVIEW', because };
  }
  const over = cause === 'OBSERVATION_OVER';
  if (over && isInconclusive(compared) && terms.config.onInconclusive === 'ROLLBACK') {
    const because = 'Inconclusive at the end of the observation: rolled back as configured';
    return { decision: 'ROLLBACK', because };
  }
  return { decision: compared, because: null };
}

/** A decision made again. */
export interface Recomputed {
  readonly comparison: Comparison;
  readonly decision: CanaryDecision;
}

/**
 * Makes a decision again from its own record. A guardrail decides by itself, and a person's or bot's command is taken
 * as given; for these the comparison shows what they decided against.
 */
export function recompute(record: DecisionRecord, terms: Terms): Recomputed {
  const { metrics, returns, evidence, cause, stableVersionId } = record;
  const comparison = compare({ metrics, returns, evidence, config: terms.config });
  switch (cause) {
    case 'GUARDRAIL':
      return { comparison, decision: 'ROLLBACK' };
    case 'COMMAND':
      return { comparison, decision: record.decision };
    case 'EVIDENCE':
    case 'OBSERVATION_OVER':
      return { comparison, decision: settle(comparison.decision, cause, terms, stableVersionId).decision };
  }
}
