/** Items that are submitted concurrently run in batches. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBatcher } from '../../src/app/execution/batcher.ts';

test('every item gets its own result; batches keep the order and both limits', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.record({ pause: fc.nat(3), fails: fc.boolean() }), { maxLength: 40 }),
      async (maxBatchSize, maxConcurrentBatches, items) => {
        const seen: number[] = [];
        let inFlight = 0;
        const double = createBatcher({
          maxBatchSize,
          maxConcurrentBatches,
          async run(batch: readonly number[]) {
            inFlight += 1;
            expect(inFlight).toBeLessThanOrEqual(maxConcurrentBatches);
            expect(batch.length).toBeLessThanOrEqual(maxBatchSize);
            seen.push(...batch);
            await nextTurn();
            inFlight -= 1;
            if (batch.some((item) => items[item]?.fails)) throw new Error(batch.join());
            return (item) => item * 2;
          },
        });
        const outcomes: Promise<number | string>[] = [];
        for (const [item, { pause }] of items.entries()) {
          for (let turns = 0; turns < pause; turns += 1) await nextTurn();
          outcomes.push(double(item).catch((error: Error) => error.message));
        }
        const all = await Promise.all(outcomes);
        expect(seen).toEqual(items.map((_, item) => item));
        for (const [item, outcome] of all.entries()) {
          if (typeof outcome === 'number') expect(outcome).toBe(item * 2);
          else expect(outcome.split(',')).toContain(String(item));
          if (items[item]?.fails) expect(outcome).toBeTypeOf('string');
        }
      },
    ),
  );
});

test('a result that is still pending does not delay the next batch', async () => {
  let release: (outcome: string) => void = () => {};
  const slow = new Promise<string>((resolve) => {
    release = resolve;
  });
  const run = createBatcher({
    maxBatchSize: 1,
    maxConcurrentBatches: 1,
    run: async () => (item: string) => (item === 'slow' ? slow : item),
  });
  const first = run('slow');
  expect(await run('quick')).toBe('quick');
  release('late');
  expect(await first).toBe('late');
});
