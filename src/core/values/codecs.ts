/**
 * JSON codecs of the engine's values, used by events, states and documents.
 * A decimal is a string without exponent, an instant an RFC 3339 string in UTC; a round trip loses nothing.
 */
import { z } from 'zod';
import { Decimal, formatDecimal } from './decimal.ts';

/** Decimal <-> "12.5". Values computed by the engine may have more digits than a caller may send. */
export const decimalCodec = z.codec(
  z.string().regex(/^-?\d+(\.\d+)?$/, 'is not a decimal number'),
  z.custom<Decimal>((value) => Decimal.isDecimal(value)),
  { decode: (text) => new Decimal(text), encode: formatDecimal },
);

/** Epoch milliseconds <-> "2026-01-31T12:00:00.000Z". */
export const instantCodec = z.codec(z.iso.datetime({ precision: 3 }), z.number(), {
  decode: (text) => Date.parse(text),
  encode: (instant) => new Date(instant).toISOString(),
});

export const countCodec = z.int().min(0);

/** The same codec for each side. */
export const bySide = <T extends z.ZodType>(codec: T) => z.strictObject({ CANARY: codec, STABLE: codec });
