/** When freezes block: rules in time zones, with summer time, against a plain computation of each minute. */
import { Cron } from 'croner';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import {
  activeWindow,
  frozenMs,
  nextStart,
  recurrenceViolation,
  windowAfter,
} from '../../src/app/freezeWindows.ts';
import { covers, overlaps } from '../../src/store/access/strategyScope.ts';
import type { Recurrence } from '../../src/store/safety/freezes.ts';

const MINUTE = 60_000;
const at = (text: string) => Date.parse(text);
const iso = (instant: number | null | undefined) =>
  typeof instant === 'number' ? new Date(instant).toISOString() : null;

const freeze = (recurrence: Recurrence | null, more: object = {}) => ({
  from: at('2026-01-01T00:00:00Z'),
  until: null,
  liftedAt: null,
  recurrence,
  ...more,
});
const daily = (rule: string, timeZone: string, durationMinutes: number) =>
  freeze({ rule, timeZone, durationMinutes });

describe('a freeze that does not recur', () => {
  const once = freeze(null, { until: at('2026-02-01T00:00:00Z') });
  test.each([
    ['2025-12-31T23:59:59.999Z', false, '2026-01-01T00:00:00.000Z'],
    ['2026-01-01T00:00:00Z', true, null],
    ['2026-01-31T23:59:59.999Z', true, null],
    ['2026-02-01T00:00:00Z', false, null],
  ])('at %s it blocks: %s', (now, blocks, next) => {
    expect(activeWindow(once, at(now)) !== null).toBe(blocks);
    expect(iso(nextStart(once, at(now)))).toBe(next);
  });

  test('it ends when it is lifted', () => {
    const lifted = { ...once, liftedAt: at('2026-01-10T00:00:00Z') };
    expect(activeWindow(lifted, at('2026-01-09T23:59:59Z'))?.until).toBe(lifted.liftedAt);
    expect(activeWindow(lifted, at('2026-01-10T00:00:00Z'))).toBeNull();
  });
});

describe('summer time', () => {
  const report = daily('30 8 * * FRI#1', 'America/New_York', 60);
  test('8:30 in New York is 13:30 UTC in winter and 12:30 UTC in summer', () => {
    expect(iso(windowAfter(report, at('2026-03-01T00:00:00Z'))?.from)).toBe('2026-03-06T13:30:00.000Z');
    expect(iso(windowAfter(report, at('2026-04-01T00:00:00Z'))?.from)).toBe('2026-04-03T12:30:00.000Z');
  });

  test('a time that the change skips comes after the gap, one that it repeats comes once', () => {
    const night = daily('30 2 * * *', 'Europe/Berlin', 30);
    expect(iso(windowAfter(night, at('2026-03-28T12:00:00Z'))?.from)).toBe('2026-03-29T01:00:00.000Z');
    const first = windowAfter(night, at('2026-10-24T12:00:00Z'));
    expect(iso(first?.from)).toBe('2026-10-25T00:30:00.000Z');
    expect(iso(nextStart(night, at('2026-10-25T01:15:00Z')))).toBe('2026-10-26T01:30:00.000Z');
  });

  test('a duration is time that passes: twelve hours over the change end an hour later on the wall', () => {
    const night = daily('0 20 * * SAT', 'Europe/Berlin', 720);
    expect(iso(activeWindow(night, at('2026-03-29T00:30:00Z'))?.until)).toBe('2026-03-29T07:00:00.000Z');
  });
});

test('windows that follow each other without a gap are one, as far as is looked', () => {
  const round = daily('0 * * * *', 'UTC', 60);
  const now = at('2026-05-01T10:30:00Z');
  expect(activeWindow(round, now)?.until).toBeGreaterThan(at('2026-05-01T12:00:00Z'));
});

const walls = new Map<string, Intl.DateTimeFormat>();

/** Hour, minute and weekday on a wall in a zone. */
function wall(instant: number, timeZone: string): string {
  const options = { timeZone, hour: '2-digit', minute: '2-digit', weekday: 'short' } as const;
  const known = walls.get(timeZone) ?? new Intl.DateTimeFormat('en-GB', options);
  walls.set(timeZone, known);
  return known.format(instant);
}

const ZONES = ['UTC', 'America/New_York', 'Europe/London', 'Asia/Kolkata', 'Australia/Lord_Howe'];
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'] as const;

test('law: it blocks at an instant when a start lies within its duration before, at every minute of days around changes', () => {
  fc.assert(
    fc.property(
      fc.record({
        // Not between midnight and four, when the clocks change: those hours have tests of their own.
        hour: fc.integer({ min: 4, max: 23 }),
        minute: fc.integer({ min: 0, max: 59 }),
        day: fc.constantFrom(...DAYS),
        timeZone: fc.constantFrom(...ZONES),
        durationMinutes: fc.integer({ min: 1, max: 600 }),
        begin: fc.constantFrom(
          '2026-03-07',
          '2026-03-28',
          '2026-04-04',
          '2026-10-24',
          '2026-10-31',
          '2026-07-11',
        ),
        offset: fc.integer({ min: 0, max: 3 * 1440 }),
        ms: fc.integer({ min: 0, max: 59_999 }),
      }),
      ({ hour, minute, day, timeZone, durationMinutes, begin, offset, ms }) => {
        const each = daily(`${minute} ${hour} * * ${day}`, timeZone, durationMinutes);
        const now = at(`${begin}T00:00:00Z`) + offset * MINUTE + ms;
        const pad = (value: number) => String(value).padStart(2, '0');
        const name = `${day[0]}${day.slice(1).toLowerCase()}`;
        const begun = (instant: number) => wall(instant, timeZone) === `${name} ${pad(hour)}:${pad(minute)}`;
        const floor = now - (now % MINUTE);
        let blocks = false;
        for (let back = 0; back < durationMinutes && !blocks; back += 1)
          blocks = begun(floor - back * MINUTE);
        expect(activeWindow(each, now) !== null).toBe(blocks);
        const next = nextStart(each, now);
        expect(next !== null && next > now && begun(next)).toBe(true);
      },
    ),
    { numRuns: 60 },
  );
});

test('law: frozen time is what a plain count of the minutes gives, for freezes that overlap', () => {
  const span = fc.record({
    from: fc.integer({ min: 0, max: 300 }),
    length: fc.integer({ min: 1, max: 200 }),
  });
  const start = at('2026-06-01T00:00:00Z');
  fc.assert(
    fc.property(fc.array(span, { maxLength: 5 }), fc.integer({ min: 0, max: 300 }), (spans, asked) => {
      const freezes = spans.map(({ from, length }) =>
        freeze(null, { from: start + from * MINUTE, until: start + (from + length) * MINUTE }),
      );
      let minutes = 0;
      for (let each = asked; each < 400; each += 1) {
        if (spans.some(({ from, length }) => each >= from && each < from + length)) minutes += 1;
      }
      expect(frozenMs(freezes, start + asked * MINUTE, start + 400 * MINUTE)).toBe(minutes * MINUTE);
    }),
  );
});

test('law: frozen time of rules is the sum of the instants at which one of them blocks', () => {
  const start = at('2026-03-28T12:00:00Z');
  const rule = fc.constantFrom('* * * * *', '*/7 * * * *', '30 * * * *', '0 2,3 * * *', '15 1-5/2 * * SUN');
  const bound = fc.integer({ min: -200, max: 2000 });
  const recurring = fc.record({
    rule: fc.option(rule),
    timeZone: fc.constantFrom('UTC', 'Europe/Berlin'),
    durationMinutes: fc.constantFrom(1, 3, 7, 90),
    from: bound,
    until: fc.option(bound),
    liftedAt: fc.option(bound),
  });
  const instantOf = (minutes: number | null) => (minutes === null ? null : start + minutes * MINUTE);
  fc.assert(
    fc.property(fc.array(recurring, { maxLength: 8 }), fc.integer({ min: 0, max: 1500 }), (given, length) => {
      const freezes = given.map(({ rule, timeZone, durationMinutes, from, until, liftedAt }) =>
        freeze(rule === null ? null : { rule, timeZone, durationMinutes }, {
          from: start + from * MINUTE,
          until: instantOf(until),
          liftedAt: instantOf(liftedAt),
        }),
      );
      let minutes = 0;
      for (let each = 0; each < length; each += 1) {
        if (freezes.some((freeze) => activeWindow(freeze, start + each * MINUTE))) minutes += 1;
      }
      expect(frozenMs(freezes, start, start + length * MINUTE)).toBe(minutes * MINUTE);
    }),
    { numRuns: 60 },
  );
});

test('freezes of one rule are computed as one, and none where another blocks anyway', () => {
  const nextRun = vi.spyOn(Cron.prototype, 'nextRun');
  try {
    const [from, to] = [at('2026-05-04T00:00:00Z'), at('2026-05-05T01:00:00Z')];
    const often = Array.from({ length: 1000 }, (_, index) =>
      freeze({ rule: '*/2 * * * *', timeZone: 'UTC', durationMinutes: 1 }, { from: from - index * MINUTE }),
    );
    expect(frozenMs(often, from, to)).toBe(750 * MINUTE);
    // Each start of the day once, and one more for each time that is kept together.
    expect(nextRun.mock.calls.length).toBeLessThan(1000);
    nextRun.mockClear();
    expect(frozenMs(often, from, to)).toBe(750 * MINUTE);
    expect(nextRun).not.toHaveBeenCalled();
    const whole = freeze(null);
    const others = often.map((each, minute) => ({
      ...each,
      recurrence: { rule: `${minute % 60} * * * *`, timeZone: 'Asia/Tokyo', durationMinutes: 1 },
    }));
    nextRun.mockClear();
    expect(frozenMs([...others, whole], from, to)).toBe(to - from);
    expect(nextRun).not.toHaveBeenCalled();
  } finally {
    nextRun.mockRestore();
  }
});

test('a recurrence that cannot be read is refused with its field', () => {
  const good = { rule: '30 8 * * FRI#1', timeZone: 'America/New_York', durationMinutes: 60 };
  expect(recurrenceViolation(good)).toBeNull();
  const wrong: [Partial<Recurrence>, keyof Recurrence][] = [
    [{ rule: '61 * * * *' }, 'rule'],
    [{ rule: '0 0 31 2 *' }, 'rule'],
    [{ rule: '* * * * * *' }, 'rule'],
    [{ rule: '@daily' }, 'rule'],
    [{ rule: '2026-01-01T00:00:00' }, 'rule'],
    [{ rule: '' }, 'rule'],
    [{ timeZone: 'Mars/Phobos' }, 'timeZone'],
    [{ timeZone: '+02:00' }, 'timeZone'],
    [{ timeZone: '' }, 'timeZone'],
    [{ durationMinutes: 0 }, 'durationMinutes'],
    [{ durationMinutes: 1.5 }, 'durationMinutes'],
    [{ durationMinutes: 100_000 }, 'durationMinutes'],
  ];
  for (const [change, field] of wrong) {
    expect(recurrenceViolation({ ...good, ...change })?.field, JSON.stringify(change)).toBe(field);
  }
});

const names = [1, 2, 3, 4, 5].flatMap((length) =>
  Array.from({ length: 2 ** length }, (_, bits) =>
    Array.from({ length }, (_place, place) => ((bits >> place) % 2 === 0 ? 'a' : 'b')).join(''),
  ),
);

test('law: two patterns overlap when a name matches both', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(pattern, pattern, (one, other) => {
      // Of patterns of at most four characters, a common name of at most eight exists if any does; most are shorter.
      const shared = names.some((name) => covers([one], name) && covers([other], name));
      if (shared) expect(overlaps([one], [other])).toBe(true);
      else if (overlaps([one], [other])) expect(one + other).toMatch(/\*/);
      expect(overlaps([one], [other])).toBe(overlaps([other], [one]));
    }),
  );
  expect(overlaps(['eth-*'], ['eth-momentum', 'x'])).toBe(true);
  expect(overlaps(['eth-*'], ['btc-*'])).toBe(false);
  expect(overlaps(['*-momentum'], ['eth-*'])).toBe(true);
  expect(overlaps(['ab*'], ['*ba'])).toBe(true);
  expect(overlaps(['a*b'], ['b*a'])).toBe(false);
  expect(overlaps(null, ['eth-*'])).toBe(true);
  expect(overlaps([], ['eth-*'])).toBe(false);
});
