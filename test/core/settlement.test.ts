/** Settlement: when capital counts as being where an allocation asks for it, when it is overdue, and what waits for it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { POSITION_PLANS } from '../../src/core/config/capital.ts';
import type { CanaryConfigInput } from '../../src/core/config/parseConfig.ts';
import { type Allocation, requestedUsd } from '../../src/core/lifecycle/allocation.ts';
import { allocationHistory } from '../../src/core/lifecycle/allocationHistory.ts';
import { nextDeadlineAt } from '../../src/core/lifecycle/deadlines.ts';
import { availableActions } from '../../src/core/lifecycle/decide.ts';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import {
  allocationStatus,
  awaitedSides,
  holdsRequested,
  nextOverdueAt,
  overdueSince,
  settleBy,
  settledAt,
} from '../../src/core/lifecycle/settlement.ts';
import { allocationOf, isEnded } from '../../src/core/lifecycle/state.ts';
import { warningsOf } from '../../src/core/lifecycle/warnings.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { SIDES, type Side } from '../../src/core/values/side.ts';
import { NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const QUIET = { guardrails: NO_GUARDRAILS };
const RAMP = {
  ...QUIET,
  steps: [
    { canaryPercent: 10, minutes: 60 },
    { canaryPercent: 50, minutes: 60 },
  ],
};

class Capital extends Trial {
  get allocation(): Allocation {
    const allocation = allocationOf(this.state);
    if (!allocation) throw new Error('not deployed');
    return allocation;
  }

  get progress() {
    return allocationStatus(this.allocation, this.now);
  }

  acknowledge(
    side: Side,
    heldUsd: number | string,
    more: { openExposureUsd?: number; onBehalf?: boolean; reason?: string } = {},
  ) {
    const { openExposureUsd, ...rest } = more;
    const { number } = this.allocation;
    const open = openExposureUsd === undefined ? {} : { openExposureUsd: decimal(openExposureUsd) };
    return this.try({ type: 'ACKNOWLEDGE', number, side, heldUsd: decimal(heldUsd), ...open, ...rest });
  }

  /** Acknowledges what was asked for, and returns the types of the events. */
  settle(side: Side) {
    const done = this.acknowledge(side, requestedUsd(this.allocation, side).toFixed());
    if (!done.accepted) throw new Error(done.refusal.message);
    return done.events.map(({ type }) => type);
  }

  /** Lets the clock come to the next deadline; returns what follows. */
  passDeadline() {
    const due = nextDeadlineAt(this.state, this.facts);
    if (due === null) return null;
    this.now = Math.max(this.now, due);
    return this.do({ type: 'CHECK_DEADLINES' });
  }
}

describe('the status of an allocation', () => {
  test('both sides hold it: SETTLED, once, with the time it took', () => {
    const trial = new Capital({ ...RAMP, settlement: {} });
    expect(trial.progress).toBe('REQUESTED');
    trial.wait(20);
    expect(trial.settle('CANARY')).toEqual(['ALLOCATION_ACKNOWLEDGED']);
    expect(trial.progress).toBe('PARTIAL');
    trial.wait(22);
    expect(trial.settle('STABLE')).toEqual(['ALLOCATION_ACKNOWLEDGED', 'ALLOCATION_SETTLED']);
    expect(trial.log.at(-1)).toMatchObject({ number: 1, tookMs: 42_000 });
    expect(trial.progress).toBe('SETTLED');
    expect(settledAt(trial.allocation)).toBe(trial.now);
    expect(trial.settle('STABLE')).toEqual([]);
    expect(nextDeadlineAt(trial.state, trial.facts)).toBeNull();
  });

  test('an amount within the tolerance settles, a wrong one does not, and a correction takes it back', () => {
    const trial = new Capital({ ...QUIET, settlement: { tolerancePercent: 1 } });
    trial.settle('STABLE');
    expect(trial.acknowledge('CANARY', 9899)).toMatchObject({
      events: [{ type: 'ALLOCATION_ACKNOWLEDGED' }],
    });
    expect(trial.progress).toBe('PARTIAL');
    trial.acknowledge('CANARY', 9900);
    expect(trial.progress).toBe('SETTLED');
    trial.acknowledge('CANARY', 9950);
    expect(trial.log.filter(({ type }) => type === 'ALLOCATION_SETTLED')).toHaveLength(1);
    trial.acknowledge('CANARY', 5000);
    expect(trial.progress).toBe('PARTIAL');
    trial.wait(301);
    expect(trial.progress).toBe('OVERDUE');
  });

  test('dust of a hundredth of a percent of the total is nothing', () => {
    const trial = new Capital({ ...QUIET, settlement: { tolerancePercent: 0 } });
    trial.order('ROLLBACK');
    trial.settle('STABLE');
    trial.acknowledge('CANARY', '10.01');
    expect(trial.progress).toBe('PARTIAL');
    trial.acknowledge('CANARY', 10);
    expect(trial.progress).toBe('SETTLED');
  });

  test('a bot that never acknowledges is not awaited, unless settlement is given', () => {
    const quiet = new Capital(QUIET);
    expect(quiet.progress).toBe('UNANSWERED');
    expect(nextDeadlineAt(quiet.state, quiet.facts)).toBeNull();
    quiet.settle('CANARY');
    expect(quiet.progress).toBe('PARTIAL');
    expect(nextDeadlineAt(quiet.state, quiet.facts)).toBeNull();
    quiet.order('ROLLBACK');
    expect(quiet.progress).toBe('REQUESTED');
    expect(awaitedSides(quiet.allocation)).toEqual(['CANARY']);
    expect(quiet.passDeadline()).toEqual(['ALLOCATION_OVERDUE']);

    const asked = new Capital({ ...QUIET, settlement: {} });
    expect(awaitedSides(asked.allocation)).toEqual(['CANARY', 'STABLE']);
  });

  test('an allocation on its way in time is no warning, and the first has no acknowledgements', () => {
    const pending = new Capital(QUIET, null);
    expect(allocationOf(pending.state)).toBeNull();
    expect(warningsOf(pending.state, pending.metrics, pending.now)).toEqual([]);
    const trial = new Capital({ ...QUIET, settlement: {} });
    expect(warningsOf(trial.state, trial.metrics, trial.now)).toEqual([]);
    expect(allocationHistory(trial.log).map(({ acknowledged }) => acknowledged)).toEqual([
      { CANARY: null, STABLE: null },
    ]);
    trial.settle('CANARY');
    trial.order('ROLLBACK');
    expect(allocationHistory(trial.log).map(({ acknowledged }) => acknowledged.CANARY?.number)).toEqual([
      1, 1,
    ]);
  });

  test('one that was replaced before it was settled is SUPERSEDED; a settled one stays settled', () => {
    const trial = new Capital({ ...RAMP, settlement: {} });
    for (const side of SIDES) trial.settle(side);
    trial.order('ADVANCE_STEP');
    trial.order('ROLLBACK');
    const history = allocationHistory(trial.log);
    const status = (index: number) => allocationStatus(history[index] as Allocation, trial.now, index < 2);
    expect([0, 1, 2].map(status)).toEqual(['SETTLED', 'SUPERSEDED', 'REQUESTED']);
  });
});

describe('an overdue allocation', () => {
  test('is reported at its deadline and after each doubling of it for a day, also after the end', () => {
    const trial = new Capital({ ...QUIET, settlement: { deadlineSeconds: 3000 } });
    trial.order('ROLLBACK');
    const requestedAt = trial.now;
    expect(isEnded(trial.state)).toBe(true);
    const revision = trial.state.revision;
    const reported: number[] = [];
    while (trial.passDeadline()?.length) reported.push((trial.now - requestedAt) / 1000);
    expect(reported).toEqual([3000, 6000, 12_000, 24_000, 48_000]);
    expect(trial.state.revision).toBe(revision);
    expect(trial.progress).toBe('OVERDUE');
    expect(overdueSince(trial.allocation, trial.now)).toBe(requestedAt + 3_000_000);
    expect(trial.log.at(-1)).toMatchObject({
      sides: [
        { side: 'CANARY', requestedUsd: decimal(0), heldUsd: null },
        { side: 'STABLE', requestedUsd: decimal(100_000), heldUsd: null },
      ],
    });
    expect(warningsOf(trial.state, trial.metrics, trial.now)[0]?.message).toMatch(
      /^Overdue: the canary side is to hold \$0 and has acknowledged nothing, the stable side/,
    );
  });

  test('Serin was away: what it missed is reported once', () => {
    const trial = new Capital({ ...QUIET, settlement: { deadlineSeconds: 300 } });
    trial.wait(7 * 300);
    expect(trial.passDeadline()).toEqual(['ALLOCATION_OVERDUE']);
    expect(nextOverdueAt(trial.allocation)).toBe(trial.allocation.requestedAt + 8 * 300_000);
    expect(trial.do({ type: 'CHECK_DEADLINES' })).toEqual([]);
  });

  test('a deadline longer than a day is reported once', () => {
    const trial = new Capital({ ...QUIET, settlement: { deadlineSeconds: 90_000 } });
    expect(trial.passDeadline()).toEqual(['ALLOCATION_OVERDUE']);
    expect(trial.passDeadline()).toBeNull();
  });

  test('an administrator acknowledges in place of a bot that is gone, and says why', () => {
    const trial = new Capital({ ...QUIET, settlement: {} });
    trial.order('CANCEL');
    trial.settle('STABLE');
    expect(trial.acknowledge('CANARY', 0, { onBehalf: true })).toMatchObject({
      refusal: { code: 'INVALID_INPUT', path: ['reason'] },
    });
    trial.acknowledge('CANARY', 0, { onBehalf: true, reason: 'seen at the venue' });
    expect(trial.progress).toBe('SETTLED');
    expect(trial.log.at(-2)).toMatchObject({ onBehalf: true, reason: 'seen at the venue' });
  });
});

describe('the plan for open positions', () => {
  const plan = { positions: 'CLOSE' as const, maxSlippageBps: 25, deadlineSeconds: 60 };

  test('goes with every allocation that lowers a side, and its deadline with it', () => {
    const trial = new Capital({ ...RAMP, rollbackPlan: plan, settlement: { deadlineSeconds: 300 } });
    expect(trial.allocation).toMatchObject({ settlement: { deadlineSeconds: 300 } });
    expect(trial.allocation.rollbackPlan).toBeUndefined();
    trial.order('ADVANCE_STEP');
    expect(trial.allocation).toMatchObject({
      rollbackPlan: { positions: 'CLOSE' },
      settlement: { deadlineSeconds: 60 },
    });
    trial.order('ROLLBACK');
    expect(trial.allocation.rollbackPlan).toEqual({ ...plan, maxSlippageBps: decimal(25) });
    expect(settleBy(trial.allocation)).toBe(trial.now + 60_000);
  });

  test('CLOSE settles a side that is to hold nothing only with no open positions', () => {
    const trial = new Capital({ ...RAMP, rollbackPlan: plan });
    trial.order('ADVANCE_STEP');
    // A side that goes on with less has positions.
    for (const side of SIDES) trial.settle(side);
    expect(trial.progress).toBe('SETTLED');
    trial.order('ROLLBACK');
    trial.settle('STABLE');
    trial.acknowledge('CANARY', 0);
    expect(trial.progress).toBe('PARTIAL');
    trial.acknowledge('CANARY', 0, { openExposureUsd: 12 });
    expect(trial.progress).toBe('PARTIAL');
    trial.acknowledge('CANARY', 0, { openExposureUsd: 0 });
    expect(trial.progress).toBe('SETTLED');
    expect(trial.acknowledge('CANARY', 0, { openExposureUsd: -1 })).toMatchObject({
      refusal: { code: 'INVALID_INPUT', path: ['openExposureUsd'] },
    });
  });

  test('the other plans settle by capital alone', () => {
    for (const positions of POSITION_PLANS.filter((name) => name !== 'CLOSE')) {
      const trial = new Capital({ ...QUIET, rollbackPlan: { positions } });
      trial.order('ROLLBACK');
      for (const side of SIDES) trial.settle(side);
      expect(trial.progress).toBe('SETTLED');
    }
  });
});

describe('settlement that is required', () => {
  const required = { ...RAMP, settlement: { required: true }, evidence: { mode: 'OFF' as const } };

  test('holds the next step back until the last allocation is settled, and says so', () => {
    const trial = new Capital({ ...required, promotionCriteria: { minTrades: 0 } });
    trial.earn(200, 100);
    expect(availableActions(trial.state)).not.toContain('ADVANCE_STEP');
    const refused = trial.try({ type: 'ADVANCE_STEP', reason: null });
    expect(refused).toMatchObject({ refusal: { code: 'INVALID_TRANSITION' } });
    if (!refused.accepted) expect(refused.refusal.message).toContain('the canary side is to hold $10,000');
    for (let minute = 0; minute < 70; minute += 1) trial.check();
    expect(trial.observation.step.index).toBe(0);
    expect(trial.state.status).toBe('RUNNING');
    expect(trial.log.some(({ type }) => type === 'DECISION_MADE')).toBe(false);
    expect(
      warningsOf(trial.state, trial.metrics, trial.now)
        .map(({ message }) => message)
        .join(),
    ).toContain('the next step and the next canary of the strategy wait for it');
    for (const side of SIDES) trial.settle(side);
    expect(availableActions(trial.state)).toContain('ADVANCE_STEP');
    expect(trial.check()).toContain('STEP_STARTED');
  });

  test('never holds up what lowers risk', () => {
    for (const order of ['ROLLBACK', 'CANCEL', 'PAUSE'] as const) {
      const trial = new Capital(required);
      expect(trial.order(order)).not.toEqual([]);
    }
    const losing = new Capital({ ...required, guardrails: { maxLossUsd: 100, maxStaleSeconds: null } });
    expect(losing.report('CANARY', { pnlUsd: -200, trades: 1 })).toContain('CANARY_ROLLED_BACK');
    expect(losing.state.status).toBe('ROLLED_BACK');
  });
});

describe('breach to safe', () => {
  test('is from the report that broke a guardrail to the last acknowledgement', () => {
    const trial = new Capital({ guardrails: { maxLossUsd: 100, maxStaleSeconds: null } });
    for (const side of SIDES) trial.settle(side);
    trial.wait(60);
    const breachedAt = trial.now;
    trial.report('CANARY', { pnlUsd: -200, trades: 1 });
    expect(trial.allocation).toMatchObject({ cause: 'ROLLBACK', breachedAt });
    trial.wait(5);
    trial.settle('STABLE');
    trial.wait(7);
    expect(trial.settle('CANARY')).toContain('ALLOCATION_SETTLED');
    expect(trial.log.at(-1)).toMatchObject({ breachToSafeMs: 12_000 });
  });

  test('counts the time of a person who decides; an extension forgives the breach', () => {
    const held = { autoRollback: false, guardrails: { maxLossUsd: 100, maxStaleSeconds: null } };
    const trial = new Capital(held);
    const breachedAt = trial.now;
    trial.report('CANARY', { pnlUsd: -200, trades: 1 });
    expect(trial.state.status).toBe('OBSERVATION_COMPLETE');
    trial.wait(600);
    trial.order('ROLLBACK');
    expect(trial.allocation).toMatchObject({ breachedAt });

    const forgiven = new Capital(held);
    forgiven.report('CANARY', { pnlUsd: -200, trades: 1 });
    forgiven.extend(60);
    forgiven.order('ROLLBACK');
    expect(forgiven.allocation.breachedAt).toBeUndefined();
  });
});

type Happening =
  | {
      readonly kind: 'acknowledge';
      readonly side: Side;
      readonly share: number;
      readonly open: number | undefined;
    }
  | { readonly kind: 'wait'; readonly seconds: number }
  | { readonly kind: 'step' | 'rollback' | 'deadline' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('acknowledge' as const),
      side: fc.constantFrom<Side>('CANARY', 'STABLE'),
      share: fc.constantFrom(0, 0.5, 0.99, 1, 1.01),
      open: fc.constantFrom(undefined, 0, 50),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 4000 }) }),
  },
  { weight: 4, arbitrary: fc.constant<Happening>({ kind: 'deadline' }) },
  { weight: 1, arbitrary: fc.constant<Happening>({ kind: 'step' }) },
  { weight: 1, arbitrary: fc.constant<Happening>({ kind: 'rollback' }) },
);

const config: fc.Arbitrary<CanaryConfigInput> = fc.record({
  settlement: fc.option(
    fc.record({
      tolerancePercent: fc.constantFrom(0, 0.5, 2),
      deadlineSeconds: fc.integer({ min: 1, max: 2000 }),
      required: fc.boolean(),
    }),
  ),
  rollbackPlan: fc.option(
    fc.record({
      positions: fc.constantFrom(...POSITION_PLANS),
      deadlineSeconds: fc.option(fc.integer({ min: 1, max: 900 })),
    }),
  ),
});

function happen(trial: Capital, happened: Happening): void {
  if (happened.kind === 'acknowledge') {
    const { side, share, open } = happened;
    const held = requestedUsd(trial.allocation, side).times(share).toFixed();
    trial.acknowledge(side, held, open === undefined ? {} : { openExposureUsd: open });
  } else if (happened.kind === 'wait') trial.wait(happened.seconds);
  else if (happened.kind === 'deadline') trial.passDeadline();
  else trial.try({ type: happened.kind === 'step' ? 'ADVANCE_STEP' : 'ROLLBACK', reason: null });
}

test('laws: events of settlement say what the statuses say, an overdue report is due and never early, a rollback always happens, and the log gives the state', () => {
  fc.assert(
    fc.property(config, fc.array(happening, { maxLength: 30 }), (given, happenings) => {
      const trial = new Capital({ ...RAMP, ...given });
      for (const happened of happenings) {
        const [before, { allocation }] = [trial.log.length, trial];
        const wasEnded = isEnded(trial.state);
        happen(trial, happened);
        const after = trial.allocation;
        if (happened.kind === 'rollback') expect(isEnded(trial.state)).toBe(true);
        if (happened.kind === 'step' && !wasEnded && after.number > allocation.number) {
          expect(!given.settlement?.required || settledAt(allocation) !== null).toBe(true);
        }
        for (const event of trial.log.slice(before)) {
          if (event.type === 'ALLOCATION_SETTLED') {
            expect(settledAt(allocation)).toBeNull();
            expect(settledAt(after)).toBe(event.at);
          }
          if (event.type === 'ALLOCATION_OVERDUE') {
            expect(event.at).toBeGreaterThanOrEqual(nextOverdueAt(allocation) ?? Number.POSITIVE_INFINITY);
            expect(event.sides.map(({ side }) => side)).toEqual(awaitedSides(after));
          }
        }
        const settled = settledAt(after) !== null;
        expect(settled).toBe(SIDES.every((side) => holdsRequested(after, side)));
        expect(trial.progress === 'SETTLED').toBe(settled);
        if (settled) expect(nextDeadlineAt(trial.state, trial.facts)).toBeNull();
        const awaited = awaitedSides(after);
        if (given.settlement)
          expect(awaited).toHaveLength(SIDES.filter((side) => !holdsRequested(after, side)).length);
        expect(trial.progress === 'OVERDUE').toBe(awaited.length > 0 && trial.now >= (settleBy(after) ?? 0));
      }
      const told = trial.log.filter(({ type }) => type === 'ALLOCATION_OVERDUE');
      expect(told.length).toBeLessThanOrEqual(17 * trial.allocation.number);
      expect(replay(trial.log)).toEqual(trial.state);
    }),
    { numRuns: 60 },
  );
});
