/**
 * How a live deployment goes over to the present version of the rule: its evidence is folded anew from its own log. An
 * ended one stays under the version it ended under.
 */

import { pairsOf } from '../rule/pairedEvidence.ts';
import { RULE, type RuleVersion } from '../rule/ruleVersion.ts';
import type { CanaryEvent, EventBody } from './events.ts';
import { isFirstForm } from './evidence.ts';
import { replay } from './evolve.ts';
import { type DeploymentState, isEnded, observationOf } from './state.ts';

/**
 * Whether a deployment must go over before anything else is decided about it.
 * @param to the version that is in force on this database
 */
export function mustChangeRule(state: DeploymentState, to: RuleVersion = RULE): boolean {
  return to === RULE && state.rule !== RULE && !isEnded(state);
}

/**
 * The event by which it goes over.
 * @param log the whole log of the deployment
 */
export function ruleChange(state: DeploymentState, log: readonly CanaryEvent[]): EventBody {
  const anew = replay(
    log.map((event) => (event.type === 'DEPLOYMENT_CREATED' ? { ...event, rule: RULE } : event)),
  );
  const evidence = observationOf(anew)?.evidence ?? null;
  if (evidence && isFirstForm(evidence)) throw new Error(`${state.id} was not folded anew`);
  return {
    type: 'RULE_CHANGED',
    from: state.rule,
    to: RULE,
    evidence,
    pairs: evidence ? pairsOf(evidence) : 0,
  };
}
