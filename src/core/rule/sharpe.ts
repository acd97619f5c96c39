/**
 * Sharpe ratios of the checks' returns of both sides, and how far chance may have moved their difference. A ratio per
 * trade would halve where orders are sliced in four; one per check does not.
 */
import type { EvidenceFigures } from './evidenceFigures.ts';
import { inflation } from './sequentialTest.ts';

export interface SharpePair {
  /** Mean over standard deviation of the returns per check, not annualised. */
  readonly canary: number;
  readonly stable: number;
  /** Of canary - stable. */
  readonly standardError: number;
}

/**
 * The standard error is that of two ratios over the same checks (Jobson and Korkie 1981, as corrected by Memmel 2003),
 * with the variance inflated by the serial correlation of the test's series. Null where a side has not varied.
 */
export function sharpeOfChecks({
  pairs,
  returns,
  whenEarning,
  whenLosing,
}: EvidenceFigures): SharpePair | null {
  const { canaryMean, stableMean, canaryDeviation, stableDeviation, correlation: rho } = returns;
  if (!(canaryDeviation > 0) || !(stableDeviation > 0)) return null;
  const canary = canaryMean / canaryDeviation;
  const stable = stableMean / stableDeviation;
  const variance = 2 * (1 - rho) + (canary ** 2 + stable ** 2 - 2 * canary * stable * rho ** 2) / 2;
  const serial = Math.max(1, inflation(whenEarning), inflation(whenLosing));
  return { canary, stable, standardError: Math.sqrt((Math.max(0, variance) * serial) / pairs) };
}
