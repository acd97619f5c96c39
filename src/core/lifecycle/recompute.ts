/** Makes a recorded decision again from the numbers that its record keeps. */

import { type Comparison, compare } from '../rule/comparison.ts';
import type { CanaryDecision } from '../rule/gate.ts';
import { type PolicyTerms, resolveInconclusive } from '../rule/inconclusive.ts';
import type { DecisionRecord } from './events.ts';

/** A decision made again. */
export interface Recomputed {
  readonly comparison: Comparison;
  readonly decision: CanaryDecision;
}

/**
 * Makes a decision again from its own record. A guardrail and a loss budget decide alone, and a command is taken
 * as given; for these the comparison shows what they decided against.
 */
export function recompute(record: DecisionRecord, terms: PolicyTerms): Recomputed {
  const { metrics, returns, evidence, ends = false, cause, stableVersionId } = record;
  const comparison = compare({ metrics, returns, evidence, ends, config: terms.config });
  switch (cause) {
    case 'GUARDRAIL':
    case 'BUDGET':
    case 'LEASE':
      return { comparison, decision: 'ROLLBACK' };
    case 'COMMAND':
      return { comparison, decision: record.decision };
    case 'EVIDENCE':
    case 'OBSERVATION_OVER':
      return {
        comparison,
        decision: resolveInconclusive(comparison.decision, cause, terms, stableVersionId).decision,
      };
  }
}
