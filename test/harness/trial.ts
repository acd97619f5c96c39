/**
 * A deployment on the engine's functions alone, for tests of the rule: commands, reports and checks in simulated time,
 * and their results. Each method returns the types of the events that followed.
 */

import type { CanaryConfig } from '../../src/core/config/config.ts';
import { type CanaryConfigInput, parseConfig } from '../../src/core/config/parseConfig.ts';
import type { Command, Facts } from '../../src/core/lifecycle/command.ts';
import type { CanaryEvent, DecisionRecord, EventType } from '../../src/core/lifecycle/events.ts';
import { isFirstForm } from '../../src/core/lifecycle/evidence.ts';
import type { FreezeFacts } from '../../src/core/lifecycle/freeze.ts';
import { begin, type Handled, handle } from '../../src/core/lifecycle/handle.ts';
import {
  comparisonOf,
  type DeploymentState,
  isWatched,
  nextCheckAt,
  type Observation,
  observationOf,
} from '../../src/core/lifecycle/state.ts';
import {
  type MetricsBySide,
  type MetricsReport,
  NO_METRICS,
  type SideMetrics,
  withReport,
} from '../../src/core/metrics/sideMetrics.ts';
import { type BreachCounts, NO_BREACHES } from '../../src/core/rule/guardrails.ts';
import type { EvidenceState } from '../../src/core/rule/pairedEvidence.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import type { Side } from '../../src/core/values/side.ts';

/** Guardrails off: no failure because of silence or losses, for tests of something else. */
export const NO_GUARDRAILS = { maxStaleSeconds: null, maxLossPercent: null };

/** Figures as tests write them. */
export type Figures = Partial<Record<keyof MetricsReport, number | string>>;

export function figures(given: Figures): MetricsReport {
  const counts = ['trades', 'errors', 'uptimeSeconds'];
  const read = Object.entries(given).map(([name, value]) => [
    name,
    counts.includes(name) ? Number(value) : decimal(value),
  ]);
  return Object.fromEntries(read);
}

export function configOf(input: CanaryConfigInput = {}): CanaryConfig {
  const parsed = parseConfig(input);
  if (!parsed.ok) throw new Error(`a test has a bad config: ${JSON.stringify(parsed.violations)}`);
  return parsed.value;
}

export class Trial {
  now = Date.parse('2026-01-05T09:00:00Z');
  metrics: MetricsBySide = NO_METRICS;
  breaches: BreachCounts = NO_BREACHES;
  /** The strategy's stable version; another deployment may move it. */
  stableVersionId = 'v1';
  /** What freezes mean for it now. */
  freeze: FreezeFacts | undefined;
  /** The person whose commands these are. */
  actor = 'ada';
  state: DeploymentState;
  readonly log: CanaryEvent[] = [];

  /** Deployed with this capital in all; `null` leaves it pending. */
  constructor(config: CanaryConfigInput = {}, capitalUsd: number | string | null = 100_000) {
    const names = { id: 'd', strategyId: 's', chain: 'c', stableVersionId: 'v1', canaryVersionId: 'v2' };
    const made = begin({ ...names, config: configOf(config) }, { at: this.now, actor: 'ada' });
    this.state = made.state;
    this.log.push(...made.events);
    if (capitalUsd !== null) this.do({ type: 'DEPLOY', capitalUsd: decimal(capitalUsd), reason: null });
  }

  get facts(): Facts {
    const { now, metrics, breaches, stableVersionId, freeze, actor } = this;
    return { now, metrics, breaches, stableVersionId, freeze, actor };
  }

  /** The verdict on a command, with its events applied when it was accepted. */
  try(command: Command): Handled {
    const actor = command.type === 'CHECK' || command.type === 'EVALUATE_GUARDRAILS' ? 'serin' : this.actor;
    const handled = handle(this.state, command, { ...this.facts, actor });
    if (!handled.accepted) return handled;
    this.state = handled.state;
    this.breaches = handled.breaches;
    this.log.push(...handled.events);
    return handled;
  }

  do(command: Command): EventType[] {
    const verdict = this.try(command);
    if (!verdict.accepted) throw new Error(verdict.refusal.message);
    return verdict.events.map(({ type }) => type);
  }

  /** A command without parameters. */
  order(type: 'PROMOTE' | 'ROLLBACK' | 'CANCEL' | 'PAUSE' | 'RESUME' | 'ADVANCE_STEP'): EventType[] {
    return this.do({ type, reason: null });
  }

  extend(minutes: number | null = null): EventType[] {
    return this.do({ type: 'EXTEND', minutes, reason: null });
  }

  report(side: Side, given: Figures): EventType[] {
    this.metrics = withReport(this.metrics, side, figures(given), this.now);
    return side === 'CANARY' ? this.do({ type: 'EVALUATE_GUARDRAILS' }) : [];
  }

  /** Both sides earn this much more, in USD, and have traded. */
  earn(canaryUsd: number, stableUsd: number): EventType[] {
    const { CANARY: canary, STABLE: stable } = this.metrics;
    this.report('STABLE', { pnlUsd: String(stable?.netPnlUsd.plus(stableUsd) ?? stableUsd), trades: 90 });
    return this.report('CANARY', {
      pnlUsd: String(canary?.netPnlUsd.plus(canaryUsd) ?? canaryUsd),
      trades: 10,
    });
  }

  wait(seconds: number): void {
    this.now += seconds * 1000;
  }

  /** The next check, when it is due. */
  check(failure: string | null = null): EventType[] {
    const { lastCheckAt } = this.observation;
    const due = nextCheckAt(this.state, Math.max(lastCheckAt, this.now)) ?? this.now;
    this.now = due;
    if (failure === null) this.sayAgain();
    return this.do({ type: 'CHECK', failure });
  }

  /** The sides that have reported report the same again: their bots are alive. */
  sayAgain(): void {
    const alive = (metrics: SideMetrics | null) => metrics && { ...metrics, reportedAt: this.now };
    this.metrics = { CANARY: alive(this.metrics.CANARY), STABLE: alive(this.metrics.STABLE) };
  }

  /** Checks until the deployment stops running or enters another step. Returns the result of the last check. */
  checkToEnd(): EventType[] {
    const { index } = this.observation.step;
    for (;;) {
      const types = this.check();
      if (this.state.status !== 'RUNNING' || this.observation.step.index !== index) return types;
    }
  }

  get status(): DeploymentState['status'] {
    return this.state.status;
  }

  get observation(): Observation {
    const seen = observationOf(this.state);
    if (!seen) throw new Error('not deployed');
    return seen;
  }

  /** The state of the evidence, under the present rule. */
  get evidence(): EvidenceState {
    const { evidence } = this.observation;
    if (isFirstForm(evidence)) throw new Error('under the first version of the rule');
    return evidence;
  }

  /** What a person is asked to act on; null where nobody is. */
  get awaited() {
    return this.state.status === 'OBSERVATION_COMPLETE' ? this.state.decision : null;
  }

  get comparison() {
    return comparisonOf(this.state, this.metrics);
  }

  get decisions(): DecisionRecord[] {
    return this.log.flatMap((event) => (event.type === 'DECISION_MADE' ? [event.record] : []));
  }

  get decision(): DecisionRecord {
    const last = this.decisions.at(-1);
    if (!last) throw new Error('nothing was decided');
    return last;
  }

  get canaryPercent(): number {
    return isWatched(this.state) ? this.state.allocation.canaryPercent.toNumber() : 0;
  }
}
