/**
 * Commands of people and bots. Concurrent commands are batched into one transaction. A command whose deployment is
 * locked, or whose batch failed, runs in its own transaction. At most one transaction per deployment waits for a lock,
 * so a hot deployment cannot exhaust the pool.
 */
import { canSee } from '../access/actor.ts';
import { Forbidden, mayAdminister } from '../access/permissions.ts';
import type { Command } from '../core/lifecycle/command.ts';
import { previewUpdate } from '../core/lifecycle/configUpdate.ts';
import { impliedDecision } from '../core/lifecycle/decide.ts';
import { describeCommand } from '../core/lifecycle/describe.ts';
import { invalidInput, type Refusal, refusal } from '../core/values/refusal.ts';
import { findAnswers, type KeyedRequest, type StoredAnswer } from '../store/access/idempotencyKeys.ts';
import {
  type DeploymentView,
  type LockedDeployments,
  lockDeployments,
  lockFreeDeployments,
} from '../store/deployments/deployments.ts';
import { createUnitOfWork, flush, type UnitOfWork } from '../store/deployments/unitOfWork.ts';
import type { Queries } from '../store/postgres/database.ts';
import { type Answer, answerCodec, done, notFound, refused, sideRefusal } from './answer.ts';
import { auditOfRefusal } from './auditCommands.ts';
import { configViolations } from './configViolations.ts';
import type { Actor, App } from './context.ts';
import { runBatch } from './execution/batch.ts';
import { createBatcher } from './execution/batcher.ts';
import { MAX_COMMANDS_A_MINUTE } from './execution/commandQuota.ts';
import { keyOf, keyRefusal, recall } from './execution/idempotency.ts';
import { transaction } from './execution/transaction.ts';
import { stageCommand, stagePresentRule } from './stageCommand.ts';

/** The fields that all lifecycle inputs have. */
export interface LifecycleRequest {
  readonly deploymentId: string;
  readonly expectedRevision: number | null;
  readonly idempotencyKey: string | null;
  /** The mutation's name and input, for idempotency. */
  readonly operation: string;
  readonly input: unknown;
}

export interface Commands {
  /** Executes a command. Resolves after its commit. */
  submit(actor: Actor, request: LifecycleRequest, command: Command): Promise<Answer>;
}

/** A command that waits for its execution. */
interface PendingCommand {
  readonly actor: Actor;
  readonly request: LifecycleRequest;
  readonly command: Command;
  readonly key: KeyedRequest | null;
  /** When it was submitted, by `performance.now()`. */
  readonly askedAt: number;
}

/** Answers of commands. A replayed answer is read from the log after the commit. */
type Answers = ReadonlyMap<PendingCommand, Answer | Promise<Answer>>;

const MAX_BATCH_SIZE = 32;
/** One batch decides while the other waits for the commit. */
const MAX_CONCURRENT_BATCHES = 2;

export function createCommands(app: App): Commands {
  const execute = createBatcher({
    maxBatchSize: MAX_BATCH_SIZE,
    maxConcurrentBatches: MAX_CONCURRENT_BATCHES,
    async run(commands: readonly PendingCommand[]) {
      const answers = await runBatch(app, 'commands', commands, () =>
        executeTogether(app, commands, lockFreeDeployments),
      );
      return (pending) => answers.get(pending) ?? executeAlone(app, pending);
    },
  });
  return {
    async submit(actor, request, command) {
      const unusable = keyRefusal({ ...request, actor });
      if (unusable) return answerCodec.refused(unusable);
      const unexplained = overrideRefusal(actor, command) ?? unfitRefusal(app, command);
      if (unexplained) return answerCodec.refused(unexplained);
      const key = keyOf({ ...request, actor });
      const askedAt = performance.now();
      const answer = await execute({ actor, request, command, key, askedAt });
      return answerCodec.visibleTo(actor, answer);
    },
  };
}

/**
 * Why a freeze cannot be overridden like this; null if it can, or if the command overrides none.
 * @throws {Forbidden} if the actor is no administrator
 */
function overrideRefusal(actor: Actor, command: Command): Refusal | null {
  if (!('overrideFreeze' in command) || !command.overrideFreeze) return null;
  if (!mayAdminister(actor))
    throw new Forbidden(`overrideFreeze requires the role ADMIN, and ${actor.name} has ${actor.role}`);
  if (command.reason) return null;
  return refusal('INVALID_INPUT', 'reason must say why the freeze is overridden', ['reason']);
}

/** Why a change of the configuration does not fit this server; null if it does. */
function unfitRefusal(app: App, command: Command): Refusal | null {
  if (command.type !== 'UPDATE_CONFIG') return null;
  const violations = configViolations(app, command.patch ?? {});
  return violations.length > 0 ? invalidInput(violations) : null;
}

/** Executes a command in its own transaction, and waits for its deployment's lock. */
async function executeAlone(app: App, pending: PendingCommand): Promise<Answer> {
  const { deploymentId } = pending.request;
  const answers = await app.inDeploymentOrder(deploymentId, () =>
    executeTogether(app, [pending], lockDeployments),
  );
  const answer = answers.get(pending);
  if (!answer) throw new Error(`a command on ${deploymentId} has no answer`);
  return answer;
}

/**
 * Executes commands in one transaction. Those whose deployment `lock` leaves to another transaction, and further ones
 * with the same idempotency key, have no answer.
 */
async function executeTogether(
  app: App,
  commands: readonly PendingCommand[],
  lock: (tx: Queries, ids: readonly string[]) => Promise<LockedDeployments>,
): Promise<Answers> {
  const askedAt = Math.min(...commands.map((pending) => pending.askedAt));
  const { answers, stored, events } = await transaction(
    app,
    async (tx) => {
      const ids = [...new Set(commands.map(({ request }) => request.deploymentId))];
      const keys = commands.flatMap(({ key }) => (key ? [key] : []));
      // The keys are read after the locks: a request with the same key has ended by then.
      const [locked, answerOf] = await Promise.all([lock(tx, ids), findAnswers(tx, keys)]);
      const unit = createUnitOfWork();
      const views = await Promise.all(
        [...locked.free.values()].map((view) => stagePresentRule(tx, unit, view)),
      );
      const free = new Map(views.map((view) => [view.state.id, view]));
      const outcome = await stageAll(app, tx, unit, { ...locked, free }, commands, answerOf);
      await flush(tx, unit);
      return { ...outcome, events: unit.entries.map(({ event }) => event) };
    },
    askedAt,
  );
  app.onEvents(events);
  const all = new Map<PendingCommand, Answer | Promise<Answer>>(answers);
  for (const [pending, { key, earlier }] of stored)
    all.set(
      pending,
      app.db.transaction((tx) => recall(tx, key, earlier, answerCodec)),
    );
  return all;
}

interface Staged {
  readonly answers: ReadonlyMap<PendingCommand, Answer>;
  /** Commands whose answers were stored earlier. */
  readonly stored: ReadonlyMap<
    PendingCommand,
    { readonly key: KeyedRequest; readonly earlier: StoredAnswer }
  >;
}

/** Decides commands one after the other and stages their changes and their answers. */
async function stageAll(
  app: App,
  tx: Queries,
  unit: UnitOfWork,
  locked: LockedDeployments,
  commands: readonly PendingCommand[],
  answerOf: (key: KeyedRequest) => StoredAnswer | null,
): Promise<Staged> {
  const views = new Map(locked.free);
  const answers = new Map<PendingCommand, Answer>();
  const stored = new Map<PendingCommand, { key: KeyedRequest; earlier: StoredAnswer }>();
  for (const pending of commands) {
    const { key } = pending;
    const { deploymentId } = pending.request;
    const earlier = key && answerOf(key);
    if (key && earlier) {
      stored.set(pending, { key, earlier });
      continue;
    }
    const repeated = key && unit.answers.some((other) => other.key === key.key && other.actor === key.actor);
    if (repeated || locked.skipped.has(deploymentId)) continue;
    const answer = await execute(app, tx, unit, views.get(deploymentId) ?? null, pending);
    answers.set(pending, answer);
    if (key && (!answer.refusal || app.refusalQuota.take(key.actor))) {
      unit.answers.push({ ...key, answer: answerCodec.encode(answer) });
    }
    // The next command on this deployment is decided on the state that this one led to.
    if (answer.view && !answer.refusal) views.set(deploymentId, answer.view);
  }
  return { answers, stored };
}

const REDUCES_RISK: ReadonlySet<Command['type']> = new Set(['ROLLBACK', 'CANCEL', 'PAUSE', 'STAND_DOWN']);

/** Whether a command only makes a deployment safer: what takes capital or time from a canary is never held up. */
function reducesRisk({ state, now }: DeploymentView, command: Command): boolean {
  if (command.type !== 'UPDATE_CONFIG') return REDUCES_RISK.has(command.type);
  const preview = previewUpdate(state, command, now);
  return preview.possible && preview.safer;
}

const tooManyCommands = (id: string) =>
  `${id} has been changed ${MAX_COMMANDS_A_MINUTE} times within a minute: its log keeps every change; try again later`;

/** Decides a command and stages what follows. A refusal stages nothing. */
async function execute(
  app: App,
  tx: Queries,
  unit: UnitOfWork,
  view: DeploymentView | null,
  { actor, request, command }: PendingCommand,
): Promise<Answer> {
  const { deploymentId, expectedRevision } = request;
  if (!view || !canSee(actor, view.state.strategyId)) return refused(notFound(deploymentId));
  const notOurs = command.type === 'ACKNOWLEDGE' ? sideRefusal(actor, command.side) : null;
  if (notOurs) return refused(notOurs, view);
  const refuse = (no: Refusal): Answer => {
    const record = auditOfRefusal(view, command, actor, no);
    const audited = record && app.refusalAudit.take(actor.subject, record);
    if (audited) unit.audit.push(audited);
    return refused(no, view);
  };
  const { revision } = view.state;
  if (expectedRevision !== null && expectedRevision !== revision) {
    const message =
      `Deployment ${deploymentId} is at revision ${revision}, not ${expectedRevision}: ` +
      'read it again and decide on its current state';
    return refuse(refusal('REVISION_CONFLICT', message, ['expectedRevision']));
  }
  const safer = reducesRisk(view, command);
  if (!safer && !app.commandQuota.has(deploymentId)) {
    return refuse(refusal('LIMIT_REACHED', tooManyCommands(deploymentId)));
  }
  const outcome = await stageCommand(app, tx, unit, view, command, actor);
  if (!outcome.accepted) return refuse(outcome.refusal);
  if (outcome.events.length > 0 && !safer) app.commandQuota.count(deploymentId);
  const message = describeCommand(command, outcome.view.state, outcome.events);
  return done(message, outcome.view, impliedDecision(command, outcome.events));
}
