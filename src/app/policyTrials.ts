/** Tries a policy before it is used: simulates it on canaries of known quality, or replays the record of a deployment. */
import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { canSee } from '../access/actor.ts';
import type { CanaryConfig } from '../core/config/config.ts';
import { type CanaryConfigInput, parseConfig } from '../core/config/parseConfig.ts';
import type { Sample } from '../core/document/document.ts';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { type Assumptions, type AssumptionsInput, parseAssumptions } from '../core/policy/assumptions.ts';
import { MEASURED_FROM, measuredAssumptions } from '../core/policy/measured.ts';
import { createReplay, type PolicyReplay } from '../core/policy/replay.ts';
import { CANARY_KINDS, type PolicySimulation } from '../core/policy/simulation.ts';
import type { Parsed } from '../core/values/violation.ts';
import { finished } from '../simulation/simulator.ts';
import { findDeployment } from '../store/deployments/deployments.ts';
import { streamDeploymentEvents } from '../store/log/deploymentEvents.ts';
import { streamSamples } from '../store/log/samples.ts';
import { approvalRuleOf } from './approvalRules.ts';
import type { Actor, App } from './context.ts';
import { REQUEST_TIMEOUT_MS } from './execution/transaction.ts';

/** A policy and the assumptions about the strategy to simulate. */
export interface PolicyQuestion {
  readonly config: CanaryConfig;
  readonly assumptions: Assumptions;
}

/** The inputs of a simulation as a caller gives them. */
export interface PolicyInputs {
  readonly config: CanaryConfigInput;
  readonly assumptions: AssumptionsInput;
}

/** Parses the inputs of a simulation. The bounds of the assumptions limit its work. */
export function askPolicy(inputs: PolicyInputs): Parsed<PolicyQuestion> {
  const config = parseConfig(inputs.config);
  return config.ok ? withAssumptions(config.value, inputs.assumptions) : config;
}

/** The same for a strategy such as that of a deployment: what it has measured comes before the defaults. */
export async function askPolicyLike(
  { db }: App,
  actor: Actor,
  deploymentId: string,
  inputs: PolicyInputs,
): Promise<Parsed<PolicyQuestion>> {
  const config = parseConfig(inputs.config);
  if (!config.ok) return config;
  const refuse = (message: string): Parsed<PolicyQuestion> => ({
    ok: false,
    violations: [{ path: ['deploymentId'], message }],
  });
  const view = await findDeployment(db, deploymentId);
  if (!view || !canSee(actor, view.state.strategyId)) return refuse('is not a deployment that you see');
  const measured = measuredAssumptions(view.state, view.metrics, config.value);
  if (!measured) return refuse(`has fewer than ${MEASURED_FROM} pairs: too few to measure its strategy`);
  const given = Object.entries(inputs.assumptions).filter(
    ([, value]) => value !== null && value !== undefined,
  );
  return withAssumptions(config.value, { ...measured, ...Object.fromEntries(given) });
}

function withAssumptions(config: CanaryConfig, input: AssumptionsInput): Parsed<PolicyQuestion> {
  const assumptions = parseAssumptions(input, config, CANARY_KINDS.length);
  return assumptions.ok ? { ok: true, value: { config, assumptions: assumptions.value } } : assumptions;
}

/** Simulates a policy. Yields intermediate reports; the last one is complete. */
export function simulatePolicy(
  { simulator }: App,
  { subject: caller }: Actor,
  { config, assumptions }: PolicyQuestion,
  signal?: AbortSignal,
): AsyncGenerator<PolicySimulation> {
  return simulator.run({ config, assumptions, kinds: CANARY_KINDS, caller }, signal);
}

/** Limit of a simulation that the caller waits for: leaves a second to answer that it takes too long. */
const SIMULATION_TIMEOUT_MS = REQUEST_TIMEOUT_MS - 1000;

/** Simulates a policy while the caller waits. @throws {SimulationTooLong} if it takes too long */
export async function simulatePolicyNow(
  app: App,
  actor: Actor,
  question: PolicyQuestion,
  signal: AbortSignal,
): Promise<PolicySimulation> {
  const limit = new AbortController();
  // Held here: on Node 20 an `AbortSignal.timeout` that only `AbortSignal.any` refers to may never fire.
  const late = setTimeout(() => limit.abort(), SIMULATION_TIMEOUT_MS);
  try {
    return await finished(simulatePolicy(app, actor, question, AbortSignal.any([signal, limit.signal])));
  } finally {
    clearTimeout(late);
  }
}

/** The longest record that is replayed: two weeks of checks, one per minute. */
const MAX_REPLAYED_EVENTS = 20_000;
/** Events per page. Between pages other requests are answered. */
const REPLAY_PAGE = 40;

const TWO_PEOPLE =
  'The rule of the strategy or of this server needs two people for a promotion: this one would wait for them today';

export interface ReplayedPolicy extends PolicyReplay {
  readonly config: CanaryConfig;
}

/**
 * What a policy would have decided on a deployment's record; null if the deployment does not exist or the actor may not
 * see it.
 * @param configInput the policy, or `OWN` for the deployment's
 */
export async function replayPolicy(
  app: App,
  actor: Actor,
  deploymentId: string,
  configInput: CanaryConfigInput | 'OWN',
  signal: AbortSignal,
): Promise<Parsed<ReplayedPolicy | null>> {
  const parsed = configInput === 'OWN' ? null : parseConfig(configInput);
  if (parsed?.ok === false) return parsed;
  const { db } = app;
  const view = await findDeployment(db, deploymentId);
  if (!view || !canSee(actor, view.state.strategyId)) return { ok: true, value: null };
  const config = parsed ? parsed.value : view.state.config;
  const { eventCount } = view.state;
  if (eventCount > MAX_REPLAYED_EVENTS) {
    const message = `has a record of ${eventCount} events: at most ${MAX_REPLAYED_EVENTS} are replayed`;
    return { ok: false, violations: [{ path: ['deploymentId'], message }] };
  }
  const replay = createReplay(config);
  const samples = samplesInOrder(db, deploymentId);
  try {
    await replayInto(replay, streamDeploymentEvents(db, deploymentId), eventCount, samples.find, signal);
  } finally {
    await samples.end();
  }
  const result = replay.result();
  const mustApprove = !config.requireApproval && approvalRuleOf(app, view) !== null;
  const notes = mustApprove && result.outcome === 'PROMOTED' ? [...result.notes, TWO_PEOPLE] : result.notes;
  return { ok: true, value: { ...result, notes, config } };
}

/** Replays a log, as far as it says anything, and at most this many events. */
async function replayInto(
  replay: ReturnType<typeof createReplay>,
  log: AsyncIterable<readonly { readonly event: CanaryEvent }[]>,
  eventCount: number,
  sampleOf: (check: number) => Promise<Sample | null>,
  signal: AbortSignal,
): Promise<void> {
  for await (const page of log) {
    for (const [index, { event }] of page.entries()) {
      if (index % REPLAY_PAGE === 0) {
        await yieldToEventLoop();
        signal.throwIfAborted();
      }
      if (event.no > eventCount) return;
      const sample = event.type === 'CANARY_METRICS_UPDATED' ? await sampleOf(event.check) : null;
      if (!replay.take(event, sample)) return;
    }
  }
}

/** Finds the samples of a deployment by the numbers of their checks, which may only rise. Each is read once. */
function samplesInOrder(db: App['db'], deploymentId: string) {
  const pages = streamSamples(db, deploymentId);
  let page: readonly Sample[] = [];
  let at = 0;
  return {
    async find(check: number): Promise<Sample | null> {
      for (;;) {
        for (; at < page.length; at += 1) {
          const sample = page[at];
          if (sample && sample.check >= check) return sample.check === check ? sample : null;
        }
        const next = await pages.next();
        if (next.done) return null;
        page = next.value;
        at = 0;
      }
    },
    async end(): Promise<void> {
      await pages.return(undefined);
    },
  };
}
