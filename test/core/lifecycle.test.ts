/** The lifecycle: each command in each status, and long random lives held against a small model. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CommandType } from '../../src/core/lifecycle/command.ts';
import { availableActions } from '../../src/core/lifecycle/decide.ts';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import type { CanaryStatus } from '../../src/core/lifecycle/state.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { born, lives, ORDERS, type Order, TAKEN_IN } from '../harness/life.ts';
import { NO_GUARDRAILS, Trial } from '../harness/trial.ts';

/** A deployment in each status. */
const IN: Record<CanaryStatus, () => Trial> = {
  PENDING: () => new Trial({}, null),
  RUNNING: () => new Trial(),
  PAUSED: () => reach('PAUSE'),
  OBSERVATION_COMPLETE: () => {
    const trial = new Trial({ guardrails: NO_GUARDRAILS });
    trial.checkToEnd();
    return trial;
  },
  PROMOTED: () => reach('PROMOTE'),
  ROLLED_BACK: () => reach('ROLLBACK'),
  CANCELLED: () => reach('CANCEL'),
  FAILED: () => {
    const trial = new Trial();
    trial.checkToEnd();
    return trial;
  },
};

function reach(order: 'PAUSE' | 'PROMOTE' | 'ROLLBACK' | 'CANCEL'): Trial {
  const trial = new Trial();
  trial.order(order);
  return trial;
}

const commandOf = (type: Order) => {
  if (type === 'DEPLOY') return { type, capitalUsd: decimal(500), reason: null };
  return type === 'EXTEND' ? { type, minutes: 30, reason: null } : { type, reason: null };
};

describe.each(Object.entries(IN))('given a deployment in %s', (status, given) => {
  test('is there', () => expect(given().status).toBe(status));

  test.each(ORDERS)('when %s: it is taken, or refused and nothing changes', (order) => {
    const trial = given();
    const before = trial.state;
    const verdict = trial.try(commandOf(order));
    // One step is the whole ramp here, so that there is none to advance to.
    const taken = order !== 'ADVANCE_STEP' && TAKEN_IN[order].includes(before.status);
    expect(verdict.accepted).toBe(taken);
    expect(availableActions(before).includes(order)).toBe(taken);
    if (verdict.accepted) {
      expect(trial.state.revision).toBe(before.revision + 1);
    } else {
      expect(trial.state).toBe(before);
      expect(verdict.refusal).toMatchObject({ code: 'INVALID_TRANSITION' });
      expect(verdict.refusal.message).toContain(status);
    }
  });

  test('checks decide nothing where the canary has no capital', () => {
    const trial = given();
    if (['RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'].includes(status)) return;
    expect(trial.do({ type: 'CHECK', failure: null })).toEqual([]);
    expect(trial.do({ type: 'EVALUATE_GUARDRAILS' })).toEqual([]);
  });
});

describe('given a running deployment', () => {
  test('a promotion makes the canary the stable version and gives it everything', () => {
    const trial = new Trial();
    expect(trial.do({ type: 'PROMOTE', reason: 'it is better' })).toEqual([
      'DECISION_MADE',
      'CANARY_PROMOTED',
      'ALLOCATION_REQUESTED',
    ]);
    expect(trial.log.at(-2)).toMatchObject({
      stableVersionId: 'v2',
      previousStableVersionId: 'v1',
      actor: 'ada',
      reason: 'it is better',
    });
    expect(trial.decision).toMatchObject({ decision: 'PROMOTE', automatic: false, cause: 'COMMAND' });
  });

  test('an extension must be a whole number of minutes', () => {
    for (const minutes of [0, -5, 1.5, 527_041, Number.NaN]) {
      const verdict = IN.OBSERVATION_COMPLETE().try({ type: 'EXTEND', minutes, reason: null });
      expect(verdict).toMatchObject({
        accepted: false,
        refusal: { code: 'INVALID_INPUT', path: ['minutes'] },
      });
    }
  });

  test('a pause at the last moment moves the deadline by exactly its length', () => {
    const trial = new Trial({ guardrails: NO_GUARDRAILS });
    for (let check = 0; check < 59; check += 1) trial.check();
    trial.wait(59);
    trial.order('PAUSE');
    trial.wait(86_400);
    trial.order('RESUME');
    expect(trial.observation.step.endsAt).toBe(trial.now + 1000);
  });
});

describe('a log', () => {
  const log = () => IN.PROMOTED().log;

  test('replays to the state, and to nothing else', () => {
    const trial = IN.PROMOTED();
    expect(replay(trial.log)).toEqual(trial.state);
  });

  const CORRUPT: [string, () => ReturnType<typeof log>][] = [
    ['is empty', () => []],
    ['has lost its first event', () => log().slice(1)],
    ['has lost one in between', () => log().filter((_, index) => index !== 2)],
    ['says one twice', () => log().flatMap((event) => [event, event])],
    ['does not begin at 1', () => log().map((event) => ({ ...event, no: event.no + 1 }))],
    [
      'ends twice',
      () => {
        const whole = log();
        const { at, actor, revision, no } = whole.at(-1) ?? { at: 0, actor: '', revision: 1, no: 0 };
        return [...whole, { type: 'CANARY_CANCELLED', reason: null, at, actor, revision, no: no + 1 }];
      },
    ],
    [
      'gives out more capital than there is',
      () =>
        log().map((event) =>
          event.type === 'ALLOCATION_REQUESTED' ? { ...event, stableUsd: event.stableUsd.plus(1) } : event,
        ),
    ],
  ];
  test.each(CORRUPT)('that %s is refused', (_what, corrupt) => {
    expect(() => replay(corrupt())).toThrow();
  });
});

test('random lives never leave the model: status, clock, capital, log', () => {
  fc.assert(
    fc.property(lives({ maxCommands: 40 }), ({ setup, commands }) => {
      fc.modelRun(() => born(setup), commands);
    }),
    { numRuns: 60 },
  );
});

test('the commands of the engine are all in the model', () => {
  const looks: CommandType[] = [
    'CHECK',
    'EVALUATE_GUARDRAILS',
    'ACKNOWLEDGE',
    'CHECK_DEADLINES',
    'STAND_DOWN',
    'UPDATE_CONFIG',
  ];
  const all: Record<CommandType, true> = {
    DEPLOY: true,
    PROMOTE: true,
    ROLLBACK: true,
    CANCEL: true,
    PAUSE: true,
    RESUME: true,
    EXTEND: true,
    ADVANCE_STEP: true,
    UPDATE_CONFIG: true,
    CHECK: true,
    EVALUATE_GUARDRAILS: true,
    ACKNOWLEDGE: true,
    CHECK_DEADLINES: true,
    STAND_DOWN: true,
  };
  expect([...ORDERS, ...looks].sort()).toEqual(Object.keys(all).sort());
});
