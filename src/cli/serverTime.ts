/** Times on the command line. They are on Serin's clock: a demo runs it faster, and the clock of this machine may be wrong. */
import { isDate, parseInstant } from '../core/values/instant.ts';
import type { Context } from './context.ts';
import { usage } from './exitCodes.ts';

/** Serin's time now, in epoch milliseconds; up to a second old. */
export async function serverTime({ serin }: Context): Promise<number> {
  const { overview } = await serin.query<{ overview: { at: string } }>('query { overview { at } }', {});
  return Date.parse(overview.at);
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `90s`, `30m`, `2h` or `1d`; null where it is not a length of time. */
export function readLength(text: string): number | null {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = UNITS[unit];
  return unitMs === undefined ? null : Number(count) * unitMs;
}

/** What the server takes: ten years. */
const MOST_DAYS = 3650;

/** Whole seconds of a length of time, for a server that counts them; null where it is not one. */
export function readSeconds(option: string, text: string): number | null {
  const lengthMs = readLength(text);
  if (lengthMs !== null && (lengthMs === 0 || lengthMs > MOST_DAYS * (UNITS.d ?? 0)))
    throw usage(`${option} must be 1s to ${MOST_DAYS}d, got ${text}`);
  return lengthMs === null ? null : lengthMs / 1000;
}

/** Whether a text begins as a date does; a cursor never does. */
export const looksLikeInstant = (text: string): boolean => /^\d{4}-\d{2}-\d{2}/.test(text);

/**
 * A date (its midnight, UTC) or an instant in RFC 3339, such as `2026-12-10T20:00:00Z`, with milliseconds; null where it
 * is neither, does not exist in the calendar, or has a time without an offset: the machine's zone is not the server's.
 */
export function readInstant(text: string): string | null {
  const time = isDate(text) ? Date.parse(text) : parseInstant(text);
  return time === null ? null : new Date(time).toISOString();
}
