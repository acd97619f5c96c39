/** Lists on the command line are read in few pages. */
import { expect, test } from 'vitest';
import { readUpTo } from '../../src/cli/paging.ts';

/** A list of the numbers from 0, and the sizes of the pages that were asked for. */
function numbers(length: number) {
  const asked: number[] = [];
  const read = async (first: number, after: string | null) => {
    asked.push(first);
    const start = after === null ? 0 : Number(after) + 1;
    const end = Math.min(start + first, length);
    const nodes = Array.from({ length: end - start }, (_, index) => start + index);
    return { nodes, pageInfo: { hasNextPage: end < length, endCursor: String(end - 1) } };
  };
  return { asked, read };
}

test('as many as are shown and one more, which says whether there are more', async () => {
  const { asked, read } = numbers(250);
  expect(await readUpTo(2, read)).toEqual({ found: [0, 1], more: true });
  expect(asked).toEqual([3]);
});

test('whole pages where only some match: a small limit does not mean many requests', async () => {
  const { asked, read } = numbers(250);
  const late = (item: number) => item >= 240;
  expect(await readUpTo(2, read, late)).toEqual({ found: [240, 241], more: true });
  expect(asked).toEqual([100, 100, 100]);
});
