/**
 * How a deployment's log is folded into its evidence: which intervals make a pair, and which do not. A log of the first
 * version of the rule is folded as that version did.
 */

import type { CanaryConfig } from '../config/config.ts';
import { addPair, copyEvidence, type EvidenceState, pairsOf } from '../rule/pairedEvidence.ts';
import { addPair as addFirstPair, type EvidenceSums } from '../rule/version1/evidence.ts';
import type { Decimal } from '../values/decimal.ts';
import { type BySide, SIDES } from '../values/side.ts';
import { type Allocation, holdsNothing } from './allocation.ts';
import type { SignalPair } from './events.ts';

/** The state of the evidence, under whichever version of the rule the deployment is. */
export type Evidence = EvidenceState | EvidenceSums;

export function isFirstForm(evidence: Evidence): evidence is EvidenceSums {
  return 'y1' in evidence;
}

/**
 * An interval counts for at most this many planned ones. A longer one is an outage: what happened in it is unknown, and it
 * makes no pair.
 */
export const LONGEST_INTERVAL = 1.5;

/** What of an observation the evidence is folded into. */
export interface Sampled {
  readonly evidence: Evidence;
  /** Each side's return at the latest sample. */
  readonly sampled: BySide<Decimal>;
}

/**
 * The evidence after a sample. No pair is formed over a pause, over an outage, or over an interval in which a side held
 * nothing, or dust only: the next sample begins anew. With the pairing SIGNAL the pairs are those that came with the
 * sample.
 * @param returns each side's return since the start, as of this sample
 */
export function afterSample(
  { evidence, sampled }: Sampled,
  { allocation, config }: { readonly allocation: Allocation; readonly config: CanaryConfig },
  returns: BySide<Decimal>,
  { at, pairs = [] }: { readonly at: number; readonly pairs?: readonly SignalPair[] | undefined },
): Evidence {
  const earned = (side: 'CANARY' | 'STABLE') => returns[side].minus(sampled[side]);
  const [canary, stable] = [earned('CANARY').toNumber(), earned('STABLE').toNumber()];
  const finite = Number.isFinite(canary) && Number.isFinite(stable);
  const rho = config.promotionCriteria.minPnlRatio.toNumber();
  if (isFirstForm(evidence)) return finite ? addFirstPair(evidence, canary, stable, rho) : evidence;

  const next = copyEvidence(evidence);
  const { sampledAt } = evidence;
  const rule = { rho, comparison: config.comparison };
  for (const pair of pairs) addPair(next, pair.canary, pair.stable, rule);
  if (evidence.apart) {
    next.alone = {
      CANARY: evidence.alone.CANARY.plus(earned('CANARY')),
      STABLE: evidence.alone.STABLE.plus(earned('STABLE')),
    };
  } else if (
    config.evidence.pairing === 'CHECK' &&
    finite &&
    sampledAt !== null &&
    at - sampledAt <= config.checkIntervalSeconds * 1000 * LONGEST_INTERVAL
  ) {
    addPair(next, canary, stable, rule);
  }
  next.sampledAt = at;
  next.apart = oneHoldsNothing(allocation);
  return next;
}

/** The evidence after the sides' capital has changed: while one holds nothing, nothing is compared. */
export function afterAllocation(evidence: Evidence, allocation: Allocation): Evidence {
  if (isFirstForm(evidence) || evidence.apart || !oneHoldsNothing(allocation)) return evidence;
  return { ...evidence, apart: true };
}

/** The evidence after an unwatched interval. */
export function afterGap(evidence: Evidence): Evidence {
  return isFirstForm(evidence) ? evidence : { ...evidence, sampledAt: null };
}

/** The evidence at the beginning of a step: what comes from here on is the step's own. */
export function atStep(evidence: Evidence): Evidence {
  return isFirstForm(evidence) ? evidence : { ...evidence, pairsBeforeStep: pairsOf(evidence) };
}

function oneHoldsNothing(allocation: Allocation): boolean {
  return SIDES.some((side) => holdsNothing(allocation, side));
}

/** What each side earned over the time in which both held capital: what the PnL gate compares. */
export function comparedReturns({ evidence, sampled }: Sampled, returns: BySide<Decimal>): BySide<Decimal> {
  if (isFirstForm(evidence)) return returns;
  const { alone, apart } = evidence;
  const both = apart ? sampled : returns;
  return {
    CANARY: both.CANARY.minus(alone.CANARY),
    STABLE: both.STABLE.minus(alone.STABLE),
  };
}
