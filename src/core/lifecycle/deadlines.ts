/** When a deadline of a deployment's capital must be checked next. It may have ended: its capital is still on its way. */
import { nextOverdueAt } from './settlement.ts';
import { allocationOf, type DeploymentState } from './state.ts';

/** Epoch milliseconds; null if there is none. */
export function nextDeadlineAt(state: DeploymentState): number | null {
  const allocation = allocationOf(state);
  return allocation && nextOverdueAt(allocation);
}
