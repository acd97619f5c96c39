/**
 * What another policy would have decided on what a deployment recorded. The log and the samples are walked in order,
 * and the engine evaluates each as it would have then. What the record holds are returns: dollars are those returns on
 * the capital that this policy would have given each side.
 */

import type { CanaryConfig } from '../config/config.ts';
import { openMsBetween } from '../config/tradingCalendar.ts';
import type { Sample } from '../document/document.ts';
import { requestedUsd } from '../lifecycle/allocation.ts';
import type { CanaryEvent, EventType, SignalPair } from '../lifecycle/events.ts';
import { LONGEST_INTERVAL } from '../lifecycle/evidence.ts';
import { evolve } from '../lifecycle/evolve.ts';
import { isFresh } from '../lifecycle/freshness.ts';
import {
  allocationOf,
  type DeploymentState,
  forSides,
  isEnded,
  isWatched,
  nextCheckAt,
  observationDeadline,
  observationOf,
} from '../lifecycle/state.ts';
import { intervalUntil, isClosed } from '../lifecycle/watchedTime.ts';
import { applyReport, type MetricsBySide, NO_METRICS, type SideMetrics } from '../metrics/sideMetrics.ts';
import { RULE } from '../rule/ruleVersion.ts';
import { type Decimal, ZERO } from '../values/decimal.ts';
import { type BySide, SIDES, type Side } from '../values/side.ts';
import {
  continueRun,
  decisionAmong,
  type EngineDecision,
  type EngineRun,
  startEngineRun,
} from './engineRun.ts';

export const REPLAY_OUTCOMES = [
  'PROMOTED',
  'ROLLED_BACK',
  'FAILED',
  'WAITS_FOR_PERSON',
  'UNDECIDED',
] as const;
export type ReplayOutcome = (typeof REPLAY_OUTCOMES)[number];

export interface PolicyReplay {
  /** `UNDECIDED`: the record ends before this policy would have decided. */
  readonly outcome: ReplayOutcome;
  /** When the outcome came about, epoch milliseconds; null while undecided. */
  readonly decidedAt: number | null;
  /** Every decision on the way, steps of a ramp included; the last one stands. */
  readonly decisions: readonly EngineDecision[];
  /** Checks of the record that the policy evaluated. */
  readonly checks: number;
  /** The latest check of the record that was replayed; null if there was none. */
  readonly recordedUntil: number | null;
  /** What cannot be known from this record. */
  readonly notes: readonly string[];
}

/** A replay that is fed the record piece by piece. */
export interface Replay {
  /**
   * Takes the next event of the log.
   * @param sample what the check saw, for `CANARY_METRICS_UPDATED`; null when it is no longer kept
   * @returns whether later events can still matter
   */
  take(event: CanaryEvent, sample: Sample | null): boolean;
  result(): PolicyReplay;
}

export function createReplay(policy: CanaryConfig): Replay {
  /** The policy, with the pairs that the record has. */
  let config = policy;
  /** Signals of the record since the check before. */
  let signals: SignalPair[] = [];
  let recorded: DeploymentState | null = null;
  let trial: EngineRun | null = null;
  let due = 0;
  let metrics: MetricsBySide = NO_METRICS;
  /** Unwatched time of the record before the next check. */
  let unwatchedMs = 0;
  /** Whether its checks went on after a gap in that time. */
  let isGap = false;
  let checks = 0;
  let recordedUntil: number | null = null;
  let gap: string | null = null;
  /** Types of events in the record, and whether a sample lacked the value of open positions. */
  const seen = new Set<EventType>();
  let withoutUnrealized = false;
  const decisions: EngineDecision[] = [];
  /** Net PnL, and PnL before costs: each goes on from what it was when the capital changed. */
  const net = forSides(() => createConversion());
  const gross = forSides(() => createConversion());

  return {
    take(event, sample) {
      const lastCheckAt = (recorded && observationOf(recorded)?.lastCheckAt) ?? event.at;
      recorded = evolve(recorded, event);
      seen.add(event.type);
      if (event.type === 'CANARY_STARTED') config = withPairsOf(recorded.config, policy);
      if (event.type === 'CANARY_STARTED')
        trial = startEngineRun(config, event.capitalUsd, event.at, recorded);
      if (!trial) return true;
      if (isCheck(event)) unwatchedMs += closedMs(recorded.config, lastCheckAt, event.at);
      follow(event, sample);
      rebase();
      return gap === null && !isEnded(trial.state);
    },
    result: () => ({ ...outcome(), decisions, checks, recordedUntil, notes: notes() }),
  };

  function follow(event: CanaryEvent, sample: Sample | null): void {
    const byPerson = event.actor !== 'serin';
    switch (event.type) {
      case 'CANARY_STARTED':
        due = event.at + config.checkIntervalSeconds * 1000;
        return;
      case 'WATCH_RESUMED':
        isGap = true;
        return;
      case 'CANARY_METRICS_UPDATED':
        if (!sample) {
          gap = `The sample of check ${event.check} is no longer kept: nothing is known from there on`;
          return;
        }
        metrics = convert(sample.metrics);
        withoutUnrealized ||= SIDES.some((side) => metrics[side]?.unrealizedPnlUsd === undefined);
        unwatchedMs += event.unwatchedMs ?? 0;
        signals.push(...(event.pairs ?? []));
        check(event.at, { type: 'CHECK', failure: null });
        return;
      case 'METRICS_UNAVAILABLE':
        unwatchedMs += event.unwatchedMs ?? 0;
        check(event.at, { type: 'CHECK', failure: event.message });
        return;
      case 'DECISION_MADE': {
        // A guardrail, a person or a loss budget decided between two checks: what was known then is in the record.
        const { cause } = event.record;
        if (cause === 'EVIDENCE' || cause === 'OBSERVATION_OVER') return;
        metrics = convert(event.record.metrics);
        act(event.at, { type: 'EVALUATE_GUARDRAILS' });
        return;
      }
      case 'ALLOCATION_ACKNOWLEDGED':
        acknowledge(event);
        return;
      case 'CANARY_PAUSED':
        if (recorded && isWatched(recorded)) unwatchedMs += intervalUntil(recorded, event.at).unwatchedMs;
        if (trial?.state.status === 'RUNNING') act(event.at, { type: 'PAUSE', reason: null });
        return;
      case 'CANARY_RESUMED':
        if (trial?.state.status === 'PAUSED') act(event.at, { type: 'RESUME', reason: null });
        return;
      case 'OBSERVATION_EXTENDED':
        if (!byPerson || trial?.state.status !== 'OBSERVATION_COMPLETE') return;
        act(event.at, { type: 'EXTEND', minutes: event.minutes, reason: null });
        return;
      case 'STEP_STARTED':
        for (const side of SIDES) earned(side, event.netPnlUsd[side]);
        if (byPerson && mayAdvanceTo(event.step)) act(event.at, { type: 'ADVANCE_STEP', reason: null });
        return;
    }
  }

  /** Time before a check in which the policy would have observed, and the market of the record was closed. */
  function closedMs(record: CanaryConfig, from: number, to: number): number {
    return Math.max(0, openMsBetween(config, from, to) - openMsBetween(record, from, to));
  }

  /** A check of the record. A policy that checks less often lets those go by that come before its time. */
  function check(at: number, command: { readonly type: 'CHECK'; readonly failure: string | null }): void {
    recordedUntil = at;
    const slack = (recorded?.config.checkIntervalSeconds ?? 0) * 500;
    if (config.checkIntervalSeconds > (recorded?.config.checkIntervalSeconds ?? 0) && at + slack < due)
      return;
    if (trial && isWatched(trial.state) && isClosed(trial.state, at)) return;
    checks += 1;
    act(at, command);
  }

  function act(at: number, command: Parameters<typeof continueRun>[1]): void {
    if (!trial || isEnded(trial.state)) return;
    const before = trial.state;
    const fresh = recorded !== null && isFresh({ ...recorded, config: limitsOf(recorded) }, metrics, at);
    const { trial: after, events } = continueRun(
      trial,
      command,
      at,
      metrics,
      { unwatchedMs, isGap, fresh },
      signals,
    );
    trial = after;
    if (command.type === 'CHECK') signals = [];
    if (command.type === 'CHECK' || command.type === 'RESUME') {
      unwatchedMs = 0;
      isGap = false;
    }
    const made = decisionAmong(events, checks);
    if (made) decisions.push(made);
    const sameRound = before.status === after.state.status && stepOf(before) === stepOf(after.state);
    const beat = sameRound ? nextCheckAt(after.state, due) : null;
    if (command.type !== 'EVALUATE_GUARDRAILS')
      due = beat !== null && beat > at ? beat : (nextCheckAt(after.state, at) ?? due);
  }

  /** How old figures may be, as the policy says. One that checks more often than the record would have seen newer ones. */
  function limitsOf(record: DeploymentState): CanaryConfig {
    return config.checkIntervalSeconds < record.config.checkIntervalSeconds ? record.config : config;
  }

  function mayAdvanceTo(step: number): boolean {
    const state = trial?.state;
    if (state?.status !== 'RUNNING' && state?.status !== 'OBSERVATION_COMPLETE') return false;
    return state.observation.step.index + 1 === step && step < config.steps.length;
  }

  /** A side holds the same share of what this policy requests as it held of what was requested in the record. */
  function acknowledge(event: Extract<CanaryEvent, { type: 'ALLOCATION_ACKNOWLEDGED' }>): void {
    const asked = recorded && allocationOf(recorded);
    const asks = trial && allocationOf(trial.state);
    const { side, number, heldUsd, netPnlUsd, at } = event;
    earned(side, netPnlUsd);
    if (!asked || !asks || number !== asked.number) return;
    const [ofRecord, ofTrial] = [requestedUsd(asked, side), requestedUsd(asks, side)];
    // What a side that was to hold nothing would have held of more, nobody knows.
    if (ofRecord.isZero() && !ofTrial.isZero()) return;
    const held = ofRecord.isZero() ? heldUsd : ofTrial.times(heldUsd).div(ofRecord);
    act(at, { type: 'ACKNOWLEDGE', number: asks.number, side, heldUsd: held });
  }

  /** What a side had earned when its capital changed, which may be after its latest sample. It is no news of the side. */
  function earned(side: Side, netPnlUsd: Decimal): void {
    const pnlUsd = net[side].to(netPnlUsd);
    const newsAt = metrics[side]?.reportedAt ?? (recorded && observationOf(recorded)?.startedAt) ?? 0;
    metrics = { ...metrics, [side]: applyReport(metrics[side], { pnlUsd }, newsAt) };
  }

  function convert(seen: MetricsBySide): MetricsBySide {
    const of = (side: Side, figures: SideMetrics | null) =>
      figures && {
        ...figures,
        netPnlUsd: net[side].to(figures.netPnlUsd),
        totalPnlUsd: gross[side].to(figures.totalPnlUsd),
      };
    return { CANARY: of('CANARY', seen.CANARY), STABLE: of('STABLE', seen.STABLE) };
  }

  /** From now on, dollars are converted between the capital of the record and that of the trial. */
  function rebase(): void {
    const from = recorded && capitalOf(recorded);
    const to = trial && capitalOf(trial.state);
    if (!from || !to) return;
    for (const side of SIDES) for (const pnl of [net, gross]) pnl[side].rebase(from[side], to[side]);
  }

  function outcome(): Pick<PolicyReplay, 'outcome' | 'decidedAt'> {
    const state = trial?.state;
    switch (state?.status) {
      case 'PROMOTED':
      case 'ROLLED_BACK':
      case 'FAILED':
        return { outcome: state.status, decidedAt: state.endedAt };
      case 'OBSERVATION_COMPLETE':
        return { outcome: 'WAITS_FOR_PERSON', decidedAt: state.completedAt };
      default:
        return { outcome: 'UNDECIDED', decidedAt: null };
    }
  }

  function notes(): string[] {
    if (!recorded || !trial) return ['The deployment was never deployed: there is nothing to replay'];
    const found: string[] = gap ? [gap] : [];
    if (recorded.rule !== RULE || seen.has('RULE_CHANGED')) {
      found.push(
        'The record began under an earlier version of the rule: the replay is under the present one',
      );
    }
    for (const [type, note] of NOTED) if (seen.has(type) && !found.includes(note)) found.push(note);
    if (JSON.stringify(config.tradingHours) !== JSON.stringify(recorded.config.tradingHours)) {
      found.push(
        'The policy has other trading hours than the record: what neither has watched extends the step',
      );
    }
    if (config.evidence.pairing !== policy.evidence.pairing) {
      found.push(
        'The record has no pairs by signal, which this policy asks for: the pairs are those of checks',
      );
    }
    if (config.requireUnrealized && withoutUnrealized) {
      found.push('Samples have no unrealizedPnlUsd, which this policy requires: they stay without it');
    }
    const interval = recorded.config.checkIntervalSeconds;
    if (config.checkIntervalSeconds < interval) {
      const tooFar = config.checkIntervalSeconds * LONGEST_INTERVAL < interval;
      found.push(
        `This policy checks every ${config.checkIntervalSeconds} s, but the record has a sample every ${interval} s${
          tooFar ? ', too far apart to make pairs: the replay has no evidence' : ''
        }`,
      );
    }
    if (isWatched(trial.state) && trial.state.status !== 'OBSERVATION_COMPLETE') {
      const until = new Date(observationDeadline(trial.state, trial.state.observation)).toISOString();
      const how = isEnded(recorded) ? `the deployment was ${recorded.status} then` : 'it continues';
      found.push(
        `The record ends after ${checks} checks (${how}): this policy would have observed until ${until}`,
      );
    }
    return found;
  }
}

/** What of a record is replayed otherwise than it happened. */
const HELD =
  'A freeze held a decision in the record: a replay knows no freezes and decides when the policy would have';
const NOTED: readonly (readonly [EventType, string])[] = [
  ['STEP_HELD', HELD],
  ['PROMOTION_HELD', HELD],
  [
    'CONFIG_UPDATED',
    'The configuration was changed in the record: the replay holds the given policy from beginning to end',
  ],
  ['COUNTER_RESET', 'Runs of a side began anew in the record: their totals are carried over as recorded'],
  ['WATCH_RESUMED', 'Unwatched time is in the record: it extends the step, and no pair is formed over it'],
];

/** Pairs by signal are replayed where the record has them. */
function withPairsOf(record: CanaryConfig, policy: CanaryConfig): CanaryConfig {
  if (policy.evidence.pairing === 'CHECK' || record.evidence.pairing === 'SIGNAL') return policy;
  return { ...policy, evidence: { ...policy.evidence, pairing: 'CHECK' } };
}

const isCheck = ({ type }: CanaryEvent) =>
  type === 'CANARY_METRICS_UPDATED' || type === 'METRICS_UNAVAILABLE';

const stepOf = (state: DeploymentState) => observationOf(state)?.step.endsAt;

function capitalOf(state: DeploymentState): BySide<Decimal> | null {
  const observation = observationOf(state);
  return observation && forSides((side) => observation.basis[side].capitalUsd);
}

/** Converts a profit on one capital to the profit on another. */
interface Conversion {
  to(recordedUsd: Decimal): Decimal;
  /** Both capitals as they are from now on: what was earned until now stays as it was converted. */
  rebase(recordedCapital: Decimal, capital: Decimal): void;
}

function createConversion(): Conversion {
  let anchor = { recorded: ZERO, converted: ZERO };
  let latest = ZERO;
  let capitals: { readonly recorded: Decimal; readonly own: Decimal } | null = null;
  const convert = (recordedUsd: Decimal): Decimal => {
    if (!capitals) return recordedUsd;
    const earned = recordedUsd.minus(anchor.recorded);
    return anchor.converted.plus(earned.times(capitals.own).div(capitals.recorded));
  };
  return {
    to(recordedUsd) {
      latest = recordedUsd;
      return convert(recordedUsd);
    },
    rebase(recordedCapital, capital) {
      if (capitals?.recorded.eq(recordedCapital) && capitals.own.eq(capital)) return;
      anchor = { recorded: latest, converted: convert(latest) };
      capitals = { recorded: recordedCapital, own: capital };
    },
  };
}
