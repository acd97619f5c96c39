/**
 * A decision on a locked deployment, and what follows from it. Whoever asks (a bot, a person, the loop), everything that
 * happens to a deployment goes through `carryOut`.
 */

import type { Command } from '../core/lifecycle/command.ts';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { evolve } from '../core/lifecycle/evolve.ts';
import { handle } from '../core/lifecycle/handle.ts';
import { type DeploymentState, reschedule } from '../core/lifecycle/state.ts';
import type { Refusal } from '../core/values/refusal.ts';
import { type DeploymentView, saveBreaches } from '../store/deployments/deployments.ts';
import { moveStableVersion } from '../store/deployments/strategies.ts';
import { createUnitOfWork, flush, type UnitOfWork } from '../store/deployments/unitOfWork.ts';
import type { NewEntry } from '../store/log/eventLog.ts';
import { ConcurrentChange } from '../store/postgres/concurrentChange.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import type { Actor } from './context.ts';

export type CommandOutcome =
  | { readonly accepted: true; readonly view: DeploymentView; readonly events: readonly CanaryEvent[] }
  | { readonly accepted: false; readonly refusal: Refusal };

/** Decides a command on a locked deployment and writes what follows. The transaction is the caller's. */
export async function applyCommand(
  tx: LogWriteTransaction,
  view: DeploymentView,
  command: Command,
  actor: Actor,
): Promise<CommandOutcome> {
  const unit = createUnitOfWork();
  const outcome = await stageCommand(unit, tx, view, command, actor);
  await flush(tx, unit);
  return outcome;
}

/** The same, but what follows is left to be written, together with what else there is. */
export async function stageCommand(
  unit: UnitOfWork,
  tx: Queries,
  view: DeploymentView,
  command: Command,
  actor: Actor,
): Promise<CommandOutcome> {
  const { state: before, metrics, breaches: counted, strategyStableVersionId: stableVersionId, now } = view;
  const facts = { now, metrics, breaches: counted, stableVersionId, actor: actor.name };
  const handled = handle(before, command, facts);
  if (!handled.accepted) return handled;
  const { state, events, breaches } = handled;
  if (events.length === 0) {
    if (breaches !== counted) await saveBreaches(tx, before.id, breaches);
    return { accepted: true, view: { ...view, breaches }, events };
  }
  const strategyStableVersionId = (await followPromotion(tx, state, events)) ?? stableVersionId;
  const looked = command.type === 'CHECK';
  const scheduled = {
    nextCheckAt: reschedule(state, { due: view.nextCheckAt, now, wasCheck: looked }),
    breaches,
  };
  unit.saved.set(state.id, { state, ...scheduled });
  unit.entries.push(...entriesOf(before, events));
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
  if (!moved) throw new ConcurrentChange(`the stable version of ${strategyId} has moved`);
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
