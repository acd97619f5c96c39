/** The ramp: steps, their gates, what people may do in each, and returns on capital that changes. */
import { describe, expect, test } from 'vitest';
import type { StepGate } from '../../src/core/config/config.ts';
import { observationDeadline, returnsOf } from '../../src/core/lifecycle/state.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const ramp = (gates: readonly StepGate[] = ['AUTO', 'AUTO', 'AUTO']) =>
  gates.map((gate, index) => ({ canaryPercent: decimal([5, 20, 50][index] ?? 50), minutes: 20, gate }));

/** $100,000 on 5, 20 and 50 percent, twenty minutes each, a check a minute. */
const trial = (more: object = {}) =>
  new Trial({ steps: ramp(), guardrails: NO_GUARDRAILS, evidence: { mode: 'OFF' }, ...more });

describe('automatic gates', () => {
  test('a step that passes leads to the next one, the last one to promotion', () => {
    const run = trial();
    run.earn(50, 950);
    expect(run.canaryPercent).toBe(5);
    expect(run.checkToEnd()).toEqual([
      'CANARY_METRICS_UPDATED',
      'DECISION_MADE',
      'STEP_STARTED',
      'ALLOCATION_REQUESTED',
    ]);
    expect(run.canaryPercent).toBe(20);
    expect(run.decision).toMatchObject({ decision: 'PROMOTE', cause: 'OBSERVATION_OVER' });
    run.checkToEnd();
    expect(run.canaryPercent).toBe(50);
    expect(run.checkToEnd()).toEqual([
      'CANARY_METRICS_UPDATED',
      'CANARY_OBSERVATION_COMPLETE',
      'DECISION_MADE',
      'CANARY_PROMOTED',
      'ALLOCATION_REQUESTED',
    ]);
    expect(run.status).toBe('PROMOTED');
    expect(run.observation.checks).toBe(60);
  });

  test('a step that fails a gate rolls back, in whichever step', () => {
    for (const passed of [0, 1, 2]) {
      const run = trial();
      for (let step = 0; step < passed; step += 1) {
        run.earn(50, 950);
        run.checkToEnd();
      }
      run.earn(-400, 500);
      run.checkToEnd();
      expect(run.status, `after ${passed} steps`).toBe('ROLLED_BACK');
    }
  });

  test('autoPromote off climbs the ramp by its gates and leaves the promotion to a person', () => {
    const run = trial({ autoPromote: false });
    run.earn(50, 950);
    run.checkToEnd();
    run.checkToEnd();
    run.checkToEnd();
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: 'PROMOTE', canaryPercent: 50 });
  });

  test('does not climb when the stable version has moved meanwhile', () => {
    const run = trial();
    run.earn(50, 950);
    run.stableVersionId = 'v1.1';
    run.checkToEnd();
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: 'MANUAL_REVIEW', canaryPercent: 5 });
    expect(run.decision.reasons.at(-1)).toContain('v1.1');
    for (const type of ['PROMOTE', 'ADVANCE_STEP'] as const) {
      expect(run.try({ type, reason: null })).toMatchObject({
        accepted: false,
        refusal: { code: 'STALE_STABLE_VERSION' },
      });
    }
    run.order('ROLLBACK');
    expect(run.status).toBe('ROLLED_BACK');
  });
});

describe('manual gates', () => {
  test('wait for a person to call advanceStep', () => {
    const run = trial({ steps: ramp(['MANUAL', 'AUTO', 'MANUAL']) });
    run.earn(50, 950);
    expect(run.checkToEnd()).toEqual([
      'CANARY_METRICS_UPDATED',
      'DECISION_MADE',
      'CANARY_OBSERVATION_COMPLETE',
    ]);
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: 'PROMOTE', canaryPercent: 5 });
    expect(run.order('ADVANCE_STEP')).toEqual(['STEP_STARTED', 'ALLOCATION_REQUESTED']);
    expect(run).toMatchObject({ status: 'RUNNING', canaryPercent: 20 });
    run.checkToEnd();
    expect(run.canaryPercent).toBe(50);
    // The last gate is a person's too: autoPromote alone does not open it.
    run.checkToEnd();
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: 'PROMOTE', canaryPercent: 50 });
    expect(run.try({ type: 'ADVANCE_STEP', reason: null })).toMatchObject({
      accepted: false,
      refusal: { code: 'INVALID_TRANSITION', message: expect.stringContaining('promote it instead') },
    });
    run.order('PROMOTE');
    expect(run.status).toBe('PROMOTED');
  });

  test('hold back nothing that is for rolling back', () => {
    const run = trial({ steps: ramp(['MANUAL', 'MANUAL', 'MANUAL']) });
    run.earn(-400, 500);
    run.checkToEnd();
    expect(run.status).toBe('ROLLED_BACK');
  });
});

describe('in every step', () => {
  const STEPS = [0, 1, 2];
  const reach = (step: number, more: object = {}) => {
    const run = trial(more);
    run.earn(50, 950);
    for (let at = 0; at < step; at += 1) run.order('ADVANCE_STEP');
    return run;
  };

  test.each(STEPS)('step %i: advanceStep skips the rest of the hold, up to the last', (step) => {
    const run = reach(step);
    run.check();
    const verdict = run.try({ type: 'ADVANCE_STEP', reason: 'it looks good' });
    expect(verdict.accepted).toBe(step < 2);
    if (step < 2) {
      const { step: now } = run.observation;
      expect(now).toEqual({ index: step + 1, startedAt: run.now, endsAt: run.now + 20 * 60_000 });
    }
  });

  test.each(STEPS)('step %i: a pause stops the clock and holds the capital', (step) => {
    const run = reach(step);
    run.check();
    const { endsAt } = run.observation.step;
    const percent = run.canaryPercent;
    run.order('PAUSE');
    run.wait(7200);
    run.check();
    expect(run).toMatchObject({ status: 'PAUSED', canaryPercent: percent });
    run.order('RESUME');
    expect(run.observation.step).toMatchObject({ index: step, endsAt: endsAt + 7200_000 + 60_000 });
    run.checkToEnd();
    expect(run.observation.step.index).toBe(Math.min(step + 1, 2));
  });

  test.each(STEPS)('step %i: an undecided end is extended and continues in the same step', (step) => {
    const run = reach(step, { promotionCriteria: { minTrades: 100 } });
    run.checkToEnd();
    expect(run).toMatchObject({ status: 'OBSERVATION_COMPLETE', awaited: 'CONTINUE' });
    run.wait(3600);
    expect(run.extend()).toEqual(['OBSERVATION_EXTENDED']);
    expect(run.status).toBe('RUNNING');
    expect(run.observation.step).toMatchObject({ index: step, endsAt: run.now + 20 * 60_000 });
    const later = (2 - step) * 20 * 60_000;
    expect(observationDeadline(run.state, run.observation)).toBe(run.observation.step.endsAt + later);
    run.report('CANARY', { trades: 100 });
    run.checkToEnd();
    expect(run.canaryPercent).toBe(step < 2 ? [20, 50][step] : 0);
  });

  test.each(STEPS)('step %i: rolling back and cancelling give all capital back', (step) => {
    for (const [order, status] of [
      ['ROLLBACK', 'ROLLED_BACK'],
      ['CANCEL', 'CANCELLED'],
      ['PROMOTE', 'PROMOTED'],
    ] as const) {
      const run = reach(step);
      run.order(order);
      expect(run.status).toBe(status);
      const { allocation } = run.state.status === 'PENDING' ? { allocation: null } : run.state;
      expect(allocation?.canaryUsd.toString()).toBe(order === 'PROMOTE' ? '100000' : '0');
      expect(allocation?.stableUsd.toString()).toBe(order === 'PROMOTE' ? '0' : '100000');
    }
  });

  test.each(STEPS)('step %i: an unwatched deadline is checked immediately, and ends nothing', (step) => {
    const run = reach(step);
    run.check();
    run.wait(40_000);
    const late = run.now;
    run.check();
    expect(run.now).toBe(late);
    expect(run.observation.step.index).toBe(step);
    run.checkToEnd();
    expect(run.observation.step.index).toBe(Math.min(step + 1, 2));
  });
});

test('returns add up over steps, each on the capital of its own', () => {
  const run = trial();
  const figures = () => returnsOf(run.observation, run.metrics);
  const shown = () => [figures().CANARY.toFixed(10), figures().STABLE.toFixed(10)];
  run.earn(50, 950); // 50 / 5,000 and 950 / 95,000
  expect(shown()).toEqual(['0.0100000000', '0.0100000000']);
  run.checkToEnd();
  run.earn(100, -400); // + 100 / 20,000 and - 400 / 80,000
  expect(shown()).toEqual(['0.0150000000', '0.0050000000']);
  run.checkToEnd();
  run.earn(-250, 0); // - 250 / 50,000
  expect(shown()).toEqual(['0.0100000000', '0.0050000000']);
  expect(run.comparison?.pnlRatio?.toString()).toBe('2');
});

test('evidence continues across steps, each pair on the capital of its interval', () => {
  const run = trial({ evidence: { mode: 'AUTO' } });
  const rho = 0.9;
  const y1: number[] = [];
  const look = (canaryUsd: number, stableUsd: number, [canaryCapital, stableCapital]: [number, number]) => {
    run.earn(canaryUsd, stableUsd);
    run.check();
    y1.push(canaryUsd / canaryCapital - (rho * stableUsd) / stableCapital);
  };
  for (let check = 1; check <= 20; check += 1) look(5 + (check % 3), 95, [5000, 95_000]);
  expect(run.observation.step.index).toBe(1);
  for (let check = 1; check <= 3; check += 1) look(20 - check, 80, [20_000, 80_000]);
  // A step in the middle of an interval: the pair has a part on each capital.
  run.earn(30, 40);
  run.order('ADVANCE_STEP');
  run.earn(60, 10);
  run.check();
  y1.push(30 / 20_000 + 60 / 50_000 - rho * (40 / 80_000 + 10 / 50_000));
  const mean = y1.reduce((sum, value) => sum + value, 0) / y1.length;
  const { sums } = run.evidence.whenEarning;
  expect(sums.n).toBe(24);
  expect(sums.mean).toBeCloseTo(mean, 15);
  const m2 = y1.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  expect(sums.m2).toBeCloseTo(m2, 15);
  expect(run.comparison?.evidence.plannedChecks).toBe(60);
});

test('a last step of 100 percent leaves the stable side nothing, and what it still earns counts on what it had', () => {
  const steps = [
    { canaryPercent: decimal(50), minutes: 20 },
    { canaryPercent: decimal(100), minutes: 20 },
  ];
  const run = trial({ steps });
  run.earn(500, 500);
  run.checkToEnd();
  expect(run.canaryPercent).toBe(100);
  run.earn(1000, -50);
  const { CANARY: canary, STABLE: stable } = returnsOf(run.observation, run.metrics);
  expect([canary.toString(), stable.toString()]).toEqual(['0.02', '0.009']);
  run.checkToEnd();
  expect(run.status).toBe('PROMOTED');
});
