/**
 * One run of a policy on the engine, without a database: a deployment is created, deployed and checked by
 * the same `decide` and `evolve` that a live one goes through. Simulation and replay are made of it.
 */

import type { CanaryConfig, GuardrailName } from '../config/config.ts';
import type { Command, Facts } from '../lifecycle/command.ts';
import type { CanaryEvent, DecisionRecord } from '../lifecycle/events.ts';
import { begin, handle } from '../lifecycle/handle.ts';
import { type DeploymentState, isWatched, stepAt, type Watched } from '../lifecycle/state.ts';
import { type MetricsBySide, NO_METRICS } from '../metrics/sideMetrics.ts';
import type { GateName } from '../rule/gate.ts';
import { type BreachCounts, NO_BREACHES } from '../rule/guardrails.ts';
import type { Decimal } from '../values/decimal.ts';

/** The state of a run: what the store would hold of a deployment, without its metrics. */
export interface EngineRun {
  readonly state: DeploymentState;
  readonly breaches: BreachCounts;
}

/** What brought a decision about: a gate, a guardrail, or that nothing spoke until the end; null for a promotion. */
export type Because = GateName | GuardrailName | 'INCONCLUSIVE' | null;

/** A decision of a run, with its inputs. */
export interface EngineDecision {
  readonly at: number;
  readonly check: number;
  readonly record: DecisionRecord;
  readonly because: Because;
}

/** Default names of the two versions. */
const ANY = { stableVersionId: 'stable', canaryVersionId: 'canary' };

/** A run has no bots: allocations are not acknowledged, and no lease is kept. */
const withoutBots = (config: CanaryConfig): CanaryConfig => ({
  ...config,
  settlement: null,
  capitalLeaseSeconds: null,
});

/** Starts a run: the policy's first allocation is made at this instant. */
export function startEngineRun(
  config: CanaryConfig,
  capitalUsd: Decimal,
  at: number,
  { stableVersionId, canaryVersionId }: typeof ANY = ANY,
): EngineRun {
  const named = { id: 'trial', strategyId: 'trial', chain: 'trial', stableVersionId, canaryVersionId };
  const { state } = begin({ ...named, config: withoutBots(config) }, { at, actor: 'serin' });
  const pending: EngineRun = { state, breaches: NO_BREACHES };
  return continueRun(pending, { type: 'DEPLOY', capitalUsd, reason: null }, at, NO_METRICS).trial;
}

/** Has the engine decide a command at a moment and applies what follows. */
export function continueRun(
  trial: EngineRun,
  command: Command,
  now: number,
  metrics: MetricsBySide,
  recorded?: Facts['recorded'],
  signals?: Facts['signals'],
): { readonly trial: EngineRun; readonly events: readonly CanaryEvent[] } {
  const { state: before, breaches } = trial;
  const { stableVersionId } = before;
  const facts = { now, metrics, breaches, stableVersionId, recorded, signals, actor: 'serin' };
  const handled = handle(before, command, facts);
  if (!handled.accepted) throw new Error(`a trial refused ${command.type}: ${handled.refusal.message}`);
  return { trial: { state: handled.state, breaches: handled.breaches }, events: handled.events };
}

/** The state of a run that is still watched. */
export function watched({ state }: EngineRun): Watched {
  if (!isWatched(state)) throw new Error(`a trial is ${state.status} and no longer watched`);
  return state;
}

/** The decision among the events of a check, if one was made. */
export function decisionAmong(events: readonly CanaryEvent[], check: number): EngineDecision | null {
  const made = events.find((event) => event.type === 'DECISION_MADE');
  if (made?.type !== 'DECISION_MADE') return null;
  return { at: made.at, check, record: made.record, because: because(made.record, events) };
}

function because(made: DecisionRecord, events: readonly CanaryEvent[]): Because {
  const tripped = events.find((event) => event.type === 'GUARDRAIL_TRIPPED');
  if (tripped?.type === 'GUARDRAIL_TRIPPED') return tripped.guardrail;
  if (made.decision === 'PROMOTE') return null;
  if (made.decision !== made.comparison.decision) return 'INCONCLUSIVE';
  return made.comparison.gates.find(({ outcome }) => outcome === 'FAILED')?.name ?? 'INCONCLUSIVE';
}

/**
 * Passes a manual gate, like a person who agrees with the decision.
 * @returns the run in its next step, or null if no step waits
 */
export function passManualGate(trial: EngineRun, now: number, metrics: MetricsBySide): EngineRun | null {
  const { state } = trial;
  if (state.status !== 'OBSERVATION_COMPLETE' || state.decision !== 'PROMOTE') return null;
  if (!stepAt(state.config, state.observation.step.index + 1)) return null;
  return continueRun(trial, { type: 'ADVANCE_STEP', reason: null }, now, metrics).trial;
}
