/** Times on the command line. They are on Serin's clock: a demo runs it faster, and the clock of this machine may be wrong. */
import type { Context } from './context.ts';

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

/** Whether a text begins as a date does; a cursor never does. */
export const looksLikeInstant = (text: string): boolean => /^\d{4}-\d{2}-\d{2}/.test(text);

/** A date or an instant in RFC 3339, such as `2026-12-10T20:00:00Z`, with milliseconds; null where it is neither. */
export function readInstant(text: string): string | null {
  const time = looksLikeInstant(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? null : new Date(time).toISOString();
}
