/** A promotion that needs two people: what ends a request, so that a second person never approves what has changed. */
import { expect, test } from 'vitest';
import { NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const DAY_SECONDS = 86_400;
const steps = [
  { canaryPercent: 10, minutes: 30 },
  { canaryPercent: 50, minutes: 30 },
];

/** A deployment whose promotion Ada has requested; Ben acts from here on. */
function requested(config: ConstructorParameters<typeof Trial>[0] = {}): Trial {
  const trial = new Trial({ requireApproval: true, guardrails: NO_GUARDRAILS, ...config });
  expect(trial.order('PROMOTE')).toEqual(['PROMOTION_REQUESTED']);
  trial.actor = 'ben';
  return trial;
}

test('another person approves it', () => {
  expect(requested().order('PROMOTE')).toContain('CANARY_PROMOTED');
});

test('a guardrail trip ends the request: the promotion is requested anew', () => {
  const guardrails = { ...NO_GUARDRAILS, maxLossUsd: 100 };
  const trial = requested({ autoRollback: false, guardrails });
  expect(trial.report('CANARY', { pnlUsd: -101, trades: 1 })).toContain('GUARDRAIL_TRIPPED');
  expect(trial.order('PROMOTE')).toEqual(['PROMOTION_REQUESTED']);
});

test('an extension ends the request', () => {
  const trial = new Trial({ requireApproval: true, autoPromote: false, guardrails: NO_GUARDRAILS });
  trial.checkToEnd();
  expect(trial.status).toBe('OBSERVATION_COMPLETE');
  expect(trial.order('PROMOTE')).toEqual(['PROMOTION_REQUESTED']);
  trial.actor = 'ben';
  trial.extend(10);
  expect(trial.order('PROMOTE')).toEqual(['PROMOTION_REQUESTED']);
});

test('the next step ends the request', () => {
  const trial = requested({ steps });
  trial.order('ADVANCE_STEP');
  expect(trial.order('PROMOTE')).toEqual(['PROMOTION_REQUESTED']);
});

test('a request is open for a day', () => {
  for (const [seconds, event] of [
    [DAY_SECONDS - 1, 'CANARY_PROMOTED'],
    [DAY_SECONDS + 1, 'PROMOTION_REQUESTED'],
  ] as const) {
    const trial = requested();
    trial.order('PAUSE');
    trial.wait(seconds);
    expect(trial.order('PROMOTE')).toContain(event);
  }
});
