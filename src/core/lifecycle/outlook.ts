/** The outlook of a deployment: its evidence, and how much of its observation is left. */
import { marginPerCheck } from '../config/config.ts';
import { tradingDay } from '../config/tradingHours.ts';
import { evidenceFiguresOf } from '../rule/evidenceFigures.ts';
import { type Outlook, outlookOf } from '../rule/outlook.ts';
import type { SerinInstant } from '../values/instant.ts';
import { isFirstForm } from './evidence.ts';
import { type DeploymentState, observationOf, observationRemainingMs } from './state.ts';

/** Null for a deployment that was never deployed, or that ended under the first version of the rule. */
export function outlookOfDeployment(state: DeploymentState, now: SerinInstant): Outlook | null {
  const observation = observationOf(state);
  if (!observation || isFirstForm(observation.evidence)) return null;
  const { config } = state;
  const { alpha, minSamples } = config.evidence;
  const remaining = observationRemainingMs(state, now);
  return outlookOf(
    evidenceFiguresOf(observation.evidence),
    { alpha, minSamples, margin: marginPerCheck(config) },
    {
      checks: observation.checks,
      checksLeft: Math.ceil(remaining / (config.checkIntervalSeconds * 1000)),
      checkIntervalSeconds: config.checkIntervalSeconds,
      canaryUsd: observation.basis.CANARY.capitalUsd,
      manyPairs: config.evidence.pairing === 'SIGNAL',
      day: tradingDay(config.tradingHours),
    },
  );
}
