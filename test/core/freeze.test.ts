/** Freezes on the engine alone: what they refuse, what they hold, and that nothing that lowers risk is held up. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/core/lifecycle/command.ts';
import { type ActiveFreeze, FREEZE_BLOCKS, type FreezeFacts } from '../../src/core/lifecycle/freeze.ts';
import { handle } from '../../src/core/lifecycle/handle.ts';
import { headlineOf } from '../../src/core/lifecycle/headline.ts';
import { holdOf } from '../../src/core/lifecycle/hold.ts';
import { isWatched } from '../../src/core/lifecycle/state.ts';
import { withReport } from '../../src/core/metrics/sideMetrics.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { expectSound } from '../harness/life.ts';
import { figures, NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const FREEZE: ActiveFreeze = { id: 'frz_1', until: null, reason: 'rates decision' };
const frozen = (freeze = FREEZE): FreezeFacts => ({
  blocking: Object.fromEntries(FREEZE_BLOCKS.map((block) => [block, freeze])),
  requestFrozenMs: 0,
});

const ramp = [5, 20].map((canaryPercent) => ({ canaryPercent: decimal(canaryPercent), minutes: 20 }));
const trial = (more: object = {}, capitalUsd: number | null = 100_000) =>
  new Trial({ steps: ramp, guardrails: NO_GUARDRAILS, evidence: { mode: 'OFF' }, ...more }, capitalUsd);

/** Checks until something is held. */
function untilHeld(run: Trial, beforeEach = () => {}): void {
  for (let check = 0; check < 500 && run.status === 'RUNNING' && !holdOf(run.state); check += 1) {
    beforeEach();
    run.check();
  }
  expect(
    holdOf(run.state),
    `${run.status}: ${JSON.stringify(run.comparison?.decisionReasons)}`,
  ).not.toBeNull();
}

const deploy: Command = { type: 'DEPLOY', capitalUsd: decimal(1000), reason: null };

describe('commands', () => {
  test('what raises risk is refused with the reason of the freeze; an override says which one', () => {
    const pending = trial({}, null);
    pending.freeze = frozen();
    const verdict = pending.try(deploy);
    expect(verdict).toMatchObject({ accepted: false, refusal: { code: 'FROZEN' } });
    expect(JSON.stringify(verdict)).toContain('rates decision');
    expect(pending.log).toHaveLength(1);
    pending.do({ ...deploy, overrideFreeze: true });
    expect(pending.log.at(1)).toMatchObject({ type: 'CANARY_STARTED', overrodeFreeze: 'frz_1' });
    expect(pending.try({ type: 'ADVANCE_STEP', reason: null })).toMatchObject({
      refusal: { code: 'FROZEN' },
    });
    expect(pending.try({ type: 'PROMOTE', reason: null })).toMatchObject({ refusal: { code: 'FROZEN' } });
    pending.do({ type: 'PROMOTE', reason: 'sure', overrideFreeze: true });
    expect(pending.status).toBe('PROMOTED');
    expectSound(pending);
  });

  test('a freeze blocks only what it names', () => {
    const run = trial();
    run.freeze = { blocking: { PROMOTE: FREEZE }, requestFrozenMs: 0 };
    run.order('ADVANCE_STEP');
    expect(run.canaryPercent).toBe(20);
    expect(run.try({ type: 'PROMOTE', reason: null })).toMatchObject({ refusal: { code: 'FROZEN' } });
  });

  test('the first of two people may ask during a freeze; the second is refused, and the day of the request stands', () => {
    const run = trial({ requireApproval: true });
    run.freeze = frozen();
    expect(run.order('PROMOTE')).toEqual(['PROMOTION_REQUESTED']);
    const approve = (hours: number, freeze: FreezeFacts | undefined) => {
      const facts = { ...run.facts, actor: 'grace', freeze, now: run.now + hours * 3_600_000 };
      return handle(run.state, { type: 'PROMOTE', reason: null }, facts);
    };
    expect(approve(1, frozen())).toMatchObject({ refusal: { code: 'FROZEN' } });
    const asked = approve(30, undefined);
    expect(asked.accepted && asked.events.map(({ type }) => type)).toEqual(['PROMOTION_REQUESTED']);
    const approved = approve(30, { blocking: {}, requestFrozenMs: 7 * 3_600_000 });
    expect(approved.accepted && approved.state.status).toBe('PROMOTED');
  });
});

describe('automatic decisions', () => {
  test('a step is held once a freeze, the clock of the step stands, and it is decided anew afterwards', () => {
    const run = trial();
    run.earn(50, 950);
    run.freeze = frozen();
    const end = run.observation.step.endsAt;
    while (run.now < end - 60_000) run.check();
    expect(run.check()).toEqual(['CANARY_METRICS_UPDATED', 'STEP_HELD']);
    expect(run.log.at(-1)).toMatchObject({ freezeId: 'frz_1', until: null, reason: 'rates decision' });
    for (let check = 0; check < 30; check += 1) expect(run.check()).toEqual(['CANARY_METRICS_UPDATED']);
    expect(run.observation.step.endsAt).toBe(end + 30 * 60_000);
    expect(run.decisions).toEqual([]);
    const pairs = run.observation.checks;
    run.freeze = undefined;
    expect(run.check()).toContain('STEP_STARTED');
    expect(run.observation.checks).toBe(pairs + 1);
    expect(run.decision).toMatchObject({ decision: 'PROMOTE', automatic: true });
    expect(holdOf(run.state)).toBeNull();
    expectSound(run);
  });

  test('the headline does not wait for a time that has passed', () => {
    const run = trial();
    run.earn(50, 950);
    const until = run.observation.step.endsAt + 30_000;
    run.freeze = frozen({ ...FREEZE, until });
    untilHeld(run);
    const headline = () => headlineOf(run.state, run.metrics, run.now, 0);
    expect(headline()).toBe(
      `The next step is held until ${new Date(until).toISOString()} by the freeze frz_1`,
    );
    run.wait(40);
    expect(headline()).toBe('The next step is held until the next check by the freeze frz_1');
  });

  test('another freeze takes over with an event of its own; the canary that got worse meanwhile is not promoted', () => {
    const run = trial({ steps: undefined, observationPeriodMinutes: 20 });
    run.earn(110, 950);
    run.freeze = frozen();
    untilHeld(run);
    run.freeze = frozen({ ...FREEZE, id: 'frz_2' });
    expect(run.check()).toEqual(['CANARY_METRICS_UPDATED', 'PROMOTION_HELD']);
    run.earn(-3000, 0);
    run.freeze = undefined;
    run.check();
    expect(run.status).toBe('ROLLED_BACK');
    expectSound(run);
  });

  test('guardrails act while a decision is held, and so does a person', () => {
    for (const act of ['guardrail', 'ROLLBACK', 'CANCEL', 'PAUSE'] as const) {
      const run = trial({ guardrails: { maxStaleSeconds: null, maxLossPercent: 5 } });
      run.earn(50, 950);
      run.freeze = frozen();
      untilHeld(run);
      if (act === 'guardrail') run.earn(-1000, 0);
      else run.order(act);
      expect(run.status).not.toBe('RUNNING');
      expect(holdOf(run.state)).toBeNull();
      expectSound(run);
    }
  });

  test('an inconclusive end rolls back in a freeze, where the policy says so', () => {
    const run = trial({ onInconclusive: 'ROLLBACK', promotionCriteria: { minTrades: 1000 } });
    run.earn(50, 950);
    run.freeze = frozen();
    run.checkToEnd();
    expect(run.status).toBe('ROLLED_BACK');
  });

  test('evidence that the canary is worse acts while its promotion is held', () => {
    const run = trial({
      evidence: { mode: 'AUTO', minSamples: 10 },
      steps: undefined,
      observationPeriodMinutes: 60,
    });
    for (let check = 0; check < 30; check += 1) {
      run.earn(check % 2 === 0 ? 90 : 20, check % 2 === 0 ? 30 : 10);
      run.check();
    }
    run.freeze = frozen();
    untilHeld(run, () => run.earn(50, 20));
    for (let check = 0; check < 400 && run.status === 'RUNNING'; check += 1) {
      run.earn(check % 2 === 0 ? -90 : -70, check % 2 === 0 ? 900 : 870);
      run.check();
    }
    expect(run.status).toBe('ROLLED_BACK');
    expect(run.decision.cause).toBe('EVIDENCE');
  });
});

const RISKY = ['CANARY_STARTED', 'STEP_STARTED', 'CANARY_PROMOTED'];
const LOWERING: readonly Command[] = [
  ...(['ROLLBACK', 'CANCEL', 'PAUSE'] as const).map((type) => ({ type, reason: null })),
  { type: 'UPDATE_CONFIG', patch: { guardrails: { maxLossUsd: 49_000 } }, reason: null },
  { type: 'EVALUATE_GUARDRAILS' },
  { type: 'CHECK_DEADLINES' },
];

const LOST = figures({ pnlUsd: -60_000, trades: 50 });

/** One turn of a life: the freeze begins or ends, a side earns, a check comes, or a person acts. */
const turns = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.boolean().map((on) => ({ freeze: on })) },
    {
      weight: 3,
      arbitrary: fc.record({
        canary: fc.integer({ min: -200, max: 200 }),
        stable: fc.integer({ min: -200, max: 400 }),
      }),
    },
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 10 }).map((checks) => ({ checks })) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('ADVANCE_STEP', 'PROMOTE', 'PAUSE', 'RESUME', 'EXTEND')
        .map((order) => ({ order })),
    },
  ),
  { maxLength: 40 },
);

test('laws: nothing raises risk in a freeze; freeze, approval and settlement hold up nothing that lowers it; the log gives the state', () => {
  fc.assert(
    fc.property(
      turns,
      fc.record({
        autoPromote: fc.boolean(),
        earlyPromote: fc.boolean(),
        onInconclusive: fc.constantFrom('WAIT', 'EXTEND', 'ROLLBACK'),
        requireApproval: fc.boolean(),
        capitalLeaseSeconds: fc.constantFrom(undefined, 3600),
        mode: fc.constantFrom('AUTO', 'OFF'),
        required: fc.boolean(),
      }),
      (life, { mode, required, ...policy }) => {
        const run = trial({
          ...policy,
          evidence: { mode, minSamples: 10 },
          guardrails: { maxStaleSeconds: null, maxLossUsd: 50_000 },
          // No side ever acknowledges: the settlement is open all the time.
          settlement: { deadlineSeconds: 60, required },
        });
        for (const turn of life) {
          if (run.state.status === 'PENDING' || 'endedAt' in run.state) break;
          const before = run.log.length;
          if ('freeze' in turn) run.freeze = turn.freeze ? frozen() : undefined;
          else if ('canary' in turn) run.earn(turn.canary, turn.stable);
          else if ('order' in turn)
            run.try(
              turn.order === 'EXTEND'
                ? { type: 'EXTEND', minutes: 7, reason: null }
                : { type: turn.order as 'PROMOTE', reason: null },
            );
          else for (let check = 0; check < turn.checks && !('endedAt' in run.state); check += 1) run.check();
          const types = run.log.slice(before).map(({ type }) => type);
          if (run.freeze) expect(types.filter((type) => RISKY.includes(type))).toEqual([]);
          else if (types.includes('CANARY_METRICS_UPDATED')) expect(holdOf(run.state)).toBeNull();
          // Neither a freeze nor a rule of two people makes a difference to what lowers risk, by command or by report.
          const metrics = withReport(run.metrics, 'CANARY', LOST, run.now);
          for (const command of LOWERING) {
            const lost = command.type === 'EVALUATE_GUARDRAILS' ? { metrics } : {};
            const [free, held] = [{}, { freeze: frozen(), mustApprove: true }].map((more) =>
              handle(run.state, command, { ...run.facts, ...lost, ...more }),
            );
            expect(held).toEqual(free);
            if (!isWatched(run.state)) continue;
            if (command.type === 'ROLLBACK' || command.type === 'CANCEL') expect(held?.accepted).toBe(true);
            if (command.type === 'EVALUATE_GUARDRAILS' && run.state.status === 'RUNNING')
              expect(held?.accepted && held.state.status).toBe('ROLLED_BACK');
          }
          expectSound(run);
        }
      },
    ),
    { numRuns: 50 },
  );
});
