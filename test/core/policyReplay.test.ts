/** A recorded deployment under its own policy decides as it did; under another one, as that one would have. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CanaryConfig } from '../../src/core/config/config.ts';
import { type CanaryConfigInput, parseConfig } from '../../src/core/config/parseConfig.ts';
import type { Sample } from '../../src/core/document/document.ts';
import { requestedUsd } from '../../src/core/lifecycle/allocation.ts';
import type { Command } from '../../src/core/lifecycle/command.ts';
import type { CanaryEvent, DecisionRecord } from '../../src/core/lifecycle/events.ts';
import { begin, handle } from '../../src/core/lifecycle/handle.ts';
import { type DeploymentState, forSides, isWatched, nextCheckAt } from '../../src/core/lifecycle/state.ts';
import { type MetricsBySide, NO_METRICS } from '../../src/core/metrics/sideMetrics.ts';
import { defaultAssumptions } from '../../src/core/policy/assumptions.ts';
import { createMarket, streams } from '../../src/core/policy/market.ts';
import { createReplay, type PolicyReplay } from '../../src/core/policy/replay.ts';
import {
  addCheck,
  addTrade,
  metricsOf,
  startSimulatedSide,
  toMicros,
} from '../../src/core/policy/simulatedSide.ts';
import { NO_BREACHES } from '../../src/core/rule/guardrails.ts';
import { decimal } from '../../src/core/values/decimal.ts';
import { NO_GUARDRAILS, Trial } from '../harness/trial.ts';

function policy(input: CanaryConfigInput = {}): CanaryConfig {
  const parsed = parseConfig(input);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return parsed.value;
}

interface Recorded {
  readonly state: DeploymentState;
  readonly events: readonly CanaryEvent[];
  readonly samples: readonly Sample[];
}

const START = Date.parse('2026-01-05T10:00:00Z');

/** A deployment that lives as on a server: bots that acknowledge, a person who pauses and opens gates. */
function live(config: CanaryConfig, shift: number, seed: number): Recorded {
  const market = createMarket(defaultAssumptions(config), shift, streams(seed).next().value);
  const [canary, stable] = [startSimulatedSide(), startSimulatedSide()];
  const samples: Sample[] = [];
  let breaches = NO_BREACHES;
  let metrics: MetricsBySide = NO_METRICS;
  let now = START;
  const trial = { id: 'dep_x', strategyId: 's', chain: 'c', stableVersionId: 'v1', canaryVersionId: 'v2' };
  const made = begin({ ...trial, config }, { at: now, actor: 'ana' });
  let state = made.state;
  const events: CanaryEvent[] = [...made.events];
  const act = (command: Command, actor: string): readonly CanaryEvent[] => {
    const handled = handle(state, command, { now, metrics, breaches, stableVersionId: 'v1', actor });
    if (!handled.accepted) throw new Error(handled.refusal.message);
    ({ state, breaches } = handled);
    events.push(...handled.events);
    return handled.events;
  };
  const current = (): DeploymentState => state;
  act({ type: 'DEPLOY', capitalUsd: decimal(100_000), reason: null }, 'ana');
  for (let check = 1; check < 400 && isWatched(current()); check += 1) {
    const watched = current();
    if (!isWatched(watched)) break;
    if (watched.status === 'OBSERVATION_COMPLETE') {
      const [next] = config.steps.slice(watched.observation.step.index + 1);
      if (watched.decision !== 'PROMOTE' || !next) break;
      now += 90_000;
      act({ type: 'ADVANCE_STEP', reason: null }, 'ana');
      continue;
    }
    if (check === 5 || check === 33) {
      const { number, canaryUsd } = watched.allocation;
      const heldUsd = check === 5 ? canaryUsd.times('0.9') : canaryUsd;
      act({ type: 'ACKNOWLEDGE', number, side: 'CANARY', heldUsd }, 'bot');
    }
    if (check === 12) {
      act({ type: 'PAUSE', reason: null }, 'ana');
      now += 200_000;
      act({ type: 'RESUME', reason: null }, 'ana');
    }
    const running = current();
    if (!isWatched(running)) break;
    canary.capital = toMicros(running.observation.basis.CANARY.capitalUsd);
    stable.capital = toMicros(running.observation.basis.STABLE.capitalUsd);
    const from = { canary: canary.curve, stable: stable.curve };
    market.nextCheck((canaryReturn, stableReturn) => {
      addTrade(canary, canaryReturn);
      addTrade(stable, stableReturn);
    });
    addCheck(canary, canary.curve - from.canary);
    addCheck(stable, stable.curve - from.stable);
    now = (nextCheckAt(running, now) ?? now) + 137;
    if (check % 17 === 0) {
      act({ type: 'CHECK', failure: 'the provider is away' }, 'serin');
      continue;
    }
    metrics = { CANARY: metricsOf(canary, now - 40), STABLE: metricsOf(stable, now - 90) };
    for (const event of act({ type: 'CHECK', failure: null }, 'serin')) {
      if (event.type !== 'CANARY_METRICS_UPDATED') continue;
      samples.push({ check: event.check, at: now, decision: event.decision, metrics });
    }
  }
  return { state: current(), events, samples };
}

function replayed({ events, samples }: Recorded, config: CanaryConfig): PolicyReplay {
  const replay = createReplay(config);
  for (const event of events) {
    const check = event.type === 'CANARY_METRICS_UPDATED' ? event.check : null;
    if (!replay.take(event, samples.find((sample) => sample.check === check) ?? null)) break;
  }
  return replay.result();
}

const automatic = ({ events }: Recorded) =>
  events.flatMap((event) =>
    event.type === 'DECISION_MADE' && event.record.automatic ? [{ at: event.at, record: event.record }] : [],
  );

/** From 11:00 in Berlin, the market closes after 40 minutes, and opens again the next day. */
const BERLIN = {
  timeZone: 'Europe/Berlin',
  sessions: [{ days: ['MONDAY', 'TUESDAY', 'WEDNESDAY'] as const, open: '09:00', close: '11:40' }],
};

const LIVED: Readonly<Record<string, CanaryConfigInput>> = {
  'the default': {},
  'trading hours': { tradingHours: BERLIN },
  'gates alone': { evidence: { mode: 'OFF' }, onInconclusive: 'ROLLBACK' },
  'an extended observation': {
    evidence: { mode: 'REQUIRED' },
    observationPeriodMinutes: 30,
    onInconclusive: 'EXTEND',
  },
  'a ramp with a manual gate': {
    steps: [
      { canaryPercent: decimal('3.7'), minutes: 11 },
      { canaryPercent: decimal('33.3'), minutes: 15, gate: 'MANUAL' },
      { canaryPercent: decimal(50), minutes: 35 },
    ],
  },
  'a tight guardrail': { guardrails: { maxLossPercent: decimal('0.7') } },
};

describe.each(Object.entries(LIVED))('%s', (_name, input) => {
  test.each([0, 0.4, -0.4])('replayed under itself, with a canary that earns %d sigma more', (shift) => {
    const config = policy(input);
    for (const seed of [1, 2, 3]) {
      const recorded = live(config, shift, seed);
      const replay = replayed(recorded, config);
      expect(replay.decisions.map(({ at, record: made }) => ({ at, record: made }))).toEqual(
        automatic(recorded),
      );
      const { status } = recorded.state;
      expect(replay.outcome).toBe(status === 'OBSERVATION_COMPLETE' ? 'WAITS_FOR_PERSON' : status);
      expect(replay.notes).toEqual([]);
    }
  });
});

test('a stricter policy would have rolled back earlier', () => {
  const recorded = live(policy(), -0.4, 4);
  const own = replayed(recorded, policy());
  const strict = replayed(recorded, policy({ guardrails: { maxLossPercent: decimal('0.1') } }));
  expect([own.outcome, strict.outcome]).toEqual(['ROLLED_BACK', 'ROLLED_BACK']);
  expect(strict.decidedAt).toBeLessThan(own.decidedAt ?? 0);
  expect(strict.decisions.at(-1)?.because).toBe('maxLossPercent');
});

test('what the record does not reach is said, not guessed', () => {
  const recorded = live(policy(), -0.4, 4);
  const patient = policy({ evidence: { mode: 'OFF' }, checkIntervalSeconds: 10 });
  const replay = replayed(recorded, patient);
  expect(replay).toMatchObject({ outcome: 'UNDECIDED', decidedAt: null, decisions: [] });
  expect(replay.recordedUntil).toBe(recorded.samples.at(-1)?.at);
  expect(replay.notes).toHaveLength(2);
  expect(replay.notes[0]).toContain(
    'checks every 10 s, but the record has a sample every 60 s, too far apart to make pairs: the replay has no evidence',
  );
  expect(replay.notes[1]).toMatch(
    /the deployment was ROLLED_BACK then.*would have observed until 2026-01-05T11:0/,
  );
  const thinned = replayed({ ...recorded, samples: recorded.samples.slice(0, 3) }, policy());
  expect(thinned.outcome).toBe('UNDECIDED');
  expect(thinned.notes[0]).toContain('The sample of check 4 is no longer kept');
});

test('what a replay treats otherwise than it happened is noted', () => {
  const run = new Trial({ guardrails: NO_GUARDRAILS, evidence: { mode: 'OFF' } });
  const replay = createReplay(run.state.config);
  let taken = 0;
  const take = () => {
    for (const event of run.log.slice(taken)) {
      const { metrics } = run;
      const seen = event.type === 'CANARY_METRICS_UPDATED' ? { ...event, metrics } : null;
      replay.take(event, seen);
    }
    taken = run.log.length;
  };
  run.earn(50, 950);
  run.check();
  take();
  expect(replay.result().notes.join()).not.toContain('Unwatched time');
  run.wait(78 * 60);
  run.check();
  take();
  const { notes } = replay.result();
  expect(notes).toContain(
    'Unwatched time is in the record: it extends the step, and no pair is formed over it',
  );
});

test('how old figures may be is what the policy says, not the record', () => {
  const stale = (maxStaleSeconds: number) => ({
    evidence: { mode: 'OFF' as const },
    observationPeriodMinutes: 5,
    guardrails: { maxLossPercent: null, maxStaleSeconds, breaches: { maxStaleSeconds: 1000 } },
  });
  const run = new Trial(stale(60));
  run.earn(100, 900);
  for (let check = 0; check < 7; check += 1) {
    run.wait(60);
    run.do({ type: 'CHECK', failure: null });
  }
  expect(run.status).toBe('RUNNING');
  const under = (config: CanaryConfigInput) => {
    const replay = createReplay(policy(config));
    for (const event of run.log)
      replay.take(event, event.type === 'CANARY_METRICS_UPDATED' ? { ...event, metrics: run.metrics } : null);
    return replay.result().outcome;
  };
  expect(under(stale(60))).toBe('UNDECIDED');
  expect(under(stale(600))).toBe('PROMOTED');
});

test('an outage that a pause follows lasts as long in the replay', () => {
  const run = new Trial({ guardrails: NO_GUARDRAILS, evidence: { mode: 'OFF' } });
  const replay = createReplay(run.state.config);
  const next = (act: () => void) => {
    const from = run.log.length;
    act();
    for (const event of run.log.slice(from)) {
      const { metrics } = run;
      replay.take(event, event.type === 'CANARY_METRICS_UPDATED' ? { ...event, metrics } : null);
    }
  };
  for (const event of run.log) replay.take(event, null);
  run.earn(100, 900);
  next(() => run.check());
  run.wait(40 * 60);
  next(() => run.order('PAUSE'));
  run.wait(600);
  next(() => run.order('RESUME'));
  while (run.status === 'RUNNING') next(() => run.check());
  expect(run.status).toBe('PROMOTED');
  expect(replay.result()).toMatchObject({ outcome: 'PROMOTED', decidedAt: run.now });
});

/** A trial that a replay under its own policy follows. */
function followed(input: CanaryConfigInput) {
  const run = new Trial(input);
  const replay = createReplay(run.state.config);
  let taken = 0;
  const follow = () => {
    const { metrics } = run;
    for (const event of run.log.slice(taken))
      replay.take(event, event.type === 'CANARY_METRICS_UPDATED' ? { ...event, metrics } : null);
    taken = run.log.length;
  };
  follow();
  /** Both decided the same at the same time, on the same figures. */
  const agrees = () => {
    const lived = run.log.flatMap((event) => (event.type === 'DECISION_MADE' ? [event] : []));
    const decided = lived.filter(({ record: made }) => made.automatic);
    const said = ({ decision, cause, reasons, returns }: DecisionRecord) => {
      return { decision, cause, reasons, returns: forSides((side) => returns[side].toFixed(12)) };
    };
    expect(replay.result().decisions.map(({ at, record: made }) => ({ at, ...said(made) }))).toEqual(
      decided.map(({ at, record: made }) => ({ at, ...said(made) })),
    );
  };
  return { run, replay, follow, agrees };
}

/** A small first step, and a larger one. */
const ramp = (gate: 'AUTO' | 'MANUAL'): CanaryConfigInput => ({
  evidence: { mode: 'OFF' },
  guardrails: NO_GUARDRAILS,
  steps: [
    { canaryPercent: 1, minutes: 5, gate },
    { canaryPercent: 50, minutes: 5 },
  ],
});

test('what was earned on a smaller step is the same return under a policy without steps', () => {
  const run = new Trial(ramp('AUTO'));
  const one = { canaryPercent: 10, observationPeriodMinutes: 10 };
  const replay = createReplay(policy({ evidence: { mode: 'OFF' }, guardrails: NO_GUARDRAILS, ...one }));
  for (const event of run.log) replay.take(event, null);
  for (let check = 0; check < 10; check += 1) {
    const taken = run.log.length;
    run.earn(check < 5 ? 20 : 1000, 500);
    run.check();
    for (const event of run.log.slice(taken))
      replay.take(event, event.type === 'CANARY_METRICS_UPDATED' ? { ...event, metrics: run.metrics } : null);
  }
  // Its bots report no PnL before costs.
  expect(run.metrics.CANARY?.totalPnlUsd.toNumber()).toBe(0);
  const [lived, made] = [run.decision, replay.result().decisions.at(-1)?.record];
  expect(lived.returns.CANARY.toNumber()).toBeCloseTo(0.2, 12);
  expect(made?.returns.CANARY.toNumber()).toBeCloseTo(0.2, 12);
  expect(made?.metrics.CANARY?.netPnlUsd.toNumber()).toBeCloseTo(2000, 9);
});

test('after an outage silence begins anew, and nothing is decided before new figures', () => {
  const { run, follow, agrees, replay } = followed({ observationPeriodMinutes: 10 });
  const unheard = (seconds: number) => {
    run.wait(seconds);
    run.do({ type: 'CHECK', failure: null });
    follow();
  };
  for (let check = 0; check < 3; check += 1) {
    run.earn(100, 900);
    run.check();
    follow();
  }
  for (const seconds of [60, 60, 60, 60, 1200, 60, 60, 60]) unheard(seconds);
  expect(run.status).toBe('RUNNING');
  expect(replay.result()).toMatchObject({ outcome: 'UNDECIDED', decisions: [] });
  run.earn(100, 900);
  unheard(60);
  expect(run.decision.cause).toBe('OBSERVATION_OVER');
  agrees();
});

test('what is earned while a step waits for a person counts on the capital of that time', () => {
  const { run, follow, agrees } = followed(ramp('MANUAL'));
  for (let check = 0; check < 5; check += 1) {
    run.earn(20, 500);
    run.check();
    follow();
  }
  expect(run.awaited).toBe('PROMOTE');
  run.wait(7200);
  run.earn(-300, 0);
  run.order('ADVANCE_STEP');
  follow();
  while (run.status === 'RUNNING') {
    run.earn(900, 500);
    run.check();
    follow();
  }
  expect(run.decision.returns.CANARY.toNumber()).toBeCloseTo(0.1 - 0.3 + 0.09, 12);
  agrees();
});

test('a side that says it holds nothing is no comparison in the replay either', () => {
  const steps = [
    { canaryPercent: 50, minutes: 5 },
    { canaryPercent: 100, minutes: 5 },
  ];
  const { run, follow, agrees } = followed({ ...ramp('AUTO'), steps });
  const acknowledge = (number: number, heldUsd: number) =>
    run.do({ type: 'ACKNOWLEDGE', number, side: 'STABLE', heldUsd: decimal(heldUsd) });
  acknowledge(1, 50_000);
  for (let check = 0; check < 10; check += 1) {
    if (check === 5) acknowledge(2, 0);
    run.earn(500, check < 5 ? 500 : -5000);
    run.check();
    follow();
  }
  expect(run.status).toBe('PROMOTED');
  expect(run.decision.returns.STABLE.toNumber()).toBeCloseTo(0.05, 12);
  agrees();
});

test('whatever happens, a replay under the same policy decides the same on the same figures', () => {
  const usd = fc.integer({ min: -900, max: 900 });
  const seconds = fc.integer({ min: 1, max: 900 });
  const happening = fc.oneof(
    { weight: 10, arbitrary: fc.tuple(fc.constant('check'), usd) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('earn'), usd) },
    fc.tuple(fc.constantFrom('silence', 'outage', 'pause'), seconds),
    fc.tuple(fc.constantFrom('advance', 'extend'), usd),
    fc.tuple(fc.constantFrom('CANARY', 'STABLE'), fc.constantFrom(0, 0.5, 1)),
  );
  const lives = [
    ramp('MANUAL'),
    { observationPeriodMinutes: 15, evidence: { minSamples: 10 }, onInconclusive: 'EXTEND' as const },
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...lives),
      fc.array(happening, { minLength: 5, maxLength: 60 }),
      (input, all) => {
        const { run, follow, agrees } = followed(input);
        const unheard = (after: number) => {
          run.wait(after);
          run.do({ type: 'CHECK', failure: null });
        };
        for (const [what, much] of all) {
          if (!isWatched(run.state)) break;
          run.wait(1);
          if (what === 'check') {
            run.earn(much / 3, much);
            run.check();
          } else if (what === 'earn') run.earn(much, 0);
          else if (what === 'silence') unheard(60);
          else if (what === 'outage') unheard(much);
          else if (what === 'pause' && run.try({ type: 'PAUSE', reason: null }).accepted) {
            run.wait(much);
            run.order('RESUME');
          } else if (what === 'advance') run.try({ type: 'ADVANCE_STEP', reason: null });
          else if (what === 'extend') run.try({ type: 'EXTEND', minutes: 3, reason: null });
          else if (what === 'CANARY' || what === 'STABLE') {
            const { number, ...asked } = run.state.allocation;
            const heldUsd = requestedUsd(asked, what).times(much);
            run.do({ type: 'ACKNOWLEDGE', number, side: what, heldUsd });
          }
          follow();
        }
        agrees();
      },
    ),
    { numRuns: 200 },
  );
});

test('a policy that checks less often reads fewer samples', () => {
  const recorded = live(policy(), 0.4, 5);
  const seldom = replayed(
    recorded,
    policy({ checkIntervalSeconds: 300, guardrails: { maxStaleSeconds: null } }),
  );
  expect(seldom.checks).toBeLessThanOrEqual(13);
  expect(seldom.outcome).not.toBe('UNDECIDED');
});

test('another share of the capital changes the dollars, and not the returns', () => {
  const recorded = live(policy(), -0.4, 4);
  const half = replayed(recorded, policy({ canaryPercent: decimal(50) }));
  const own = replayed(recorded, policy());
  expect(half.decidedAt).toBe(own.decidedAt);
  const [made, before] = [half.decisions.at(-1)?.record, own.decisions.at(-1)?.record];
  expect(
    made?.returns.CANARY.minus(before?.returns.CANARY ?? 0)
      .abs()
      .lt('1e-30'),
  ).toBe(true);
  const ratio = made?.metrics.CANARY?.netPnlUsd.div(before?.metrics.CANARY?.netPnlUsd ?? 1).toNumber();
  expect(ratio).toBeCloseTo(5, 9);
});
