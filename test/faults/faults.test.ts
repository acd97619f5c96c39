/** The fault suite in its short form: one seeded history. The long one is `npm run test:faults`. */
import { expect, test } from 'vitest';
import { MUTATIONS, mutate } from './mutations.ts';
import { buildSerin, copyProgram } from './nodes.ts';
import { runHistory } from './run.ts';

const program = await buildSerin('test');

test('a history with faults loses nothing and does nothing twice', async () => {
  const { history, violations } = await runHistory({
    program,
    seed: 20_261,
    faults: 2,
    kinds: ['kill -9 of a node', 'kill -9 of PostgreSQL'],
    nodes: 2,
  });
  expect(violations).toEqual([]);
  expect(history.operations.length).toBeGreaterThan(5);
  expect(history.faults).toHaveLength(2);
  console.log(
    `1 history, ${history.operations.length} operations, ${history.faults.length} faults injected, 0 violations`,
  );
}, 300_000);

test('the bugs that check the checker can still be made in the program', async () => {
  for (const mutation of MUTATIONS) await mutate(await copyProgram(program, 'test-mutated'), mutation);
});
