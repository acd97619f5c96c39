/** Turns at deployments: in order at one, few at a time at all of them. */
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDeploymentQueue } from '../../src/app/execution/deploymentQueue.ts';

test('work at one deployment is done in the order it came, one at a time; of all, at most eight', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ at: fc.nat(12), lasts: fc.nat(4), fails: fc.boolean() }), { maxLength: 60 }),
      async (jobs) => {
        const turns = createDeploymentQueue();
        const begun = new Map<number, number[]>();
        const busy = new Set<number>();
        const outcomes = await Promise.allSettled(
          jobs.map(({ at, lasts, fails }, job) =>
            turns(`dep-${at}`, async () => {
              expect(busy.has(at)).toBe(false);
              busy.add(at);
              expect(busy.size).toBeLessThanOrEqual(8);
              begun.set(at, [...(begun.get(at) ?? []), job]);
              for (let turns = 0; turns < lasts; turns += 1) await turn();
              busy.delete(at);
              if (fails) throw new Error(`job ${job}`);
              return job;
            }),
          ),
        );
        for (const [job, outcome] of outcomes.entries()) {
          if (jobs[job]?.fails) expect(outcome).toMatchObject({ reason: { message: `job ${job}` } });
          else expect(outcome).toMatchObject({ value: job });
        }
        for (const order of begun.values()) expect(order).toEqual(order.toSorted((a, b) => a - b));
      },
    ),
    { numRuns: 60 },
  );
});

test('who holds one deployment for long keeps nobody from another', async () => {
  const turns = createDeploymentQueue();
  let release: () => void = () => {};
  const held = turns('held', () => new Promise<void>((resolve) => (release = resolve)));
  const crowd = Array.from({ length: 40 }, (_, job) => turns('held', async () => job));
  expect(await turns('free', async () => 'done')).toBe('done');
  release();
  await held;
  expect(await Promise.all(crowd)).toEqual(crowd.map((_, job) => job));
});
