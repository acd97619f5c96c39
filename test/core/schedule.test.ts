/** When a deployment is checked next: checks keep their times, and no command postpones one. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reschedule } from '../../src/core/lifecycle/state.ts';
import { NO_GUARDRAILS, Trial } from '../harness/trial.ts';

const INTERVAL_MS = 60_000;

function running(): Trial {
  return new Trial({ guardrails: NO_GUARDRAILS, checkIntervalSeconds: INTERVAL_MS / 1000 });
}

test('a command never postpones a check, neither one that is overdue nor one to come', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -10 * INTERVAL_MS, max: INTERVAL_MS }),
      fc.constantFrom('PAUSE' as const, null),
      (ahead, command) => {
        const trial = running();
        trial.wait(1200);
        if (command) trial.order(command);
        const due = trial.now + ahead;
        const next = reschedule(trial.state, { due, now: trial.now, wasCheck: false });
        expect(next).toBeLessThanOrEqual(due);
      },
    ),
  );
});

test('a check that was late does not make the next one late, unless it missed that one too', () => {
  const trial = running();
  trial.check();
  const due = trial.now;
  const after = (lateMs: number) => reschedule(trial.state, { due, now: due + lateMs, wasCheck: true });
  expect(after(0)).toBe(due + INTERVAL_MS);
  expect(after(3000)).toBe(due + INTERVAL_MS);
  expect(after(2 * INTERVAL_MS)).toBe(due + 3 * INTERVAL_MS);
});

test('what has ended is not checked', () => {
  const trial = running();
  trial.order('CANCEL');
  expect(reschedule(trial.state, { due: trial.now, now: trial.now, wasCheck: false })).toBeNull();
});
