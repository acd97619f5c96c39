/**
 * The strategy's rule that its promotions need two people. One administrator sets it; lifting it needs two, as a promotion
 * under it does.
 */
import { canSee } from '../access/actor.ts';
import { APPROVAL_HOURS, secondPerson, validRequest } from '../core/lifecycle/secondPerson.ts';
import { type Refusal, refusal } from '../core/values/refusal.ts';
import { appendAuditRecord } from '../store/access/audit.ts';
import {
  liftApprovalRule,
  lockStrategy,
  type Strategy,
  setApprovalRule,
} from '../store/deployments/strategies.ts';
import { readClock } from '../store/postgres/database.ts';
import type { Actor, App } from './context.ts';
import { rollback, transaction } from './execution/transaction.ts';

export interface ApprovalChange {
  readonly strategyId: string;
  readonly required: boolean;
  readonly reason: string | null;
}

export interface ApprovalAnswer {
  /** Null if the change, or the request for it, is on disk. */
  readonly refusal: Refusal | null;
  readonly message: string;
  /** The strategy after the change; null if there is none. */
  readonly strategy: Strategy | null;
}

const refused = (no: Refusal, strategy: Strategy | null = null): ApprovalAnswer => ({
  refusal: no,
  message: no.message,
  strategy,
});

const NOBODY_KNOWN =
  'required cannot be set: this server is open: it does not know its callers, so it cannot distinguish two people. Set SERIN_AUTH';

/** Sets or lifts the rule. Lifting it is first a request, which another person approves within a day. */
export async function setStrategyApproval(
  app: App,
  actor: Actor,
  { strategyId, required, reason }: ApprovalChange,
): Promise<ApprovalAnswer> {
  if (!app.approvals.callersKnown) return refused(refusal('INVALID_INPUT', NOBODY_KNOWN, ['required']));
  return transaction(app, async (tx) => {
    const strategy = await lockStrategy(tx, strategyId);
    if (!strategy || !canSee(actor, strategyId)) {
      return rollback(refused(refusal('NOT_FOUND', `There is no strategy ${strategyId}`, ['strategyId'])));
    }
    const note = (action: 'APPROVAL_RULE_SET' | 'APPROVAL_RULE_LIFT_REQUESTED' | 'APPROVAL_RULE_LIFTED') =>
      appendAuditRecord(tx, {
        actor: actor.name,
        action,
        subject: strategyId,
        strategies: [strategyId],
        details: { ...(reason ? { reason } : {}) },
      });
    const answer = async (message: string): Promise<ApprovalAnswer> => ({
      refusal: null,
      message,
      strategy: await lockStrategy(tx, strategyId),
    });
    if (required) {
      if (!strategy.requireApproval || strategy.approvalLift) await note('APPROVAL_RULE_SET');
      await setApprovalRule(tx, strategyId);
      return answer(`Promotions of ${strategyId} need two people`);
    }
    if (!strategy.requireApproval) return answer(`${strategyId} has no rule of its own: nothing has changed`);
    const { now } = await readClock(tx);
    const second = secondPerson(validRequest(strategy.approvalLift, now), actor.person);
    if (second === 'ASK') {
      await note('APPROVAL_RULE_LIFT_REQUESTED');
      await liftApprovalRule(tx, strategyId, { by: actor.name, at: now, person: actor.person });
      return answer(
        `Asked to lift the rule of ${strategyId}: it holds until another person does the same within ${APPROVAL_HOURS} hours`,
      );
    }
    if (second !== 'ACT') {
      const message = `Another person must lift the rule of ${strategyId}, too: ${second.why}`;
      return rollback(refused(refusal('INVALID_TRANSITION', message), strategy));
    }
    await note('APPROVAL_RULE_LIFTED');
    await liftApprovalRule(tx, strategyId, null);
    return answer(
      `Promotions of ${strategyId} need one person, unless the server or a deployment asks for two`,
    );
  });
}
