/**
 * What the sequential test of a policy cannot do, known from the configuration alone: steps too short for it, and
 * differences too small to be distinguished from zero by the deadline.
 */
import { type CanaryConfig, plannedChecks } from '../config/config.ts';
import { tradingDay } from '../config/tradingHours.ts';
import { halfWidth } from '../rule/confidenceSequence.ts';
import type { Violation } from '../values/violation.ts';
import { defaultAssumptions } from './assumptions.ts';

/** From this share of the capital a day on, the least difference is worth a warning. */
const LARGE_DIFFERENCE = 0.05;

/** Warnings with the path of the field to change. None where evidence decides nothing. */
export function testLimits(config: CanaryConfig): readonly Violation[] {
  if (config.evidence.mode === 'OFF') return [];
  return [...shortSteps(config), ...leastDifference(config)];
}

/** Pairs go on from step to step, so what counts is how many checks there can have been by the end of each. */
function shortSteps({ steps, checkIntervalSeconds, evidence }: CanaryConfig): Violation[] {
  const { minSamples } = evidence;
  let minutes = 0;
  for (const [index, step] of steps.entries()) {
    minutes += step.minutes;
    const checks = Math.floor((minutes * 60) / checkIntervalSeconds);
    if (checks >= minSamples) return [];
    const only = steps.length === 1;
    const path = only
      ? ['config', 'observationPeriodMinutes']
      : ['config', 'steps', String(index), 'minutes'];
    const message =
      `ends after at most ${checks} checks, and the evidence needs ${minSamples} effective pairs ` +
      '(evidence.minSamples): without a failed gate it is left to a person. Observe for longer or check more often';
    return [{ path, message }];
  }
  return [];
}

function leastDifference(config: CanaryConfig): Violation[] {
  const planned = plannedChecks(config);
  const { volatility, correlation } = defaultAssumptions(config);
  const variance = 2 * (1 - correlation) * volatility ** 2;
  const half = halfWidth(planned, variance, { planned, alpha: config.evidence.alpha });
  const perDay = (half * tradingDay(config.tradingHours).seconds) / config.checkIntervalSeconds;
  if (perDay < LARGE_DIFFERENCE) return [];
  const message =
    `can only tell differences of ${Math.round(perDay * 100)} % of capital a day and more in ${planned} checks ` +
    `(a strategy that moves 0.1 % a minute, correlation ${correlation}): smaller ones stay open. Observe for longer. ` +
    'It does not hold where returns depend on each other over more than about five checks (take a longer check ' +
    'interval), nor for a canary of small losses and rare large gains: docs/evidence.md';
  return [{ path: ['config', 'observationPeriodMinutes'], message }];
}
