/** The soak in its short form; the long one is `npm run test:soak`. */
import { expect, test } from 'vitest';
import { mutate } from '../faults/mutations.ts';
import { buildSerin, copyProgram } from '../faults/nodes.ts';
import { LEAKS } from './leaks.ts';
import { soak } from './soak.ts';

const program = await buildSerin('test-soak');

test('load and short-lived subscribers leak nothing', async () => {
  const soaked = await soak({
    program,
    seed: 20_262,
    warmUpSeconds: 4,
    loadSeconds: 4,
    visits: 600,
    say: () => {},
  });
  expect(soaked.faults).toEqual([]);
  expect(soaked.deliveries).toBeGreaterThan(100);
  expect(soaked.messages).toBeGreaterThan(20);
}, 300_000);

test('the leaks that check it can still be made in the program', async () => {
  for (const leak of LEAKS) await mutate(await copyProgram(program, 'test-soak-mutated'), leak);
});
