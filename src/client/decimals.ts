/** Sums of money without floating point: decimals as whole numbers of 10^-18, Serin's finest step. */

const DIGITS = 18;
/** Further than any sum of money: a power of ten of a million digits would take minutes. */
const MAX_SHIFT = 400;
const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i;

/**
 * The value in units of 10^-18. A JavaScript number is taken by its shortest decimal text and rounded there.
 * @throws {TypeError} that names the field when it is not a finite number
 */
export function toUnits(value: string | number, field: string): bigint {
  const [, sign, whole = '', fraction = '', exponent = '0'] = NUMBER.exec(String(value)) ?? [];
  if (sign === undefined || whole + fraction === '') {
    throw new TypeError(`${field} must be a number, got ${String(value)}`);
  }
  const digits = whole + fraction;
  const shift = Number(exponent) - fraction.length + DIGITS;
  if (shift > MAX_SHIFT)
    throw new TypeError(`${field} must be less than 10^${MAX_SHIFT - DIGITS}, got ${String(value)}`);
  // Long before that all of it is rounded away.
  if (shift < -MAX_SHIFT - digits.length) return 0n;
  const units = shift >= 0 ? BigInt(digits) * 10n ** BigInt(shift) : roundedTo(BigInt(digits), -shift);
  return sign === '-' ? -units : units;
}

function roundedTo(digits: bigint, decimals: number): bigint {
  const divisor = 10n ** BigInt(decimals);
  return (digits + divisor / 2n) / divisor;
}

/** Units as a plain decimal text. */
export function fromUnits(units: bigint): string {
  const magnitude = (units < 0n ? -units : units).toString().padStart(DIGITS + 1, '0');
  const fraction = magnitude.slice(-DIGITS).replace(/0+$/, '');
  return `${units < 0n ? '-' : ''}${magnitude.slice(0, -DIGITS)}${fraction && `.${fraction}`}`;
}

/** Divides and rounds to 18 decimals. */
export function divide(units: bigint, by: bigint): bigint {
  return (units * 10n ** BigInt(DIGITS)) / by;
}

/** Multiplies two values of 18 decimals. */
export function multiply(units: bigint, by: bigint): bigint {
  return (units * by) / 10n ** BigInt(DIGITS);
}
