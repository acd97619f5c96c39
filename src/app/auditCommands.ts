/** What of commands on deployments goes into the audit trail: every one that changed something, and refusals. */
import type { Command } from '../core/lifecycle/command.ts';
import { asksForApproval } from '../core/lifecycle/decide.ts';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import type { Refusal } from '../core/values/refusal.ts';
import type { AuditAction, NewAuditRecord } from '../store/access/audit.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import type { Actor } from './context.ts';

/** Automatic actions of Serin, by the event that records them. */
const OWN_ACTS: Readonly<Partial<Record<CanaryEvent['type'], AuditAction>>> = {
  CANARY_PROMOTED: 'PROMOTE',
  CANARY_ROLLED_BACK: 'ROLLBACK',
  CANARY_FAILED: 'FAIL',
  STEP_STARTED: 'ADVANCE_STEP',
  OBSERVATION_EXTENDED: 'EXTEND',
};

/** Commands of the clock, of a report and of a heartbeat: what follows is what Serin does automatically. */
const OWN = ['CHECK', 'EVALUATE_GUARDRAILS', 'CHECK_DEADLINES', 'STAND_DOWN'] as const;
type OwnCommand = Extract<Command, { type: (typeof OWN)[number] }>;

const isOwn = (command: Command): command is OwnCommand => OWN.some((type) => type === command.type);

/** The record of a command that was accepted; null if it changed nothing. */
export function auditOf(
  { state }: DeploymentView,
  command: Command,
  actor: Actor,
  events: readonly CanaryEvent[],
): NewAuditRecord | null {
  if (isOwn(command)) {
    const act = events.find(({ type }) => OWN_ACTS[type] !== undefined);
    const action = act && OWN_ACTS[act.type];
    if (!act || !action) return null;
    const reason = 'reason' in act ? act.reason : null;
    return record(state, action, actor, { reason, outcome: 'DONE' });
  }
  if (events.length === 0) return null;
  const outcome = asksForApproval(events) ? 'REQUESTED' : 'DONE';
  return record(state, command.type, actor, { ...detailsOf(command), ...changeOf(events), outcome });
}

/** The record of a command that was refused to a caller with the right to give it; null for one of Serin's own. */
export function auditOfRefusal(
  { state }: DeploymentView,
  command: Command,
  actor: Actor,
  { code }: Refusal,
): NewAuditRecord | null {
  if (isOwn(command)) return null;
  return record(state, command.type, actor, { ...detailsOf(command), outcome: code });
}

function detailsOf(command: Command) {
  const override = 'overrideFreeze' in command && command.overrideFreeze ? { overrideFreeze: true } : {};
  return { reason: 'reason' in command ? command.reason : null, ...override };
}

/** The settings that a command changed, or asked to change; empty for any other command. */
function changeOf(events: readonly CanaryEvent[]) {
  const change = events.find((event) => 'changes' in event);
  if (!change || !('changes' in change)) return {};
  const { before, after, changes } = change;
  const requestedBy = change.type === 'CONFIG_UPDATED' ? change.requestedBy : undefined;
  return { before, after, changes, ...(requestedBy === undefined ? {} : { requestedBy }) };
}

function record(
  { id, strategyId }: DeploymentView['state'],
  action: AuditAction,
  actor: Actor,
  details: NewAuditRecord['details'],
): NewAuditRecord {
  return { actor: actor.name, action, subject: id, strategies: [strategyId], details };
}
