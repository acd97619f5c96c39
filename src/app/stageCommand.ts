/**
 * Decides a command on a locked deployment and stages what follows in a unit of work. Every change of a deployment's
 * state, whether a bot, a person or the observation loop causes it, is made here.
 */
import type { Command, Facts } from '../core/lifecycle/command.ts';
import { rescheduleDeadline } from '../core/lifecycle/deadlines.ts';
import type { CanaryEvent } from '../core/lifecycle/events.ts';
import { evolve } from '../core/lifecycle/evolve.ts';
import { ruleOf } from '../core/lifecycle/forms.ts';
import type { FreezeFacts } from '../core/lifecycle/freeze.ts';
import { changeRule, type Handled, handle } from '../core/lifecycle/handle.ts';
import { dependsOnFreezes } from '../core/lifecycle/hold.ts';
import { mustChangeRule } from '../core/lifecycle/ruleChange.ts';
import { type DeploymentState, reschedule } from '../core/lifecycle/state.ts';
import type { Refusal } from '../core/values/refusal.ts';
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { createUnitOfWork, flush, type UnitOfWork } from '../store/deployments/unitOfWork.ts';
import { readDeploymentEvents } from '../store/log/deploymentEvents.ts';
import type { NewEntry } from '../store/log/logEntry.ts';
import type { Queries } from '../store/postgres/database.ts';
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import { approvalRuleOf } from './approvalRules.ts';
import { auditOf } from './auditCommands.ts';
import { type Actor, type App, SERIN } from './context.ts';
import { readFreezeFacts } from './freezes.ts';

export type CommandOutcome =
  | { readonly accepted: true; readonly view: DeploymentView; readonly events: readonly CanaryEvent[] }
  | { readonly accepted: false; readonly refusal: Refusal };

/** What was seen of the sides besides their metrics. */
type Seen = Pick<Facts, 'resets' | 'signals'>;

/** Decides a command on a locked deployment and writes what follows. */
export async function applyCommand(
  app: Pick<App, 'approvals'>,
  tx: LogWriteTransaction,
  view: DeploymentView,
  command: Command,
  actor: Actor,
  seen: Seen = {},
): Promise<CommandOutcome> {
  const unit = createUnitOfWork();
  const present = await stagePresentRule(tx, unit, view);
  const outcome = await stageCommand(app, tx, unit, present, command, actor, seen);
  await flush(tx, unit);
  return outcome;
}

/**
 * Decides a command on a locked deployment and stages what follows. A refused command stages nothing. What would raise
 * risk, and what a freeze holds, is decided a second time, with the freezes that stand then.
 */
export async function stageCommand(
  app: Pick<App, 'approvals'>,
  tx: Queries,
  unit: UnitOfWork,
  view: DeploymentView,
  command: Command,
  actor: Actor,
  seen: Seen = {},
): Promise<CommandOutcome> {
  const given = { view, command, actor, seen };
  const handled = decideOn(app, unit, given);
  if (!dependsOnFreezes(view.state, command, handled)) return stageDecided(unit, given, handled);
  const freeze = await readFreezeFacts(tx, unit, view);
  // Decided after the wait: another command of this batch may have moved the stable version meanwhile.
  return stageDecided(unit, given, decideOn(app, unit, given, freeze));
}

interface Given {
  readonly view: DeploymentView;
  readonly command: Command;
  readonly actor: Actor;
  readonly seen: Seen;
}

const stableVersionNow = (unit: UnitOfWork, { state, strategyStableVersionId }: DeploymentView) =>
  unit.stableMoves.get(state.strategyId)?.to ?? strategyStableVersionId;

/** The facts that deadlines of capital depend on. */
export function deadlineFacts({ now, metrics, heartbeats, deadlineAt }: DeploymentView) {
  return { now, metrics, heartbeatAt: heartbeats.CANARY, deadlineAt };
}

function decideOn(
  app: Pick<App, 'approvals'>,
  unit: UnitOfWork,
  { view, command, actor, seen }: Given,
  freeze?: FreezeFacts,
): Handled {
  return handle(view.state, command, {
    ...deadlineFacts(view),
    breaches: view.breaches,
    stableVersionId: stableVersionNow(unit, view),
    ...seen,
    freeze,
    actor: actor.name,
    person: actor.person,
    mustApprove: approvalRuleOf(app, view) !== null,
  });
}

function stageDecided(unit: UnitOfWork, { view, command, actor }: Given, handled: Handled): CommandOutcome {
  if (!handled.accepted) return handled;
  const { state: before, breaches: counted, now } = view;
  const { id, strategyId } = before;
  const { state, events, breaches } = handled;
  if (events.length === 0) {
    if (breaches !== counted) stageBreaches(unit, view, breaches);
    return { accepted: true, view: { ...view, breaches }, events };
  }
  const promotion = events.find((event) => event.type === 'CANARY_PROMOTED');
  if (promotion) stagePromotion(unit, strategyId, promotion);
  if (state.config !== before.config) stageConfig(unit, before, state);
  const wasCheck = command.type === 'CHECK';
  const nextCheckAt = reschedule(state, { due: view.nextCheckAt, now, wasCheck });
  const deadlineAt = rescheduleDeadline(state, deadlineFacts(view), command.type === 'CHECK_DEADLINES');
  unit.saved.set(id, { state, nextCheckAt, deadlineAt, breaches });
  unit.breaches.delete(id);
  unit.entries.push(...entriesOf(before, events));
  const audited = auditOf(view, command, actor, events);
  if (audited) unit.audit.push(audited);
  const strategyStableVersionId = stableVersionNow(unit, view);
  return {
    accepted: true,
    view: { ...view, state, nextCheckAt, deadlineAt, breaches, strategyStableVersionId },
    events,
  };
}

/**
 * Takes a locked live deployment over to the version of the decision rule that is in force, before anything else is
 * decided about it: stages the event, and returns the deployment as it is then. Any other is returned as it is.
 */
export async function stagePresentRule(
  tx: LogWriteTransaction,
  unit: UnitOfWork,
  view: DeploymentView,
): Promise<DeploymentView> {
  const { state: before, now, nextCheckAt, breaches } = view;
  if (!mustChangeRule(before, ruleOf(tx.form))) return view;
  const log = await readDeploymentEvents(tx, before.id);
  const cause = { at: now, actor: SERIN.name };
  const { state, events } = changeRule(
    before,
    log.map(({ event }) => event),
    cause,
  );
  const deadlineAt = rescheduleDeadline(state, deadlineFacts(view), false);
  unit.saved.set(state.id, { state, nextCheckAt, deadlineAt, breaches });
  unit.entries.push(...entriesOf(before, events));
  return { ...view, state, deadlineAt };
}

/** Breach counts alone leave the rest of the row, and its lease, as they are. */
function stageBreaches(unit: UnitOfWork, { state }: DeploymentView, breaches: DeploymentView['breaches']) {
  const saved = unit.saved.get(state.id);
  if (saved) unit.saved.set(state.id, { ...saved, breaches });
  else unit.breaches.set(state.id, breaches);
}

/** The canary becomes the strategy's stable version. Of several promotions of a strategy the last one counts. */
function stagePromotion(
  unit: UnitOfWork,
  strategyId: string,
  { previousStableVersionId, stableVersionId, at }: Extract<CanaryEvent, { type: 'CANARY_PROMOTED' }>,
): void {
  const from = unit.stableMoves.get(strategyId)?.from ?? previousStableVersionId;
  unit.stableMoves.set(strategyId, { from, to: stableVersionId, at });
}

/** The configuration has a column of its own. One that requires two people sets the rule of its strategy, as at creation. */
function stageConfig(
  unit: UnitOfWork,
  before: DeploymentState,
  { id, strategyId, config }: DeploymentState,
): void {
  unit.configs.set(id, config);
  if (config.requireApproval && !before.config.requireApproval) unit.approvalRules.add(strategyId);
}

/** Promotions are in the timeline whatever `emitEvents` says: they move the stable version that others build on. */
const ALWAYS_TOLD: ReadonlySet<CanaryEvent['type']> = new Set([
  'CANARY_PROMOTED',
  'PROMOTION_REQUESTED',
  'DEPLOYMENT_IMPORTED',
]);

/** The log entries of one command's events, each with its status change and whether the timeline shows it. */
export function entriesOf(before: DeploymentState | null, events: readonly CanaryEvent[]): NewEntry[] {
  let state = before;
  return events.map((event): NewEntry => {
    const previous: DeploymentState | null = state;
    const after: DeploymentState = evolve(previous, event);
    state = after;
    const { id, strategyId, config, status } = after;
    const change =
      previous && previous.status !== status ? { previousStatus: previous.status, status } : null;
    return {
      deploymentId: id,
      strategyId,
      // The event that turns the timeline off is the last one in it.
      timeline: config.emitEvents || (previous?.config.emitEvents ?? false) || ALWAYS_TOLD.has(event.type),
      change,
      event,
    };
  });
}
