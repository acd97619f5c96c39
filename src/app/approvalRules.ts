/**
 * Where promotions need two people: a rule of the server, of the strategy, or of the deployment itself. No deployment,
 * chain, import or key lifts the first two.
 */
import { covers } from '../store/access/strategyScope.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import type { App } from './context.ts';

/** Whose rule requires two people. */
export type ApprovalRule = 'SERVER' | 'STRATEGY' | 'DEPLOYMENT';

/** The rule that requires two people for a promotion of this deployment, apart from its own configuration; null if none. */
export function approvalRuleOf(
  { approvals }: Pick<App, 'approvals'>,
  { state, strategyRequiresApproval }: Pick<DeploymentView, 'state' | 'strategyRequiresApproval'>,
): Exclude<ApprovalRule, 'DEPLOYMENT'> | null {
  if (coversStrategy({ approvals }, state.strategyId)) return 'SERVER';
  return strategyRequiresApproval ? 'STRATEGY' : null;
}

/** Whether the server requires two people for every promotion of this strategy. */
export const coversStrategy = ({ approvals }: Pick<App, 'approvals'>, strategyId: string): boolean =>
  covers(approvals.strategies, strategyId);
