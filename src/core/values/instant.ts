/** Parses instants as RFC 3339 writes them, and refuses dates that do not exist, which `Date.parse` would shift. */

const DATE_TIME =
  /^(\d{4}-\d{2}-\d{2})[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** The first instant that RFC 3339 can write in UTC. An offset may lead beyond. */
export const FIRST_INSTANT = Date.parse('0001-01-01T00:00:00Z');
/** The last one; what is added to an instant may lead beyond. */
export const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z');

/** Parses a date and time with an offset. @returns epoch milliseconds; null if it is not one, or does not exist */
export function parseInstant(text: string): number | null {
  const date = DATE_TIME.exec(text)?.[1];
  if (date === undefined || !isDate(date)) return null;
  const instant = Date.parse(text);
  return instant >= FIRST_INSTANT && instant <= LAST_INSTANT ? instant : null;
}

/** Whether a date such as 2026-02-28 exists in the calendar. */
export function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const midnight = Date.parse(`${text}T00:00:00Z`);
  return Number.isFinite(midnight) && new Date(midnight).toISOString().slice(0, 10) === text;
}

declare const clock: unique symbol;

/**
 * An instant on Serin's clock, epoch milliseconds: the time of deployments, which may run faster than real time. The
 * compiler refuses a `WallInstant` in its place; a plain number, such as a program's own time, is accepted.
 */
export type SerinInstant = number & { readonly [clock]?: 'Serin' };

/** An instant of the real clock, epoch milliseconds: the time of keys, tokens, retries and providers. */
export type WallInstant = number & { readonly [clock]?: 'wall' };

/** The real time. */
export const wallNow = (): WallInstant => Date.now();
