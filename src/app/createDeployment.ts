/** Creates deployments: validates the input, and allows one live deployment per strategy and chain. */
import { randomBytes } from 'node:crypto';
import { canSee } from '../access/actor.ts';
import { beyondScope } from '../access/permissions.ts';
import { configHash } from '../core/config/config.ts';
import { type CanaryConfigInput, parseConfig } from '../core/config/parseConfig.ts';
import { ruleOf } from '../core/lifecycle/forms.ts';
import { begin } from '../core/lifecycle/handle.ts';
import { describeMissing } from '../core/lifecycle/settlement.ts';
import { allocationOf, type DeploymentState } from '../core/lifecycle/state.ts';
import { NO_METRICS } from '../core/metrics/sideMetrics.ts';
import { NO_BREACHES } from '../core/rule/guardrails.ts';
import { nameViolations } from '../core/values/identifiers.ts';
import { refusal } from '../core/values/refusal.ts';
import type { Violation } from '../core/values/violation.ts';
import { appendAuditRecord } from '../store/access/audit.ts';
import { findUnsettled } from '../store/deployments/deadlines.ts';
import {
  type DeploymentView,
  findDeployment,
  findLive,
  insertDeployment,
  NO_HEARTBEATS,
  NO_REPORTERS,
} from '../store/deployments/deployments.ts';
import { ensureStrategy, findStrategies } from '../store/deployments/strategies.ts';
import { appendEvents } from '../store/log/eventLog.ts';
import { type Queries, readClock } from '../store/postgres/database.ts';
import { type Answer, answerCodec, done, invalid, refused } from './answer.ts';
import { configViolations } from './configViolations.ts';
import type { Actor, App } from './context.ts';
import { runIdempotent } from './execution/idempotency.ts';
import { idViolation } from './ownNames.ts';
import { entriesOf } from './stageCommand.ts';

export interface NewDeployment {
  readonly id: string | null;
  readonly strategyId: string;
  readonly stableVersionId: string | null;
  readonly canaryVersionId: string;
  readonly chain: string | null;
  readonly config: CanaryConfigInput;
}

/**
 * Creates a deployment in PENDING: nothing trades before `deployCanary`.
 * @throws {Forbidden} if the strategy is outside the actor's scope
 */
export async function createDeployment(
  app: App,
  actor: Actor,
  input: NewDeployment,
  idempotencyKey: string | null,
): Promise<Answer> {
  const { strategyId, canaryVersionId, stableVersionId } = input;
  if (!canSee(actor, strategyId)) throw beyondScope(actor, strategyId);
  const chain = input.chain ?? 'unknown';
  const parsed = parseConfig(input.config);
  const violations = [
    ...nameViolations({ id: input.id, strategyId, stableVersionId, canaryVersionId, chain }),
    ...(parsed.ok ? [] : parsed.violations),
  ];
  const misnamed = input.id === null ? null : idViolation(actor, { id: input.id, strategyId });
  if (misnamed) violations.push({ path: ['id'], message: misnamed });
  violations.push(...configViolations(app, input.config));
  if (stableVersionId === canaryVersionId) {
    violations.push({ path: ['canaryVersionId'], message: 'must differ from the stable version' });
  }
  if (!parsed.ok || violations.length > 0) return invalid(violations);
  const config = parsed.value;

  const request = { actor, operation: 'createDeployment', input, idempotencyKey };
  return runIdempotent(app, request, answerCodec, async (tx) => {
    const id = input.id ?? newId();
    const existing = input.id ? await findDeployment(tx, id) : null;
    if (existing) return refused(alreadyExists(id), existing);
    const twice = await namesTwoThings(tx, actor, input);
    if (twice) return invalid([twice]);
    const strategy = await ensureStrategy(tx, strategyId, stableVersionId, config.requireApproval);
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
      const message = `must differ from the current stable version ${stable}`;
      return invalid([{ path: ['canaryVersionId'], message }]);
    }
    const { now } = await readClock(tx);
    const named = { id, strategyId, chain, stableVersionId: stable, canaryVersionId, config };
    const { state, events } = begin(named, { at: now, actor: actor.name }, ruleOf(tx.form));
    const unscheduled = { nextCheckAt: null, deadlineAt: null, breaches: NO_BREACHES };
    if (!(await insertDeployment(tx, state, unscheduled))) {
      return notInserted(tx, state);
    }
    const busy = await capitalNotHome(tx, state);
    if (busy) return busy;
    await appendEvents(tx, entriesOf(null, events));
    await appendAuditRecord(tx, {
      actor: actor.name,
      action: 'CREATE_DEPLOYMENT',
      subject: id,
      strategies: [strategyId],
      details: { stableVersionId: stable, canaryVersionId, chain, configHash: configHash(config) },
    });
    const view: DeploymentView = {
      state,
      metrics: NO_METRICS,
      breaches: NO_BREACHES,
      strategyStableVersionId: stable,
      strategyRequiresApproval: strategy.requireApproval,
      nextCheckAt: null,
      deadlineAt: null,
      heartbeats: NO_HEARTBEATS,
      reporters: NO_REPORTERS,
      metricsVersion: null,
      now,
    };
    return done(`Deployment ${id} of ${strategyId} created: ${canaryVersionId} alongside ${stable}`, view);
  });
}

/**
 * An id that would name a deployment and another strategy, as far as the caller may know of both; null if there is none.
 * The name of its own strategy is allowed: `node` returns the deployment then.
 */
async function namesTwoThings(
  tx: Queries,
  actor: Actor,
  { id, strategyId }: Pick<NewDeployment, 'id' | 'strategyId'>,
): Promise<Violation | null> {
  if (id === strategyId) return null;
  const [strategy] = id === null ? [] : await findStrategies(tx, [id]);
  if (strategy && canSee(actor, strategy.id))
    return { path: ['id'], message: `${id} is the name of a strategy` };
  const [known] = await findStrategies(tx, [strategyId]);
  const named = known ? null : await findDeployment(tx, strategyId);
  return named && canSee(actor, named.state.strategyId)
    ? { path: ['strategyId'], message: `${strategyId} is the id of a deployment` }
    : null;
}

/** Why a deployment could not be inserted: its id exists, or its strategy has a live deployment on this chain. */
async function notInserted(tx: Queries, { id, strategyId, chain }: DeploymentState): Promise<Answer> {
  const live = await findLive(tx, strategyId, chain);
  if (!live) return refused(alreadyExists(id), await findDeployment(tx, id));
  const message =
    `${strategyId} has a live deployment on chain ${chain}: ${live.id} is ${live.status}. ` +
    'End it, or wait for it to end, before creating another';
  return refused(refusal('STRATEGY_BUSY', message), await findDeployment(tx, live.id));
}

/**
 * Why a strategy is not free for another canary: the capital of its last one is not home, and that one requires
 * settlement. Called after the insert, which waits until the last one has ended.
 */
export async function capitalNotHome(
  tx: Queries,
  { strategyId, chain }: DeploymentState,
): Promise<Answer | null> {
  const id = await findUnsettled(tx, strategyId, chain);
  const last = id === null ? null : await findDeployment(tx, id);
  const allocation = last && allocationOf(last.state);
  if (!last || !allocation) return null;
  const message =
    `The capital of ${last.state.id}, the last canary of ${strategyId} on chain ${chain}, is not home: ` +
    `${describeMissing(allocation)}. Acknowledge what the side holds; an administrator may do it with onBehalf`;
  return refused(refusal('STRATEGY_BUSY', message, ['strategyId']), last);
}

function alreadyExists(id: string) {
  return refusal('ALREADY_EXISTS', `Deployment ${id} already exists: choose another id`, ['id']);
}

function newId(): string {
  return `dep_${randomBytes(10).toString('hex')}`;
}
