/** Tries a policy before it is used: simulates it on canaries of known quality, or replays the record of a deployment. */
import { canSee } from '../access/actor.ts';
import { type CanaryConfig, type CanaryConfigInput, parseConfig } from '../core/config/config.ts';
import type { Sample } from '../core/document/document.ts';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { type Assumptions, type AssumptionsInput, parseAssumptions } from '../core/policy/assumptions.ts';
import { createReplay, type PolicyReplay } from '../core/policy/replay.ts';
import { CANARY_KINDS, type PolicySimulation } from '../core/policy/simulation.ts';
import type { Parsed } from '../core/values/violation.ts';
import { finished } from '../simulation/simulator.ts';
import { findDeployment } from '../store/deployments/deployments.ts';
import { readDeploymentEvents } from '../store/log/eventLog.ts';
import { readSamples } from '../store/log/samples.ts';
import type { Actor, App } from './context.ts';
import { REQUEST_TIMEOUT_MS } from './execution/transaction.ts';

/** A policy and the assumptions about the strategy to simulate. */
export interface PolicyQuestion {
  readonly config: CanaryConfig;
  readonly assumptions: Assumptions;
}

/** Parses the inputs of a simulation. The bounds of the assumptions limit its work. */
export function askPolicy(
  configInput: CanaryConfigInput,
  assumptionsInput: AssumptionsInput,
): Parsed<PolicyQuestion> {
  const config = parseConfig(configInput);
  if (!config.ok) return config;
  const assumptions = parseAssumptions(assumptionsInput, config.value, CANARY_KINDS.length);
  if (!assumptions.ok) return assumptions;
  return { ok: true, value: { config: config.value, assumptions: assumptions.value } };
}

/** Simulates a policy. Yields intermediate reports; the last one is complete. */
export function simulatePolicy(
  { simulator }: App,
  { config, assumptions }: PolicyQuestion,
  signal?: AbortSignal,
): AsyncGenerator<PolicySimulation> {
  return simulator.run({ config, assumptions, kinds: CANARY_KINDS }, signal);
}

/** Limit of a simulation that the caller waits for: leaves a second to answer that it takes too long. */
const SIMULATION_TIMEOUT_MS = REQUEST_TIMEOUT_MS - 1000;

/** Simulates a policy while the caller waits. @throws {SimulationTooLong} if it takes too long */
export function simulatePolicyNow(app: App, question: PolicyQuestion): Promise<PolicySimulation> {
  return finished(simulatePolicy(app, question, AbortSignal.timeout(SIMULATION_TIMEOUT_MS)));
}

/** The longest record that is replayed: two weeks of checks, one per minute. */
const MAX_REPLAYED_EVENTS = 20_000;
/** Events per page. Between pages other requests are answered. */
const REPLAY_PAGE = 40;

export interface ReplayedPolicy extends PolicyReplay {
  readonly config: CanaryConfig;
}

/**
 * What a policy would have decided on a deployment's record; null if the deployment does not exist or the actor may not
 * see it.
 */
export async function replayPolicy(
  { db }: App,
  actor: Actor,
  deploymentId: string,
  configInput: CanaryConfigInput,
): Promise<Parsed<ReplayedPolicy | null>> {
  const parsed = parseConfig(configInput);
  if (!parsed.ok) return parsed;
  const config = parsed.value;
  const view = await findDeployment(db, deploymentId);
  if (!view || !canSee(actor, view.state.strategyId)) return { ok: true, value: null };
  const { eventCount } = view.state;
  if (eventCount > MAX_REPLAYED_EVENTS) {
    const message = `has a record of ${eventCount} events: at most ${MAX_REPLAYED_EVENTS} are replayed`;
    return { ok: false, violations: [{ path: ['deploymentId'], message }] };
  }
  const replay = createReplay(config);
  let more = true;
  for (let afterNo = 0; more && afterNo < eventCount; ) {
    const page = await readDeploymentEvents(db, deploymentId, { afterNo, limit: REPLAY_PAGE });
    if (page.length === 0) break;
    const samples = await samplesOf(db, deploymentId, page);
    for (const { event } of page) {
      const check = event.type === 'CANARY_METRICS_UPDATED' ? event.check : null;
      more = more && replay.take(event, samples.find((sample) => sample.check === check) ?? null);
      afterNo = event.no;
    }
  }
  return { ok: true, value: { ...replay.result(), config } };
}

async function samplesOf(
  db: App['db'],
  deploymentId: string,
  page: readonly { readonly event: CanaryEvent }[],
): Promise<Sample[]> {
  const checks = page.flatMap(({ event }) => (event.type === 'CANARY_METRICS_UPDATED' ? [event.check] : []));
  const [first, last] = [checks[0], checks.at(-1)];
  if (first === undefined || last === undefined) return [];
  return readSamples(db, deploymentId, { after: first - 1, before: last + 1 });
}
