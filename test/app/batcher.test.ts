/** Work that comes at the same time is done in groups. */
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBatcher } from '../../src/app/execution/batcher.ts';

test('every item gets its own outcome, in groups no larger and no more than allowed, in the order they came', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.record({ pause: fc.nat(3), fails: fc.boolean() }), { maxLength: 40 }),
      async (most, groups, items) => {
        const seen: number[] = [];
        let underWay = 0;
        const double = createBatcher({
          maxBatchSize: most,
          maxConcurrentBatches: groups,
          async run(group: readonly number[]) {
            underWay += 1;
            expect(underWay).toBeLessThanOrEqual(groups);
            expect(group.length).toBeLessThanOrEqual(most);
            seen.push(...group);
            await turn();
            underWay -= 1;
            if (group.some((item) => items[item]?.fails)) throw new Error(group.join());
            return (item) => item * 2;
          },
        });
        const outcomes: Promise<number | string>[] = [];
        for (const [item, { pause }] of items.entries()) {
          for (let turns = 0; turns < pause; turns += 1) await turn();
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

test('an outcome that is still under way keeps no group waiting', async () => {
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
