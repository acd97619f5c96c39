/** The end of an observation, and what may end it early: policies for the inconclusive, evidence, failing providers. */

import { describe, expect, test } from 'vitest';
import type { InconclusiveAction } from '../../src/core/config/config.ts';
import { nextCheckAt } from '../../src/core/lifecycle/state.ts';
import { pairsOf } from '../../src/core/rule/pairedEvidence.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const trial = (more: object = {}) => new Trial({ guardrails: NO_GUARDRAILS, ...more });

/** A stream of returns that the test can tell: the canary's mean is so many sigma from stable's. */
function feed(run: Trial, sigmas: number, checks: number): void {
  for (let fed = 0; fed < checks && run.status === 'RUNNING'; fed += 1) {
    const { checks: check, basis } = run.observation;
    const [canary, stable] = [basis.CANARY, basis.STABLE].map(({ capitalUsd }) => capitalUsd.toNumber());
    run.earn(
      (canary ?? 0) * 0.001 * ((check % 2 === 0 ? 1 : -1) + sigmas),
      (stable ?? 0) * 0.0001 * (check % 3 === 0 ? 1 : -1),
    );
    run.check();
  }
}

describe('the end of the observation', () => {
  test('promotes, rolls back, or asks, as the gates say and the configuration allows', () => {
    const cases = [
      { earned: [100, 900], more: {}, status: 'PROMOTED', decision: 'PROMOTE' },
      {
        earned: [100, 900],
        more: { autoPromote: false },
        status: 'OBSERVATION_COMPLETE',
        decision: 'PROMOTE',
      },
      { earned: [-100, 900], more: {}, status: 'ROLLED_BACK', decision: 'ROLLBACK' },
      {
        earned: [-100, 900],
        more: { autoRollback: false },
        status: 'OBSERVATION_COMPLETE',
        decision: 'ROLLBACK',
      },
    ] as const;
    for (const { earned, more, status, decision } of cases) {
      const run = trial({ evidence: { mode: 'OFF' }, ...more });
      run.earn(earned[0], earned[1]);
      run.checkToEnd();
      expect(run.status).toBe(status);
      expect(run.decision).toMatchObject({ decision, automatic: true, cause: 'OBSERVATION_OVER' });
      expect(run.observation.checks).toBe(60);
    }
  });

  test('comes when it was planned, though the checks do not fit in evenly', () => {
    const run = trial({ checkIntervalSeconds: 840 });
    const { endsAt } = run.observation.step;
    run.checkToEnd();
    expect(run.now).toBe(endsAt);
    expect(run.observation.checks).toBe(5);
  });

  test('promotes nothing when the stable version has moved, and a person cannot either', () => {
    const run = trial({ evidence: { mode: 'OFF' } });
    run.earn(100, 900);
    run.stableVersionId = 'v1.1';
    run.checkToEnd();
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: 'MANUAL_REVIEW' });
    expect(run.decision).toMatchObject({ decision: 'MANUAL_REVIEW', stableVersionId: 'v1.1' });
    expect(run.try({ type: 'PROMOTE', reason: null })).toMatchObject({
      refusal: { code: 'STALE_STABLE_VERSION' },
    });
  });
});

describe.each(['CONTINUE', 'MANUAL_REVIEW'] as const)('onInconclusive with %s', (decision) => {
  /** Too few trades lead to CONTINUE, a Sharpe that falls short to MANUAL_REVIEW. */
  const undecided = (onInconclusive: InconclusiveAction, more: object = {}) => {
    const run = trial({ onInconclusive, evidence: { mode: 'OFF' }, ...more });
    run.earn(100, 900);
    if (decision === 'CONTINUE') run.report('CANARY', { trades: 4 });
    else run.report('STABLE', { sharpeRatio: 2 });
    return run;
  };

  test('WAIT asks a person', () => {
    const run = undecided('WAIT');
    run.checkToEnd();
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: decision });
  });

  test('ROLLBACK rolls back, and says that it is for want of evidence', () => {
    const run = undecided('ROLLBACK');
    run.checkToEnd();
    expect(run.status).toBe('ROLLED_BACK');
    expect(run.decision).toMatchObject({ decision: 'ROLLBACK', comparison: { decision } });
    expect(run.decision.reasons.at(-1)).toBe(
      'Inconclusive at the end of the observation: rolled back as configured',
    );
  });

  test('EXTEND continues for the duration of another step, as often as it may, and then requires a review', () => {
    const run = undecided('EXTEND', { maxExtensions: 2, observationPeriodMinutes: 10 });
    const { endsAt } = run.observation.step;
    for (const extensions of [1, 2]) {
      while (run.observation.extensions < extensions) run.check();
      expect(run.log.at(-1)).toMatchObject({ type: 'OBSERVATION_EXTENDED', minutes: 10, automatic: true });
      expect(run.decision).toMatchObject({ decision, automatic: true });
      expect(run.observation.step.endsAt).toBe(endsAt + extensions * 600_000);
    }
    run.checkToEnd();
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: decision });
    // What a person adds is the person's own: it neither uses up nor renews what Serin may.
    run.extend(30);
    expect(run.observation.extensions).toBe(2);
    run.checkToEnd();
    expect(run.status).toBe('OBSERVATION_COMPLETE');
  });

  test('never promotes', () => {
    for (const onInconclusive of ['WAIT', 'EXTEND', 'ROLLBACK'] as const) {
      const run = undecided(onInconclusive, { maxExtensions: 1 });
      run.checkToEnd();
      expect(run.status).not.toBe('PROMOTED');
    }
  });
});

test('automatic extension ends when the evidence is sufficient', () => {
  const run = trial({ onInconclusive: 'EXTEND', evidence: { mode: 'OFF' } });
  run.earn(100, 900);
  run.report('CANARY', { trades: 4 });
  while (run.observation.extensions < 1) run.check();
  run.report('CANARY', { trades: 5 });
  run.checkToEnd();
  expect(run.status).toBe('PROMOTED');
});

describe('evidence', () => {
  test('of a worse canary ends the observation early', () => {
    const run = trial();
    feed(run, -2, 60);
    expect(run.status).toBe('ROLLED_BACK');
    expect(run.observation.checks).toBeLessThan(30);
    expect(run.decision).toMatchObject({ decision: 'ROLLBACK', cause: 'EVIDENCE', automatic: true });
    expect(run.decision.reasons.join()).toContain('the canary is worse, beyond chance');
  });

  test('asks a person instead where autoRollback is off', () => {
    const run = trial({ autoRollback: false });
    feed(run, -2, 60);
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: 'ROLLBACK' });
    expect(run.observation.checks).toBeLessThan(30);
  });

  test('ends nothing early in mode OFF', () => {
    const run = trial({ evidence: { mode: 'OFF' } });
    feed(run, -2, 59);
    expect(run.status).toBe('RUNNING');
    run.check();
    expect(run.status).toBe('ROLLED_BACK');
  });

  test('ends nothing early before the canary has traded enough', () => {
    const run = trial({ promotionCriteria: { minTrades: 11 } });
    feed(run, -2, 59);
    expect(run.status).toBe('RUNNING');
    run.report('CANARY', { trades: 11 });
    run.check();
    expect(run.status).toBe('ROLLED_BACK');
  });

  test('promotes early only where that is asked for, and with every other gate passed', () => {
    const patient = trial();
    feed(patient, 2, 59);
    expect(patient.status).toBe('RUNNING');
    const eager = trial({ earlyPromote: true });
    feed(eager, 2, 59);
    expect(eager.status).toBe('PROMOTED');
    expect(eager.decision).toMatchObject({ decision: 'PROMOTE', cause: 'EVIDENCE' });
    const flawed = trial({ earlyPromote: true });
    flawed.report('STABLE', { winRate: '0.5' });
    feed(flawed, 2, 59);
    expect(flawed.status).toBe('RUNNING');
  });

  const steps = (gate: 'AUTO' | 'MANUAL') => [
    { canaryPercent: decimal(10), minutes: 40, gate },
    { canaryPercent: decimal(30), minutes: 40 },
  ];

  test('rolls back in whichever step it comes in', () => {
    const run = trial({ steps: steps('AUTO') });
    feed(run, 1, 40);
    expect(run.observation.step.index).toBe(1);
    feed(run, -3, 39);
    expect(run.status).toBe('ROLLED_BACK');
    const first = trial({ steps: steps('MANUAL') });
    feed(first, -2, 39);
    expect(first.status).toBe('ROLLED_BACK');
  });

  test('promoting early within a ramp is the next step, never a leap over it', () => {
    const run = trial({ steps: steps('AUTO'), earlyPromote: true });
    while (run.observation.step.index === 0) feed(run, 2, 1);
    expect(run.observation.checks).toBeLessThan(40);
    expect(run).toMatchObject({ status: 'RUNNING', canaryPercent: 30 });
    // Nor is the next step over at once: it must earn pairs of its own.
    feed(run, 2, 19);
    expect(run.status).toBe('RUNNING');
    feed(run, 2, 1);
    expect(run.status).toBe('PROMOTED');
  });

  test('ends no step before its least minutes', () => {
    const run = trial({
      earlyPromote: true,
      steps: [{ canaryPercent: decimal(10), minutes: 60, minMinutes: 45 }],
    });
    feed(run, 2, 44);
    expect(run.status).toBe('RUNNING');
    feed(run, 2, 1);
    expect(run.status).toBe('PROMOTED');
  });

  test.each([
    ['a pause', (run: Trial) => [run.order('PAUSE'), run.wait(3600), run.order('RESUME')]],
    ['an outage', (run: Trial) => [run.wait(3600), run.check()]],
    ['an outage and a pause', (run: Trial) => [run.wait(3600), run.order('PAUSE'), run.order('RESUME')]],
  ])('%s does not count for the least minutes', (_name, idle) => {
    const run = trial({
      earlyPromote: true,
      steps: [{ canaryPercent: decimal(10), minutes: 60, minMinutes: 45 }],
    });
    feed(run, 2, 30);
    idle(run);
    feed(run, 2, 13);
    expect(run.status).toBe('RUNNING');
    feed(run, 2, 3);
    expect(run.status).toBe('PROMOTED');
  });

  test('promoting early waits at a manual gate like promoting in time', () => {
    const run = trial({ steps: steps('MANUAL'), earlyPromote: true });
    feed(run, 2, 39);
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: 'PROMOTE', canaryPercent: 10 });
  });

  test('of an identical canary is none, however long it is looked at', () => {
    const run = trial({ observationPeriodMinutes: 600 });
    for (let check = 0; check < 599; check += 1) {
      const market = ((check * 7919) % 21) - 10;
      run.earn(market, market * 9);
      run.check();
    }
    expect(run.status).toBe('RUNNING');
    run.check();
    expect(run.status).toBe('PROMOTED');
  });
});

describe('a provider that fails', () => {
  test('decides nothing at the end: the step is checked again until metrics can be fetched', () => {
    const run = trial({ evidence: { mode: 'OFF' } });
    run.earn(100, 900);
    for (let check = 1; check < 60; check += 1) run.check();
    for (let check = 0; check < 3; check += 1) {
      expect(run.check('timed out')).toEqual(['METRICS_UNAVAILABLE']);
      // An interval later, not at once: a provider that is down is not hammered.
      expect(nextCheckAt(run.state, run.now)).toBe(run.now + 60_000);
    }
    expect(run.status).toBe('RUNNING');
    expect(run.check()).toContain('CANARY_PROMOTED');
  });

  test('leaves no pair in the evidence, and the next sample begins anew', () => {
    const run = trial();
    feed(run, 0, 5);
    const { evidence } = run.observation;
    const before = run.evidence.whenEarning.sums.mean;
    run.earn(30, 0);
    run.check('timed out');
    expect(run.observation.evidence).toBe(evidence);
    run.earn(30, 0);
    run.check();
    expect(pairsOf(run.evidence)).toBe(5);
    run.earn(30, 0);
    run.check();
    expect(pairsOf(run.evidence)).toBe(6);
    const sums = ({ evidence: state }: typeof run) => state.whenEarning.sums;
    expect(sums(run).mean * 6 - before * 5).toBeCloseTo(30 / 10_000, 12);
  });
});
