/** How long the loops sleep that look for what is due: long enough not to ask all the time for what another holds. */
import { expect, test } from 'vitest';
import { sleepUntilDue } from '../../src/monitor/untilDue.ts';

test('a loop sleeps until the next is due, but neither for ever nor not at all', () => {
  expect(sleepUntilDue(120, 500)).toBe(120);
  expect(sleepUntilDue(9000, 500)).toBe(500);
  expect(sleepUntilDue(null, 500)).toBe(500);
  expect(sleepUntilDue(1, 500)).toBe(5);
});

test('it sleeps longer where what is overdue could not be taken, however long overdue', () => {
  for (const overdue of [0, -1, -60_000]) expect(sleepUntilDue(overdue, 500)).toBe(25);
});
