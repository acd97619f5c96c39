/** Trading hours: an observation counts time within them only, daylight saving included. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { marginPerCheck } from '../../src/core/config/config.ts';
import { type CanaryConfigInput, parseConfig } from '../../src/core/config/parseConfig.ts';
import {
  afterOpenMs,
  hasOpenedBetween,
  nextOpening,
  openMsBetween,
} from '../../src/core/config/tradingCalendar.ts';
import { type TradingHoursInput, tradingDay } from '../../src/core/config/tradingHours.ts';
import { CanaryDeployment } from '../../src/core/index.ts';
import { replay } from '../../src/core/lifecycle/evolve.ts';
import {
  isWatched,
  nextCheckAt,
  observationOf,
  observationRemainingMs,
} from '../../src/core/lifecycle/state.ts';
import { recordedInterval } from '../../src/core/lifecycle/watchedTime.ts';
import { defaultAssumptions } from '../../src/core/policy/assumptions.ts';
import { createMarket, streams } from '../../src/core/policy/market.ts';
import { simulateTrial } from '../../src/core/policy/simulatedTrial.ts';
import { HandClock } from '../harness/handClock.ts';
import { configOf, NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const WORKDAYS = ['MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY'] as const;
const NEW_YORK: TradingHoursInput = {
  timeZone: 'America/New_York',
  sessions: [
    { days: WORKDAYS, open: '09:30', close: '16:00' },
    { dates: ['2026-11-27'], open: '09:30', close: '13:00' },
  ],
  closed: ['2026-11-26', '2026-12-25'],
};
/** Futures: from Sunday evening to Friday afternoon, with an hour of rest a day. */
const CHICAGO: TradingHoursInput = {
  timeZone: 'America/Chicago',
  sessions: [
    { days: ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY'], open: '17:00', close: '16:00' },
  ],
};
const at = (text: string) => Date.parse(text);
const MINUTE = 60_000;

/** Whether a market is open, by the local time that `Intl` says: for hours that end on the day on which they began. */
function isOpenByIntl({ timeZone, sessions, closed }: TradingHoursInput, instant: number): boolean {
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    weekday: 'long',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(instant);
  const part = (type: string) => parts.find((each) => each.type === type)?.value ?? '';
  const date = `${part('year')}-${part('month')}-${part('day')}`;
  const time = `${part('hour')}:${part('minute')}`;
  const weekday = part('weekday').toUpperCase();
  const dated = sessions.filter(({ dates }) => dates?.includes(date));
  const valid =
    dated.length > 0 ? dated : sessions.filter(({ days }) => days?.some((day) => day === weekday));
  return !closed?.includes(date) && valid.some(({ open, close }) => open <= time && time < close);
}

describe('the calendar', () => {
  const config = configOf({ tradingHours: NEW_YORK });

  test('opens and closes at the local time of its zone, in winter and in summer', () => {
    expect(nextOpening(config, at('2026-03-06T22:00:00Z'))).toBe(at('2026-03-09T13:30:00Z'));
    expect(nextOpening(config, at('2026-01-05T14:29:59Z'))).toBe(at('2026-01-05T14:30:00Z'));
    expect(nextOpening(config, at('2026-01-05T14:30:00Z'))).toBeNull();
    // A week from Friday noon to Friday noon has five sessions, with the change to summer time in it.
    const week = openMsBetween(config, at('2026-03-06T17:00:00Z'), at('2026-03-13T16:00:00Z'));
    expect(week).toBe(5 * 390 * MINUTE);
  });

  test('knows holidays and early closes', () => {
    const [from, to] = [at('2026-11-25T21:00:00Z'), at('2026-11-30T14:30:00Z')];
    expect(openMsBetween(config, from, to)).toBe(210 * MINUTE);
    expect(nextOpening(config, at('2026-11-27T18:00:00Z'))).toBe(to);
  });

  test('has sessions that go on over midnight, and around the clock', () => {
    const futures = configOf({ tradingHours: CHICAGO });
    expect(nextOpening(futures, at('2026-01-09T22:00:00Z'))).toBe(at('2026-01-11T23:00:00Z'));
    expect(openMsBetween(futures, at('2026-01-04T00:00:00Z'), at('2026-01-11T00:00:00Z'))).toBe(
      5 * 23 * 60 * MINUTE,
    );
    const week = { timeZone: 'UTC', sessions: [{ days: WORKDAYS, open: '00:00', close: '24:00' }] };
    const around = configOf({ tradingHours: week });
    expect(hasOpenedBetween(around, at('2026-01-05T12:00:00Z'), at('2026-01-09T12:00:00Z'))).toBe(false);
    expect(nextOpening(around, at('2026-01-10T00:00:00Z'))).toBe(at('2026-01-12T00:00:00Z'));
  });

  test('a session that the change to summer time skips does not take place', () => {
    const openOn = (timeZone: string, open: string, close: string, day: string) => {
      const days = [...WORKDAYS, 'SATURDAY', 'SUNDAY'] as const;
      const own = configOf({ tradingHours: { timeZone, sessions: [{ days, open, close }] } });
      return openMsBetween(own, at(day), at(day) + 24 * 60 * MINUTE) / MINUTE;
    };
    expect(openOn('America/New_York', '02:15', '02:45', '2026-03-08T05:00Z')).toBe(0);
    expect(openOn('America/New_York', '02:15', '03:00', '2026-03-08T05:00Z')).toBe(0);
    expect(openOn('America/New_York', '02:15', '03:30', '2026-03-08T05:00Z')).toBe(30);
    expect(openOn('Asia/Beirut', '00:00', '00:30', '2026-03-28T20:00Z')).toBe(0);
    expect(openOn('Asia/Beirut', '00:00', '00:30', '2026-03-29T20:00Z')).toBe(30);
    const sessions = [
      { days: WORKDAYS, open: '09:00', close: '10:00' },
      { dates: ['2026-03-08'], open: '02:15', close: '02:45' },
    ];
    const once = configOf({ tradingHours: { timeZone: 'America/New_York', sessions } });
    expect(nextOpening(once, at('2026-03-08T05:00Z'))).toBe(at('2026-03-09T13:00Z'));
    // Over midnight: from one day's gap to the next day.
    expect(openOn('America/New_York', '02:45', '02:15', '2026-03-08T07:00Z')).toBe(23 * 60 + 30);
    expect(openOn('America/New_York', '02:30', '02:30', '2026-03-08T07:00Z')).toBe(24 * 60);
  });

  test('is open when the clock on the wall says so, in any zone', () => {
    const zone = fc.constantFrom(
      'America/New_York',
      'Europe/Berlin',
      'Asia/Tokyo',
      'Australia/Lord_Howe',
      'UTC',
    );
    const minutes = fc.integer({ min: 0, max: 400 * 24 * 60 });
    fc.assert(
      fc.property(zone, minutes, (timeZone, minute) => {
        const hours = { ...NEW_YORK, timeZone };
        const instant = at('2026-01-01T00:00:00Z') + minute * MINUTE;
        const own = configOf({ tradingHours: hours });
        expect(nextOpening(own, instant) === null).toBe(isOpenByIntl(hours, instant));
      }),
      { numRuns: 150 },
    );
  });

  test('adds up, and adding time is the inverse of measuring it', () => {
    const minute = fc.integer({ min: 0, max: 60 * 24 * 60 });
    fc.assert(
      fc.property(fc.constantFrom(NEW_YORK, CHICAGO), minute, minute, minute, (tradingHours, a, b, c) => {
        const own = configOf({ tradingHours });
        const [from, middle, to] = [a, b, c]
          .toSorted((one, other) => one - other)
          .map((each) => at('2026-03-01T00:00:00Z') + each * MINUTE);
        if (from === undefined || middle === undefined || to === undefined) return;
        const whole = openMsBetween(own, from, to);
        expect(openMsBetween(own, from, middle) + openMsBetween(own, middle, to)).toBe(whole);
        expect(openMsBetween(own, from, afterOpenMs(own, from, a * MINUTE))).toBe(a * MINUTE);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a configuration', () => {
  const refused = (tradingHours: unknown, more: CanaryConfigInput = {}) => {
    const parsed = parseConfig({ ...more, tradingHours } as CanaryConfigInput);
    return parsed.ok ? [] : parsed.violations.map(({ path, message }) => `${path.join('.')} ${message}`);
  };

  test.each([
    [{ ...NEW_YORK, timeZone: '+02:00' }, 'config.tradingHours.timeZone must be an IANA name'],
    [{ ...NEW_YORK, timeZone: 'Mars/Base' }, 'config.tradingHours.timeZone must be an IANA name'],
    [{ ...NEW_YORK, sessions: [] }, 'config.tradingHours.sessions must be a list of 1 to 50, got 0'],
    [{ ...NEW_YORK, closed: ['2026-02-30'] }, 'config.tradingHours.closed.0 must be a date'],
    [{ ...NEW_YORK, closed: ['2026-11-27'] }, 'config.tradingHours.sessions.1.dates has 2026-11-27'],
    [{ ...NEW_YORK, holidays: [] }, 'config.tradingHours.holidays is not a setting'],
    [
      { timeZone: 'UTC', sessions: [{ days: ['MONDAY'], open: '9:30', close: '16:00' }] },
      'config.tradingHours.sessions.0.open must be a time from 00:00 to 23:59, got "9:30"',
    ],
    [
      { timeZone: 'UTC', sessions: [{ days: ['MON'], open: '09:30', close: '16:00' }] },
      'config.tradingHours.sessions.0.days.0 must be one of MONDAY',
    ],
    [
      { timeZone: 'UTC', sessions: [{ open: '09:30', close: '24:30' }] },
      'config.tradingHours.sessions.0 must have either days or dates',
    ],
    [
      { timeZone: 'UTC', sessions: [{ dates: ['2026-11-27'], open: '09:30', close: '16:00' }] },
      'config.tradingHours.sessions must have a session with days',
    ],
    [
      {
        timeZone: 'UTC',
        sessions: [
          { days: ['SUNDAY'], open: '22:00', close: '06:00' },
          { days: ['MONDAY'], open: '05:00', close: '12:00' },
        ],
      },
      'config.tradingHours.sessions.0 overlaps with sessions.1',
    ],
  ])('%j is refused', (hours, message) => {
    expect(refused(hours)[0]).toContain(message);
  });

  test('checks within its sessions, and ends within five years', () => {
    expect(refused(NEW_YORK, { checkIntervalSeconds: 86_400, observationPeriodMinutes: 2000 })[0]).toContain(
      'config.checkIntervalSeconds must not be longer than the shortest session (12600 s)',
    );
    const hour = {
      timeZone: 'UTC',
      sessions: [{ days: ['MONDAY' as const], open: '09:00', close: '10:00' }],
    };
    expect(refused(hour, { observationPeriodMinutes: 20_000 })[0]).toContain('within 5 years');
    // Mondays and Tuesdays in turn: only the first ones have a session.
    const closed = Array.from({ length: 200 }, (_, week) =>
      new Date(Date.UTC(2026, 0, 5 + 7 * (week >> 1) + (week % 2))).toISOString().slice(0, 10),
    );
    const fewer = { ...hour, closed };
    const most = 15_642 - 100 * 60;
    expect(refused(fewer, { observationPeriodMinutes: most + 1 })[0]).toContain(`(${most} minutes)`);
    const longest = configOf({ tradingHours: fewer, observationPeriodMinutes: most });
    expect(afterOpenMs(longest, Date.parse('2026-01-01T00:00:00Z'), most * 60_000)).toBeLessThan(
      Date.parse('2031-01-03T00:00:00Z'),
    );
  });

  test('means a day of trading where it says a day', () => {
    const hours = { timeZone: 'UTC', sessions: [{ days: WORKDAYS, open: '09:00', close: '15:00' }] };
    const own = configOf({ tradingHours: hours, evidence: { margin: 10 } });
    expect(tradingDay(own.tradingHours).seconds).toBe(6 * 3600);
    expect(marginPerCheck(own)).toBeCloseTo(4 * marginPerCheck(configOf({ evidence: { margin: 10 } })), 12);
  });
});

describe('a deployment', () => {
  /** Deployed on a Friday, half an hour before the close, for two hours. */
  function friday(more: CanaryConfigInput = {}): Trial {
    const trial = new Trial(
      { observationPeriodMinutes: 120, tradingHours: NEW_YORK, guardrails: NO_GUARDRAILS, ...more },
      null,
    );
    trial.now = at('2026-01-09T20:30:00Z');
    trial.do({ type: 'DEPLOY', capitalUsd: configOf().canaryPercent.times(10_000), reason: null });
    return trial;
  }

  test('is observed for its minutes of trading, over the weekend', () => {
    const trial = friday();
    expect(trial.observation.step.endsAt).toBe(at('2026-01-12T16:00:00Z'));
    expect(observationRemainingMs(trial.state, at('2026-01-10T12:00:00Z'))).toBe(90 * MINUTE);
    const checks: number[] = [];
    for (let check = 0; check < 32; check += 1) {
      trial.check();
      checks.push(trial.now);
    }
    expect(checks.slice(29, 32)).toEqual([
      at('2026-01-09T21:00:00Z'),
      at('2026-01-12T14:30:00Z'),
      at('2026-01-12T14:31:00Z'),
    ]);
    trial.checkToEnd();
    expect(trial.now).toBe(at('2026-01-12T16:00:00Z'));
    expect(trial.log.filter(({ type }) => type === 'WATCH_RESUMED')).toEqual([]);
  });

  test('forms no pair over the time in which the market was closed, and is not silent in it', () => {
    const trial = friday({ guardrails: { maxStaleSeconds: 300, maxLossPercent: null } });
    for (let check = 0; check < 30; check += 1) {
      trial.earn(1, 1);
      trial.check();
    }
    expect(trial.evidence.whenEarning.sums.n).toBe(30);
    trial.wait(3600);
    trial.earn(-400, -400);
    trial.now = nextCheckAt(trial.state, trial.now) ?? 0;
    expect(trial.do({ type: 'CHECK', failure: null })).toEqual(['CANARY_METRICS_UPDATED']);
    expect(trial.evidence.whenEarning.sums.n).toBe(30);
    expect(trial.observation.silentMs).toEqual({ CANARY: 0, STABLE: 0 });
    trial.wait(60);
    trial.earn(1, 1);
    trial.do({ type: 'CHECK', failure: null });
    expect(trial.evidence.whenEarning.sums.n).toBe(31);
  });

  test('takes no check while the market is closed; the one at the close may be late; guardrails act', () => {
    const trial = friday({ guardrails: { maxLossPercent: 5 } });
    trial.earn(1, 1);
    for (let check = 0; check < 29; check += 1) trial.check();
    trial.wait(62);
    expect(trial.do({ type: 'CHECK', failure: null })).toEqual(['CANARY_METRICS_UPDATED']);
    trial.wait(60);
    expect(trial.do({ type: 'CHECK', failure: null })).toEqual([]);
    expect(nextCheckAt(trial.state, trial.now)).toBe(at('2026-01-12T14:30:00Z'));
    expect(trial.report('CANARY', { pnlUsd: -900, trades: 10 })).toContain('CANARY_ROLLED_BACK');
  });

  test('is longer by trading hours that nobody watched, and by those of a pause', () => {
    const trial = friday();
    trial.check();
    trial.now = at('2026-01-12T15:00:00Z');
    expect(trial.do({ type: 'CHECK', failure: null })[0]).toBe('WATCH_RESUMED');
    // 29 minutes of Friday and 30 of Monday, one and a half of which count.
    expect(trial.observation.step.endsAt).toBe(at('2026-01-12T16:00:00Z') + 57.5 * MINUTE);
    const left = observationRemainingMs(trial.state, trial.now);
    trial.order('PAUSE');
    trial.now = at('2026-01-14T03:00:00Z');
    trial.order('RESUME');
    expect(observationRemainingMs(trial.state, trial.now)).toBe(left);
    expect(nextCheckAt(trial.state, trial.now)).toBe(at('2026-01-14T14:30:00Z'));
  });

  test('has as much trading time left after the clock was set back, whatever session it is in then', () => {
    const backed = fc.record({
      checks: fc.integer({ min: 1, max: 70 }),
      minutesBack: fc.integer({ min: 1, max: 8 * 24 * 60 }),
      paused: fc.boolean(),
    });
    fc.assert(
      fc.property(backed, ({ checks, minutesBack, paused }) => {
        const trial = friday({ autoPromote: false });
        for (let check = 0; check < checks; check += 1) trial.check();
        const left = observationRemainingMs(trial.state, trial.now);
        if (paused) trial.order('PAUSE');
        const before = trial.state;
        trial.wait(-minutesBack * 60);
        if (paused) {
          trial.order('RESUME');
          expect(observationRemainingMs(trial.state, trial.now)).toBe(left);
          return;
        }
        // While the market is closed there is no check.
        if (trial.do({ type: 'CHECK', failure: null }).length === 0) return;
        // The length of the interval is unknown and counts as planned.
        expect(observationRemainingMs(trial.state, trial.now)).toBe(left - MINUTE);
        const unwatchedMs = -minutesBack * MINUTE - MINUTE;
        if (!isWatched(before)) throw new Error('not watched');
        expect(recordedInterval(before, trial.now, { unwatchedMs, isGap: true }).watchedMs).toBe(MINUTE);
      }),
    );
  });

  test('is replayed from its log without the calendar: a law that moves the clock changes no past', () => {
    const steps = [
      { canaryPercent: 10, minutes: 60 },
      { canaryPercent: 50, minutes: 600 },
    ];
    const trial = friday({ observationPeriodMinutes: null, steps });
    trial.check();
    trial.order('ADVANCE_STEP');
    expect(trial.observation.step.endsAt).toBe(at('2026-01-13T17:31:00Z'));
    const later = trial.log.map((event) =>
      event.type === 'STEP_STARTED' ? { ...event, endsAt: at('2026-01-13T18:31:00Z') } : event,
    );
    expect(observationOf(replay(later))?.step.endsAt).toBe(at('2026-01-13T18:31:00Z'));
  });

  test('in a program, sleeps until the opening', async () => {
    const clock = new HandClock();
    const config = {
      observationPeriodMinutes: 10,
      tradingHours: NEW_YORK,
      evidence: { mode: 'OFF' as const },
    };
    const deployment = new CanaryDeployment(
      { strategyId: 's', stableVersionId: 'v1', canaryVersionId: 'v2', chain: 'c', config },
      { clock },
    );
    deployment.deployCanary(100_000);
    expect(deployment.nextCheckAt).toBe(at('2026-01-05T14:30:00Z'));
    await clock.advance(5 * 3600);
    expect(deployment.events.filter(({ type }) => type === 'CANARY_METRICS_UPDATED')).toHaveLength(0);
    const again = CanaryDeployment.fromDict(deployment.toDict(), { clock });
    expect(again.nextCheckAt).toBe(at('2026-01-05T14:30:00Z'));
    await clock.advance(35 * 60);
    expect(deployment.events.filter(({ type }) => type === 'CANARY_METRICS_UPDATED').length).toBeGreaterThan(
      3,
    );
    again.stop();
    deployment.stop();
  });
});

test('a simulation runs in trading hours: the same trials as on a market that never closes', () => {
  const trials = [null, NEW_YORK].map((tradingHours) => {
    const config = configOf({ tradingHours, observationPeriodMinutes: 500 });
    const market = createMarket(defaultAssumptions(config), -0.3, streams(4).next().value);
    const { decided, canaryReturn } = simulateTrial(config, { capitalUsd: 100_000 }, market);
    return { at: decided.at, decision: decided.record.decision, canaryReturn };
  });
  expect(trials[1]).toEqual(trials[0]);
});
