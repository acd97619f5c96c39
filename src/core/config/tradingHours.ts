/**
 * Trading hours as a configuration has them: the sessions of a market by weekday or date, in its own time zone. An
 * observation counts time within them only. When a session is open is in `tradingCalendar.ts`.
 */

import { shown } from '../values/decimal.ts';
import type { Reader } from '../values/inputReader.ts';
import { isTimeZone } from '../values/timeZone.ts';

export const WEEKDAYS = [
  'MONDAY',
  'TUESDAY',
  'WEDNESDAY',
  'THURSDAY',
  'FRIDAY',
  'SATURDAY',
  'SUNDAY',
] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** A time in which the market is open, on weekdays or on dates. One of `days` and `dates` is empty. */
export interface TradingSession {
  /** Weekdays on which it opens, Monday first. */
  readonly days: readonly Weekday[];
  /** Dates on which it takes place instead of the sessions of weekdays, `YYYY-MM-DD`, ascending. */
  readonly dates: readonly string[];
  /** Local time, `HH:MM`. */
  readonly open: string;
  /** Local time, `HH:MM` or `24:00`. At or before `open` it is the time of the next day. */
  readonly close: string;
}

export interface TradingHours {
  /** IANA name, such as America/New_York. */
  readonly timeZone: string;
  readonly sessions: readonly TradingSession[];
  /** Dates on which no session opens, `YYYY-MM-DD`, ascending. */
  readonly closed: readonly string[];
}

/** As a caller gives it. */
export interface TradingSessionInput {
  readonly days?: readonly Weekday[] | null | undefined;
  readonly dates?: readonly string[] | null | undefined;
  readonly open: string;
  readonly close: string;
}

export interface TradingHoursInput {
  readonly timeZone: string;
  readonly sessions: readonly TradingSessionInput[];
  readonly closed?: readonly string[] | null | undefined;
}

const MAX_SESSIONS = 50;
const MAX_DATES = 400;
const MINUTES_OF_DAY = 1440;
const MINUTES_OF_WEEK = 7 * MINUTES_OF_DAY;
const DAYS_OF_YEAR = 365;
/** The longest observation, with the time in which the market is closed. */
export const MAX_YEARS = 5;

type At = (...names: string[]) => string[];

/** What the rest of a configuration must fit. */
interface Plan {
  readonly checkIntervalSeconds: number;
  readonly observationPeriodMinutes: number;
}

/** Reads trading hours; null where none are given. */
export function readTradingHours(
  read: Reader,
  input: TradingHoursInput | null | undefined,
  plan: Plan,
  at: At,
): TradingHours | null {
  if (input === null || input === undefined) return null;
  const before = read.violations.length;
  const here = (...names: string[]) => at('tradingHours', ...names);
  const given = read.fields(here(), input, ['timeZone', 'sessions', 'closed']);
  const listed = read.list<TradingSessionInput>(here('sessions'), given.sessions, 1, MAX_SESSIONS);
  const hours: TradingHours = {
    timeZone: readTimeZone(read, given.timeZone, here('timeZone')),
    sessions: listed.map((session, index) =>
      readSession(read, session, (...names) => here('sessions', String(index), ...names)),
    ),
    closed: readDates(read, given.closed ?? [], here('closed')),
  };
  if (read.violations.length === before) checkTogether(read, hours, plan, at);
  return hours;
}

function readTimeZone(read: Reader, given: unknown, path: readonly string[]): string {
  if (typeof given === 'string' && isTimeZone(given)) return given;
  read.refuse(path, `must be an IANA name such as America/New_York, got ${shown(given)}`);
  return 'UTC';
}

function readSession(read: Reader, input: TradingSessionInput, here: At): TradingSession {
  const given = read.fields<TradingSessionInput>(here(), input, ['days', 'dates', 'open', 'close']);
  const days = read
    .list(here('days'), given.days ?? [], 0, WEEKDAYS.length)
    .map((day, index) => read.choice(here('days', String(index)), day, WEEKDAYS));
  const dates = readDates(read, given.dates ?? [], here('dates'));
  if (days.length > 0 === dates.length > 0) {
    read.refuse(here(), 'must have either days or dates');
  }
  return {
    days: WEEKDAYS.filter((day) => days.includes(day)),
    dates,
    open: readTime(read, given.open, here('open'), '23:59'),
    close: readTime(read, given.close, here('close'), '24:00'),
  };
}

function readTime(read: Reader, given: unknown, path: readonly string[], latest: string): string {
  const text = typeof given === 'string' && /^\d\d:[0-5]\d$/.test(given) && given <= latest ? given : null;
  if (text === null) read.refuse(path, `must be a time from 00:00 to ${latest}, got ${shown(given)}`);
  return text ?? '00:00';
}

function readDates(read: Reader, given: readonly string[], path: readonly string[]): string[] {
  const dates = read.list<string>(path, given, 0, MAX_DATES);
  for (const [index, date] of dates.entries()) {
    if (isDate(date)) continue;
    read.refuse([...path, String(index)], `must be a date such as 2026-12-25, got ${shown(date)}`);
  }
  return [...new Set(dates)].sort();
}

function isDate(given: unknown): boolean {
  if (typeof given !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(given)) return false;
  const midnight = new Date(`${given}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(given);
}

/** Bounds that more than one field is part of. */
function checkTogether(read: Reader, hours: TradingHours, plan: Plan, at: At): void {
  const { sessions, closed } = hours;
  const here = (...names: string[]) => at('tradingHours', ...names);
  if (sessions.every(({ days }) => days.length === 0)) {
    read.refuse(here('sessions'), 'must have a session with days');
    return;
  }
  for (const [index, { dates }] of sessions.entries()) {
    const both = dates.find((date) => closed.includes(date));
    if (both) read.refuse(here('sessions', String(index), 'dates'), `has ${both}, which closed has too`);
  }
  refuseOverlaps(read, sessions, here);
  const shortest = Math.min(...sessions.map(minutesOf));
  if (plan.checkIntervalSeconds > shortest * 60) {
    read.refuse(
      at('checkIntervalSeconds'),
      `must not be longer than the shortest session (${shortest * 60} s), got ${plan.checkIntervalSeconds}`,
    );
  }
  if (plan.observationPeriodMinutes > mostMinutes(hours)) {
    read.refuse(
      at('observationPeriodMinutes'),
      `must end within ${MAX_YEARS} years of trading hours (${mostMinutes(hours)} minutes), ` +
        `got ${plan.observationPeriodMinutes}`,
    );
  }
}

function refuseOverlaps(read: Reader, sessions: readonly TradingSession[], here: At): void {
  const weekly = sessions.flatMap((session, index) =>
    session.days.map((day) => ({ index, from: openingOf(session, day), minutes: minutesOf(session) })),
  );
  weekly.sort((a, b) => a.from - b.from);
  for (const [order, session] of weekly.entries()) {
    const following = weekly[order + 1];
    const first = weekly[0];
    const next = following ?? (first && { ...first, from: first.from + MINUTES_OF_WEEK });
    if (!next || session.from + session.minutes <= next.from) continue;
    read.refuse(here('sessions', String(session.index)), `overlaps with sessions.${next.index}`);
    return;
  }
}

/** Minutes from the beginning of the week to the opening. */
const openingOf = ({ open }: TradingSession, day: Weekday) =>
  WEEKDAYS.indexOf(day) * MINUTES_OF_DAY + minutesOfDay(open);

/** Length of a session, minutes. */
function minutesOf({ open, close }: TradingSession): number {
  const minutes = minutesOfDay(close) - minutesOfDay(open);
  return minutes > 0 ? minutes : minutes + MINUTES_OF_DAY;
}

function minutesOfDay(time: string): number {
  const [hours, minutes] = time.split(':').map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}

/** Days and minutes of a week in which the market is open, without regard to dates. */
function weekOf({ sessions }: TradingHours): { readonly days: number; readonly minutes: number } {
  const days = new Set(sessions.flatMap((session) => session.days));
  const minutes = sessions.reduce((sum, session) => sum + session.days.length * minutesOf(session), 0);
  return { days: days.size, minutes };
}

/** Minutes that are open within {@link MAX_YEARS}, whenever they begin: dates that have no weekly sessions are left out. */
function mostMinutes(hours: TradingHours): number {
  const { sessions, closed } = hours;
  const minutesOn = (day: Weekday | undefined) =>
    sessions.reduce((sum, session) => sum + (day && session.days.includes(day) ? minutesOf(session) : 0), 0);
  const dated = new Set([...closed, ...sessions.flatMap(({ dates }) => dates)]);
  const lost = [...dated].reduce((sum, date) => sum + minutesOn(weekdayOf(date)), 0);
  return Math.max(0, Math.floor((MAX_YEARS * DAYS_OF_YEAR * weekOf(hours).minutes) / 7) - lost);
}

const weekdayOf = (date: string) => WEEKDAYS[(new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7];

/** How long a day of trading is, and how many of them a year has: what figures "a day" and "a year" are of. */
export interface TradingDay {
  readonly seconds: number;
  readonly daysOfYear: number;
}

/** A mean day on which the market opens; without trading hours it never closes. */
export function tradingDay(hours: TradingHours | null): TradingDay {
  if (!hours) return { seconds: MINUTES_OF_DAY * 60, daysOfYear: DAYS_OF_YEAR };
  const { days, minutes } = weekOf(hours);
  return { seconds: (minutes * 60) / days, daysOfYear: (days * DAYS_OF_YEAR) / 7 };
}
