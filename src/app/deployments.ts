/**
 * Commands on deployments: load under the row's lock, decide, save state and events in the same transaction. Whoever
 * asks (a bot, a person, the loop), everything that happens to a deployment goes through `carryOut`.
 */
import { randomBytes } from 'node:crypto';
import { sees } from '../access/actor.ts';
import { beyondScope } from '../access/policy.ts';
import { type CanaryConfigInput, parseConfig } from '../core/config.ts';
import { type Command, create, decide, standsFor } from '../core/decide.ts';
import { type DeploymentState, reschedule } from '../core/deployment.ts';
import type { CanaryEvent } from '../core/events.ts';
import { evolve, record } from '../core/evolve.ts';
import { NO_BREACHES } from '../core/guardrails.ts';
import { NO_METRICS } from '../core/metrics.ts';
import { nameViolations } from '../core/names.ts';
import { narrateCommand } from '../core/narration.ts';
import { refusal } from '../core/refusal.ts';
import { type Queries, readClock } from '../store/database.ts';
import {
  type DeploymentView,
  findDeployment,
  findLive,
  insertDeployment,
  lockDeployment,
  saveBreaches,
} from '../store/deployments.ts';
import { appendEvents, type NewEntry } from '../store/log.ts';
import { ensureStrategy, moveStableVersion } from '../store/strategies.ts';
import { nothingYet, type Writes, write } from '../store/writes.ts';
import { type Answer, answerOnce, done, invalid, notFound, refused } from './answer.ts';
import type { Actor, App } from './app.ts';

export interface NewDeployment {
  readonly id: string | null;
  readonly strategyId: string;
  readonly stableVersionId: string | null;
  readonly canaryVersionId: string;
  readonly chain: string | null;
  readonly config: CanaryConfigInput;
}

/** Creates a deployment in PENDING: nothing trades before `deployCanary`. Throws Forbidden outside the actor's scope. */
export async function createDeployment(
  app: App,
  actor: Actor,
  input: NewDeployment,
  idempotencyKey: string | null,
): Promise<Answer> {
  const { strategyId, canaryVersionId, stableVersionId } = input;
  if (!sees(actor, strategyId)) throw beyondScope(actor, strategyId);
  const chain = input.chain ?? 'unknown';
  const parsed = parseConfig(input.config);
  const violations = [
    ...nameViolations({ id: input.id, strategyId, stableVersionId, canaryVersionId, chain }),
    ...(parsed.ok ? [] : parsed.violations),
  ];
  const provider = input.config.metricsProvider;
  if (provider && !app.providerNames.has(provider)) {
    const known = [...app.providerNames].join(', ') || 'none is configured';
    const message = `names no provider of this server (${known})`;
    violations.push({ path: ['config', 'metricsProvider'], message });
  }
  if (stableVersionId === canaryVersionId) {
    violations.push({ path: ['canaryVersionId'], message: 'must differ from the stable version' });
  }
  if (!parsed.ok || violations.length > 0) return invalid(violations);
  const config = parsed.value;

  const request = { actor, operation: 'createDeployment', input, idempotencyKey };
  return answerOnce(app, request, async (tx) => {
    const id = input.id ?? newId();
    const taken = input.id ? await findDeployment(tx, id) : null;
    if (taken) return refused(alreadyExists(id), taken);
    const strategy = await ensureStrategy(tx, strategyId, stableVersionId);
    if (!strategy) {
      const message = `must be given: ${strategyId} is a new strategy and has no stable version yet`;
      return invalid([{ path: ['stableVersionId'], message }]);
    }
    const stable = strategy.stableVersionId;
    if (stableVersionId !== null && stableVersionId !== stable) {
      const message =
        `The stable version of ${strategyId} is ${stable}, not ${stableVersionId}: ` +
        'leave stableVersionId out to take the current one';
      return refused(refusal('STALE_STABLE_VERSION', message, ['stableVersionId']));
    }
    if (stable === canaryVersionId) {
      const message = `must differ from the stable version, which is ${stable} today`;
      return invalid([{ path: ['canaryVersionId'], message }]);
    }
    const { now } = await readClock(tx);
    const body = create({ id, strategyId, chain, stableVersionId: stable, canaryVersionId, config });
    const { state, events } = record(null, [body], { at: now, actor: actor.name });
    if (!state) throw new Error('creation led to no state');
    if (!(await insertDeployment(tx, state, { nextCheckAt: null, breaches: NO_BREACHES }))) {
      return placeTaken(tx, state);
    }
    await appendEvents(tx, entriesOf(null, events));
    const view: DeploymentView = {
      state,
      metrics: NO_METRICS,
      breaches: NO_BREACHES,
      strategyStableVersionId: stable,
      nextCheckAt: null,
      now,
    };
    return done(`Deployment ${id} of ${strategyId} created: ${canaryVersionId} beside ${stable}`, view);
  });
}

async function placeTaken(tx: Queries, { id, strategyId, chain }: DeploymentState): Promise<Answer> {
  const live = await findLive(tx, strategyId, chain);
  if (!live) return refused(alreadyExists(id), await findDeployment(tx, id));
  const message =
    `${strategyId} has a live deployment on chain ${chain}: ${live.id} is ${live.status}. ` +
    'End it, or wait for it to end, before creating another';
  return refused(refusal('STRATEGY_BUSY', message), await findDeployment(tx, live.id));
}

function alreadyExists(id: string) {
  return refusal('ALREADY_EXISTS', `There is a deployment ${id} already: choose another id`, ['id']);
}

function newId(): string {
  return `dep_${randomBytes(10).toString('hex')}`;
}

/** What all lifecycle inputs have. */
export interface LifecycleRequest {
  readonly deploymentId: string;
  readonly expectedRevision: number | null;
  readonly idempotencyKey: string | null;
  /** The mutation's name and input, for idempotency. */
  readonly operation: string;
  readonly input: unknown;
}

/** Carries out a command of a person or a bot. */
export async function commandDeployment(
  app: App,
  actor: Actor,
  request: LifecycleRequest,
  command: Command,
): Promise<Answer> {
  const { deploymentId, expectedRevision } = request;
  return answerOnce(app, { ...request, actor }, async (tx) => {
    const view = await lockDeployment(tx, deploymentId);
    if (!view || !sees(actor, view.state.strategyId)) return refused(notFound(deploymentId));
    const { revision } = view.state;
    if (expectedRevision !== null && expectedRevision !== revision) {
      const message =
        `Deployment ${deploymentId} is at revision ${revision}, not ${expectedRevision}: ` +
        'read it again and decide on what it is now';
      return refused(refusal('REVISION_CONFLICT', message, ['expectedRevision']), view);
    }
    const outcome = await carryOut(tx, view, command, actor);
    if (!outcome.accepted) return refused(outcome.refusal, view);
    const { state } = outcome.view;
    const message = narrateCommand(command, state, outcome.events);
    return done(message, outcome.view, standsFor(command, outcome.events));
  });
}

export type Outcome =
  | { readonly accepted: true; readonly view: DeploymentView; readonly events: readonly CanaryEvent[] }
  | { readonly accepted: false; readonly refusal: ReturnType<typeof refusal> };

/** Decides a command on a locked deployment and writes what follows. The transaction is the caller's. */
export async function carryOut(
  tx: Queries,
  view: DeploymentView,
  command: Command,
  actor: Actor,
): Promise<Outcome> {
  const writes = nothingYet();
  const outcome = await carryOutInto(writes, tx, view, command, actor);
  await write(tx, writes);
  return outcome;
}

/** The same, but what follows is left to be written, together with what else there is. */
export async function carryOutInto(
  writes: Writes,
  tx: Queries,
  view: DeploymentView,
  command: Command,
  actor: Actor,
): Promise<Outcome> {
  const { state: before, metrics, breaches: counted, strategyStableVersionId: stableVersionId, now } = view;
  const facts = { now, metrics, breaches: counted, stableVersionId, actor: actor.name };
  const verdict = decide(before, command, facts);
  if (!verdict.accepted) return verdict;
  const { breaches } = verdict;
  const { state, events } = record(before, verdict.events, { at: now, actor: actor.name });
  if (!state) throw new Error(`${before.id} lost its state`);
  if (events.length === 0) {
    if (breaches !== counted) await saveBreaches(tx, before.id, breaches);
    return { accepted: true, view: { ...view, breaches }, events };
  }
  const strategyStableVersionId = (await followPromotion(tx, state, events)) ?? stableVersionId;
  const looked = command.type === 'CHECK';
  const scheduled = { nextCheckAt: reschedule(state, { due: view.nextCheckAt, now, looked }), breaches };
  writes.saved.push({ state, ...scheduled });
  writes.entries.push(...entriesOf(before, events));
  return { accepted: true, view: { ...view, state, ...scheduled, strategyStableVersionId }, events };
}

/** Moves the strategy's stable version where a canary was promoted. Answers it, or null where none was. */
async function followPromotion(
  tx: Queries,
  { strategyId }: DeploymentState,
  events: readonly CanaryEvent[],
): Promise<string | null> {
  const promoted = events.find((event) => event.type === 'CANARY_PROMOTED');
  if (promoted?.type !== 'CANARY_PROMOTED') return null;
  const { previousStableVersionId, stableVersionId, at } = promoted;
  const moved = await moveStableVersion(tx, strategyId, previousStableVersionId, stableVersionId, at);
  // The strategy moved between our look and our write: the whole command is decided anew on what it is now.
  if (!moved) throw Object.assign(new Error('the stable version moved'), { code: '40001' });
  return stableVersionId;
}

/** The log entries of one command's events: which belong to the timeline, and which moved the status. */
export function entriesOf(before: DeploymentState | null, events: readonly CanaryEvent[]): NewEntry[] {
  let state = before;
  return events.map((event): NewEntry => {
    const previous: DeploymentState | null = state;
    const after: DeploymentState = evolve(previous, event);
    state = after;
    const { id, strategyId, config, status } = after;
    const change =
      previous && previous.status !== status ? { previousStatus: previous.status, status } : null;
    return { deploymentId: id, strategyId, timeline: config.emitEvents, change, event };
  });
}
