/**
 * Exact decimal numbers for money, and the one place that says how they are read and written.
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
 * Reads a decimal as a person or a program writes it.
 * @returns the number, or a sentence that says what is wrong with the text
 */
export function parseDecimal(text: string): Decimal | string {
  if (text.length > 200 || !PLAIN.test(text)) return 'is not a decimal number';
  const value = new Decimal(text);
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

/** Plain notation without exponent and without trailing zeros: `1000`, `-0.05`. */
export function formatDecimal(value: Decimal): string {
  return value.isZero() ? '0' : value.toFixed();
}

/** Rounds a computed statistic (a ratio, a rate) half up to the 18 decimals that are stored and sent. */
export function toStoredPrecision(value: Decimal): Decimal {
  return value.toDecimalPlaces(MAX_DECIMALS, Decimal.ROUND_HALF_UP);
}
