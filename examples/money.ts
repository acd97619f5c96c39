/** Money as a person reads it: `$1,000,000`, `-$3,186.07`. */

const EXACT = new Intl.NumberFormat('en-US', {
  style: 'currency',
  currency: 'USD',
  trailingZeroDisplay: 'stripIfInteger',
});
const ROUNDED = new Intl.NumberFormat('en-US', {
  style: 'currency',
  currency: 'USD',
  maximumFractionDigits: 0,
});

/** To the cent; whole dollars have no decimals. */
export const dollars = (value: number) => EXACT.format(value);

/** To the dollar, for tables. */
export const wholeDollars = (value: number) => ROUNDED.format(value);
