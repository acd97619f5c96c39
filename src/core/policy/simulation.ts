/**
 * How a policy would decide on canaries whose worth is known: identical to the stable version, better, worse. Each
 * run gives all kinds the same market, so that they differ by what they are and not by luck. The same configuration
 * and assumptions always give the same answer.
 */

import type { CanaryConfig } from '../config/config.ts';
import type { CanaryDecision } from '../rule/gate.ts';
import type { Assumptions } from './assumptions.ts';
import type { Because } from './engineRun.ts';
import { createMarket, streams } from './market.ts';
import { type SimulatedTrial, simulateTrial } from './simulatedTrial.ts';

export const CANARY_KINDS = ['IDENTICAL', 'BETTER', 'WORSE'] as const;
export type CanaryKind = (typeof CANARY_KINDS)[number];

/** A figure found by simulation, and how far chance may have moved it. */
export interface Estimate {
  readonly value: number;
  /** Monte Carlo standard error. */
  readonly standardError: number;
}

/** A share of the runs that were decided in one way for one reason. */
export interface Outcome {
  readonly decision: CanaryDecision;
  /** The gate or guardrail that decided, `INCONCLUSIVE` where nothing spoke; null for a promotion. */
  readonly because: Because;
  readonly share: number;
}

/** What became of the canaries of one kind. */
export interface SimulatedCanary {
  readonly kind: CanaryKind;
  readonly promoted: Estimate;
  readonly rolledBack: Estimate;
  /** Left to a person: MANUAL_REVIEW or CONTINUE at the end. */
  readonly review: Estimate;
  readonly medianSecondsToDecide: number;
  /** Mean loss of the canaries that were rolled back, a fraction of their capital; null when none was. */
  readonly lossBeforeRollback: Estimate | null;
  /** What the same canaries would have lost by the end of the planned observation. */
  readonly lossOfWaiting: Estimate | null;
  /** The most frequent first. */
  readonly outcomes: readonly Outcome[];
}

export interface PolicySimulation {
  readonly assumptions: Assumptions;
  /** Runs done so far, of `assumptions.runs`. */
  readonly completedRuns: number;
  /** One of each kind; empty before the first run. */
  readonly canaries: readonly SimulatedCanary[];
}

/** A simulation that advances run by run, so that its caller can report and stop in between. */
export interface Simulation {
  /** Does one run of every kind; false when all were done before. */
  step(): boolean;
  /** What the runs so far say. */
  report(): PolicySimulation;
}

export function createSimulation(
  config: CanaryConfig,
  assumptions: Assumptions,
  kinds: readonly CanaryKind[] = CANARY_KINDS,
): Simulation {
  const { runs, seed, difference } = assumptions;
  const shifts: Record<CanaryKind, number> = { IDENTICAL: 0, BETTER: difference, WORSE: -difference };
  const tallies = kinds.map((kind) => ({ kind, trials: [] as TrialFigures[] }));
  const randomness = streams(seed);
  let completedRuns = 0;
  return {
    step() {
      if (completedRuns >= runs) return false;
      const stream = randomness.next().value;
      for (const { kind, trials } of tallies) {
        const market = createMarket(assumptions, shifts[kind], stream.clone());
        trials.push(figuresOf(simulateTrial(config, assumptions, market)));
      }
      completedRuns += 1;
      return true;
    },
    report() {
      const canaries = completedRuns === 0 ? [] : tallies.map(({ kind, trials }) => summarise(kind, trials));
      return { assumptions, completedRuns, canaries };
    },
  };
}

/** Runs a whole simulation. */
export function simulatePolicy(
  config: CanaryConfig,
  assumptions: Assumptions,
  kinds: readonly CanaryKind[] = CANARY_KINDS,
): PolicySimulation {
  const simulation = createSimulation(config, assumptions, kinds);
  while (simulation.step());
  return simulation.report();
}

/** The figures that are kept of a trial. */
export interface TrialFigures {
  readonly decision: CanaryDecision;
  readonly because: Because;
  readonly seconds: number;
  readonly loss: number;
  readonly lossAtEnd: number;
}

export function figuresOf({ decided, canaryReturn, canaryReturnAtEnd }: SimulatedTrial): TrialFigures {
  const { record, because, at } = decided;
  const { decision } = record;
  return { decision, because, seconds: at / 1000, loss: -canaryReturn, lossAtEnd: -canaryReturnAtEnd };
}

function summarise(kind: CanaryKind, trials: readonly TrialFigures[]): SimulatedCanary {
  const share = (...decisions: CanaryDecision[]) =>
    shareOf(trials.filter(({ decision }) => decisions.includes(decision)).length, trials.length);
  const rolledBack = trials.filter(({ decision }) => decision === 'ROLLBACK');
  return {
    kind,
    promoted: share('PROMOTE'),
    rolledBack: share('ROLLBACK'),
    review: share('MANUAL_REVIEW', 'CONTINUE'),
    medianSecondsToDecide: median(trials.map(({ seconds }) => seconds)),
    lossBeforeRollback: meanOf(rolledBack.map(({ loss }) => loss)),
    lossOfWaiting: meanOf(rolledBack.map(({ lossAtEnd }) => lossAtEnd)),
    outcomes: outcomesOf(trials),
  };
}

function outcomesOf(trials: readonly TrialFigures[]): Outcome[] {
  const counts = new Map<string, { readonly of: TrialFigures; count: number }>();
  for (const trial of trials) {
    const key = `${trial.decision} ${trial.because}`;
    const counted = counts.get(key) ?? { of: trial, count: 0 };
    counted.count += 1;
    counts.set(key, counted);
  }
  return [...counts.values()]
    .sort((a, b) => b.count - a.count)
    .map(({ of: { decision, because }, count }) => ({ decision, because, share: count / trials.length }));
}

function shareOf(count: number, total: number): Estimate {
  const value = count / total;
  return { value, standardError: Math.sqrt((value * (1 - value)) / total) };
}

function meanOf(values: readonly number[]): Estimate | null {
  const { length } = values;
  if (length === 0) return null;
  const value = values.reduce((sum, each) => sum + each, 0) / length;
  const squares = values.reduce((sum, each) => sum + (each - value) ** 2, 0);
  return { value, standardError: length > 1 ? Math.sqrt(squares / (length - 1) / length) : 0 };
}

/** The middle value; the mean of the two middle ones of an even number. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}
