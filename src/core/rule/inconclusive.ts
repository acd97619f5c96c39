/**
 * From what the comparison says to what is decided: the policy for the inconclusive, and the stable version that moved
 * meanwhile. A record of a decision has all that this needs, so every decision can be made again from its own record.
 */

import type { CanaryConfig } from '../config/config.ts';
import type { CanaryDecision } from './gate.ts';

/** The non-numeric inputs of a decision. */
export interface PolicyTerms {
  readonly config: CanaryConfig;
  /** The stable version that the canary is tried against. */
  readonly stableVersionId: string;
}

export interface Resolution {
  readonly decision: CanaryDecision;
  /** Why it is not what the comparison says; null when it is. */
  readonly overrideReason: string | null;
}

/** Neither good enough to promote nor bad enough to roll back. */
export function isInconclusive(decision: CanaryDecision): boolean {
  return decision === 'CONTINUE' || decision === 'MANUAL_REVIEW';
}

/**
 * Settles what a comparison decides at the end of a step, or earlier on evidence.
 * @param stableVersionId the strategy's stable version today
 */
export function resolveInconclusive(
  compared: CanaryDecision,
  cause: 'EVIDENCE' | 'OBSERVATION_OVER',
  terms: PolicyTerms,
  stableVersionId: string,
): Resolution {
  if (compared === 'PROMOTE' && stableVersionId !== terms.stableVersionId) {
    const overrideReason = `The strategy's stable version has moved to ${stableVersionId} meanwhile`;
    return { decision: 'MANUAL_REVIEW', overrideReason };
  }
  const over = cause === 'OBSERVATION_OVER';
  if (over && isInconclusive(compared) && terms.config.onInconclusive === 'ROLLBACK') {
    const overrideReason = 'Inconclusive at the end of the observation: rolled back as configured';
    return { decision: 'ROLLBACK', overrideReason };
  }
  return { decision: compared, overrideReason: null };
}
