/** The lease of the canary's capital: when it ends, what prolongs it, and what happens when Serin was away. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CanaryConfigInput } from '../../src/core/config/parseConfig.ts';
import { allocationHistory } from '../../src/core/lifecycle/allocationHistory.ts';
import type { Command, Facts } from '../../src/core/lifecycle/command.ts';
import { nextDeadlineAt, rescheduleDeadline } from '../../src/core/lifecycle/deadlines.ts';
import type { CanaryEvent, EventType } from '../../src/core/lifecycle/events.ts';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import { leaseOf } from '../../src/core/lifecycle/lease.ts';
import { recompute } from '../../src/core/lifecycle/recompute.ts';
import { allocationOf, isWatched } from '../../src/core/lifecycle/state.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const LEASE = 60;
const CONFIG = {
  guardrails: NO_GUARDRAILS,
  autoRollback: false,
  autoPromote: false,
  capitalLeaseSeconds: LEASE,
};

/** A trial whose deadlines are checked when they are due, while `isAway` is false. */
class Leased extends Trial {
  heartbeatAt: number | null = null;
  deadlineAt: number | null = null;

  constructor(config: CanaryConfigInput = {}) {
    super({ ...CONFIG, ...config }, 100_000);
    this.deadlineAt = nextDeadlineAt(this.state, this.facts);
  }

  override get facts(): Facts {
    return { ...super.facts, heartbeatAt: this.heartbeatAt, deadlineAt: this.deadlineAt };
  }

  override do(command: Command): EventType[] {
    const types = super.do(command);
    const wasDeadlineCheck = command.type === 'CHECK_DEADLINES';
    this.deadlineAt = rescheduleDeadline(this.state, this.facts, wasDeadlineCheck);
    return types;
  }

  /** Time passes, and every deadline is checked when it is due. */
  pass(seconds: number): void {
    const end = this.now + seconds * 1000;
    while (this.deadlineAt !== null && this.deadlineAt <= end) {
      this.now = Math.max(this.now, this.deadlineAt);
      this.do({ type: 'CHECK_DEADLINES' });
    }
    this.now = end;
  }

  /** Serin is away for so long; then it checks what has become due. */
  away(seconds: number): EventType[] {
    this.now += seconds * 1000;
    return this.deadlineAt !== null && this.deadlineAt <= this.now
      ? this.do({ type: 'CHECK_DEADLINES' })
      : [];
  }

  beat(): void {
    this.heartbeatAt = this.now;
  }

  get lease() {
    return leaseOf(this.state, this.facts);
  }

  find<T extends EventType>(type: T): Extract<CanaryEvent, { type: T }> | undefined {
    return this.log.find((event): event is Extract<CanaryEvent, { type: T }> => event.type === type);
  }
}

const FAILED = ['LEASE_EXPIRED', 'DECISION_MADE', 'CANARY_FAILED', 'ALLOCATION_REQUESTED'];

describe('a lease that runs out', () => {
  test('fails the deployment at that instant, and takes the capital back', () => {
    const trial = new Leased();
    const started = trial.now;
    expect(allocationOf(trial.state)?.leaseUntil).toBe(started + LEASE * 1000);
    trial.pass(20);
    trial.beat();
    trial.pass(LEASE - 0.001);
    expect(trial.status).toBe('RUNNING');
    const before = trial.log.length;
    trial.pass(0.001);
    expect(trial.log.slice(before).map(({ type }) => type)).toEqual(FAILED);
    const leaseUntil = started + 80_000;
    expect(trial.find('LEASE_EXPIRED')).toMatchObject({ at: leaseUntil, leaseUntil, stoodDown: false });
    expect(trial.find('LEASE_EXPIRED')?.heardAt).toBe(started + 20_000);
    expect(trial.find('CANARY_FAILED')?.reason).toContain(new Date(leaseUntil).toISOString());
    expect(trial.state).toMatchObject({ status: 'FAILED', endedAt: leaseUntil });
    expect(allocationOf(trial.state)).toMatchObject({ cause: 'FAIL', canaryPercent: decimal(0) });
    expect(trial.deadlineAt).toBeNull();
    const [decided] = trial.decisions;
    expect(decided).toMatchObject({ decision: 'ROLLBACK', cause: 'LEASE', automatic: true });
    if (decided) expect(recompute(decided, trial.state).decision).toBe('ROLLBACK');
    expect(replay(trial.log)).toEqual(trial.state);
  });

  test.each(['PAUSED', 'OBSERVATION_COMPLETE'] as const)('does so in %s, too', (status) => {
    const trial = new Leased({ observationPeriodMinutes: 5 });
    if (status === 'PAUSED') trial.order('PAUSE');
    while (trial.status !== status) {
      trial.beat();
      trial.check();
    }
    trial.pass(LEASE);
    expect(trial.find('LEASE_EXPIRED')?.leaseUntil).toBe(trial.lease?.endsAt ?? trial.now);
    expect(trial.status).toBe('FAILED');
  });
});

describe('what prolongs a lease', () => {
  test('reports and acknowledgements of the canary; not those of the stable side, nor of an administrator', () => {
    const trial = new Leased();
    const endsIn = () => ((trial.lease?.endsAt ?? 0) - trial.now) / 1000;
    trial.wait(10);
    trial.report('STABLE', { pnlUsd: 1 });
    expect(endsIn()).toBe(50);
    trial.report('CANARY', { pnlUsd: 1 });
    expect(endsIn()).toBe(60);
    trial.wait(10);
    const held = { type: 'ACKNOWLEDGE', number: 1, side: 'CANARY', heldUsd: decimal(10_000) } as const;
    trial.do({ ...held, onBehalf: true, reason: 'seen at the venue' });
    expect(endsIn()).toBe(50);
    trial.do({ ...held, heldUsd: decimal(9_999) });
    expect(endsIn()).toBe(60);
    expect(replay(trial.log)).toEqual(trial.state);
  });

  test('with a provider its figures prolong nothing, heartbeats do', () => {
    const trial = new Leased({ metricsProvider: 'p' });
    trial.wait(30);
    trial.report('CANARY', { pnlUsd: 1 });
    expect(trial.lease?.heardAt).toBe(trial.now - 30_000);
    trial.beat();
    expect(trial.lease?.heardAt).toBe(trial.now);
  });

  test('the next step carries the lease as it stands then', () => {
    const steps = [
      { canaryPercent: 10, minutes: 60 },
      { canaryPercent: 20, minutes: 60 },
    ];
    const trial = new Leased({ steps });
    trial.pass(30);
    trial.beat();
    trial.pass(5);
    trial.order('ADVANCE_STEP');
    const [first, second] = allocationHistory(trial.log);
    expect(first?.leaseUntil).toBe(trial.now + 25_000);
    expect(second?.leaseUntil).toBe(trial.now + 55_000);
  });

  test('a promoted canary has no lease any more, and a deployment without the setting has none', () => {
    const promoted = new Leased();
    promoted.order('PROMOTE');
    expect([promoted.lease, promoted.deadlineAt]).toEqual([null, null]);
    const without = new Leased({ capitalLeaseSeconds: null });
    expect([without.lease, without.deadlineAt]).toEqual([null, null]);
    expect(without.try({ type: 'STAND_DOWN' })).toMatchObject({
      accepted: false,
      refusal: { code: 'INVALID_TRANSITION', path: ['stoodDown'] },
    });
  });
});

describe('when Serin was away, or its clock was set', () => {
  test('the bot gets one lease from then on', () => {
    const trial = new Leased();
    expect(trial.away(3600)).toEqual(['LEASE_RESUMED']);
    trial.pass(LEASE - 1);
    expect(trial.status).toBe('RUNNING');
    trial.beat();
    trial.pass(LEASE - 1);
    expect(trial.status).toBe('RUNNING');
    trial.pass(1);
    expect(trial.status).toBe('FAILED');
    expect(replay(trial.log)).toEqual(trial.state);
  });

  test('a check that comes first does not hide it', () => {
    const trial = new Leased();
    trial.wait(LEASE + 1);
    trial.do({ type: 'CHECK', failure: null });
    expect(trial.do({ type: 'CHECK_DEADLINES' })).toEqual(['LEASE_RESUMED']);
  });

  test('a bot that has stood down meanwhile ends it, with the instant at which its lease ran out', () => {
    const trial = new Leased();
    trial.pass(10);
    trial.beat();
    const ranOutAt = trial.now + LEASE * 1000;
    trial.away(3600);
    trial.pass(5);
    expect(trial.do({ type: 'STAND_DOWN' })).toEqual(FAILED);
    expect(trial.find('LEASE_EXPIRED')).toMatchObject({
      leaseUntil: ranOutAt,
      stoodDown: true,
      at: trial.now,
    });
    expect(trial.observation.leaseExpired).toEqual({ at: ranOutAt, stoodDown: true });
  });

  test('a clock that was set back: the lease counts from then on', () => {
    const trial = new Leased();
    trial.pass(10);
    trial.now -= 3_600_000;
    trial.deadlineAt = trial.now;
    expect(trial.do({ type: 'CHECK_DEADLINES' })).toEqual(['LEASE_RESUMED']);
    trial.pass(LEASE - 1);
    expect(trial.status).toBe('RUNNING');
    trial.pass(1);
    expect(trial.status).toBe('FAILED');
  });
});

/** What happens to a bot and Serin; the bot counts its lease from the moment it sent its last answered request. */
type Happening =
  | { readonly kind: 'request'; readonly by: 'heartbeat' | 'report'; readonly latency: number }
  | { readonly kind: 'pass' | 'away'; readonly seconds: number }
  | { readonly kind: 'pause' | 'resume' | 'check' | 'step' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      by: fc.constantFrom('heartbeat' as const, 'report' as const),
      latency: fc.integer({ min: 0, max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), seconds: fc.integer({ min: 1, max: 70 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('away' as const), seconds: fc.integer({ min: 1, max: 300 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('pause', 'resume', 'check', 'step') }) },
);

test('laws: a lease ends at its instant and never before the bot stands down; a bot that is heard keeps it; the log gives the state', () => {
  const steps = [20, 30, 40].map((canaryPercent) => ({ canaryPercent, minutes: 600 }));
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
      const trial = new Leased({ steps: [{ canaryPercent: 10, minutes: 600 }, ...steps] });
      let heardAt = trial.now;
      let botUntil = trial.now + LEASE * 1000;
      for (const happened of happenings) {
        if (!isWatched(trial.state)) break;
        if (happened.kind === 'pass') trial.pass(happened.seconds);
        else if (happened.kind === 'away') trial.away(happened.seconds);
        else if (happened.kind === 'request') {
          const sentAt = trial.now;
          trial.pass(happened.latency);
          if (!isWatched(trial.state)) break;
          if (happened.by === 'heartbeat') trial.beat();
          else trial.report('CANARY', { pnlUsd: 1 });
          heardAt = trial.now;
          botUntil = sentAt + LEASE * 1000;
        } else {
          const type = { pause: 'PAUSE', resume: 'RESUME', step: 'ADVANCE_STEP', check: 'CHECK' } as const;
          trial.try({ type: type[happened.kind], reason: null, failure: null });
          trial.deadlineAt = rescheduleDeadline(trial.state, trial.facts, false);
        }
      }
      const expired = trial.find('LEASE_EXPIRED');
      const resumed = trial.log.filter(({ type }) => type === 'LEASE_RESUMED').at(-1)?.at ?? 0;
      if (expired) {
        expect(expired.leaseUntil).toBe(Math.max(heardAt, resumed) + LEASE * 1000);
        expect(expired.leaseUntil).toBeGreaterThanOrEqual(botUntil);
        if (!happenings.some(({ kind }) => kind === 'away')) expect(expired.at).toBe(expired.leaseUntil);
        expect(trial.status).toBe('FAILED');
      } else if (isWatched(trial.state)) {
        expect(trial.now).toBeLessThan(Math.max(heardAt, resumed) + LEASE * 1000);
      }
      expect(replay(trial.log)).toEqual(trial.state);
    }),
    { numRuns: 200 },
  );
});
