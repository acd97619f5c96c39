/**
 * JSON codecs of the engine's values, used by events, states and documents.
 * A decimal is a string without exponent, an instant an RFC 3339 string in UTC; a round trip loses nothing.
 */
import { z } from 'zod';
import { Decimal, formatDecimal } from './decimal.ts';

// What a string must look like is checked while it is decoded: a check of the string's own schema would be made twice
// whenever a value is written, and most of what a deployment stores are decimals and instants.
const PLAIN_DECIMAL = /^-?\d+(\.\d+)?$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Decimal <-> "12.5". Values computed by the engine may have more digits than a caller may send. */
export const decimalCodec = z.codec(
  z.string(),
  z.custom<Decimal>((value) => Decimal.isDecimal(value)),
  {
    decode: (text, context) => {
      if (PLAIN_DECIMAL.test(text)) return new Decimal(text);
      context.issues.push({ code: 'custom', input: text, message: 'is not a decimal number' });
      return z.NEVER;
    },
    encode: formatDecimal,
  },
);

/** Epoch milliseconds <-> "2026-01-31T12:00:00.000Z". */
export const instantCodec = z.codec(z.string(), z.number(), {
  decode: (text, context) => {
    const instant = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
    // 30 February is read as 2 March.
    if (new Date(instant).getUTCDate() === Number(text.slice(8, 10))) return instant;
    context.issues.push({ code: 'custom', input: text, message: 'is not a date and time in UTC' });
    return z.NEVER;
  },
  encode: (instant) => new Date(instant).toISOString(),
});

export const countCodec = z.int().min(0);

/** The same codec for each side. */
export const bySide = <T extends z.ZodType>(codec: T) => z.strictObject({ CANARY: codec, STABLE: codec });
