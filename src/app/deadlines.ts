/**
 * Applies deadlines of capital that have passed, several deployments in one transaction. One whose deployment is locked,
 * or whose batch failed, runs in its own. Applying one twice changes nothing.
 */
import { nextDeadlineAt } from '../core/lifecycle/deadlines.ts';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { saveDeadline } from '../store/deployments/deadlines.ts';
import {
  type DeploymentView,
  type LockedDeployments,
  lockDeployments,
  lockFreeDeployments,
} from '../store/deployments/deployments.ts';
import { createUnitOfWork, flush, type UnitOfWork } from '../store/deployments/unitOfWork.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import { type App, SERIN } from './context.ts';
import { runBatch } from './execution/batch.ts';
import { transaction } from './execution/transaction.ts';
import { deadlineFacts, stageCommand, stagePresentRule } from './stageCommand.ts';

/** What followed from a deadline, or why it could not be applied. */
export type DeadlineResult =
  | { readonly deploymentId: string; readonly events: readonly CanaryEvent[] }
  | { readonly deploymentId: string; readonly error: unknown };

export async function applyDeadlines(app: App, ids: readonly string[]): Promise<DeadlineResult[]> {
  const batch = await runBatch(app, 'deadlines', ids, () => apply(app, ids, lockFreeDeployments));
  return Promise.all(
    ids.map(async (deploymentId): Promise<DeadlineResult> => {
      const events = batch.get(deploymentId);
      if (events) return { deploymentId, events };
      try {
        const alone = await app.inDeploymentOrder(deploymentId, () =>
          apply(app, [deploymentId], lockDeployments),
        );
        return { deploymentId, events: alone.get(deploymentId) ?? [] };
      } catch (error) {
        return { deploymentId, error };
      }
    }),
  );
}

/** Those whose deployment `lock` leaves to another transaction have no result. */
async function apply(
  app: App,
  ids: readonly string[],
  lock: (tx: Queries, ids: readonly string[]) => Promise<LockedDeployments>,
): Promise<ReadonlyMap<string, readonly CanaryEvent[]>> {
  const applied = await transaction(app, async (tx) => {
    const { free } = await lock(tx, ids);
    const unit = createUnitOfWork();
    const results = new Map<string, readonly CanaryEvent[]>();
    for (const [id, view] of free) results.set(id, await stage(app, tx, unit, view));
    await flush(tx, unit);
    return results;
  });
  for (const events of applied.values()) app.onEvents(events);
  return applied;
}

async function stage(
  app: App,
  tx: LogWriteTransaction,
  unit: UnitOfWork,
  before: DeploymentView,
): Promise<readonly CanaryEvent[]> {
  const view = await stagePresentRule(tx, unit, before);
  const outcome = await stageCommand(app, tx, unit, view, { type: 'CHECK_DEADLINES' }, SERIN);
  if (!outcome.accepted) throw new Error(`a deadline was refused: ${outcome.refusal.message}`);
  const { id } = view.state;
  if (!unit.saved.has(id)) await saveDeadline(tx, id, nextDeadlineAt(view.state, deadlineFacts(view)));
  return outcome.events;
}
