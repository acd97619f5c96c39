/** Watched time: gaps, steps of the clock, and figures too old to be promoted on. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CanaryDeployment, type Clock } from '../../src/core/index.ts';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import { isFresh } from '../../src/core/lifecycle/freshness.ts';
import { Trial } from '../harness/trial.ts';

/** Judged by the gates alone, and good. */
const GATES = { evidence: { mode: 'OFF' as const }, observationPeriodMinutes: 60 };

function running(): Trial {
  const trial = new Trial({ ...GATES, guardrails: { maxStaleSeconds: 300 } });
  trial.earn(120, 900);
  for (let check = 0; check < 6; check += 1) trial.check();
  return trial;
}

/** A check without any news of the bots. */
function checkInSilence(trial: Trial, seconds: number) {
  trial.wait(seconds);
  return trial.do({ type: 'CHECK', failure: null });
}

describe('an outage of 78 minutes', () => {
  test('ends nothing: the step is longer by the unwatched time', () => {
    const trial = running();
    const { endsAt } = trial.observation.step;
    expect(checkInSilence(trial, 78 * 60)).toEqual(['WATCH_RESUMED', 'CANARY_METRICS_UPDATED']);
    expect(trial.observation.step.endsAt - endsAt).toBe(78 * 60_000 - 90_000);
    trial.checkToEnd();
    expect(trial.status).toBe('PROMOTED');
  });

  test('ends nothing either where a pause comes before the first check', () => {
    const trial = running();
    const { endsAt } = trial.observation.step;
    trial.wait(78 * 60);
    trial.order('PAUSE');
    trial.wait(600);
    trial.order('RESUME');
    expect(trial.observation.step.endsAt - endsAt).toBe(88 * 60_000 - 90_000);
    expect(replay(trial.log)).toEqual(trial.state);
  });

  test('silent bots end in FAILED after their silence, which begins anew', () => {
    const trial = running();
    checkInSilence(trial, 78 * 60);
    for (let check = 0; check < 5; check += 1) {
      expect(checkInSilence(trial, 60)).toEqual(['CANARY_METRICS_UPDATED']);
    }
    expect(checkInSilence(trial, 60)).toContain('CANARY_FAILED');
  });
});

describe('the clock', () => {
  test('stepping forward an hour ends nothing', () => {
    const trial = running();
    checkInSilence(trial, 3660);
    expect(trial.status).toBe('RUNNING');
  });

  test('stepping back an hour stops nothing: the deadline moves with it', () => {
    const trial = running();
    const left = trial.observation.step.endsAt - trial.now;
    expect(checkInSilence(trial, 60 - 3600)).toEqual(['WATCH_RESUMED', 'CANARY_METRICS_UPDATED']);
    expect(trial.observation.step.endsAt - trial.now).toBe(left - 60_000);
    // What was reported before the step is dated in the future, and is no news for the next hour.
    for (let check = 0; check < 5; check += 1) checkInSilence(trial, 60);
    expect(checkInSilence(trial, 60)).toContain('CANARY_FAILED');
  });

  test('set back during a pause leaves the observation as long as it was', () => {
    const trial = running();
    const left = trial.observation.step.endsAt - trial.now;
    trial.order('PAUSE');
    trial.wait(-3600);
    trial.order('RESUME');
    expect(trial.observation.step.endsAt - trial.now).toBe(left);
  });
});

describe('figures that are too old', () => {
  test('are not promoted on, however long that takes, and at once when news comes', () => {
    const trial = new Trial({ ...GATES, observationPeriodMinutes: 8, guardrails: { maxStaleSeconds: null } });
    trial.earn(120, 900);
    for (let check = 0; check < 10; check += 1)
      expect(checkInSilence(trial, 60)).toEqual(['CANARY_METRICS_UPDATED']);
    expect(trial.status).toBe('RUNNING');
    trial.sayAgain();
    expect(checkInSilence(trial, 60)).toContain('CANARY_PROMOTED');
  });

  test('begin no step', () => {
    const steps = [10, 50].map((canaryPercent) => ({ canaryPercent, minutes: 8 }));
    const trial = new Trial({ evidence: GATES.evidence, steps, guardrails: { maxStaleSeconds: null } });
    trial.earn(120, 900);
    for (let check = 0; check < 10; check += 1) checkInSilence(trial, 60);
    expect(trial.observation.step.index).toBe(0);
    trial.sayAgain();
    expect(checkInSilence(trial, 60)).toContain('STEP_STARTED');
  });

  test('a person may promote on them, and the record says first how old they are', () => {
    const trial = running();
    trial.wait(78 * 60);
    expect(trial.order('PROMOTE')).toContain('CANARY_PROMOTED');
    expect(trial.decision.reasons[0]).toBe('canary figures 78 min old, stable figures 78 min old');
  });

  test('no automatic promotion has news of either side older than the limit', () => {
    const deed = fc.record({ seconds: fc.integer({ min: -4000, max: 6000 }), news: fc.boolean() });
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 40 }), (deeds) => {
        const trial = new Trial({ ...GATES, observationPeriodMinutes: 5 });
        trial.earn(120, 900);
        for (const { seconds, news } of deeds) {
          if (trial.status !== 'RUNNING') return;
          trial.wait(seconds);
          if (news) trial.sayAgain();
          const { state, metrics } = trial;
          if (!trial.do({ type: 'CHECK', failure: null }).includes('CANARY_PROMOTED')) continue;
          expect(isFresh(state, metrics, trial.now)).toBe(true);
        }
      }),
    );
  });
});

test('a machine whose clock is set back: the embedded class keeps counting silence, and reports the step', async () => {
  let elapsed = 0;
  const alarms = new Set<{ readonly at: number; readonly call: () => void }>();
  const clock: Clock = {
    now: () => Date.parse('2026-03-01T00:00:00Z') + elapsed - (elapsed > 300_000 ? 3_600_000 : 0),
    wakeIn(ms, call) {
      const alarm = { at: elapsed + ms, call };
      alarms.add(alarm);
      return () => alarms.delete(alarm);
    },
  };
  const errors: string[] = [];
  const canary = new CanaryDeployment(
    {
      strategyId: 's',
      stableVersionId: 'v1',
      canaryVersionId: 'v2',
      config: { observationPeriodMinutes: 600 },
    },
    {
      clock,
      onError: (error) => errors.push(String(error)),
      metricsProvider() {
        if (elapsed > 360_000) throw new Error('away');
        return { pnlUsd: '1', trades: 1 };
      },
    },
  );
  canary.deployCanary('1000');
  while (canary.getStatus().status === 'RUNNING' && elapsed < 3_600_000) {
    const [next] = [...alarms].sort((one, other) => one.at - other.at);
    if (!next) break;
    alarms.delete(next);
    elapsed = Math.max(elapsed, next.at);
    next.call();
    await new Promise(setImmediate);
  }
  expect(canary.getStatus().status).toBe('FAILED');
  expect(elapsed).toBeLessThanOrEqual(15 * 60_000);
  expect(errors[0]).toContain('the clock was set back by');
});
