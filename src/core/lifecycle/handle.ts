/**
 * Decides a command and applies what follows: the one place where a deployment's state changes. The server, the
 * embedded class, the simulator and the tests all go through it.
 */
import type { BreachCounts } from '../rule/guardrails.ts';
import { RULE, type RuleVersion } from '../rule/ruleVersion.ts';
import type { Command, Facts, Refused } from './command.ts';
import { type Creation, create, decide } from './decide.ts';
import { type CanaryEvent, type EventBody, isObservation } from './events.ts';
import { evolve } from './evolve.ts';
import { ruleChange } from './ruleChange.ts';
import type { DeploymentState } from './state.ts';

/** A state with the events that led to it. `events` is empty when a command changed nothing. */
export interface Recorded {
  readonly state: DeploymentState;
  readonly events: readonly CanaryEvent[];
}

/** What became of a command: the next state and its events, or a refusal that changed nothing. */
export type Handled =
  | (Recorded & {
      readonly accepted: true;
      /** Consecutive breaches of each guardrail, after this command. */
      readonly breaches: BreachCounts;
    })
  | Refused;

/** Who caused events, and when: epoch milliseconds of the database's clock. */
interface Cause {
  readonly at: number;
  readonly actor: string;
}

/** Creates a deployment in PENDING, under the latest version of the decision rule unless another is given. */
export function begin(deployment: Creation, cause: Cause, rule: RuleVersion = RULE): Recorded {
  const event: CanaryEvent = { ...create(deployment, rule), ...cause, no: 1, revision: 1 };
  return { state: evolve(null, event), events: [event] };
}

/** Decides a command on a state and folds the events into the next state. Pure. */
export function handle(state: DeploymentState, command: Command, facts: Facts): Handled {
  const verdict = decide(state, command, facts);
  if (!verdict.accepted) return verdict;
  const { events, breaches } = verdict;
  return { accepted: true, breaches, ...record(state, events, { at: facts.now, actor: facts.actor }) };
}

/**
 * Takes a live deployment over to the present version of the rule.
 * @param log the whole log of the deployment, which its evidence is folded anew from
 */
export function changeRule(state: DeploymentState, log: readonly CanaryEvent[], cause: Cause): Recorded {
  return record(state, [ruleChange(state, log)], cause);
}

/** Records that a deployment came from a document. */
export function recordImport(state: DeploymentState, documentHash: string, cause: Cause): Recorded {
  return record(state, [{ type: 'DEPLOYMENT_IMPORTED', documentHash, from: state.eventCount }], cause);
}

/** Numbers the events of one command and applies them. A sample alone leaves the revision as it is. */
function record(before: DeploymentState, bodies: readonly EventBody[], cause: Cause): Recorded {
  const revision = before.revision + (bodies.every(isObservation) ? 0 : 1);
  const events = bodies.map(
    (body, index): CanaryEvent => ({ ...body, ...cause, no: before.eventCount + 1 + index, revision }),
  );
  return { state: events.reduce(evolve, before), events };
}
