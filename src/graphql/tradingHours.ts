/** Trading hours of a configuration, as clients read and send them. */
import type { TradingHours, TradingSession } from '../core/config/tradingHours.ts';
import { WEEKDAYS } from '../core/config/tradingHours.ts';
import { builder } from './builder.ts';

const Weekday = builder.enumType('Weekday', { description: 'A day of the week.', values: WEEKDAYS });

const session = {
  days: 'Weekdays on which the session opens.',
  dates:
    'Dates such as `2026-11-27`, for instance with an early close: on them this session takes place instead of the ' +
    'sessions of weekdays.',
  open: 'Local time of the opening, `HH:MM`.',
  close: 'Local time of the close, `HH:MM` or `24:00`. At or before `open` it is the time of the next day.',
};

const hours = {
  timeZone:
    'IANA name of the market’s time zone, such as `America/New_York`. Daylight saving time is taken into account.',
  sessions: 'When the market is open, 1 to 50 sessions.',
  closed: 'Dates such as `2026-12-25` on which no session opens, at most 400.',
};

const TradingSessionType = builder.objectRef<TradingSession>('TradingSession').implement({
  description: 'A time in which a market is open, on weekdays or on dates.',
  fields: (t) => ({
    days: t.field({ type: [Weekday], resolve: ({ days }) => [...days], description: session.days }),
    dates: t.stringList({ resolve: ({ dates }) => [...dates], description: session.dates }),
    open: t.exposeString('open', { description: session.open }),
    close: t.exposeString('close', { description: session.close }),
  }),
});

export const TradingHoursType = builder.objectRef<TradingHours>('TradingHours').implement({
  description: 'When a market is open.',
  fields: (t) => ({
    timeZone: t.exposeString('timeZone', { description: hours.timeZone }),
    sessions: t.field({
      type: [TradingSessionType],
      resolve: ({ sessions }) => [...sessions],
      description: hours.sessions,
    }),
    closed: t.stringList({ resolve: ({ closed }) => [...closed], description: hours.closed }),
  }),
});

const TradingSessionInput = builder.inputType('TradingSessionInput', {
  description: 'A time in which a market is open. Provide either `days` or `dates`.',
  fields: (t) => ({
    days: t.field({ type: [Weekday], description: session.days }),
    dates: t.stringList({ description: session.dates }),
    open: t.string({ required: true, description: session.open }),
    close: t.string({ required: true, description: session.close }),
  }),
});

export const TradingHoursInput = builder.inputType('TradingHoursInput', {
  description: 'When a market is open.',
  fields: (t) => ({
    timeZone: t.string({ required: true, description: hours.timeZone }),
    sessions: t.field({ type: [TradingSessionInput], required: true, description: hours.sessions }),
    closed: t.stringList({ description: `${hours.closed} Default: none.` }),
  }),
});
