/**
 * When a market is open: instants and lengths of time within trading hours, daylight saving included. Time zones change by
 * law, so what was computed here is recorded in events, and a log is never replayed with it.
 */
import { Cron } from 'croner';
import type { TradingHours, TradingSession } from './tradingHours.ts';
import { MAX_YEARS, WEEKDAYS } from './tradingHours.ts';

interface WithHours {
  readonly tradingHours: TradingHours | null;
}

/** A time in which the market is open, epoch milliseconds; `until` is not part of it. */
interface Stretch {
  readonly from: number;
  readonly until: number;
}

const DAY_MS = 86_400_000;
/** No session lasts longer, with the hour of a change of the clock. */
const LONGEST_SESSION_DAYS = 2;
const CACHED_DAYS = 4000;
const CACHED_CALENDARS = 200;

/** Milliseconds of trading hours between two instants; all of them where the market never closes. */
export function openMsBetween({ tradingHours }: WithHours, from: number, to: number): number {
  if (!tradingHours) return to - from;
  const calendar = calendarOf(tradingHours);
  let open = 0;
  for (let at = from; at < to; ) {
    const stretch = calendar.stretchAfter(at, to);
    if (stretch.from >= to) break;
    open += Math.min(stretch.until, to) - Math.max(stretch.from, at);
    at = stretch.until;
  }
  return open;
}

/** The instant at which the given milliseconds of trading hours have passed; infinite if that takes more than five years. */
export function afterOpenMs({ tradingHours }: WithHours, from: number, milliseconds: number): number {
  if (!tradingHours || milliseconds <= 0) return from + milliseconds;
  const calendar = calendarOf(tradingHours);
  const latest = from + MAX_YEARS * 366 * DAY_MS;
  let left = milliseconds;
  for (let at = from; at < latest; ) {
    const stretch = calendar.stretchAfter(at, at + left);
    const begins = Math.max(stretch.from, at);
    if (stretch.until - begins >= left) return begins + left;
    left -= stretch.until - begins;
    at = stretch.until;
  }
  return Number.POSITIVE_INFINITY;
}

/** When the market opens next, epoch milliseconds; null while it is open. */
export function nextOpening({ tradingHours }: WithHours, at: number): number | null {
  if (!tradingHours) return null;
  const { from } = calendarOf(tradingHours).stretchAfter(at, at);
  return from > at ? from : null;
}

/**
 * When a check that is wanted at an instant can be made: then, at the close before it, or at the next opening.
 * @param from the present
 * @param wanted at or after it
 */
export function withinHours({ tradingHours }: WithHours, from: number, wanted: number): number {
  if (!tradingHours) return wanted;
  const stretch = calendarOf(tradingHours).stretchAfter(from, wanted);
  return stretch.from > from ? stretch.from : Math.min(wanted, stretch.until);
}

/** Whether the market has opened after an instant, until another one. */
export function hasOpenedBetween({ tradingHours }: WithHours, after: number, until: number): boolean {
  if (!tradingHours) return false;
  const calendar = calendarOf(tradingHours);
  const stretch = calendar.stretchAfter(after, until);
  if (stretch.from > after) return stretch.from <= until;
  return stretch.until < until && calendar.stretchAfter(stretch.until, until).from <= until;
}

interface Calendar {
  /** The first stretch that ends after an instant, with those that touch it as far as `horizon`. */
  stretchAfter(at: number, horizon: number): Stretch;
}

/** By their content: a configuration is read anew with every row. */
const calendars = new Map<string, Calendar>();

function calendarOf(hours: TradingHours): Calendar {
  const key = JSON.stringify(hours);
  const known = calendars.get(key);
  if (known) return known;
  if (calendars.size >= CACHED_CALENDARS) calendars.clear();
  const made = createCalendar(hours);
  calendars.set(key, made);
  return made;
}

function createCalendar({ timeZone, sessions, closed }: TradingHours): Calendar {
  const dated = new Set([...closed, ...sessions.flatMap(({ dates }) => dates)]);
  const localDate = new Intl.DateTimeFormat('en-CA', { timeZone });
  const rules = sessions.map((session) => ruleOf(session, timeZone));
  const days = new Map<number, readonly Stretch[]>();
  /** A weekly session comes sooner than this: each date takes one of them at most. */
  const horizonDays = LONGEST_SESSION_DAYS + 7 * (dated.size + 2);

  return {
    stretchAfter(at, horizon) {
      const first = Math.floor(at / DAY_MS) - LONGEST_SESSION_DAYS;
      let found: Stretch | null = null;
      for (let day = first; day < first + horizonDays; day += 1) {
        const beginsAt = day * DAY_MS;
        if (found && (beginsAt > found.until || found.until >= horizon)) return found;
        for (const { from, until } of stretchesOf(day)) {
          if (until <= at) continue;
          if (!found) found = { from, until };
          else if (from <= found.until) found = { from: found.from, until: Math.max(found.until, until) };
          else return found;
        }
      }
      if (!found) throw new Error(`no session opens within ${horizonDays} days`);
      return found;
    },
  };

  /** The sessions that open on a day of UTC, in their order. */
  function stretchesOf(day: number): readonly Stretch[] {
    const known = days.get(day);
    if (known) return known;
    if (days.size >= CACHED_DAYS) days.clear();
    const found: Stretch[] = [];
    for (const { opens, closes, dates, closesSameDay } of rules) {
      const before = day * DAY_MS - 1;
      for (let from = next(opens, before); from < (day + 1) * DAY_MS; from = next(opens, from)) {
        const date = localDate.format(from);
        if (dates ? !dates.has(date) : dated.has(date)) continue;
        const until = next(closes, closesSameDay ? from - 1 : from);
        // All of its times are skipped by the change to summer time: it does not take place.
        if (until > from) found.push({ from, until });
      }
    }
    found.sort((a, b) => a.from - b.from);
    days.set(day, found);
    return found;
  }
}

interface SessionRule {
  readonly opens: Cron;
  readonly closes: Cron;
  /** The dates on which it takes place; null if it is of weekdays. */
  readonly dates: ReadonlySet<string> | null;
  /** Whether its close is a later time of the date on which it opens. */
  readonly closesSameDay: boolean;
}

/** A time that the change to summer time skips comes right after the gap; one that is repeated comes once. */
function ruleOf({ days, dates, open, close }: TradingSession, timeZone: string): SessionRule {
  const daily = (time: string, weekdays: string) => {
    const [hour = '0', minute = '0'] = time.split(':');
    const pattern = `${Number(minute)} ${Number(hour) % 24} * * ${weekdays}`;
    return new Cron(pattern, { timezone: timeZone, mode: '5-part', fixedTimeRule: 'no-wildcard' });
  };
  const weekdays = days.map((day) => (WEEKDAYS.indexOf(day) + 1) % 7).join(',') || '*';
  return {
    opens: daily(open, weekdays),
    closes: daily(close, '*'),
    dates: days.length > 0 ? null : new Set(dates),
    closesSameDay: open < close && close !== '24:00',
  };
}

/** The first time of a rule after an instant; infinite if there is none. */
function next(rule: Cron, after: number): number {
  return rule.nextRun(new Date(after))?.getTime() ?? Number.POSITIVE_INFINITY;
}
