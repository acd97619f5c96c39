/** Numbers as people read them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decimal } from '../../src/core/values/decimal.ts';
import { dollars, signedDollars } from '../../src/core/values/format.ts';

test.each([
  ['1000000', '$1,000,000'],
  ['-3186.07', '-$3,186.07'],
  ['999', '$999'],
  ['1000.5', '$1,000.50'],
  ['0', '$0'],
  ['-0', '$0'],
  ['0.0042', '$0.0042'],
  ['-1234567890123456789.999', '-$1,234,567,890,123,456,790.00'],
])('%s USD is %s', (value, text) => {
  expect(dollars(decimal(value))).toBe(text);
});

test('what was earned has its sign', () => {
  expect(['90', '0', '-0.5'].map((value) => signedDollars(decimal(value)))).toEqual([
    '+$90',
    '+$0',
    '-$0.50',
  ]);
});

test('read back, it is the amount to half a cent', () => {
  const cents = fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n });
  fc.assert(
    fc.property(cents, (amount) => {
      const value = decimal(amount.toString()).div(10_000);
      const text = dollars(value);
      expect(text).toMatch(/^-?\$\d{1,3}(,\d{3})*(\.\d+)?$/);
      expect(decimal(text.replace(/[$,]/g, '')).minus(value).abs().lte('0.005')).toBe(true);
    }),
  );
});
