/** Patterns of strategy names mean the same in SQL, where lists are narrowed, and in the code that guards single rows. */
import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contains, covers, inScope, type Scope } from '../../src/store/access/strategyScope.ts';
import { type Database, openDatabase } from '../../src/store/postgres/database.ts';
import { strategies } from '../../src/store/tables/tables.ts';
import { freshDatabase, type TestDatabase } from '../harness/database.ts';

let fresh: TestDatabase;
let database: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = openDatabase({ url: fresh.url, poolSize: 2 });
});
afterAll(async () => {
  await database.close();
  await fresh.drop();
});

/** Letters that say little and characters that mean something to LIKE, to arrays or to regular expressions. */
const letters = [
  'a',
  'b',
  'é',
  '*',
  '*',
  '%',
  '_',
  '\\',
  '"',
  ',',
  '{',
  '}',
  '.',
  '+',
  '(',
  '[',
  '^',
  '$',
  '|',
  '-',
  ' ',
  '\n',
];
const text = fc.string({ unit: fc.constantFrom(...letters), maxLength: 6 });
const scope = fc.array(text, { maxLength: 3 });

async function coversInSql(patterns: Scope, names: readonly string[]): Promise<string[]> {
  await database.db.execute(sql`truncate strategies cascade`);
  const at = new Date(0);
  const rows = names.map((id) => ({ id, stableVersionId: 'v', createdAt: at, updatedAt: at }));
  await database.db.insert(strategies).values(rows).onConflictDoNothing();
  const found = await database.db.select().from(strategies).where(inScope(strategies.id, patterns));
  return found.map(({ id }) => id).sort();
}

test('a star is any characters, everything else is itself', () => {
  expect(covers(['eth-*'], 'eth-momentum')).toBe(true);
  expect(covers(['eth-*'], 'eth-')).toBe(true);
  expect(covers(['eth-*'], 'beth-x')).toBe(false);
  expect(covers(['*-eu'], 'momentum-eu')).toBe(true);
  expect(covers(['a.c'], 'abc')).toBe(false);
  expect(covers(['eth'], 'ETH')).toBe(false);
  expect(covers([], 'eth')).toBe(false);
  expect(covers(null, 'eth')).toBe(true);
});

test('the database reads patterns as the code does', async () => {
  await fc.assert(
    fc.asyncProperty(scope, fc.array(text, { minLength: 1, maxLength: 12 }), async (patterns, names) => {
      const expected = [...new Set(names)].filter((name) => covers(patterns, name)).sort();
      expect(await coversInSql(patterns, names)).toEqual(expected);
    }),
    { numRuns: 150 },
  );
});

test('what a contained scope covers, the containing one covers', () => {
  const star = fc.constantFrom('*', 'a', 'b', '-', 'ab');
  const pattern = fc.array(star, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));
  const name = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 6 });
  fc.assert(
    fc.property(
      fc.array(pattern, { maxLength: 3 }),
      fc.array(pattern, { maxLength: 3 }),
      name,
      (outer, inner, id) => {
        fc.pre(contains(outer, inner));
        if (covers(inner, id)) expect(covers(outer, id)).toBe(true);
      },
    ),
    { numRuns: 2000 },
  );
  expect(contains(['eth-*'], null)).toBe(false);
  expect(contains(['eth-*'], ['eth-a*', 'eth-b'])).toBe(true);
  expect(contains(['eth-*'], ['*'])).toBe(false);
});

test('a pattern of many stars takes no longer than the name is long, in the code and in the database', async () => {
  // A backtracking expression would need 2^30 steps for this.
  const pattern = `${'a*'.repeat(30)}b`;
  const name = 'a'.repeat(200);
  expect(covers([pattern], name)).toBe(false);
  expect(covers([pattern], `${name}b`)).toBe(true);
  expect(await coversInSql([pattern], [name, `${name}b`])).toEqual([`${name}b`]);
});
