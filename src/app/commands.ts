/**
 * Commands of people and bots. Those that come at the same time share a transaction; one whose deployment somebody else
 * is at, and any of a transaction that fails, has one of its own, so that no deployment waits for another; one at a time
 * of each deployment, so that a crowd at one leaves connections to the others.
 */
import { canSee } from '../access/actor.ts';
import type { Command } from '../core/lifecycle/command.ts';
import { impliedDecision } from '../core/lifecycle/decide.ts';
import { describeCommand } from '../core/lifecycle/describe.ts';
import { refusal } from '../core/values/refusal.ts';
import {
  type DeploymentView,
  lockDeployment,
  lockFreeDeployments,
} from '../store/deployments/deployments.ts';
import { createUnitOfWork, flush, type UnitOfWork } from '../store/deployments/unitOfWork.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import { type Answer, answerIdempotentAttempt, done, notFound, refused } from './answer.ts';
import type { Actor, App } from './context.ts';
import { createBatcher } from './execution/batcher.ts';
import type { StoreAnswer } from './execution/idempotency.ts';
import { allDone, transaction, transactionInOrder } from './execution/transaction.ts';
import { stageCommand } from './stageCommand.ts';

/** What all lifecycle inputs have. */
export interface LifecycleRequest {
  readonly deploymentId: string;
  readonly expectedRevision: number | null;
  readonly idempotencyKey: string | null;
  /** The mutation's name and input, for idempotency. */
  readonly operation: string;
  readonly input: unknown;
}

export interface Commands {
  /** Carries out a command. The answer comes after its commit. */
  submit(actor: Actor, request: LifecycleRequest, command: Command): Promise<Answer>;
}

/** A command on its way. */
interface PendingCommand {
  readonly actor: Actor;
  readonly request: LifecycleRequest;
  readonly command: Command;
  readonly storeAnswer: StoreAnswer<Answer>;
  /** When it came, by `performance.now()`. */
  readonly askedAt: number;
}

const MAX_BATCH_SIZE = 32;
/** One decides while the other is flushed to the disk. */
const MAX_CONCURRENT_BATCHES = 2;

export function createCommands(app: App): Commands {
  const obey = createBatcher({
    maxBatchSize: MAX_BATCH_SIZE,
    maxConcurrentBatches: MAX_CONCURRENT_BATCHES,
    async run(commands: readonly PendingCommand[]) {
      const answers = await executeBatch(app, commands).catch(() => null);
      return (pending) => answers?.get(pending) ?? executeAlone(app, pending);
    },
  });
  return {
    submit(actor, request, command) {
      const askedAt = performance.now();
      return answerIdempotentAttempt(app, { ...request, actor }, (storeAnswer) =>
        obey({ actor, request, command, storeAnswer, askedAt }),
      );
    },
  };
}

/** Obeys orders in one transaction, except on deployments that somebody else is at: those have no answer. */
async function executeBatch(
  app: App,
  commands: readonly PendingCommand[],
): Promise<ReadonlyMap<PendingCommand, Answer>> {
  const askedAt = Math.min(...commands.map((pending) => pending.askedAt));
  return transaction(
    app,
    async (tx) => {
      const ids = [...new Set(commands.map(({ request }) => request.deploymentId))];
      const { free, taken } = await lockFreeDeployments(tx, ids);
      const views = new Map(free);
      const unit = createUnitOfWork();
      const answers = new Map<PendingCommand, Answer>();
      for (const pending of commands) {
        const { deploymentId } = pending.request;
        if (taken.has(deploymentId)) continue;
        const answer = await obey(unit, tx, views.get(deploymentId) ?? null, pending);
        answers.set(pending, answer);
        // The next order on this deployment finds what this one made of it.
        if (answer.view) views.set(deploymentId, answer.view);
      }
      await finish(tx, unit, answers);
      return answers;
    },
    askedAt,
  );
}

/** Obeys one order, waiting for whoever is at its deployment. */
async function executeAlone(app: App, pending: PendingCommand): Promise<Answer> {
  const { deploymentId } = pending.request;
  return transactionInOrder(
    app,
    deploymentId,
    async (tx) => {
      const view = await lockDeployment(tx, deploymentId);
      const unit = createUnitOfWork();
      const answer = await obey(unit, tx, view, pending);
      await finish(tx, unit, new Map([[pending, answer]]));
      return answer;
    },
    pending.askedAt,
  );
}

/** Decides on an order. What follows is left to be written; a refusal leaves nothing. */
async function obey(
  unit: UnitOfWork,
  tx: Queries,
  view: DeploymentView | null,
  { actor, request, command }: PendingCommand,
): Promise<Answer> {
  const { deploymentId, expectedRevision } = request;
  if (!view || !canSee(actor, view.state.strategyId)) return refused(notFound(deploymentId));
  const { revision } = view.state;
  if (expectedRevision !== null && expectedRevision !== revision) {
    const message =
      `Deployment ${deploymentId} is at revision ${revision}, not ${expectedRevision}: ` +
      'read it again and decide on what it is now';
    return refused(refusal('REVISION_CONFLICT', message, ['expectedRevision']), view);
  }
  const outcome = await stageCommand(unit, tx, view, command, actor);
  if (!outcome.accepted) return refused(outcome.refusal, view);
  const message = describeCommand(command, outcome.view.state, outcome.events);
  return done(message, outcome.view, impliedDecision(command, outcome.events));
}

/** Writes what follows, and the answers that say so. */
async function finish(
  tx: LogWriteTransaction,
  unit: UnitOfWork,
  answers: ReadonlyMap<PendingCommand, Answer>,
): Promise<void> {
  const accepted = [...answers].filter(([, { refusal }]) => refusal === null);
  await allDone([flush(tx, unit), ...accepted.map(([{ storeAnswer }, answer]) => storeAnswer(tx, answer))]);
}
