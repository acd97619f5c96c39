/** The split of capital: exact to the last decimal, whatever the amounts. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitCapital } from '../../src/core/lifecycle/allocation.ts';
import { decimal, formatDecimal, MAX_DECIMALS, parseExactDecimal } from '../../src/core/values/decimal.ts';

/** An amount of up to twenty digits before the point and eighteen behind it. */
const amounts = fc
  .tuple(fc.bigInt({ min: 0n, max: 10n ** 20n - 1n }), fc.bigInt({ min: 0n, max: 10n ** 18n - 1n }))
  .map(([whole, fraction]) => `${whole}.${fraction.toString().padStart(18, '0')}`);
const percents = fc
  .tuple(fc.integer({ min: 0, max: 99 }), fc.bigInt({ min: 0n, max: 10n ** 18n - 1n }))
  .map(([whole, fraction]) => `${whole}.${fraction.toString().padStart(18, '0')}`);

test('canary and stable are the total, neither is negative, and both can be stored', () => {
  fc.assert(
    fc.property(amounts, fc.oneof(percents, fc.constant('100')), (total, percent) => {
      const split = splitCapital(decimal(total), decimal(percent));
      expect(split.canaryUsd.plus(split.stableUsd).eq(total)).toBe(true);
      for (const share of [split.canaryUsd, split.stableUsd]) {
        expect(share.isNegative() && !share.isZero()).toBe(false);
        expect(share.decimalPlaces()).toBeLessThanOrEqual(MAX_DECIMALS);
        expect(parseExactDecimal(formatDecimal(share))).not.toBeTypeOf('string');
      }
      const exact = decimal(total).times(percent).div(100);
      expect(exact.minus(split.canaryUsd).gte(0)).toBe(true);
      expect(exact.minus(split.canaryUsd).lt('1e-18')).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('what cannot be split evenly goes to the stable side', () => {
  const { canaryUsd, stableUsd } = splitCapital(decimal('0.000000000000000001'), decimal(50));
  expect([formatDecimal(canaryUsd), formatDecimal(stableUsd)]).toEqual(['0', '0.000000000000000001']);
});
