/** Cursors of lists that are not the log: the values of a place in its order, or a number that only rises. */
import { z } from 'zod';
import { FIRST_INSTANT, LAST_INSTANT } from '../core/values/instant.ts';

/** JSON in base64url, because a name may contain any character. */
export const formatPlace = (...values: readonly (string | number | null)[]): string =>
  Buffer.from(JSON.stringify(values)).toString('base64url');

/** What PostgreSQL takes as a text and as a time: a cursor comes from outside. */
export const placeText = z.string().refine((text) => !text.includes('\0'));
export const placeInstant = z.int().min(FIRST_INSTANT).max(LAST_INSTANT);

/**
 * Returns the parser of what {@link formatPlace} writes for one order. It returns null for any other cursor.
 * @param place the shape of the values
 */
export function placeParser<T>(place: z.ZodType<T>): (cursor: string) => T | null {
  return (cursor) => {
    try {
      const read = place.safeParse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
      return read.success ? read.data : null;
    } catch {
      return null;
    }
  };
}

/** The parser for an order by time, then by id. */
export const parsePlaceInTime = placeParser(
  z.tuple([placeInstant, placeText]).transform(([at, id]) => ({ at, id })),
);

/** The number in a cursor; null if it is not a number. */
export const parseNumber = (cursor: string): bigint | null =>
  /^\d{1,18}$/.test(cursor) ? BigInt(cursor) : null;
