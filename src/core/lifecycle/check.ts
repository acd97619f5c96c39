/**
 * One check of a running deployment: guardrails, staleness, a sample, and at the end of a step (or earlier, when the
 * evidence is in) the decision. Safety comes before anything that could increase risk.
 */
import { hasOpenedBetween, openMsBetween } from '../config/tradingCalendar.ts';
import { type Comparison, compare, verdictOf } from '../rule/comparison.ts';
import type { CanaryDecision } from '../rule/gate.ts';
import {
  type Breach,
  type BreachCounts,
  checkMetricLimits,
  checkSilence,
  withoutLatest,
} from '../rule/guardrails.ts';
import { isInconclusive, resolveInconclusive } from '../rule/inconclusive.ts';
import { pairsOf } from '../rule/pairedEvidence.ts';
import type { SerinInstant } from '../values/instant.ts';
import type { BySide } from '../values/side.ts';
import { STABLE_ONLY_PERCENT } from './allocation.ts';
import { needsApproval } from './approval.ts';
import type { Command, Facts } from './command.ts';
import { decisionMade, promotion, requestAllocation, rollback, startStep } from './decisionEvents.ts';
import type { EventBody } from './events.ts';
import { isFirstForm } from './evidence.ts';
import { evolve } from './evolve.ts';
import { type Hold, raisedRisk } from './freeze.ts';
import { fiveChecksMs, isFresh } from './freshness.ts';
import { heldTime, hold } from './hold.ts';
import { mustSettleFirst } from './settlement.ts';
import {
  canaryFigures,
  comparedDecision,
  comparisonInput,
  type DeploymentState,
  forSides,
  stepAt,
  type Watched,
} from './state.ts';
import {
  type Interval,
  intervalUntil,
  isClosed,
  isSinceLastCheck,
  laterStepEnd,
  recordedInterval,
  stepEnd,
} from './watchedTime.ts';

export interface CheckOutcome {
  readonly events: readonly EventBody[];
  readonly breaches: BreachCounts;
}

/** One check of a deployment. A `LOOK` after a report sees the guardrails only; a `CHECK` also samples and decides. */
export function check(
  state: Watched,
  command: Extract<Command, { type: 'CHECK' | 'EVALUATE_GUARDRAILS' }>,
  facts: Facts,
): CheckOutcome {
  const canary = canaryFigures(state.observation.basis.CANARY, facts.metrics.CANARY);
  const again = command.type === 'EVALUATE_GUARDRAILS' && command.again === true;
  const before = again ? withoutLatest(facts.breaches) : facts.breaches;
  const { counts, tripped } = checkMetricLimits(state.config, canary, before);
  // A person decides, unless autoRollback was turned on since: then the next breach rolls back.
  const held = state.observation.tripped && !state.config.autoRollback;
  const resets = (facts.resets ?? []).map((reset): EventBody => ({ type: 'COUNTER_RESET', ...reset }));
  if (tripped && !held) return { events: [...resets, ...trip(state, tripped, facts)], breaches: counts };
  const guardsOnly = command.type === 'EVALUATE_GUARDRAILS' || state.status !== 'RUNNING';
  if (guardsOnly || isClosed(state, facts.now)) return { events: resets, breaches: counts };
  const { events, breaches } = sampleAndDecide(state, command.failure, { ...facts, breaches: counts });
  return { events: [...resets, ...events], breaches };
}

function trip(watched: Watched, breach: Breach, facts: Facts): EventBody[] {
  const { guardrail, side, measured, limit, message } = breach;
  const { tripped: before, breachedAt: first } = watched.observation;
  const breachedAt = before && first !== undefined ? first : breachTime(breach, facts);
  const state = { ...watched, observation: { ...watched.observation, breachedAt } };
  const reason = `Guardrail: ${message}`;
  const decided = decisionMade(state, facts, { decision: 'ROLLBACK', reasons: [reason], cause: 'GUARDRAIL' });
  const figures = { guardrail, side, measured, limit, message, breachedAt };
  const tripped: EventBody = { type: 'GUARDRAIL_TRIPPED', ...figures };
  // Without metrics the canary cannot be monitored: its capital goes back, whatever the configuration of decisions.
  if (guardrail === 'maxStaleSeconds') {
    const failed: EventBody = { type: 'CANARY_FAILED', reason: `Metrics cannot be had: ${message}` };
    return [tripped, decided, failed, requestAllocation(state, STABLE_ONLY_PERCENT, 'FAIL')];
  }
  if (state.config.autoRollback) return [tripped, decided, ...rollback(state, reason)];
  return [tripped, decided, ...awaitPerson(state, 'ROLLBACK', [reason])];
}

/** When the report arrived that broke the limit; for silence, now. */
function breachTime({ guardrail, side }: Breach, { metrics, now }: Facts): number {
  if (guardrail === 'maxStaleSeconds') return now;
  return Math.min(now, metrics[side]?.reportedAt ?? now);
}

/** Nothing to announce where the deployment waits already. */
function awaitPerson(state: Watched, decision: CanaryDecision, reasons: readonly string[]): EventBody[] {
  if (state.status === 'OBSERVATION_COMPLETE') return [];
  return [{ type: 'CANARY_OBSERVATION_COMPLETE', decision, reasons, waits: true }];
}

function sampleAndDecide(state: Watched, failure: string | null, facts: Facts): CheckOutcome {
  const interval = facts.recorded
    ? recordedInterval(state, facts.now, facts.recorded)
    : intervalUntil(state, facts.now);
  const resumed: EventBody[] = interval.isGap
    ? [{ type: 'WATCH_RESUMED', unwatchedMs: Math.round(interval.unwatchedMs) }]
    : [];
  const sample = takeSample(state, failure, interval, facts);
  const { counts: breaches, tripped } = checkSilence(state.config, sample.silentMs, facts.breaches);
  const seen = [...resumed, sample];
  const sampled = afterEvents(state, seen, facts);
  if (tripped) return { events: [...seen, ...trip(sampled, tripped, facts)], breaches };
  // Without metrics nothing is decided: the step continues until they are available, or until they are stale.
  if (failure !== null || waitsAfterGap(sampled, facts)) return { events: seen, breaches };
  return { events: [...seen, ...decideOn(sampled, facts)], breaches };
}

/** After unwatched time, nothing is decided before new figures of both sides, or before five checks without any. */
function waitsAfterGap(state: Watched, facts: Facts): boolean {
  const { resumedAt } = state.observation;
  if (resumedAt === undefined) return false;
  if (openMsBetween(state.config, resumedAt, facts.now) > fiveChecksMs(state.config)) return false;
  return !hasFreshFigures(state, facts);
}

function hasFreshFigures(state: Watched, { recorded, metrics, now }: Facts): boolean {
  return recorded?.fresh ?? isFresh(state, metrics, now);
}

type Sample = Extract<EventBody, { type: 'CANARY_METRICS_UPDATED' | 'METRICS_UNAVAILABLE' }>;

function takeSample(state: Watched, failure: string | null, interval: Interval, facts: Facts): Sample {
  const { now, metrics } = facts;
  const { config, observation } = state;
  const check = observation.checks + 1;
  const unwatchedMs = Math.round(interval.unwatchedMs);
  const silentMs = silence(state, interval, { now, metrics });
  const held = heldTime(state, interval.watchedMs, facts);
  const opened = hasOpenedBetween(config, observation.lastCheckAt, now);
  const watched = {
    check,
    silentMs,
    ...(unwatchedMs === 0 ? {} : { unwatchedMs }),
    ...(held && { held }),
    ...(opened ? { opened } : {}),
    ...laterStepEnd(
      config,
      observation.step.endsAt,
      { from: observation.lastCheckAt, to: now },
      unwatchedMs + (held?.ms ?? 0),
    ),
  };
  if (failure !== null) return { type: 'METRICS_UNAVAILABLE', ...watched, message: failure };
  const netPnlUsd = forSides((side) => metrics[side]?.netPnlUsd ?? null);
  const decision = comparedDecision(state, metrics);
  const pairs = config.evidence.pairing === 'SIGNAL' ? (facts.signals ?? []) : [];
  const paired = pairs.length > 0 ? { pairs } : {};
  return { type: 'CANARY_METRICS_UPDATED', ...watched, netPnlUsd, decision, ...paired };
}

/**
 * Watched time without news of each side. It begins anew after a gap, in which bots may have been unable to report. News
 * may also have come between the latest check and a command that counts as one: it is never longer ago than it arrived.
 */
function silence(
  state: Watched,
  { watchedMs, isGap }: Interval,
  { now, metrics }: Pick<Facts, 'now' | 'metrics'>,
): BySide<number> {
  const { config, observation } = state;
  const { silentMs, startedAt } = observation;
  return forSides((side) => {
    if (isGap) return 0;
    const newsAt = metrics[side]?.reportedAt ?? startedAt;
    const sinceNewsMs = openMsBetween(config, newsAt, now);
    if (isSinceLastCheck(state, newsAt, now))
      return Math.round(Math.max(0, Math.min(sinceNewsMs, watchedMs)));
    const unheardMs = silentMs[side] + watchedMs;
    // An instant after now is from before the clock was set back.
    return Math.round(newsAt > now ? unheardMs : Math.min(unheardMs, sinceNewsMs));
  });
}

/** The state with the events of this check in it: its comparison includes its own sample. */
function afterEvents(state: Watched, events: readonly EventBody[], { now }: Facts): Watched {
  const envelope = { at: now, actor: 'serin', revision: state.revision };
  let after: DeploymentState = state;
  for (const event of events) after = evolve(after, { ...event, ...envelope, no: after.eventCount + 1 });
  if (after.status !== 'RUNNING') throw new Error(`a sample moved ${state.id} to ${after.status}`);
  return after;
}

function decideOn(state: Watched, facts: Facts): EventBody[] {
  const { held, step } = state.observation;
  if (held) return whileHeld(state, held, facts);
  const events = facts.now >= step.endsAt ? endOfStep(state, facts) : early(state, facts);
  const block = raisedRisk(events);
  const freeze = block && facts.freeze?.blocking[block];
  return freeze && block !== 'DEPLOY' ? hold(state, block, freeze) : events;
}

/** A step does not end while a freeze holds its decision. Evidence that the canary is worse acts nevertheless. */
function whileHeld(state: Watched, held: Hold, facts: Facts): EventBody[] {
  const events = early(state, facts);
  const worse = events.some(
    (event) => event.type === 'DECISION_MADE' && event.record.decision === 'ROLLBACK',
  );
  if (worse) return events;
  const freeze = facts.freeze?.blocking[held.block];
  return freeze ? hold(state, held.block, freeze) : [];
}

/** The evidence may end the observation before its time. Most checks find it open, and compare nothing. */
function early(state: Watched, facts: Facts): EventBody[] {
  const { config, observation } = state;
  if (config.evidence.mode === 'OFF') return [];
  const input = comparisonInput(observation, facts.metrics, config);
  const verdict = verdictOf(input);
  const mayEnd =
    verdict === 'WORSE' ||
    (verdict === 'NOT_WORSE' && config.earlyPromote && hasEarnedItsEnd(state, facts.now));
  if (!mayEnd) return [];
  const comparison = compare(input);
  if (comparison.decision !== (verdict === 'WORSE' ? 'ROLLBACK' : 'PROMOTE')) return [];
  return conclude(state, comparison, 'EVIDENCE', facts);
}

/** Whether a step has evidence of its own: the pairs of the steps before are no reason to leave it immediately. */
function hasEarnedItsEnd({ config, observation }: Watched, now: SerinInstant): boolean {
  const { evidence, step } = observation;
  if (isFirstForm(evidence)) return false;
  const minMinutes = stepAt(config, step.index)?.minMinutes ?? 0;
  return (
    pairsOf(evidence) - evidence.pairsBeforeStep >= config.evidence.minSamples &&
    openMsBetween(config, step.startedAt, now) - (step.idleMs ?? 0) >= minMinutes * 60_000
  );
}

function endOfStep(state: Watched, facts: Facts): EventBody[] {
  const { onInconclusive, maxExtensions } = state.config;
  const extend = onInconclusive === 'EXTEND' && state.observation.extensions < maxExtensions;
  const input = comparisonInput(state.observation, facts.metrics, state.config);
  const comparison = compare({ ...input, ends: !extend });
  const { decision, decisionReasons } = comparison;
  if (isInconclusive(decision) && extend) {
    const minutes = stepAt(state.config, state.observation.step.index)?.minutes ?? 0;
    const reason = `Inconclusive: extended by itself (${state.observation.extensions + 1} of ${maxExtensions})`;
    const decided = decisionMade(state, facts, {
      decision,
      reasons: decisionReasons,
      cause: 'OBSERVATION_OVER',
      comparison,
    });
    const end = stepEnd(state.config, facts.now, minutes * 60_000);
    return [decided, { type: 'OBSERVATION_EXTENDED', minutes, automatic: true, reason, ...end }];
  }
  return conclude(state, comparison, 'OBSERVATION_OVER', facts, !extend);
}

/** Records a decision and executes it, as far as the configuration allows automatic actions. */
function conclude(
  state: Watched,
  comparison: Comparison,
  cause: 'EVIDENCE' | 'OBSERVATION_OVER',
  facts: Facts,
  ends = false,
): EventBody[] {
  const { decision, overrideReason: because } = resolveInconclusive(
    comparison.decision,
    cause,
    state,
    facts.stableVersionId,
  );
  if (decision === 'PROMOTE' && actsOnPromotion(state, facts) && !hasFreshFigures(state, facts)) return [];
  if (decision === 'PROMOTE' && startsStep(state) && mustSettleFirst(state.config, state.allocation))
    return [];
  const reasons = because ? [...comparison.decisionReasons, because] : comparison.decisionReasons;
  const decided = decisionMade(state, facts, { decision, reasons, cause, ends, comparison });
  const { config, observation } = state;
  const next = observation.step.index + 1;
  const step = stepAt(config, observation.step.index);

  if (decision === 'PROMOTE' && stepAt(config, next)) {
    if (step?.gate === 'AUTO') return [decided, ...startStep(state, next, facts, null)];
    const held = `Step ${next} of ${config.steps.length} is over and waits for advanceStep`;
    return [decided, ...awaitPerson(state, decision, [...reasons, held])];
  }
  const acts =
    (decision === 'PROMOTE' && config.autoPromote && !needsApproval(state, facts) && step?.gate === 'AUTO') ||
    (decision === 'ROLLBACK' && config.autoRollback);
  const over: EventBody = { type: 'CANARY_OBSERVATION_COMPLETE', decision, reasons, waits: !acts };
  if (!acts) return [over, decided];
  const act = decision === 'PROMOTE' ? promotion : rollback;
  return [over, decided, ...act(state, reasons[0] ?? null)];
}

/** Whether a promotion of the running step starts the next one automatically. */
function startsStep({ config, observation }: Watched): boolean {
  const { index } = observation.step;
  return stepAt(config, index + 1) !== null && stepAt(config, index)?.gate === 'AUTO';
}

/** Whether Serin would promote, or begin the next step, automatically at the end of the running step. */
function actsOnPromotion(state: Watched, facts: Facts): boolean {
  const { config, observation } = state;
  const { index } = observation.step;
  if (stepAt(config, index)?.gate !== 'AUTO') return false;
  return stepAt(config, index + 1) !== null || (config.autoPromote && !needsApproval(state, facts));
}
