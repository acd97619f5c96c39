/** Every mutant can still be made: its place is in the program, once. Whether tests notice it, `npm run test:mutants` tells. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { MUTANTS } from './mutants.ts';

test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s', async (_name, mutant) => {
  const text = await readFile(mutant.file, 'utf8');
  expect(text.split(mutant.original)).toHaveLength(2);
  expect(mutant.replacement).not.toBe(mutant.original);
});
