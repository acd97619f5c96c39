/**
 * The rules that the table compares: Serin's own engine, with evidence and without, and two that it is measured
 * against. Each rule sees the same market, trade by trade.
 */

import type { CanaryConfig } from '../../src/core/config/config.ts';
import { type CanaryConfigInput, parseConfig } from '../../src/core/config/parseConfig.ts';
import { type Assumptions, defaultAssumptions } from '../../src/core/policy/assumptions.ts';
import type { Market } from '../../src/core/policy/market.ts';
import {
  addCheck,
  addTrade,
  type SimulatedSide,
  sharpeOf,
  startSimulatedSide,
  winRateOf,
} from '../../src/core/policy/simulatedSide.ts';
import { simulateTrial } from '../../src/core/policy/simulatedTrial.ts';
import type { CanaryDecision } from '../../src/core/rule/gate.ts';

export const RULES = ['reference', 'gates alone', 'repeated t-test', "Serin's default"] as const;
export type Rule = (typeof RULES)[number];
export const SERIN: Rule = "Serin's default";

/** Assumptions other than the defaults, to see what the figures hang on. */
export const VARIATIONS: Readonly<Record<string, Partial<Assumptions>>> = {
  'sides without a common market (correlation 0)': { correlation: 0 },
  'sides in step (correlation 0.95)': { correlation: 0.95 },
  'a trade every five checks': { tradesPerCheck: 0.2 },
  'five trades a check': { tradesPerCheck: 5 },
  'a stable version that earns 0.2 sigma a check': { edge: 0.2 },
  'a stable version that loses 0.1 sigma a check': { edge: -0.1 },
};

/** Runs of each kind at each number of checks: longer trials say more each. */
export const RUNS: Readonly<Record<number, number>> = { 60: 4000, 288: 2000, 1440: 500 };

/** How a trial ended under a rule. Losses are fractions of the canary's capital. */
export interface Ending {
  readonly decision: CanaryDecision;
  readonly checks: number;
  readonly loss: number;
  readonly lossAtEnd: number;
}

/** An observation of a number of checks: an hour, a day in steps of five minutes, a day in steps of one. */
export const HORIZONS: Readonly<Record<number, CanaryConfigInput>> = {
  60: { observationPeriodMinutes: 60, checkIntervalSeconds: 60 },
  288: { observationPeriodMinutes: 1440, checkIntervalSeconds: 300 },
  1440: { observationPeriodMinutes: 1440, checkIntervalSeconds: 60 },
};

export function policyOf(checks: number, mode: 'AUTO' | 'OFF', more: CanaryConfigInput = {}): CanaryConfig {
  const parsed = parseConfig({ ...HORIZONS[checks], ...more, evidence: { ...more.evidence, mode } });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return parsed.value;
}

/** What one trial came to, under the rules that were asked about. */
export type Endings = Readonly<Partial<Record<Rule, Ending>>>;

const RUN: Readonly<Record<Rule, (checks: number, market: Market) => Ending>> = {
  reference: (checks, market) => observed(checks, market, () => null, reference),
  'gates alone': (checks, market) => byEngine(policyOf(checks, 'OFF'), market),
  'repeated t-test': (checks, market) => observed(checks, market, repeatedTest(), () => 'PROMOTE'),
  "Serin's default": (checks, market) => byEngine(policyOf(checks, 'AUTO'), market),
};

/** Runs one trial under some rules. `market` opens the same market anew each time. */
export function endingsOf(checks: number, market: () => Market, rules: readonly Rule[] = RULES): Endings {
  return Object.fromEntries(rules.map((rule) => [rule, RUN[rule](checks, market())]));
}

/** One trial under Serin's default, with what a market needs of a policy in addition. */
export function endingUnder(checks: number, market: Market, policy: CanaryConfigInput): Endings {
  return { [SERIN]: byEngine(policyOf(checks, 'AUTO', policy), market) };
}

function byEngine(config: CanaryConfig, market: Market): Ending {
  const assumptions: Assumptions = defaultAssumptions(config);
  const { decided, canaryReturn, canaryReturnAtEnd } = simulateTrial(config, assumptions, market);
  const { check, record } = decided;
  return { decision: record.decision, checks: check, loss: -canaryReturn, lossAtEnd: -canaryReturnAtEnd };
}

/** Evaluates a pair of returns; a decision ends the trial early. */
type Look = (canaryReturn: number, stableReturn: number) => CanaryDecision | null;

function observed(
  checks: number,
  market: Market,
  look: Look,
  atEnd: (canary: SimulatedSide, stable: SimulatedSide) => CanaryDecision,
): Ending {
  const canary = startSimulatedSide();
  const stable = startSimulatedSide();
  // 100,000 dollars, a tenth of it with the canary; in micro-dollars.
  canary.capital = 10_000e6;
  stable.capital = 90_000e6;
  let early: { readonly decision: CanaryDecision; readonly checks: number; readonly loss: number } | null =
    null;
  for (let check = 1; check <= checks; check += 1) {
    let [canaryReturn, stableReturn] = [0, 0];
    market.nextCheck((ofCanary, ofStable) => {
      addTrade(canary, ofCanary);
      addTrade(stable, ofStable);
      canaryReturn += ofCanary;
      stableReturn += ofStable;
    });
    addCheck(canary, canaryReturn);
    addCheck(stable, stableReturn);
    const decision: CanaryDecision | null = early ? null : look(canaryReturn, stableReturn);
    if (decision) early = { decision, checks: check, loss: -canary.curve };
  }
  const lossAtEnd = -canary.curve;
  return { ...(early ?? { decision: atEnd(canary, stable), checks, loss: lossAtEnd }), lossAtEnd };
}

/**
 * The rule as first written (see the decision rule in docs): quotients of dollars, once, at the end. A zero
 * denominator is 999, and what is zero is taken for missing.
 */
function reference(canary: SimulatedSide, stable: SimulatedSide): CanaryDecision {
  const ratio = (above: number, below: number) => (below !== 0 ? above / below : above > 0 ? 999 : 1);
  if (canary.trades < 5) return 'CONTINUE';
  if (ratio(canary.pnl, stable.pnl) < 0.9) return 'ROLLBACK';
  if (ratio(canary.drawdown, stable.drawdown) > 1.2) return 'ROLLBACK';
  const keepsUp = (of: (book: SimulatedSide) => number | null) => {
    const [mine, theirs] = [of(canary), of(stable)];
    return !mine || !theirs || mine / theirs >= 0.8;
  };
  return keepsUp(sharpeOf) && keepsUp(winRateOf) ? 'PROMOTE' : 'MANUAL_REVIEW';
}

/** A one-sided paired t-test at 5 %, at every check from the twentieth pair on: what many would write first. */
function repeatedTest(): Look {
  let n = 0;
  let mean = 0;
  let m2 = 0;
  return (canaryReturn, stableReturn) => {
    const difference = canaryReturn - stableReturn;
    n += 1;
    const delta = difference - mean;
    mean += delta / n;
    m2 += delta * (difference - mean);
    if (n < 20) return null;
    const t = mean / Math.sqrt(m2 / (n - 1) / n);
    return t < -criticalT(n - 1) ? 'ROLLBACK' : null;
  };
}

/** The 95 % quantile of Student's t, by its Cornish-Fisher expansion; right to four digits from 19 degrees on. */
function criticalT(degrees: number): number {
  const z = 1.6448536269514722;
  return z + (z ** 3 + z) / (4 * degrees) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2);
}
