/** Absolute limits: looked at on every report and every check, in every status in which capital is with the canary. */
import { describe, expect, test } from 'vitest';
import type { GuardrailName } from '../../src/core/config/config.ts';
import type { CanaryConfigInput, GuardrailsInput } from '../../src/core/config/parseConfig.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { type Figures, NO_GUARDRAILS, Trial } from '../harness/trial.ts';

/** Each limit with figures just inside and just outside of it; the canary has $10,000 and `minTrades` is 5. */
const LIMITS: [GuardrailName, GuardrailsInput, Figures, Figures][] = [
  ['maxLossUsd', { maxLossUsd: decimal(500) }, { pnlUsd: -500 }, { pnlUsd: '-500.000000000000000001' }],
  ['maxLossPercent', { maxLossPercent: decimal(20) }, { pnlUsd: -2000 }, { pnlUsd: '-2000.01' }],
  ['maxDrawdown', { maxDrawdown: decimal('0.05') }, { drawdown: '0.05' }, { drawdown: '0.0501' }],
  ['maxErrorRate', { maxErrorRate: decimal('0.5') }, { trades: 10, errors: 5 }, { trades: 10, errors: 6 }],
];

const RUNNING = (trial: Trial) => trial;
const PAUSED = (trial: Trial) => {
  trial.order('PAUSE');
  return trial;
};
const OBSERVATION_COMPLETE = (trial: Trial) => {
  trial.checkToEnd();
  return trial;
};
const STATUSES: [string, (trial: Trial) => Trial][] = [
  ['RUNNING', RUNNING],
  ['PAUSED', PAUSED],
  ['OBSERVATION_COMPLETE', OBSERVATION_COMPLETE],
];

describe.each(LIMITS)('%s', (guardrail, limits, inside, outside) => {
  describe.each(STATUSES)('in %s', (status, reach) => {
    const trial = (more: object = {}) =>
      reach(new Trial({ guardrails: { ...NO_GUARDRAILS, ...limits }, ...more }));

    test('holds at the limit and trips beyond it, in the report itself', () => {
      const held = trial();
      expect(held.report('CANARY', inside)).toEqual([]);
      expect(held.check()).not.toContain('GUARDRAIL_TRIPPED');
      expect(held.status).toBe(status);
      expect(held.report('CANARY', outside)).toEqual([
        'GUARDRAIL_TRIPPED',
        'DECISION_MADE',
        'CANARY_ROLLED_BACK',
        'ALLOCATION_REQUESTED',
      ]);
      expect(held.status).toBe('ROLLED_BACK');
      expect(held.decision).toMatchObject({ decision: 'ROLLBACK', cause: 'GUARDRAIL', automatic: true });
      expect(held.decision.reasons[0]).toContain(guardrail);
    });

    test('is seen by a check too', () => {
      const held = trial({ guardrails: { ...NO_GUARDRAILS, ...limits, breaches: { [guardrail]: 2 } } });
      expect(held.report('CANARY', outside)).toEqual([]);
      expect(held.check()).toContain('CANARY_ROLLED_BACK');
    });

    test('without autoRollback holds the capital and asks a person', () => {
      const held = trial({ autoRollback: false });
      const before = held.canaryPercent;
      expect(held.report('CANARY', outside)).toEqual([
        'GUARDRAIL_TRIPPED',
        'DECISION_MADE',
        ...(status === 'OBSERVATION_COMPLETE' ? [] : ['CANARY_OBSERVATION_COMPLETE']),
      ]);
      expect(held.status).toBe('OBSERVATION_COMPLETE');
      expect(held.awaited).toBe('ROLLBACK');
      expect(held.canaryPercent).toBe(before);
      expect(held.observation.tripped).toBe(true);
      // It has been said: it is not said again with every report.
      expect(held.report('CANARY', outside)).toEqual([]);
      expect(held.check()).toEqual([]);
      // Whoever goes on in spite of it is told again.
      held.extend();
      expect(held.status).toBe('RUNNING');
      expect(held.check()).toContain('GUARDRAIL_TRIPPED');
      expect(held.status).toBe('OBSERVATION_COMPLETE');
    });
  });

  test('needs its number of breaches in a row: reports and checks count alike, a good check resets the count', () => {
    const trial = new Trial({ guardrails: { ...NO_GUARDRAILS, ...limits, breaches: { [guardrail]: 3 } } });
    trial.report('CANARY', outside);
    trial.check();
    expect(trial.report('CANARY', inside)).toEqual([]);
    trial.check();
    expect(trial.report('CANARY', outside)).toEqual([]);
    expect(trial.report('CANARY', outside)).toEqual([]);
    expect(trial.check()).toContain('GUARDRAIL_TRIPPED');
    expect(trial.status).toBe('ROLLED_BACK');
  });

  test('says a figure that is beyond the limit, however close it is', () => {
    const trial = new Trial({ guardrails: { ...NO_GUARDRAILS, ...limits } });
    trial.report('CANARY', outside);
    const tripped = trial.log.find((event) => event.type === 'GUARDRAIL_TRIPPED');
    const said = /(?:lost \$?|drawdown is )([\d.]+).*at most \$?([\d.]+) allowed/.exec(
      tripped?.message ?? '',
    );
    if (guardrail !== 'maxErrorRate') expect(decimal(said?.[1] ?? 0).gt(said?.[2] ?? 0)).toBe(true);
  });

  test('counts the same figures once, however often the configuration changes, and by what it says then', () => {
    const breaches = (count: number) => ({ breaches: { [guardrail]: count } });
    const trial = new Trial({ guardrails: { ...NO_GUARDRAILS, ...limits, ...breaches(3) } });
    const update = (patch: CanaryConfigInput) => trial.do({ type: 'UPDATE_CONFIG', patch, reason: null });
    trial.report('CANARY', outside);
    for (const autoPromote of [false, true, false]) {
      expect(update({ autoPromote })).toEqual(['CONFIG_UPDATED']);
    }
    expect(trial.breaches[guardrail]).toBe(1);
    trial.report('CANARY', outside);
    expect(update({ guardrails: breaches(2) })).toContain('CANARY_ROLLED_BACK');
  });
});

describe('maxErrorRate', () => {
  const limits = { ...NO_GUARDRAILS, maxErrorRate: decimal('0.5') };

  test('applies from minTrades attempts on', () => {
    const trial = new Trial({ guardrails: limits });
    expect(trial.report('CANARY', { trades: 2, errors: 2 })).toEqual([]);
    expect(trial.report('CANARY', { trades: 4, errors: 400 })).toContain('CANARY_ROLLED_BACK');
  });

  test('counts errors of a canary that never gets a trade through', () => {
    const trial = new Trial({ guardrails: limits });
    expect(trial.report('CANARY', { errors: 4 })).toEqual([]);
    expect(trial.report('CANARY', { errors: 5 })).toContain('CANARY_ROLLED_BACK');
    const tripped = trial.log.find((event) => event.type === 'GUARDRAIL_TRIPPED');
    expect(tripped).toMatchObject({ guardrail: 'maxErrorRate', measured: decimal(1) });
  });

  test('says one of a thing as one', () => {
    const trial = new Trial({ promotionCriteria: { minTrades: 1 }, guardrails: limits });
    trial.report('CANARY', { trades: 1, errors: 1 });
    expect(trial.decision.reasons[0]).toContain('the canary made 1 error in 1 trade, at most 0.5 allowed');
  });
});

describe('maxLossPercent', () => {
  test('is a loss of 20 percent, every dollar on what the canary held when it lost it', () => {
    const steps = [
      { canaryPercent: decimal(10), minutes: 30 },
      { canaryPercent: decimal(50), minutes: 30 },
    ];
    const trial = new Trial({ steps });
    trial.report('CANARY', { pnlUsd: -1900 });
    trial.order('ADVANCE_STEP');
    expect(trial.report('CANARY', { pnlUsd: -2400 })).toEqual([]);
    expect(trial.report('CANARY', { pnlUsd: -2401 })).toContain('CANARY_ROLLED_BACK');
  });

  test('does not read a loss of 8 percent as 26.67 once the canary holds less', () => {
    const trial = new Trial({ canaryPercent: 50 });
    trial.report('CANARY', { pnlUsd: -4000 });
    trial.do({ type: 'ACKNOWLEDGE', number: 1, side: 'CANARY', heldUsd: decimal(15_000) });
    expect(trial.report('CANARY', { pnlUsd: -4000 })).toEqual([]);
    expect(trial.check()).toEqual(['CANARY_METRICS_UPDATED']);
    expect(trial.report('CANARY', { pnlUsd: -5800 })).toEqual([]);
    expect(trial.report('CANARY', { pnlUsd: -5801 })).toContain('CANARY_ROLLED_BACK');
    expect(trial.decision.reasons[0]).toContain('the canary lost 20.01 % of the capital it held');
  });
});

describe('maxStaleSeconds', () => {
  /** Checks a minute apart; five of them are the default. */
  const silent = (more: object = {}) => new Trial(more);

  test('fails the deployment when a side was silent for five checks; all capital goes back', () => {
    const trial = silent();
    trial.report('CANARY', { trades: 1 });
    for (let check = 1; check <= 5; check += 1) {
      trial.report('CANARY', { trades: check });
      expect(trial.check(), `check ${check}`).toEqual(['CANARY_METRICS_UPDATED']);
    }
    expect(trial.check()).toEqual([
      'CANARY_METRICS_UPDATED',
      'GUARDRAIL_TRIPPED',
      'DECISION_MADE',
      'CANARY_FAILED',
      'ALLOCATION_REQUESTED',
    ]);
    expect(trial.status).toBe('FAILED');
    expect(trial.state).toMatchObject({ allocation: { cause: 'FAIL' } });
    expect(trial.decision).toMatchObject({ decision: 'ROLLBACK', cause: 'GUARDRAIL' });
    expect(trial.decision.reasons[0]).toContain('no news of the stable side for 360 s');
  });

  test('fails it with autoRollback off too: without metrics there is no monitoring', () => {
    const trial = silent({ autoRollback: false });
    trial.checkToEnd();
    expect(trial.status).toBe('FAILED');
  });

  test('counts checks in a row', () => {
    const trial = silent({ guardrails: { maxStaleSeconds: 60, breaches: { maxStaleSeconds: 3 } } });
    expect(trial.check()).toEqual(['CANARY_METRICS_UPDATED']);
    trial.check();
    trial.check();
    expect(trial.status).toBe('RUNNING');
    trial.check();
    expect(trial.status).toBe('FAILED');
  });

  test('news of both sides starts it anew', () => {
    const trial = silent();
    for (let round = 0; round < 4; round += 1) {
      for (let check = 0; check < 5; check += 1) trial.check();
      trial.report('CANARY', { trades: 0 });
      trial.report('STABLE', { trades: 0 });
    }
    expect(trial.status).toBe('RUNNING');
  });

  test('applies to a running observation: a pause or a manual review fails nothing', () => {
    const paused = silent();
    paused.order('PAUSE');
    for (let check = 0; check < 30; check += 1) paused.check();
    expect(paused.status).toBe('PAUSED');
    paused.order('RESUME');
    for (let check = 0; check < 5; check += 1) paused.check();
    expect(paused.status).toBe('RUNNING');
  });

  /** Both sides were silent for four minutes of the five, and then reported a moment before a command. */
  function heardBefore(trial: Trial, command: () => void): void {
    for (let check = 0; check < 4; check += 1) {
      trial.wait(60);
      trial.do({ type: 'CHECK', failure: null });
    }
    trial.wait(10);
    command();
    for (let check = 0; check < 2; check += 1) {
      trial.wait(60);
      trial.do({ type: 'CHECK', failure: null });
    }
  }
  const bothReport = (trial: Trial) => {
    trial.report('CANARY', { trades: 1 });
    trial.report('STABLE', { trades: 1 });
  };

  test('hears news that came before a pause, or during one', () => {
    const before = silent();
    heardBefore(before, () => {
      bothReport(before);
      before.wait(10);
      before.order('PAUSE');
      before.wait(86_400);
      before.order('RESUME');
    });
    expect(before.status).toBe('RUNNING');
    expect(before.observation.silentMs).toEqual({ CANARY: 120_000, STABLE: 120_000 });

    const during = silent();
    heardBefore(during, () => {
      during.order('PAUSE');
      during.wait(3600);
      bothReport(during);
      during.order('RESUME');
    });
    expect(during.status).toBe('RUNNING');
    expect(during.observation.silentMs).toEqual({ CANARY: 120_000, STABLE: 120_000 });
  });

  test('hears news that came before a step by hand', () => {
    const steps = [10, 50].map((canaryPercent) => ({ canaryPercent, minutes: 60 }));
    const trial = silent({ steps });
    heardBefore(trial, () => {
      bothReport(trial);
      trial.wait(10);
      trial.order('ADVANCE_STEP');
    });
    expect(trial.status).toBe('RUNNING');
    expect(trial.observation.silentMs).toEqual({ CANARY: 130_000, STABLE: 130_000 });
  });

  test('begins anew after time in which Serin was away', () => {
    const trial = silent();
    trial.check();
    trial.wait(3000);
    trial.do({ type: 'CHECK', failure: null });
    expect(trial.status).toBe('RUNNING');
    expect(trial.observation.silentMs.CANARY).toBe(0);
  });

  test('counts a failing provider as silence', () => {
    const trial = silent();
    trial.report('CANARY', { trades: 1 });
    trial.report('STABLE', { trades: 1 });
    for (let check = 0; check < 5; check += 1) {
      expect(trial.check('connection refused')).toEqual(['METRICS_UNAVAILABLE']);
    }
    expect(trial.check('connection refused')).toContain('CANARY_FAILED');
  });
});

test('a guardrail that is off says nothing', () => {
  const trial = new Trial({ guardrails: NO_GUARDRAILS });
  expect(trial.report('CANARY', { pnlUsd: -9999, drawdown: 1, errors: 1000, trades: 1000 })).toEqual([]);
});
