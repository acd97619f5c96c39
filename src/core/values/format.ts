/** How numbers look in reasons, for a person: rounded, with their unit. Nothing is computed with what these answer. */
import { type Decimal, formatDecimal } from './decimal.ts';

/** A fraction as percent: two decimals, or two significant digits where those would show nothing. */
export function percent(value: Decimal, signed = true): string {
  const hundredfold = value.times(100);
  const small = !hundredfold.isZero() && hundredfold.abs().lt('0.1');
  const digits = small ? hundredfold.toPrecision(2) : hundredfold.toFixed(2);
  return `${signed && !value.isNegative() ? '+' : ''}${digits} %`;
}

export function dollars(value: Decimal): string {
  return `${value.isNegative() ? '-' : '+'}$${value.abs().toFixed(2)}`;
}

/** A figure without unit, to four decimals. */
export function short(value: Decimal): string {
  return formatDecimal(value.toDecimalPlaces(4));
}
