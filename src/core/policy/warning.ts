/**
 * A policy is tried on identical versions before it is trusted: one that would roll back too many of them gets a
 * warning. Seed, runs and assumptions follow from the configuration alone, so the same policy gets the same
 * warning, on any node and at any time.
 */

import type { CanaryConfig } from '../config/config.ts';
import type { Violation } from '../values/violation.ts';
import { type Assumptions, defaultAssumptions, longestTrial } from './assumptions.ts';
import type { Because } from './engineRun.ts';
import type { PolicySimulation } from './simulation.ts';

/** More than this share of identical versions rolled back is worth a warning. */
const TOLERATED = 0.2;

/** Enough to tell a half from a fifth: the standard error is four percent at most. */
const RUNS = 120;
/** Checks of the longest trial that is simulated while a request waits: some tenths of a second for all runs. */
const MOST_CHECKS = 10_000;

/** A simulation on identical versions, with its assumptions. */
export interface Screening {
  readonly config: CanaryConfig;
  readonly assumptions: Assumptions;
}

/**
 * What to simulate before a policy is taken; null for one too long to be tried on the spot.
 * The capital is not known yet, so a loss limit in dollars is left out.
 */
export function screeningOf(config: CanaryConfig): Screening | null {
  if (longestTrial(config) > MOST_CHECKS) return null;
  const guardrails = { ...config.guardrails, maxLossUsd: null };
  const assumptions = { ...defaultAssumptions(config), runs: RUNS };
  return { config: { ...config, guardrails, emitEvents: false, metricsProvider: null }, assumptions };
}

/** The warning that a screening leads to: what would happen, and the field to blame. */
export function warningOf({ assumptions, canaries }: PolicySimulation): Violation | null {
  const identical = canaries.find(({ kind }) => kind === 'IDENTICAL');
  if (!identical || identical.rolledBack.value <= TOLERATED) return null;
  const cause = identical.outcomes.find(({ decision }) => decision === 'ROLLBACK')?.because ?? null;
  const share = Math.round(identical.rolledBack.value * 100);
  const sigma = `${Number((assumptions.volatility * 100).toPrecision(2))} %`;
  const message =
    `would roll back about ${share} % of canaries that are identical to the stable version ` +
    `(${assumptions.runs} simulated trials of a strategy that moves ${sigma} a check): ` +
    `${ADVICE}. simulatePolicy shows more, under assumptions of your own`;
  return { path: pathTo(cause), message };
}

const ADVICE = 'loosen this limit, observe for longer, or let evidence decide (evidence.mode AUTO)';

/** The field that the most frequent cause of rollbacks stands in. */
function pathTo(because: Because): string[] {
  switch (because) {
    case 'PNL':
      return ['config', 'promotionCriteria', 'minPnlRatio'];
    case 'DRAWDOWN':
      return ['config', 'promotionCriteria', 'maxDrawdownRatio'];
    case 'POSITIVE_PNL':
      return ['config', 'promotionCriteria', 'requirePositivePnl'];
    case 'INCONCLUSIVE':
      return ['config', 'onInconclusive'];
    case 'maxLossPercent':
    case 'maxDrawdown':
      return ['config', 'guardrails', because];
    default:
      return ['config'];
  }
}
