/**
 * Decider: (state, command, facts) -> events or refusal. Pure: the clock, the metrics and the strategy's stable version
 * are facts. This file is the whole lifecycle of the specification.
 */
import type { CanaryConfig } from '../config/config.ts';
import { MAX_YEARS } from '../config/tradingHours.ts';
import type { CanaryDecision } from '../rule/gate.ts';
import type { RuleVersion } from '../rule/ruleVersion.ts';
import { formatDecimal } from '../values/decimal.ts';
import type { SerinInstant } from '../values/instant.ts';
import { type Refusal, refusal } from '../values/refusal.ts';
import { acknowledge } from './acknowledge.ts';
import { type AllocationCause, STABLE_ONLY_PERCENT, splitCapital } from './allocation.ts';
import { seekApproval } from './approval.ts';
import { check } from './check.ts';
import {
  ACTIONS,
  type Accepted,
  type Action,
  ALLOWED_STATUSES,
  type Command,
  type Facts,
  NAMES,
  type Verdict,
} from './command.ts';
import { updateConfig } from './configUpdate.ts';
import { checkDeadlines, standDown } from './deadlines.ts';
import { decisionMade, promotion, requestAllocation, rollback, startStep } from './decisionEvents.ts';
import type { EventBody } from './events.ts';
import { agesOf, describeAges, isFresh } from './freshness.ts';
import { meetFreeze } from './hold.ts';
import { describeMissing, mustSettleFirst, termsOf } from './settlement.ts';
import { allocationOf, type DeploymentState, isEnded, isWatched, stepAt, type Watched } from './state.ts';
import { elapsedMs, intervalUntil, laterStepEnd, stepEnd } from './watchedTime.ts';

/** The decision recorded for a successful command. A request for approval has decided nothing yet. */
export function impliedDecision({ type }: Command, events: readonly EventBody[]): CanaryDecision {
  if (asksForApproval(events)) return 'CONTINUE';
  if (type === 'PROMOTE') return 'PROMOTE';
  // Tighter limits may end the trial immediately.
  if (type === 'UPDATE_CONFIG' && events.some((event) => event.type === 'CANARY_ROLLED_BACK'))
    return 'ROLLBACK';
  return type === 'ROLLBACK' || type === 'CANCEL' || type === 'STAND_DOWN' ? 'ROLLBACK' : 'CONTINUE';
}

/** Whether a command led to a request that waits for another person's approval. */
export function asksForApproval(events: readonly EventBody[]): boolean {
  return events.some(({ type }) => type === 'PROMOTION_REQUESTED' || type === 'CONFIG_CHANGE_REQUESTED');
}

export function availableActions(state: DeploymentState): Action[] {
  return ACTIONS.filter(
    (action) => isAllowed(state, action) && !(action === 'ADVANCE_STEP' && awaitsCapital(state)),
  );
}

export function isAllowed(state: DeploymentState, action: Action): boolean {
  if (!ALLOWED_STATUSES[action].includes(state.status)) return false;
  return action !== 'ADVANCE_STEP' || (isWatched(state) && nextStep(state) !== null);
}

/** Whether the next step waits until both sides hold what the latest allocation asks for. */
function awaitsCapital(state: DeploymentState): boolean {
  return mustSettleFirst(state.config, allocationOf(state));
}

/** Decides what a command does to a deployment. */
export function decide(state: DeploymentState, command: Command, facts: Facts): Verdict {
  const accept = (events: readonly EventBody[]): Accepted => ({
    accepted: true,
    events,
    breaches: facts.breaches,
  });

  if (command.type === 'CHECK' || command.type === 'EVALUATE_GUARDRAILS') {
    if (!isWatched(state)) return accept([]);
    return { accepted: true, ...check(state, command, facts) };
  }
  if (command.type === 'CHECK_DEADLINES') return accept(checkDeadlines(state, facts));
  if (command.type === 'STAND_DOWN') return standDown(state, facts);
  if (command.type === 'ACKNOWLEDGE') return acknowledge(state, command, facts);
  if (!isAllowed(state, command.type)) return { accepted: false, refusal: wrongStatus(state, command.type) };

  if (command.type === 'DEPLOY') return deploy(state, command, facts, accept);
  if (command.type === 'CANCEL') {
    const { reason } = command;
    return accept([{ type: 'CANARY_CANCELLED', reason }, ...returnCapital(state, 'CANCEL')]);
  }
  if (command.type === 'UPDATE_CONFIG') return updateConfig(state, command, facts);
  if (!isWatched(state)) throw new Error(`${command.type} in status ${state.status}`);

  const { reason } = command;
  switch (command.type) {
    case 'PROMOTE': {
      const stale = staleStable(state, facts);
      if (stale) return { accepted: false, refusal: stale };
      const approval = seekApproval(state, facts);
      if (approval === 'ASK') return accept([promotionRequested(facts, reason)]);
      if (approval !== 'PROMOTE') return { accepted: false, refusal: approval };
      const met = meetFreeze(command, 'PROMOTE', facts);
      if ('refusal' in met) return { accepted: false, refusal: met.refusal };
      const record = byCommand(state, facts, 'PROMOTE', reason);
      return accept([record, ...promotion(state, reason, met)]);
    }
    case 'ROLLBACK':
      return accept([rollbackDecision(state, facts, command), ...rollback(state, reason)]);
    case 'PAUSE':
      return accept([{ type: 'CANARY_PAUSED', reason }]);
    case 'RESUME':
      return accept([resume(state, facts, reason)]);
    case 'EXTEND':
      return extend(state, command.minutes, reason, facts.now, accept);
    case 'ADVANCE_STEP': {
      const stale = staleStable(state, facts);
      if (stale) return { accepted: false, refusal: stale };
      if (awaitsCapital(state)) return { accepted: false, refusal: unsettled(state) };
      const next = nextStep(state);
      if (next === null) throw new Error('no step to advance to');
      const met = meetFreeze(command, 'STEP_UP', facts);
      if ('refusal' in met) return { accepted: false, refusal: met.refusal };
      return accept(startStep(state, next, facts, reason, met));
    }
  }
}

/** The step ends later by the pause, and by what nobody watched before it: no check comes that would say so. */
function resume(state: Watched, { now, recorded }: Facts, reason: string | null): EventBody {
  const { config, observation } = state;
  const { lastCheckAt, step } = observation;
  const pausedAt = state.status === 'PAUSED' ? state.pausedAt : now;
  const pausedMs = elapsedMs(config, pausedAt, now);
  const unwatchedMs = recorded?.unwatchedMs ?? intervalUntil(state, pausedAt).unwatchedMs;
  const before = laterStepEnd(config, step.endsAt, { from: lastCheckAt, to: pausedAt }, unwatchedMs);
  const endedAt = before.endsAt ?? step.endsAt + unwatchedMs;
  const end = laterStepEnd(config, endedAt, { from: pausedAt, to: now }, pausedMs);
  const endsAt = end.endsAt ?? endedAt + pausedMs;
  return { type: 'CANARY_RESUMED', pausedMs, reason, ...(unwatchedMs === 0 ? end : { endsAt }) };
}

/** The caller as a person is part of the request: another one must approve it. */
function promotionRequested({ person }: Facts, reason: string | null): EventBody {
  return { type: 'PROMOTION_REQUESTED', reason, ...(person === undefined ? {} : { person }) };
}

/** What a deployment is created with. */
export interface Creation {
  readonly id: string;
  readonly strategyId: string;
  readonly chain: string;
  readonly stableVersionId: string;
  readonly canaryVersionId: string;
  readonly config: CanaryConfig;
}

/** The first event of a log. That a strategy has one live deployment is the store's constraint, not checked here. */
export function create(deployment: Creation, rule: RuleVersion): EventBody {
  return { type: 'DEPLOYMENT_CREATED', ...deployment, ...(rule === 1 ? {} : { rule }) };
}

type Accept = (events: readonly EventBody[]) => Accepted;

function deploy(
  state: DeploymentState,
  command: Extract<Command, { type: 'DEPLOY' }>,
  facts: Facts,
  accept: Accept,
): Verdict {
  const { capitalUsd, reason } = command;
  if (!capitalUsd.isFinite() || !capitalUsd.gt(0)) {
    const message = `capitalUsd must be above 0, got ${formatDecimal(capitalUsd)}`;
    return { accepted: false, refusal: refusal('INVALID_INPUT', message, ['capitalUsd']) };
  }
  const stale = staleStable(state, facts);
  if (stale) return { accepted: false, refusal: stale };
  const { canaryPercent, steps, capitalLeaseSeconds } = state.config;
  const split = splitCapital(capitalUsd, canaryPercent);
  if (split.canaryUsd.isZero()) {
    const message = `capitalUsd is too small: ${formatDecimal(canaryPercent)} % of it is nothing`;
    return { accepted: false, refusal: refusal('INVALID_INPUT', message, ['capitalUsd']) };
  }
  const met = meetFreeze(command, 'DEPLOY', facts);
  if ('refusal' in met) return { accepted: false, refusal: met.refusal };
  const end = stepEnd(state.config, facts.now, (steps[0]?.minutes ?? 0) * 60_000);
  return accept([
    { type: 'CANARY_STARTED', capitalUsd, canaryPercent, reason, ...met, ...end },
    {
      type: 'ALLOCATION_REQUESTED',
      number: 1,
      cause: 'DEPLOY',
      canaryPercent,
      ...split,
      ...termsOf(state.config, null, split),
      ...(capitalLeaseSeconds === null ? {} : { leaseUntil: facts.now + capitalLeaseSeconds * 1000 }),
    },
  ]);
}

function extend(
  state: Watched,
  given: number | null,
  reason: string | null,
  now: SerinInstant,
  accept: Accept,
): Verdict {
  const minutes = given ?? stepAt(state.config, state.observation.step.index)?.minutes ?? 0;
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > 527_040) {
    const message = `minutes must be between 1 and 527040, got ${minutes}`;
    return { accepted: false, refusal: refusal('INVALID_INPUT', message, ['minutes']) };
  }
  const end = stepEnd(state.config, now, minutes * 60_000);
  if (end.endsAt === Number.POSITIVE_INFINITY) {
    const message = `minutes must end within ${MAX_YEARS} years of trading hours, got ${minutes}`;
    return { accepted: false, refusal: refusal('INVALID_INPUT', message, ['minutes']) };
  }
  return accept([{ type: 'OBSERVATION_EXTENDED', minutes, automatic: false, reason, ...end }]);
}

/** The refusal of a metrics report, or of a heartbeat, while the canary has no capital. */
export function notWatched(
  { id, status }: DeploymentState,
  what: 'metrics' | 'heartbeats' = 'metrics',
): Refusal {
  const next = status === 'PENDING' ? 'deploy it first' : 'it has ended';
  return refusal('INVALID_TRANSITION', `Deployment ${id} is ${status} and takes no ${what}: ${next}`);
}

function returnCapital(state: DeploymentState, cause: AllocationCause): EventBody[] {
  return isWatched(state) ? [requestAllocation(state, STABLE_ONLY_PERCENT, cause)] : [];
}

function unsettled({ id, allocation }: Watched): Refusal {
  const missing = describeMissing(allocation);
  return refusal(
    'INVALID_TRANSITION',
    `Deployment ${id} requires settlement, and the next step waits for it: ${missing}. Acknowledge what the side holds`,
  );
}

/** The decision record of a rollback by a person, a bot or a loss budget. */
function rollbackDecision(
  state: Watched,
  facts: Facts,
  { reason, cause }: Extract<Command, { type: 'ROLLBACK' }>,
): EventBody {
  if (cause === undefined) return byCommand(state, facts, 'ROLLBACK', reason);
  return decisionMade(state, facts, {
    decision: 'ROLLBACK',
    reasons: [reason ?? BUDGET_BROKEN],
    cause,
    reason,
  });
}

const BUDGET_BROKEN = 'A loss budget is broken';

/** The decision record of a person or bot, with the comparison as it was. */
function byCommand(state: Watched, facts: Facts, decision: CanaryDecision, reason: string | null): EventBody {
  const how = decision === 'PROMOTE' ? 'Promoted by command' : 'Rolled back by command';
  const stated = reason ? `${how}: ${reason}` : how;
  // A person may promote on old figures, and the record says so first.
  const ages = agesOf(facts.metrics, facts.now);
  const known = ages.CANARY !== null || ages.STABLE !== null;
  const old = decision === 'PROMOTE' && known && !isFresh(state, facts.metrics, facts.now);
  const reasons = old ? [describeAges(ages), stated] : [stated];
  return decisionMade(state, facts, { decision, reasons, cause: 'COMMAND', reason });
}

function nextStep(state: Watched): number | null {
  const index = state.observation.step.index + 1;
  return stepAt(state.config, index) ? index : null;
}

/** Refuses when another deployment has moved the strategy's stable version since this one was created. */
function staleStable(state: DeploymentState, { stableVersionId }: Facts): Refusal | null {
  if (stableVersionId === state.stableVersionId) return null;
  return refusal(
    'STALE_STABLE_VERSION',
    `The stable version of ${state.strategyId} is now ${stableVersionId}, not ${state.stableVersionId}: ` +
      'cancel or roll back this deployment and create one against the new stable version',
  );
}

function wrongStatus(state: DeploymentState, action: Action): Refusal {
  const { id, status } = state;
  const offers = availableActions(state);
  const next = isEnded(state)
    ? 'it has ended and takes no further command'
    : `possible now: ${offers.map((offer) => offer.toLowerCase()).join(', ')}`;
  const last = action === 'ADVANCE_STEP' && isWatched(state) && state.status !== 'PAUSED';
  const why = last ? 'it is in its last step; promote it instead' : next;
  return refusal(
    'INVALID_TRANSITION',
    `Deployment ${id} is ${status} and cannot be ${NAMES[action]}: ${why}`,
  );
}
