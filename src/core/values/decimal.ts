/**
 * Exact decimal numbers for money, and the only place that parses and formats them.
 * Relies on decimal.js with enough digits that sums and products of two 38-digit amounts are exact;
 * a quotient is correctly rounded, so scaling both its terms gives the same digits.
 */
import { Decimal as DecimalJs } from 'decimal.js';

/** The Decimal of this project: 120 significant digits, never an exponent when printed by {@link formatDecimal}. */
export const Decimal = DecimalJs.clone({ precision: 120, toExpNeg: -200, toExpPos: 200 });
export type Decimal = DecimalJs;

export const MAX_SIGNIFICANT_DIGITS = 38;
export const MAX_DECIMALS = 18;
/** `numeric(38,18)` in the database leaves twenty digits before the point. */
export const MAX_INTEGER_DIGITS = MAX_SIGNIFICANT_DIGITS - MAX_DECIMALS;

export const ZERO: Decimal = new Decimal(0);

const PLAIN = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$/;

/**
 * Parses a decimal number and refuses one that cannot be stored exactly.
 * @returns the number, or an error message
 */
export function parseExactDecimal(text: string): Decimal | string {
  if (text.length > MAX_TEXT_LENGTH || !PLAIN.test(text)) return 'is not a decimal number';
  return storable(new Decimal(text));
}

/** Significant digits of the shortest form of a double, at most. */
const DOUBLE_DIGITS = 17;

/**
 * Parses a number as programs print it. One with at most 17 significant digits may be a computed double, such as 1/810:
 * it is rounded half up to the 18 decimals that are stored. One with more digits is refused if it cannot be stored exactly.
 * @returns the number, or an error message
 */
export function parseNumberText(text: string): Decimal | string {
  if (text.length > MAX_TEXT_LENGTH || !PLAIN.test(text)) return 'is not a decimal number';
  const value = new Decimal(text);
  return storable(value.precision() <= DOUBLE_DIGITS ? toStoredPrecision(value) : value);
}

/** The number if its digits fit the database, else an error message. */
function storable(value: Decimal): Decimal | string {
  if (value.decimalPlaces() > MAX_DECIMALS) return `has more than ${MAX_DECIMALS} decimals`;
  if (value.precision() > MAX_SIGNIFICANT_DIGITS) {
    return `has more than ${MAX_SIGNIFICANT_DIGITS} significant digits`;
  }
  if (value.abs().gte('1e20')) return `has more than ${MAX_INTEGER_DIGITS} digits before the point`;
  return value.isZero() ? ZERO : value;
}

/** A decimal known to be well formed: a literal in code, or a value that came from the database. */
export function decimal(value: string | number | Decimal): Decimal {
  return new Decimal(value);
}

/** Constructs nothing: a class that extends it adds its fields to the number that it is given. */
class SameNumber {
  constructor(number: Decimal) {
    // biome-ignore lint/correctness/noConstructorReturn: this is its purpose
    return number;
  }
}

/**
 * Keeps the text of a number in a private field of the number: figures are sent far more often than they change. Nobody
 * else sees the field, as with a WeakMap, which takes longer than formatting for numbers that are sent once.
 */
class Formatted extends SameNumber {
  readonly #text: string;

  constructor(number: Decimal) {
    super(number);
    this.#text = number.isZero() ? '0' : number.toFixed();
  }

  static textOf(number: Decimal): string {
    return #text in number ? number.#text : new Formatted(number).#text;
  }
}

/** Plain notation without exponent and without trailing zeros: `1000`, `-0.05`. */
export const formatDecimal = (value: Decimal): string => Formatted.textOf(value);

/** Rounds a computed statistic (a ratio, a rate) half up to the 18 decimals that are stored and sent. */
export function toStoredPrecision(value: Decimal): Decimal {
  return value.toDecimalPlaces(MAX_DECIMALS, Decimal.ROUND_HALF_UP);
}

/** The largest amount that can be stored. */
const LARGEST = new Decimal(10).pow(MAX_INTEGER_DIGITS).minus(new Decimal(10).pow(-MAX_DECIMALS));

/** The same of a fraction that nothing bounds, such as a loss over very little capital: at most what can be stored. */
export function toStoredFraction(value: Decimal): Decimal {
  return Decimal.min(toStoredPrecision(value), LARGEST);
}

/** A number as a caller may pass it. Pass an amount that must be exact as a string: `'0.1'`. */
export type NumberInput = Decimal | number | string;

const MAX_TEXT_LENGTH = 200;

const LIMIT = new Decimal(10).pow(MAX_INTEGER_DIGITS);

/** How far from a whole number a count may be: rates are extrapolated, and sums of floats are inexact. */
const WHOLE_TOLERANCE = new Decimal('1e-6');

/**
 * Parses a decimal number, with or without exponent, and rounds it half up to the 18 decimals that are stored.
 * @param given a possible {@link NumberInput} of a caller that no compiler has checked
 * @returns the number, or an error message
 */
export function parseDecimalRounded(given: unknown): Decimal | string {
  const text = textOf(given);
  if (text === null || text.length > MAX_TEXT_LENGTH || !PLAIN.test(text)) {
    return `is not a number, got ${shown(given)}`;
  }
  const value = toStoredPrecision(new Decimal(text));
  if (value.abs().gte(LIMIT)) {
    return `has more than ${MAX_INTEGER_DIGITS} digits before the point, got ${shown(given)}`;
  }
  return value.isZero() ? ZERO : value;
}

/** Parses a whole number. A difference of up to a millionth is rounded away. */
export function parseCount(given: unknown): number | string {
  const value = parseDecimalRounded(given);
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
  // Also a Decimal of another copy of the library, which an embedder may use.
  return Decimal.isDecimal(given) ? new Decimal(given).toFixed() : null;
}

/** A value for a message: strings in quotes, at most one line. */
export function shown(given: unknown): string {
  if (typeof given === 'string') return JSON.stringify(given.length > 40 ? `${given.slice(0, 40)}…` : given);
  const text = textOf(given);
  if (text !== null) return text;
  return given === null || typeof given !== 'object' ? String(given) : 'an object';
}
