/**
 * Commands of people and bots. Those that come at the same time share a transaction; one whose deployment somebody else
 * is at, and any of a transaction that fails, has one of its own, so that no deployment waits for another; one at a time
 * of each deployment, so that a crowd at one leaves connections to the others.
 */
import { sees } from '../access/actor.ts';
import type { Command } from '../core/lifecycle/command.ts';
import { standsFor } from '../core/lifecycle/decide.ts';
import { narrateCommand } from '../core/lifecycle/describe.ts';
import { refusal } from '../core/values/refusal.ts';
import {
  type DeploymentView,
  lockDeployment,
  lockFreeDeployments,
} from '../store/deployments/deployments.ts';
import { nothingYet, type Writes, write } from '../store/deployments/unitOfWork.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { Appending } from '../store/postgres/notifier.ts';
import { type Answer, answerAttempt, done, notFound, refused } from './answer.ts';
import { carryOutInto } from './applyCommand.ts';
import type { Actor, App } from './context.ts';
import { together } from './execution/batcher.ts';
import type { Keep } from './execution/idempotent.ts';
import { allDone, transaction, transactionAt } from './execution/transaction.ts';

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
  give(actor: Actor, request: LifecycleRequest, command: Command): Promise<Answer>;
}

/** A command on its way. */
interface Order {
  readonly actor: Actor;
  readonly request: LifecycleRequest;
  readonly command: Command;
  readonly keep: Keep<Answer>;
  /** When it came, by `performance.now()`. */
  readonly askedAt: number;
}

const TOGETHER = 32;
/** One decides while the other is flushed to the disk. */
const GROUPS = 2;

export function createCommands(app: App): Commands {
  const obey = together({
    most: TOGETHER,
    groups: GROUPS,
    async run(orders: readonly Order[]) {
      const answers = await obeyTogether(app, orders).catch(() => null);
      return (order) => answers?.get(order) ?? obeyAlone(app, order);
    },
  });
  return {
    give(actor, request, command) {
      const askedAt = performance.now();
      return answerAttempt(app, { ...request, actor }, (keep) =>
        obey({ actor, request, command, keep, askedAt }),
      );
    },
  };
}

/** Obeys orders in one transaction, except on deployments that somebody else is at: those have no answer. */
async function obeyTogether(app: App, orders: readonly Order[]): Promise<ReadonlyMap<Order, Answer>> {
  const askedAt = Math.min(...orders.map((order) => order.askedAt));
  return transaction(
    app,
    async (tx) => {
      const ids = [...new Set(orders.map(({ request }) => request.deploymentId))];
      const { free, taken } = await lockFreeDeployments(tx, ids);
      const views = new Map(free);
      const writes = nothingYet();
      const answers = new Map<Order, Answer>();
      for (const order of orders) {
        const { deploymentId } = order.request;
        if (taken.has(deploymentId)) continue;
        const answer = await obey(writes, tx, views.get(deploymentId) ?? null, order);
        answers.set(order, answer);
        // The next order on this deployment finds what this one made of it.
        if (answer.view) views.set(deploymentId, answer.view);
      }
      await finish(tx, writes, answers);
      return answers;
    },
    askedAt,
  );
}

/** Obeys one order, waiting for whoever is at its deployment. */
async function obeyAlone(app: App, order: Order): Promise<Answer> {
  const { deploymentId } = order.request;
  return transactionAt(
    app,
    deploymentId,
    async (tx) => {
      const view = await lockDeployment(tx, deploymentId);
      const writes = nothingYet();
      const answer = await obey(writes, tx, view, order);
      await finish(tx, writes, new Map([[order, answer]]));
      return answer;
    },
    order.askedAt,
  );
}

/** Decides on an order. What follows is left to be written; a refusal leaves nothing. */
async function obey(
  writes: Writes,
  tx: Queries,
  view: DeploymentView | null,
  { actor, request, command }: Order,
): Promise<Answer> {
  const { deploymentId, expectedRevision } = request;
  if (!view || !sees(actor, view.state.strategyId)) return refused(notFound(deploymentId));
  const { revision } = view.state;
  if (expectedRevision !== null && expectedRevision !== revision) {
    const message =
      `Deployment ${deploymentId} is at revision ${revision}, not ${expectedRevision}: ` +
      'read it again and decide on what it is now';
    return refused(refusal('REVISION_CONFLICT', message, ['expectedRevision']), view);
  }
  const outcome = await carryOutInto(writes, tx, view, command, actor);
  if (!outcome.accepted) return refused(outcome.refusal, view);
  const message = narrateCommand(command, outcome.view.state, outcome.events);
  return done(message, outcome.view, standsFor(command, outcome.events));
}

/** Writes what follows, and the answers that say so. */
async function finish(tx: Appending, writes: Writes, answers: ReadonlyMap<Order, Answer>): Promise<void> {
  const accepted = [...answers].filter(([, { refusal }]) => refusal === null);
  await allDone([write(tx, writes), ...accepted.map(([{ keep }, answer]) => keep(tx, answer))]);
}
