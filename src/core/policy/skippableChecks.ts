/**
 * Which checks of a simulated trial are quiet: nothing can come of them but their sample. Judged on doubles, with a
 * margin around every limit; a check that is not surely quiet goes to the engine.
 */

import type { CanaryConfig } from '../config/config.ts';
import { evidenceUnder } from '../rule/comparison.ts';
import type { EvidenceSums } from '../rule/evidence.ts';
import type { Decimal } from '../values/decimal.ts';
import { type SimulatedSide, sharpeOf, winRateOf } from './simulatedSide.ts';

/** Relative distance to a limit within which the engine looks. */
const MARGIN = 1e-9;

/** Whether a check before the end of its step may bring a decision, or count a breach. */
export type MayDecide = (evidence: EvidenceSums) => boolean;

export function createDecisionProbe(
  config: CanaryConfig,
  canary: SimulatedSide,
  stable: SimulatedSide,
): MayDecide {
  const { mode, minSamples } = config.evidence;
  const { earlyPromote } = config;
  const breaks = guardrailWatch(config, canary);
  const mayPass = gateWatch(config, canary, stable);
  const { minTrades } = config.promotionCriteria;

  return (evidence) => {
    if (breaks()) return true;
    if (mode === 'OFF' || evidence.y1.n < minSamples || canary.trades < minTrades) return false;
    if (evidence.y1.mean < 0 && evidence.y2.mean < 0)
      return evidenceUnder(config, evidence).verdict === 'WORSE';
    if (!earlyPromote || !mayPass()) return false;
    return evidenceUnder(config, evidence).verdict === 'NOT_WORSE';
  };
}

const limitOf = (limit: Decimal | null): number =>
  limit === null ? Infinity : limit.toNumber() * (1 - MARGIN);

/** Whether the canary stands at a limit, or beyond it. Simulated versions make no errors and are never silent. */
function guardrailWatch({ guardrails }: CanaryConfig, canary: SimulatedSide): () => boolean {
  const usd = limitOf(guardrails.maxLossUsd) * 1_000_000;
  const share = limitOf(guardrails.maxLossPercent) / 100;
  const drawdown = limitOf(guardrails.maxDrawdown);
  return () => -canary.pnl >= usd || -canary.pnl >= share * canary.capital || canary.drawdown >= drawdown;
}

/** Whether the canary may pass the gates that only promotion asks for. */
function gateWatch(
  { promotionCriteria }: CanaryConfig,
  canary: SimulatedSide,
  stable: SimulatedSide,
): () => boolean {
  const drawdownRatio = promotionCriteria.maxDrawdownRatio.toNumber();
  const floor = promotionCriteria.drawdownFloor.toNumber();
  const winRateRatio = promotionCriteria.minWinRateRatio.toNumber();
  const sharpeRatio = promotionCriteria.minSharpeRatio.toNumber();
  return () => {
    const fall = Math.max(drawdownRatio * stable.drawdown, floor);
    if (canary.drawdown > fall * (1 + MARGIN) + MARGIN) return false;
    if ((winRateOf(canary) ?? 0) < winRateRatio * (winRateOf(stable) ?? 0) - MARGIN) return false;
    const sharpe = sharpeOf(stable) ?? -Infinity;
    const needed = sharpe - (1 - sharpeRatio) * Math.abs(sharpe);
    return !((sharpeOf(canary) ?? -Infinity) < needed - MARGIN * (1 + Math.abs(needed)));
  };
}
