/** How an event changes a deployment: the only way a state comes to be. Replaying the log gives the state row. */

import { plannedChecks } from '../config/config.ts';
import { startEvidence } from '../rule/pairedEvidence.ts';
import { NO_EVIDENCE } from '../rule/version1/evidence.ts';
import type { Decimal } from '../values/decimal.ts';
import { type BySide, SIDES, type Side } from '../values/side.ts';
import {
  type Allocation,
  holdsNothing,
  requestedUsd,
  splitCapital,
  workingCapitalUsd,
} from './allocation.ts';
import type { CanaryEvent } from './events.ts';
import { afterAllocation, afterGap, afterSample, atStep } from './evidence.ts';
import { type HeldTime, holdBy } from './freeze.ts';
import type { ApprovalRequest } from './secondPerson.ts';
import {
  type DeploymentState,
  type Ended,
  forSides,
  freshObservation,
  isEnded,
  isWatched,
  longerStepMs,
  type Observation,
  observationOf,
  type Pending,
  type ReturnAccount,
  type Running,
  sideReturn,
  type Watched,
} from './state.ts';

type EventOf<K extends CanaryEvent['type']> = Extract<CanaryEvent, { type: K }>;

/** The state after one more event. Throws on an event that cannot follow: a corrupt log, never a user's mistake. */
export function evolve(before: DeploymentState | null, event: CanaryEvent): DeploymentState {
  if (!before) {
    if (event.type !== 'DEPLOYMENT_CREATED') throw new Error(`the log begins with ${event.type}`);
    if (event.no !== 1) throw new Error(`the log begins with event ${event.no}`);
    return created(event);
  }
  if (event.no !== before.eventCount + 1) {
    throw new Error(`event ${event.no} of ${before.id} follows event ${before.eventCount}`);
  }
  const { unknown } = before;
  const counted = { revision: event.revision, eventCount: event.no };
  return { ...apply(before, event), ...counted, ...(unknown ? { unknown } : {}) };
}

/** The state that a log leads to. Throws on an empty or corrupt log. */
export function replay(events: Iterable<CanaryEvent>): DeploymentState {
  let state: DeploymentState | null = null;
  for (const event of events) state = evolve(state, event);
  if (!state) throw new Error('the log is empty');
  return state;
}

/** The capital that a side works with from a moment on. */
export interface CapitalSince {
  readonly since: number;
  readonly capitalUsd: Decimal;
}

/** What each side worked with, over time: every change, oldest first. */
export function capitalHistory(events: Iterable<CanaryEvent>): BySide<readonly CapitalSince[]> {
  const history: BySide<CapitalSince[]> = { CANARY: [], STABLE: [] };
  let state: DeploymentState | null = null;
  for (const event of events) {
    state = evolve(state, event);
    const basis = observationOf(state)?.basis;
    for (const side of SIDES) {
      const now = basis?.[side];
      const before = history[side].at(-1);
      if (now && !before?.capitalUsd.eq(now.capitalUsd)) history[side].push(now);
    }
  }
  return history;
}

function created(event: EventOf<'DEPLOYMENT_CREATED'>): DeploymentState {
  const { id, strategyId, chain, stableVersionId, canaryVersionId, config, at, actor, revision, no } = event;
  return {
    status: 'PENDING',
    id,
    strategyId,
    chain,
    stableVersionId,
    canaryVersionId,
    config,
    rule: event.rule ?? 1,
    createdAt: at,
    createdBy: actor,
    revision,
    eventCount: no,
  };
}

function apply(state: DeploymentState, event: CanaryEvent): DeploymentState {
  switch (event.type) {
    case 'CANARY_CANCELLED':
      return isEnded(state) ? impossible(state, event) : ended(state, 'CANCELLED', event.at);
    case 'ALLOCATION_REQUESTED':
      return requested(state, event);
    case 'ALLOCATION_ACKNOWLEDGED':
      return acknowledged(state, event);
    case 'ALLOCATION_SETTLED':
      return state;
    case 'ALLOCATION_OVERDUE':
      return reportedOverdue(state, event);
    case 'CANARY_STARTED':
      if (state.status !== 'PENDING') return impossible(state, event);
      return started(state, event);
    case 'RULE_CHANGED':
      return ruleChanged(state, event);
    case 'CONFIG_CHANGE_REQUESTED':
      return configRequested(state, event);
    case 'CONFIG_UPDATED':
      return configUpdated(state, event);
    case 'DEPLOYMENT_IMPORTED':
      return imported(state, event);
    case 'DEPLOYMENT_CREATED':
      return impossible(state, event);
    case 'UNKNOWN':
      return state;
  }
  if (!isWatched(state)) return impossible(state, event);
  return applyWatched(state, event);
}

function applyWatched(
  state: Watched,
  event: Exclude<
    CanaryEvent,
    EventOf<
      | 'CANARY_CANCELLED'
      | 'ALLOCATION_REQUESTED'
      | 'ALLOCATION_ACKNOWLEDGED'
      | 'ALLOCATION_SETTLED'
      | 'ALLOCATION_OVERDUE'
      | 'CANARY_STARTED'
      | 'RULE_CHANGED'
      | 'CONFIG_CHANGE_REQUESTED'
      | 'CONFIG_UPDATED'
      | 'DEPLOYMENT_IMPORTED'
      | 'DEPLOYMENT_CREATED'
      | 'UNKNOWN'
    >
  >,
): DeploymentState {
  switch (event.type) {
    case 'CANARY_METRICS_UPDATED':
      return { ...state, observation: sampled(state, event) };
    case 'METRICS_UNAVAILABLE': {
      const { check, silentMs, at } = event;
      const after = withObservation(afterTime(state, event), { checks: check, silentMs, lastCheckAt: at });
      if (!event.opened) return after;
      return withObservation(after, { evidence: afterGap(state.observation.evidence) });
    }
    case 'COUNTER_RESET':
      return state;
    case 'WATCH_RESUMED':
      return withObservation(state, {
        resumedAt: event.at,
        evidence: afterGap(state.observation.evidence),
      });
    case 'LEASE_EXPIRED':
      return withObservation(state, { leaseExpired: { at: event.leaseUntil, stoodDown: event.stoodDown } });
    case 'LEASE_RESUMED':
      return withObservation(state, { leaseFrom: event.at });
    case 'CANARY_PAUSED':
      return { ...unwatchedFrom(released(running(state))), status: 'PAUSED', pausedAt: event.at };
    case 'CANARY_RESUMED':
      return resumed(state, event);
    case 'OBSERVATION_EXTENDED':
      return extended(state, event);
    case 'STEP_STARTED':
      return stepStarted(state, event);
    case 'PROMOTION_HELD':
    case 'STEP_HELD':
      if (state.status !== 'RUNNING') return impossible(state, event);
      return withObservation(state, { held: holdBy(event) });
    case 'GUARDRAIL_TRIPPED':
      return withObservation(withoutConfigRequest(released(state)), {
        tripped: true,
        promotionRequest: null,
        ...(event.breachedAt === undefined ? {} : { breachedAt: event.breachedAt }),
      });
    case 'PROMOTION_REQUESTED':
      return withObservation(state, { promotionRequest: requestOf(event) });
    case 'DECISION_MADE':
      // Where a person is awaited, the latest decision is what they are asked to act on.
      return state.status === 'OBSERVATION_COMPLETE' ? { ...state, decision: event.record.decision } : state;
    case 'CANARY_OBSERVATION_COMPLETE':
      if (!event.waits) return state;
      return {
        ...running(released(state)),
        status: 'OBSERVATION_COMPLETE',
        completedAt: event.at,
        decision: event.decision,
      };
    case 'CANARY_PROMOTED':
      return ended(state, 'PROMOTED', event.at);
    case 'CANARY_ROLLED_BACK':
      return ended(state, 'ROLLED_BACK', event.at);
    case 'CANARY_FAILED':
      return ended(state, 'FAILED', event.at);
  }
}

function impossible(state: DeploymentState, event: CanaryEvent): never {
  throw new Error(`event ${event.no} of ${state.id}: ${event.type} cannot follow in status ${state.status}`);
}

/** Nothing is known of what the sides do from here on, until the next sample. */
function unwatchedFrom(state: Running): Running {
  const { observation } = state;
  return { ...state, observation: { ...observation, evidence: afterGap(observation.evidence) } };
}

/** From here on the log is folded under another version of the rule. */
function ruleChanged(state: DeploymentState, event: EventOf<'RULE_CHANGED'>): DeploymentState {
  const { from, to, evidence } = event;
  if (isEnded(state) || from !== state.rule) return impossible(state, event);
  if (state.status === 'PENDING') return { ...state, rule: to };
  if (!evidence) return impossible(state, event);
  return { ...withObservation(state, { evidence }), rule: to };
}

function configRequested(state: DeploymentState, event: EventOf<'CONFIG_CHANGE_REQUESTED'>): DeploymentState {
  if (isEnded(state)) return impossible(state, event);
  const { before, config } = event;
  return { ...state, configRequest: { ...requestOf(event), before, config } };
}

/** Another policy from here on. A running step that is to last longer ends later; the evidence stays as it was planned. */
function configUpdated(state: DeploymentState, event: EventOf<'CONFIG_UPDATED'>): DeploymentState {
  if (isEnded(state)) return impossible(state, event);
  const { config, endsAt } = event;
  const updated = { ...withoutConfigRequest(state), config };
  if (updated.status !== 'RUNNING' && updated.status !== 'PAUSED') return updated;
  const { step } = updated.observation;
  return withObservation(updated, {
    step: extendStep(step, longerStepMs(state.config, config, step.index), endsAt),
  });
}

/** Nothing is asked for any more. */
function withoutConfigRequest(state: Watched): Watched;
function withoutConfigRequest(state: DeploymentState): DeploymentState;
function withoutConfigRequest(state: DeploymentState): DeploymentState {
  const { configRequest, ...rest } = state;
  return configRequest ? rest : state;
}

/** Nothing that was asked elsewhere can be approved here. */
function imported(state: DeploymentState, { actor, at }: EventOf<'DEPLOYMENT_IMPORTED'>): DeploymentState {
  const asked = isWatched(state) ? withObservation(state, { promotionRequest: null }) : state;
  const after = withoutConfigRequest(asked);
  return { ...after, imported: { by: actor, at } };
}

function requestOf({
  actor,
  at,
  person,
}: EventOf<'PROMOTION_REQUESTED' | 'CONFIG_CHANGE_REQUESTED'>): ApprovalRequest {
  return { by: actor, at, ...(person === undefined ? {} : { person }) };
}

function withObservation(state: Watched, change: Partial<Observation>): Watched {
  return { ...state, observation: { ...state.observation, ...change } };
}

/** Nothing waits for a freeze any more. */
function released<S extends Watched>(state: S): S {
  const { held, ...observation } = state.observation;
  return held ? { ...state, observation } : state;
}

/** The parts of a watched deployment that every status shares, as a running one. */
function running(state: Watched): Running {
  const { id, strategyId, chain, stableVersionId, canaryVersionId, config, rule } = state;
  const { createdAt, createdBy, revision, eventCount, imported, observation, allocation } = state;
  const { configRequest } = state;
  return {
    status: 'RUNNING',
    id,
    strategyId,
    chain,
    stableVersionId,
    canaryVersionId,
    config,
    rule,
    createdAt,
    createdBy,
    revision,
    eventCount,
    ...(configRequest ? { configRequest } : {}),
    ...(imported ? { imported } : {}),
    observation,
    allocation,
  };
}

function ended(state: Pending | Watched, status: Ended['status'], endedAt: number): Ended {
  const { id, strategyId, chain, stableVersionId, canaryVersionId, config, rule } = state;
  const { createdAt, createdBy, revision, eventCount, imported } = state;
  const trial = { id, strategyId, chain, stableVersionId, canaryVersionId, config, rule };
  return {
    ...trial,
    createdAt,
    createdBy,
    revision,
    eventCount,
    ...(imported ? { imported } : {}),
    status,
    endedAt,
    observation: state.status === 'PENDING' ? null : released(state).observation,
    allocation: state.status === 'PENDING' ? null : state.allocation,
  };
}

function started(state: DeploymentState, event: EventOf<'CANARY_STARTED'>): Running {
  const [first] = state.config.steps;
  if (!first) throw new Error(`${state.id} has no step`);
  const { at, capitalUsd, canaryPercent } = event;
  const split = splitCapital(capitalUsd, canaryPercent);
  const allocation: Allocation = {
    ...split,
    number: 1,
    cause: 'DEPLOY',
    canaryPercent,
    requestedAt: at,
    acknowledged: { CANARY: null, STABLE: null },
  };
  // A side that is given nothing from the start, or dust only, is measured on the whole.
  const capital = forSides((side) => {
    return worksWithNothing(state, allocation, side) ? capitalUsd : requestedUsd(allocation, side);
  });
  const evidence = state.rule === 1 ? NO_EVIDENCE : startEvidence(plannedChecks(state.config), at);
  const endsAt = event.endsAt ?? at + first.minutes * 60_000;
  const observation = freshObservation(at, endsAt, capital, evidence);
  return { ...state, status: 'RUNNING', observation, allocation };
}

/** A new request; while the deployment is live, the sides that never acknowledge use it from now on. */
function requested(state: DeploymentState, event: EventOf<'ALLOCATION_REQUESTED'>): DeploymentState {
  if (state.status === 'PENDING' || !state.allocation) return impossible(state, event);
  const { number, cause, canaryPercent, totalUsd, canaryUsd, stableUsd, at } = event;
  const { settlement, rollbackPlan, breachedAt, leaseUntil } = event;
  if (!canaryUsd.plus(stableUsd).eq(totalUsd)) {
    throw new Error(`event ${event.no} of ${state.id}: the sides' capital is not the total`);
  }
  const { acknowledged } = state.allocation;
  const request = { number, cause, canaryPercent, totalUsd, canaryUsd, stableUsd };
  const terms = {
    ...(settlement === undefined ? {} : { settlement }),
    ...(rollbackPlan === undefined ? {} : { rollbackPlan }),
    ...(breachedAt === undefined ? {} : { breachedAt }),
    ...(leaseUntil === undefined ? {} : { leaseUntil }),
  };
  const allocation: Allocation = { ...request, ...terms, requestedAt: at, acknowledged };
  if (!isWatched(state)) return { ...state, allocation };
  const { basis } = state.observation;
  const evidence = afterAllocation(state.observation.evidence, allocation);
  const rebased = forSides((side) => rebase(state, allocation, side, basis[side].pnlFromUsd, at));
  return { ...withObservation(state, { basis: rebased, evidence }), allocation };
}

/** A side says what it holds: its returns are computed on that from now on. */
function acknowledged(state: DeploymentState, event: EventOf<'ALLOCATION_ACKNOWLEDGED'>): DeploymentState {
  if (state.status === 'PENDING' || !state.allocation) return impossible(state, event);
  const { side, number, heldUsd, netPnlUsd, openExposureUsd, onBehalf, at } = event;
  const answer = {
    number,
    heldUsd,
    at,
    ...(openExposureUsd === undefined ? {} : { openExposureUsd }),
    ...(onBehalf ? { onBehalf } : {}),
  };
  const answers = { ...state.allocation.acknowledged, [side]: answer };
  const allocation: Allocation = { ...state.allocation, acknowledged: answers };
  if (!isWatched(state)) return { ...state, allocation };
  const { basis } = state.observation;
  const evidence = afterAllocation(state.observation.evidence, allocation);
  const rebased = { ...basis, [side]: rebase(state, allocation, side, netPnlUsd, at) };
  return { ...withObservation(state, { basis: rebased, evidence }), allocation };
}

function reportedOverdue(state: DeploymentState, event: EventOf<'ALLOCATION_OVERDUE'>): DeploymentState {
  if (state.status === 'PENDING' || !state.allocation) return impossible(state, event);
  const allocation: Allocation = { ...state.allocation, reportedOverdueAt: event.at };
  return isWatched(state) ? { ...state, allocation } : { ...state, allocation };
}

/** The interval of returns ends at this PnL; the next one runs on the same capital. */
function closeInterval(basis: ReturnAccount, netPnlUsd: Decimal): ReturnAccount {
  return { ...basis, pnlFromUsd: netPnlUsd, returnBefore: sideReturn(basis, netPnlUsd) };
}

/**
 * What was earned until now counts on the capital before, what follows on what the side works with now. Nothing held, or
 * dust only: no change.
 */
function rebase(
  state: Watched,
  allocation: Allocation,
  side: Side,
  netPnlUsd: Decimal,
  since: number,
): ReturnAccount {
  const basis = state.observation.basis[side];
  const capitalUsd = workingCapitalUsd(allocation, side);
  if (worksWithNothing(state, allocation, side) || capitalUsd.eq(basis.capitalUsd)) return basis;
  return { ...closeInterval(basis, netPnlUsd), capitalUsd, since };
}

/** Whether a side has no capital to compute returns on. A log of the first version of the rule is folded as it was. */
function worksWithNothing({ rule }: DeploymentState, allocation: Allocation, side: Side): boolean {
  return rule === 1 ? workingCapitalUsd(allocation, side).isZero() : holdsNothing(allocation, side);
}

interface FoldedSample {
  readonly netPnlUsd: EventOf<'CANARY_METRICS_UPDATED'>['netPnlUsd'];
  readonly after: Observation;
}

/** The latest sample that was folded into an observation: a check needs the result before and after it is numbered. */
const foldedSamples = new WeakMap<Observation, FoldedSample>();

/** A sample: the pair of returns since the one before goes into the evidence, while the observation runs. */
function sampled(state: Watched, event: EventOf<'CANARY_METRICS_UPDATED'>): Observation {
  const { netPnlUsd } = event;
  // The figures of a sample are an object of its own, so the same object is the same sample.
  const known = foldedSamples.get(state.observation);
  if (known?.netPnlUsd === netPnlUsd) return known.after;
  const after = { ...afterTime(state, event).observation, ...sampledAnew(state, event) };
  foldedSamples.set(state.observation, { netPnlUsd, after });
  return after;
}

function sampledAnew(state: Watched, event: EventOf<'CANARY_METRICS_UPDATED'>): Partial<Observation> {
  const { check, silentMs, at, netPnlUsd } = event;
  const counted = { checks: check, silentMs, lastCheckAt: at };
  const { CANARY: canary, STABLE: stable } = netPnlUsd;
  if (canary === null || stable === null) return counted;
  const { observation } = state;
  const { basis } = observation;
  const returns = { CANARY: sideReturn(basis.CANARY, canary), STABLE: sideReturn(basis.STABLE, stable) };
  const before = event.opened ? { ...observation, evidence: afterGap(observation.evidence) } : observation;
  return { ...counted, sampled: returns, evidence: afterSample(before, state, returns, event) };
}

/** What a check says of the time before it: the step ends later by what was not watched, and by what a freeze held. */
function afterTime(
  state: Watched,
  {
    unwatchedMs = 0,
    held,
    endsAt,
  }: {
    readonly unwatchedMs?: number | undefined;
    readonly held?: HeldTime | undefined;
    readonly endsAt?: number | undefined;
  },
): Watched {
  const step = idleStep(state, unwatchedMs + (held?.ms ?? 0), endsAt);
  return withObservation(held && !held.over ? state : released(state), { step });
}

/** A step ends later by time that does not count; under trading hours the event has its end. */
function extendStep(step: Observation['step'], ms: number, endsAt = step.endsAt + ms): Observation['step'] {
  return endsAt === step.endsAt ? step : { ...step, endsAt };
}

/** A step that ends later by time in which it was not observed. */
function idleStep(
  { observation: { step }, rule }: Watched,
  ms: number,
  endsAt: number | undefined,
): Observation['step'] {
  const later = extendStep(step, ms, endsAt);
  return rule === 1 || ms === 0 ? later : { ...later, idleMs: (step.idleMs ?? 0) + ms };
}

function resumed(state: Watched, { pausedMs, at, endsAt }: EventOf<'CANARY_RESUMED'>): Running {
  const { step } = state.observation;
  // Without trading hours the end of the step also tells what nobody watched before the pause.
  const idleMs = state.config.tradingHours || endsAt === undefined ? pausedMs : endsAt - step.endsAt;
  const moved = idleStep(state, idleMs, endsAt);
  // Bots need not report during a pause, and news may have come just before it.
  const { silentMs } = state.observation;
  const silence = state.rule === 1 ? silentMs : { CANARY: 0, STABLE: 0 };
  const observation = { ...state.observation, step: moved, lastCheckAt: at, silentMs: silence };
  return { ...running(state), observation };
}

/** Without the breach of a guardrail that a person has gone on in spite of. */
function unbreached({ breachedAt: _, ...observation }: Observation): Observation {
  return observation;
}

function extended(state: Watched, event: EventOf<'OBSERVATION_EXTENDED'>): Running {
  const { minutes, automatic, at, endsAt = at + minutes * 60_000 } = event;
  const { step, extensions } = state.observation;
  return {
    ...running(state),
    observation: {
      ...unbreached(released(state).observation),
      step: { ...step, endsAt },
      extensions: automatic ? extensions + 1 : extensions,
      silentMs: { CANARY: 0, STABLE: 0 },
      lastCheckAt: at,
      tripped: false,
      promotionRequest: null,
    },
  };
}

function stepStarted(state: Watched, event: EventOf<'STEP_STARTED'>): Running {
  const { step: index, minutes, at, netPnlUsd, endsAt = at + minutes * 60_000 } = event;
  const { basis, step } = state.observation;
  if (index !== step.index + 1) return impossible(state, event);
  return {
    ...running(state),
    observation: {
      ...unbreached(released(state).observation),
      step: { index, startedAt: at, endsAt },
      basis: forSides((side) => closeInterval(basis[side], netPnlUsd[side])),
      evidence: atStep(state.observation.evidence),
      lastCheckAt: at,
      tripped: false,
      promotionRequest: null,
    },
  };
}
