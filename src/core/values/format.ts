/** Formats numbers for people: rounded, with their unit. Nothing is computed from these strings. */
import { type Decimal, formatDecimal } from './decimal.ts';

/** A fraction as percent: two decimals, or two significant digits where those would show nothing. */
export function percent(value: Decimal, signed = true): string {
  const hundredfold = value.times(100);
  return `${signed && !value.isNegative() ? '+' : ''}${rounded(hundredfold, '0.1')} %`;
}

/** USD to the cent: `$1,000,000`, `-$3,186.07`. Whole dollars have no decimals; below a cent, two significant digits. */
export function dollars(value: Decimal): string {
  const amount = value.abs();
  const [whole = '', cents] = (amount.isInteger() ? amount.toFixed(0) : rounded(amount, '0.01')).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${value.isNegative() && !value.isZero() ? '-' : ''}$${grouped}${cents === undefined ? '' : `.${cents}`}`;
}

/** USD with its sign, for a profit or loss: `+$90`. */
export function signedDollars(value: Decimal): string {
  return value.isNegative() && !value.isZero() ? dollars(value) : `+${dollars(value)}`;
}

/** A figure without unit, to four decimals. */
export function short(value: Decimal): string {
  return formatDecimal(value.toDecimalPlaces(4));
}

/** A number of things: `1 minute`, `2 minutes`. */
export const counted = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? '' : 's'}`;

/** Two decimals, or two significant digits if the value is smaller than `least` and not zero. */
function rounded(value: Decimal, least: string): string {
  return !value.isZero() && value.abs().lt(least) ? value.toPrecision(2) : value.toFixed(2);
}
