/** The curves of `serin get` as lines of a terminal. */
import { expect, test } from 'vitest';
import { interval, lines, returns } from '../../src/cli/curves.ts';
import type { PointView } from '../../src/cli/deployment.ts';

const plain = (_style: unknown, text: string) => text;

/** Both sides earn; the interval is wide at first and narrows to between -1 % and +3 %. */
const POINTS: readonly PointView[] = Array.from({ length: 60 }, (_, index) => ({
  check: index + 1,
  canaryReturn: index / 1000,
  stableReturn: index < 2 ? null : index / 2000,
  low: index === 0 ? null : -0.01 - 0.5 / index ** 2,
  high: index === 0 ? null : 0.03 + 0.5 / index ** 2,
}));

test('both sides are on one scale with zero, and the number of checks is below', () => {
  const drawn = lines(returns(POINTS, plain), 6, 80, 11, plain);
  expect(drawn).toHaveLength(8);
  expect(drawn[0]).toMatch(/^\+5\.90 % .*[⠁-⣿]$/);
  expect(drawn[5]).toMatch(/^\+0\.00 % {4}[⠁-⣿]/);
  expect(drawn[6]).toBe('           returns of 60 checks: canary, stable');
  expect(Math.max(...drawn.map((line) => line.length))).toBeLessThanOrEqual(80);
});

test('the interval has the scale of its later ends, and a dotted line at zero', () => {
  const picture = interval(POINTS, plain);
  expect(picture?.scale.high).toBeCloseTo(0.03 + 0.5 / 20 ** 2, 6);
  const drawn = picture ? lines(picture, 4, 80, 11, plain) : [];
  expect(drawn[0]).toMatch(/^\+3\.1\d\d %/);
  expect(drawn[3]).toMatch(/^-1\.1\d\d %/);
  expect(drawn.join('\n')).toMatch(/(?:[⠁⠂⠄⡀] ){8}/);
  expect(drawn[4]).toContain('interval of the difference a check');
});

test('without two intervals there is no picture of them', () => {
  expect(interval(POINTS.slice(0, 2), plain)).toBeNull();
});
