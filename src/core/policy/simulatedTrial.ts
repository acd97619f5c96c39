/**
 * One simulated trial. Every decision is the engine's own; between decisions, a check that can only take its sample
 * is booked on doubles instead, with the same result. Whether a check is such a quiet one is judged with a margin:
 * when in doubt, the engine checks.
 */

import { type CanaryConfig, inTradingTime, plannedChecks } from '../config/config.ts';
import { isFirstForm } from '../lifecycle/evidence.ts';
import { type Observation, sideReturn } from '../lifecycle/state.ts';
import { NO_BREACHES } from '../rule/guardrails.ts';
import { type EvidenceState, withPair } from '../rule/pairedEvidence.ts';
import { decimal } from '../values/decimal.ts';
import type { Assumptions } from './assumptions.ts';
import {
  continueRun,
  decisionAmong,
  type EngineDecision,
  type EngineRun,
  passManualGate,
  startEngineRun,
  watched,
} from './engineRun.ts';
import type { Market } from './market.ts';
import { addCheck, addTrade, fromMicros, metricsOf, startSimulatedSide, toMicros } from './simulatedSide.ts';
import { createDecisionProbe } from './skippableChecks.ts';

/** The result of a simulated trial. */
export interface SimulatedTrial {
  /** The decision that ended it, or left it to a person. */
  readonly decided: EngineDecision;
  /** The trial as the engine left it. */
  readonly end: EngineRun;
  /** The canary's return when it was decided, a fraction of its capital. */
  readonly canaryReturn: number;
  /** The same at the end of the planned observation, had the canary been left alone. */
  readonly canaryReturnAtEnd: number;
}

/** `ENGINE` runs every check on the engine. It is far slower and proves that `FAST` changes nothing. */
export type Pace = 'FAST' | 'ENGINE';

/** What the checks have seen up to the latest one, skipped ones included. */
interface Seen {
  readonly checks: number;
  readonly lastCheckAt: number;
  readonly evidence: EvidenceState;
  readonly canaryPnl: number;
  readonly stablePnl: number;
}

/**
 * Runs one trial under a policy in a market of its own. Simulated sides have no open positions to report, and no
 * signals: its pairs are those of checks. Its clock runs within trading hours only.
 */
export function simulateTrial(
  policy: CanaryConfig,
  { capitalUsd }: Pick<Assumptions, 'capitalUsd'>,
  market: Market,
  pace: Pace = 'FAST',
): SimulatedTrial {
  const timed = inTradingTime(policy);
  const config: CanaryConfig = {
    ...timed,
    requireUnrealized: false,
    evidence: { ...timed.evidence, pairing: 'CHECK' },
  };
  const canary = startSimulatedSide();
  const stable = startSimulatedSide();
  const mayDecide = createDecisionProbe(config, canary, stable);
  const rule = { rho: config.promotionCriteria.minPnlRatio.toNumber(), comparison: config.comparison };

  let trial = startEngineRun(config, decimal(capitalUsd), 0);
  let observation = enter();
  let seen: Seen = { ...observation, evidence: evidenceIn(trial), canaryPnl: 0, stablePnl: 0 };
  let now = next(0);
  for (;;) {
    const before = seen;
    tradeUntilCheck();
    seen = see(before);
    const { step } = observation;
    // While a side holds nothing the engine keeps the account of what is no comparison.
    const due = pace === 'ENGINE' || now >= step.endsAt || seen.evidence.apart;
    if (due || mayDecide(seen.evidence, (now - step.startedAt) / 60_000, step.index)) {
      const decided = runCheck(before);
      if (decided) return conclude(decided);
    }
    now = next(now);
  }

  /** Takes over what the engine has allocated. */
  function enter(): Observation {
    const { observation: entered } = watched(trial);
    canary.capital = toMicros(entered.basis.CANARY.capitalUsd);
    stable.capital = toMicros(entered.basis.STABLE.capitalUsd);
    return entered;
  }

  function next(from: number): number {
    return Math.min(from + config.checkIntervalSeconds * 1000, observation.step.endsAt);
  }

  function tradeUntilCheck(): void {
    const from = { canary: canary.curve, stable: stable.curve };
    market.nextCheck((canaryReturn, stableReturn) => {
      addTrade(canary, canaryReturn);
      addTrade(stable, stableReturn);
    });
    addCheck(canary, canary.curve - from.canary);
    addCheck(stable, stable.curve - from.stable);
  }

  /** The sample of a check, as the engine takes it. */
  function see({ checks, evidence, canaryPnl, stablePnl }: Seen): Seen {
    const canaryReturn = (canary.pnl - canaryPnl) / canary.capital;
    const stableReturn = (stable.pnl - stablePnl) / stable.capital;
    return {
      checks: checks + 1,
      lastCheckAt: now,
      evidence: withPair(evidence, canaryReturn, stableReturn, rule),
      canaryPnl: canary.pnl,
      stablePnl: stable.pnl,
    };
  }

  /** Runs the check on the engine. Returns the decision that ended the trial or left it to a person. */
  function runCheck(before: Seen): EngineDecision | null {
    const metrics = { CANARY: metricsOf(canary, now), STABLE: metricsOf(stable, now) };
    const checked = continueRun(caughtUp(trial, before), { type: 'CHECK', failure: null }, now, metrics);
    trial = passManualGate(checked.trial, now, metrics) ?? checked.trial;
    if (trial.state.status === 'RUNNING') {
      observation = enter();
      seen = { ...seen, evidence: evidenceIn(trial) };
      return null;
    }
    const decided = decisionAmong(checked.events, seen.checks);
    if (!decided) throw new Error(`a simulated trial ended ${trial.state.status} without a decision`);
    return decided;
  }

  function conclude(decided: EngineDecision): SimulatedTrial {
    const canaryReturn = canary.curve;
    const planned = plannedChecks(config);
    for (let check = seen.checks; check < planned; check += 1) tradeUntilCheck();
    return { decided, end: trial, canaryReturn, canaryReturnAtEnd: canary.curve };
  }
}

/** The trial as if the engine had run the skipped checks too. */
function caughtUp(
  trial: EngineRun,
  { checks, lastCheckAt, evidence, canaryPnl, stablePnl }: Seen,
): EngineRun {
  const state = watched(trial);
  const skipped = checks - state.observation.checks;
  if (skipped === 0) return trial;
  const { basis } = state.observation;
  const observation: Observation = {
    ...state.observation,
    checks,
    lastCheckAt,
    evidence: { ...evidence, sampledAt: lastCheckAt },
    sampled: {
      CANARY: sideReturn(basis.CANARY, fromMicros(canaryPnl)),
      STABLE: sideReturn(basis.STABLE, fromMicros(stablePnl)),
    },
    silentMs: { CANARY: 0, STABLE: 0 },
  };
  const eventCount = state.eventCount + skipped;
  return { state: { ...state, eventCount, observation }, breaches: NO_BREACHES };
}

/** The evidence as the engine has it. */
function evidenceIn(trial: EngineRun): EvidenceState {
  const { evidence } = watched(trial).observation;
  if (isFirstForm(evidence)) throw new Error('a simulated trial is under the first version of the rule');
  return evidence;
}
