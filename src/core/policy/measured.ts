/**
 * Assumptions of a simulation as a deployment has measured them: what its strategy does, not what strategies do on
 * average. They are converted to the check interval of the policy that is simulated.
 */
import type { CanaryConfig } from '../config/config.ts';
import { isFirstForm } from '../lifecycle/evidence.ts';
import { type DeploymentState, observationOf } from '../lifecycle/state.ts';
import type { MetricsBySide } from '../metrics/sideMetrics.ts';
import { evidenceFiguresOf } from '../rule/evidenceFigures.ts';
import { autocorrelationOf, clip } from '../rule/longRunVariance.ts';
import { ASSUMPTION_BOUNDS, type Assumptions } from './assumptions.ts';

/** Pairs from which a measured figure is better than an assumed one. */
export const MEASURED_FROM = 20;

export type Measured = Pick<Assumptions, 'volatility' | 'correlation' | 'autocorrelation' | 'tradesPerCheck'>;

/** What a deployment has measured, for a policy; null while it has too few pairs. */
export function measuredAssumptions(
  state: DeploymentState,
  metrics: MetricsBySide,
  { checkIntervalSeconds }: Pick<CanaryConfig, 'checkIntervalSeconds'>,
): Measured | null {
  const observation = observationOf(state);
  if (!observation || isFirstForm(observation.evidence)) return null;
  const { evidence, checks } = observation;
  const { pairs, returns } = evidenceFiguresOf(evidence);
  if (pairs < MEASURED_FROM || checks === 0) return null;
  // Checks in which no side moved are no pairs, and they make the returns of all checks smaller.
  const perCheck = pairs / checks;
  const share = state.config.evidence.pairing === 'SIGNAL' ? perCheck : Math.min(1, perCheck);
  const { canaryDeviation, stableDeviation, correlation } = returns;
  const deviation = Math.sqrt((canaryDeviation ** 2 + stableDeviation ** 2) / 2);
  const longer = checkIntervalSeconds / state.config.checkIntervalSeconds;
  const own =
    (autocorrelationOf(evidence.whenEarning.sums) + autocorrelationOf(evidence.whenLosing.sums)) / 2;
  const trades = ((metrics.CANARY?.trades ?? 0) + (metrics.STABLE?.trades ?? 0)) / 2;
  return {
    volatility: within('volatility', deviation * Math.sqrt(share * longer)),
    correlation: within('correlation', correlation),
    autocorrelation: within('autocorrelation', Math.sign(own) * Math.abs(own) ** longer),
    tradesPerCheck: within('tradesPerCheck', (trades / checks) * longer),
  };
}

function within(name: keyof Measured, value: number): number {
  return clip(value, ...ASSUMPTION_BOUNDS[name]);
}
