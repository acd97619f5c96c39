/** The law of the sum: what budgets read from the database is what their definition says, whatever happened before. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decimal } from '../../src/core/values/decimal.ts';
import { type Database, openDatabase, readClock } from '../../src/store/postgres/database.ts';
import { insertLossBudget } from '../../src/store/safety/lossBudgets.ts';
import {
  findLiveCanaries,
  readLosses,
  refreshBaselines,
  restartLosses,
} from '../../src/store/safety/losses.ts';
import { freshDatabase, type TestDatabase } from '../harness/database.ts';

let testDatabase: TestDatabase;
let database: Database;
beforeAll(async () => {
  testDatabase = await freshDatabase();
  database = openDatabase({ url: testDatabase.url, poolSize: 2 });
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

const MINUTE = 60_000;
const NAMES = ['a-1', 'a-2', 'b_1', 'b-1'];
const PATTERNS: Readonly<Record<string, (name: string) => boolean>> = {
  '*': () => true,
  'a-*': (name) => name.startsWith('a-'),
  '*1': (name) => name.endsWith('1'),
  b_1: (name) => name === 'b_1',
};

/** Ages are in minutes before now. */
const canaries = fc.array(
  fc.record({
    name: fc.constantFrom(...NAMES),
    startedAge: fc.integer({ min: 1, max: 4000 }),
    /** How much of its time it lived; all of it if it lives. */
    lived: fc.option(fc.integer({ min: 1, max: 99 })),
    // No two at the same time: none of them would be the last before a window.
    samples: fc.uniqueArray(
      fc.record({ age: fc.integer({ min: 0, max: 4000 }), pnl: fc.integer({ min: -900, max: 900 }) }),
      { maxLength: 6, selector: ({ age }) => age },
    ),
    pnl: fc.option(fc.integer({ min: -900, max: 900 })),
    capital: fc.integer({ min: 1, max: 1000 }),
    later: fc.integer({ min: -500, max: 500 }),
  }),
  { minLength: 1, maxLength: 7 },
);
const budget = fc.record({
  pattern: fc.constantFrom(...Object.keys(PATTERNS)),
  windowHours: fc.integer({ min: 1, max: 60 }),
  count: fc.constantFrom('NET', 'LOSERS_ONLY'),
});

type Canaries = typeof canaries extends fc.Arbitrary<infer T> ? T : never;
type Budget = typeof budget extends fc.Arbitrary<infer T> ? T : never;

const endedAge = ({ startedAge, lived }: Canaries[number]) =>
  lived === null ? null : startedAge - Math.ceil((startedAge * lived) / 100);

/** The samples of a canary, oldest first; those of a time before its start or after its end are none. */
const sampled = (canary: Canaries[number]) =>
  canary.samples
    .filter(({ age }) => age < canary.startedAge && age > (endedAge(canary) ?? -1))
    .toSorted((a, b) => b.age - a.age);

/** The definition. */
function lossOf(all: Canaries, { pattern, windowHours, count }: Budget): number {
  const begin = windowHours * 60;
  const earned = all
    .filter(({ name }) => PATTERNS[pattern]?.(name))
    .filter((canary) => (endedAge(canary) ?? 0) < begin)
    .map((canary) => {
      const before = sampled(canary).findLast(({ age }) => age >= begin)?.pnl ?? 0;
      return (canary.pnl ?? 0) - before;
    })
    .filter((each) => count === 'NET' || each < 0);
  return Math.max(0, -earned.reduce((sum, each) => sum + each, 0));
}

let run = 0;

/** Writes the canaries. Instants lie half a minute from every window's begin. */
async function write(all: Canaries): Promise<string[]> {
  run += 1;
  const { sql } = testDatabase;
  const { now } = await readClock(database.db);
  const at = (age: number) => new Date(now - age * MINUTE - MINUTE / 2);
  await sql`truncate strategies, loss_budgets, loss_budget_baselines cascade`;
  for (const name of NAMES) {
    await sql`insert into strategies (id, stable_version_id, created_at, updated_at) values (${name}, 'v1', now(), now())`;
  }
  const ids: string[] = [];
  for (const [index, canary] of all.entries()) {
    const id = `dep-${run}-${index}`;
    const ended = endedAge(canary);
    const row = {
      id,
      strategy_id: canary.name,
      chain: `c${index}`,
      stable_version_id: 'v1',
      canary_version_id: 'v2',
      status: ended === null ? 'RUNNING' : 'ROLLED_BACK',
      revision: 1,
      event_count: 1,
      created_at: at(canary.startedAge),
      created_by: 'law',
      started_at: at(canary.startedAge),
      ended_at: ended === null ? null : at(ended),
      canary_percent: 10,
      total_capital_usd: 1000,
      canary_capital_usd: canary.capital,
      stable_capital_usd: 1000 - canary.capital,
      config: '{}',
      detail: '{}',
      breaches: '{}',
    };
    await sql`insert into deployments ${sql(row)}`;
    if (canary.pnl !== null) {
      await sql`insert into side_metrics (deployment_id, side, net_pnl_usd, reported_at, version)
        values (${id}, 'CANARY', ${canary.pnl}, now(), 1), (${id}, 'STABLE', -100000, now(), 1)`;
    }
    for (const [check, { age, pnl }] of sampled(canary).entries()) {
      const metrics = sql.json({ CANARY: { netPnlUsd: `${pnl}` }, STABLE: { netPnlUsd: '-100000' } });
      await sql`insert into samples (deployment_id, "check", at, decision, metrics)
        values (${id}, ${check}, ${at(age)}, 'CONTINUE', ${metrics})`;
    }
    ids.push(id);
  }
  return ids;
}

async function insert({ pattern, windowHours, count }: Budget, index: number): Promise<string> {
  const id = `bud_${run}_${index}`;
  const given = {
    id,
    name: id,
    windowHours,
    count,
    maxLossUsd: decimal(1),
    action: 'FREEZE',
    rearm: 'MANUAL',
  } as const;
  await insertLossBudget(database.db, { ...given, strategies: [pattern], createdBy: 'law' }, 100);
  return id;
}

const read = async (id: string) => (await readLosses(database.db)).get(id)?.toNumber();

test('the loss is what the canaries of the patterns lost in the window, whatever capital they held', async () => {
  await fc.assert(
    fc.asyncProperty(canaries, fc.array(budget, { minLength: 1, maxLength: 4 }), async (all, budgets) => {
      await write(all);
      const ids = await Promise.all(budgets.map(insert));
      const expected = budgets.map((each) => lossOf(all, each));
      // Without baselines, with them, and after capital has moved.
      expect(await Promise.all(ids.map(read))).toEqual(expected);
      await refreshBaselines(database.db);
      expect(await Promise.all(ids.map(read))).toEqual(expected);
      await testDatabase.sql`update deployments set canary_capital_usd = 500, stable_capital_usd = 500`;
      expect(await Promise.all(ids.map(read))).toEqual(expected);
    }),
    { numRuns: 40 },
  );
}, 120_000);

test('armed again, only what is lost later counts, and the losers are those who lose later', async () => {
  await fc.assert(
    fc.asyncProperty(canaries, budget, async (all, each) => {
      const deployments = await write(all);
      const id = await insert(each, 0);
      await refreshBaselines(database.db);
      await restartLosses(database.db, id);
      expect(await read(id)).toBe(0);
      const losers: string[] = [];
      let earned = 0;
      for (const [index, canary] of all.entries()) {
        const deployment = deployments[index] ?? '';
        if (canary.lived !== null || canary.pnl === null) continue;
        await testDatabase.sql`update side_metrics set net_pnl_usd = net_pnl_usd + ${canary.later}
          where deployment_id = ${deployment} and side = 'CANARY'`;
        if (!PATTERNS[each.pattern]?.(canary.name)) continue;
        if (canary.later < 0) losers.push(deployment);
        if (canary.later < 0 || each.count === 'NET') earned += canary.later;
      }
      // The window is still longer than the time since: nothing is read anew.
      await refreshBaselines(database.db, [id]);
      expect(await read(id)).toBe(Math.max(0, -earned));
      expect(await findLiveCanaries(database.db, id, 'LOSERS')).toEqual(losers.toSorted());
    }),
    { numRuns: 30 },
  );
}, 120_000);
