/**
 * Decides which simulated checks can be skipped: those that can only record a sample. Computed on doubles, with a margin
 * around every limit; in doubt the engine runs the check.
 */

import type { CanaryConfig } from '../config/config.ts';
import { evidenceUnder } from '../rule/comparison.ts';
import { driftThreshold } from '../rule/driftDetector.ts';
import { evidenceFiguresOf } from '../rule/evidenceFigures.ts';
import { type EvidenceState, pairsOf } from '../rule/pairedEvidence.ts';
import type { Decimal } from '../values/decimal.ts';
import { type SimulatedSide, winRateOf } from './simulatedSide.ts';

/** Relative distance to a limit within which the engine runs the check. */
const MARGIN = 1e-9;

/** Whether a check before the end of its step may bring a decision, or count a breach. */
export type MayDecide = (evidence: EvidenceState, minutesOfStep: number, step: number) => boolean;

export function createDecisionProbe(
  config: CanaryConfig,
  canary: SimulatedSide,
  stable: SimulatedSide,
): MayDecide {
  const { mode, minSamples } = config.evidence;
  const { earlyPromote, steps } = config;
  const breaks = guardrailWatch(config, canary);
  const mayPass = gateWatch(config, canary, stable);
  const { minTrades } = config.promotionCriteria;

  return (evidence, minutesOfStep, step) => {
    if (breaks()) return true;
    if (mode === 'OFF' || canary.trades < minTrades) return false;
    const mayBeWorse = mayDrift(evidence) || (meansOf(evidence) < 0 && pairsOf(evidence) >= minSamples);
    const ownPairs = pairsOf(evidence) - evidence.pairsBeforeStep;
    const mayEnd = ownPairs >= minSamples && minutesOfStep >= (steps[step]?.minMinutes ?? 0);
    const mayPromote = earlyPromote && mayEnd && mayPass();
    if (!mayBeWorse && !mayPromote) return false;
    const { verdict } = evidenceUnder(config, evidenceFiguresOf(evidence));
    return verdict === 'WORSE' || (mayPromote && verdict === 'NOT_WORSE');
  };
}

/** The mean of the more favourable series. */
function meansOf({ whenEarning, whenLosing }: EvidenceState): number {
  return Math.max(whenEarning.sums.mean, whenLosing.sums.mean);
}

/** Whether the drift detector may alarm: its mean is at most its largest sum. */
function mayDrift({ planned, whenEarning, whenLosing }: EvidenceState): boolean {
  const level = Math.min(Math.max(...whenEarning.drift), Math.max(...whenLosing.drift));
  return level >= driftThreshold(planned);
}

const limitOf = (limit: Decimal | null): number =>
  limit === null ? Infinity : limit.toNumber() * (1 - MARGIN);

/** Whether the canary stands at a limit, or beyond it. Simulated versions make no errors and are never silent. */
function guardrailWatch({ guardrails }: CanaryConfig, canary: SimulatedSide): () => boolean {
  const usd = limitOf(guardrails.maxLossUsd) * 1_000_000;
  const share = limitOf(guardrails.maxLossPercent) / 100;
  const drawdown = limitOf(guardrails.maxDrawdown);
  return () => -canary.pnl >= usd || -canary.curve >= share || canary.drawdown >= drawdown;
}

/** Whether the canary may pass the gates that only promotion requires. */
function gateWatch(
  { promotionCriteria }: CanaryConfig,
  canary: SimulatedSide,
  stable: SimulatedSide,
): () => boolean {
  const drawdownRatio = promotionCriteria.maxDrawdownRatio.toNumber();
  const floor = promotionCriteria.drawdownFloor.toNumber();
  const winRateRatio = promotionCriteria.minWinRateRatio.toNumber();
  return () => {
    const fall = Math.max(drawdownRatio * stable.drawdown, stable.drawdown + floor);
    if (canary.drawdown > fall * (1 + MARGIN) + MARGIN) return false;
    return !((winRateOf(canary) ?? 0) < winRateRatio * (winRateOf(stable) ?? 0) - MARGIN);
  };
}
