/** The sequential test alone, fed check by check with simulated returns: without gates, guardrails or a ramp. */
import { type Assumptions, defaultAssumptions } from '../../src/core/policy/assumptions.ts';
import { createMarket, streams } from '../../src/core/policy/market.ts';
import { type EvidenceFigures, evidenceFiguresOf } from '../../src/core/rule/evidenceFigures.ts';
import { addPair, type EvidenceState, startEvidence } from '../../src/core/rule/pairedEvidence.ts';
import { judgeEvidence, type TestResult } from '../../src/core/rule/sequentialTest.ts';
import { policyOf } from './rules.ts';

/** The defaults of `evidence`. */
const SETTINGS = { alpha: 0.03, minSamples: 20, margin: 0 };
const RULE = { rho: 0.9, comparison: 'RAW' } as const;

/** How much better the canary is at a check, in sigma. */
export type Shift = (check: number) => number;

/** The market of a number of checks, with the defaults of `simulatePolicy`. */
export function assumptionsAt(checks: number): Assumptions {
  return defaultAssumptions(policyOf(checks, 'AUTO'));
}

/** The state after every check of one run, from the same stream the same market. */
export function* course(checks: number, shift: Shift, seed: number, run = 0): Generator<EvidenceState> {
  const assumptions = assumptionsAt(checks);
  const randomness = streams(seed);
  for (let skipped = 0; skipped < run; skipped += 1) randomness.next();
  const market = createMarket(assumptions, 0, randomness.next().value.clone());
  const state = startEvidence(checks);
  for (let check = 0; check < checks; check += 1) {
    let [canary, stable] = [0, 0];
    market.nextCheck((ofCanary, ofStable) => {
      canary += ofCanary;
      stable += ofStable;
    });
    addPair(state, canary + shift(check) * assumptions.volatility, stable, RULE);
    yield state;
  }
}

export const judged = (figures: EvidenceFigures): TestResult => judgeEvidence(figures, SETTINGS);

/** The check at which a run is called worse, counted from 1; null where it never is. */
export function calledWorseAt(checks: number, shift: Shift, seed: number, run: number): number | null {
  let check = 0;
  for (const state of course(checks, shift, seed, run)) {
    check += 1;
    const { whenEarning, whenLosing } = state;
    // The test can only say worse where both means are below zero, or where the detector has risen.
    const below = whenEarning.sums.mean < 0 && whenLosing.sums.mean < 0;
    const risen = Math.min(Math.max(...whenEarning.drift), Math.max(...whenLosing.drift)) > 6;
    if ((below || risen) && judged(evidenceFiguresOf(state)).verdict === 'WORSE') return check;
  }
  return null;
}
