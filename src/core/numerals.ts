/**
 * Numbers as programs write them, read exactly: from texts, from JavaScript's numbers by their shortest text, and from
 * Decimals. Nothing is computed in floating point on the way.
 */
import { Decimal, formatDecimal, MAX_INTEGER_DIGITS, toStoredPrecision, ZERO } from './values/decimal.ts';

/** A number as a caller may give it. Write an amount that must be exact as text: `'0.1'`. */
export type Numeral = Decimal | number | string;

const MAX_TEXT_LENGTH = 200;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/;
const LIMIT = new Decimal(10).pow(MAX_INTEGER_DIGITS);
/** How far from a whole number a count may be: rates are extrapolated, and sums of floats are not exact. */
const WHOLE_TOLERANCE = new Decimal('1e-6');

/**
 * Reads a decimal number, with or without exponent, and rounds it half up to the 18 decimals that are stored.
 * @param given what may be a {@link Numeral}, from a caller that no compiler has checked
 * @returns the number, or a sentence that says what is wrong with it
 */
export function readDecimal(given: unknown): Decimal | string {
  const text = textOf(given);
  if (text === null || text.length > MAX_TEXT_LENGTH || !NUMBER.test(text)) {
    return `is not a number, got ${shown(given)}`;
  }
  const value = toStoredPrecision(new Decimal(text));
  if (value.abs().gte(LIMIT)) {
    return `has more than ${MAX_INTEGER_DIGITS} digits before the point, got ${shown(given)}`;
  }
  return value.isZero() ? ZERO : value;
}

/** Reads a whole number; a millionth beside it is rounded away. */
export function readCount(given: unknown): number | string {
  const value = readDecimal(given);
  if (typeof value === 'string') return value;
  const whole = value.round();
  if (value.minus(whole).abs().gt(WHOLE_TOLERANCE)) {
    return `must be a whole number, got ${shown(given)}: round it where it is made`;
  }
  const count = Number(formatDecimal(whole));
  return Number.isSafeInteger(count) ? count : `is too large to be counted, got ${shown(given)}`;
}

function textOf(given: unknown): string | null {
  if (typeof given === 'string') return given;
  if (typeof given === 'number' || typeof given === 'bigint') return String(given);
  // Also a Decimal of another copy of the library, as an embedder may have.
  return Decimal.isDecimal(given) ? new Decimal(given).toFixed() : null;
}

/** A value as a message shows it: texts in quotes, nothing longer than a line. */
export function shown(given: unknown): string {
  if (typeof given === 'string') return JSON.stringify(given.length > 40 ? `${given.slice(0, 40)}…` : given);
  const text = textOf(given);
  if (text !== null) return text;
  return given === null || typeof given !== 'object' ? String(given) : 'an object';
}
