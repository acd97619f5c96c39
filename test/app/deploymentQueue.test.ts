/** Work per deployment runs in order; across deployments its concurrency is limited. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDeploymentQueue } from '../../src/app/execution/deploymentQueue.ts';

test('work on one deployment runs in order, one at a time; across deployments at most eight run', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ at: fc.nat(12), lasts: fc.nat(4), fails: fc.boolean() }), { maxLength: 60 }),
      async (jobs) => {
        const inOrder = createDeploymentQueue();
        const started = new Map<number, number[]>();
        const busy = new Set<number>();
        const outcomes = await Promise.allSettled(
          jobs.map(({ at, lasts, fails }, job) =>
            inOrder(`dep-${at}`, async () => {
              expect(busy.has(at)).toBe(false);
              busy.add(at);
              expect(busy.size).toBeLessThanOrEqual(8);
              started.set(at, [...(started.get(at) ?? []), job]);
              for (let turns = 0; turns < lasts; turns += 1) await nextTurn();
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
        for (const order of started.values()) expect(order).toEqual(order.toSorted((a, b) => a - b));
      },
    ),
    { numRuns: 60 },
  );
});

test('long work on one deployment does not delay work on another', async () => {
  const inOrder = createDeploymentQueue();
  let release: () => void = () => {};
  const long = inOrder('busy', () => new Promise<void>((resolve) => (release = resolve)));
  const waiting = Array.from({ length: 40 }, (_, job) => inOrder('busy', async () => job));
  expect(await inOrder('free', async () => 'done')).toBe('done');
  release();
  await long;
  expect(await Promise.all(waiting)).toEqual(waiting.map((_, job) => job));
});
