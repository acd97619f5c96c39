/** Every panel of the dashboard of canaries shows what its title says: on real `/metrics`. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, command, PLAIN, report, running, statusOf } from '../harness/deployment.ts';
import { createFreeze } from '../harness/freeze.ts';
import { createBudget } from '../harness/lossBudget.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { between, drawn, readPanels, scrape, total } from './dashboard.ts';
import { parseMetrics, type Sample, type Scrapes } from './promql.ts';

const panels = readPanels('ops/grafana-canaries.json');
const SLOW = { ...CALM, checkIntervalSeconds: 86_400, observationPeriodMinutes: 100_000 };

let serin: TestSerin;
let scrapes: Scrapes;
const read = async (): Promise<Sample[]> => parseMetrics(await scrape(serin));
const ends = (id: string, status: string) => until(async () => (await statusOf(serin, id)) === status);

beforeAll(async () => {
  serin = await startTestSerin();
  const before = await read();
  await canariesThatEnd();
  await canariesThatWait();
  const is = (now: readonly Sample[], name: string, value: number) => total(now, name) === value;
  await until(async () => {
    const now = await read();
    scrapes = { before, now, seconds: 60 };
    return (
      is(now, 'serin_allocations_overdue', 1) &&
      is(now, 'serin_silent_sides', 2) &&
      is(now, 'serin_canaries_held', 1) &&
      total(now, 'serin_loss_budget_used_ratio') > 1
    );
  });
});
afterAll(() => serin.stop());

const start = (strategyId: string, config: object = {}) =>
  running(serin, { strategyId, config: { ...SLOW, ...config } });

/** Rolled back by a guardrail, a person, a halt and a budget; cancelled; and one whose bot is not heard. */
async function canariesThatEnd(): Promise<void> {
  const guardrails = { maxStaleSeconds: null, maxLossUsd: '10' };
  const losing = await start('losing', { guardrails });
  await report(serin, 'Canary', losing, { pnlUsd: '-50', trades: 5 });
  for (const [side, heldUsd] of Object.entries({ CANARY: '0', STABLE: '100000' }))
    await command(serin, 'acknowledgeAllocation', losing, { number: 2, side, heldUsd });
  const overdue = await start('overdue', { settlement: { deadlineSeconds: 10 } });
  await command(serin, 'rollbackCanary', overdue);
  await command(serin, 'cancelDeployment', await start('cancelled'));
  await ends(await start('leased', { capitalLeaseSeconds: 10 }), 'FAILED');
  await start('halted');
  await serin.ask(`mutation { haltCanaries(input: { strategies: ["halted"], action: ROLLBACK, reason: "news",
    idempotencyKey: "halt" }) { success } }`);
  await createBudget(serin, { strategies: ['budget'], maxLossUsd: '40' });
  const spent = await start('budget');
  await report(serin, 'Canary', spent, { pnlUsd: '-50', trades: 5 });
  await ends(spent, 'ROLLED_BACK');
}

/** One whose promotion a freeze holds, one whose bots are silent, one that waits for a person, and a halt left undone. */
async function canariesThatWait(): Promise<void> {
  await createFreeze(serin, { strategies: ['held'], blocks: ['PROMOTE'] });
  const short = { ...PLAIN, checkIntervalSeconds: 60, observationPeriodMinutes: 5 };
  const held = await running(serin, { strategyId: 'held', config: short });
  await report(serin, 'Canary', held, { pnlUsd: '10', trades: 10 });
  await report(serin, 'Stable', held, { pnlUsd: '90', trades: 90 });
  const waits = { ...short, autoPromote: false, autoRollback: false, onInconclusive: 'WAIT' };
  await ends(await running(serin, { strategyId: 'waits', config: waits }), 'OBSERVATION_COMPLETE');
  const silent = { checkIntervalSeconds: 10, guardrails: { maxStaleSeconds: null } };
  const deaf = await start('silent', silent);
  await serin.database.sql`insert into halts (actor, key, request, deployment_ids, created_at)
    values ('gone', 'gone', 'x', ${[deaf]}, serin_now() - interval '500 s')`;
}

const A_WHILE = between(1e-9, 1e7);

const PANELS: Readonly<Record<string, unknown>> = {
  // Three canaries of 10 % of 100,000.
  'Capital on trial': { '': 30_000 },
  'Live canaries': { '': 3 },
  'Waiting for a person': { '': 1 },
  'Overdue allocations': { '': 1 },
  // The freeze of promotions, and that of the budget.
  'Active freezes': { '': 2 },
  'Tripped loss budgets': { '': 1 },
  'Canaries that ended per hour': { PROMOTED: 0, ROLLED_BACK: 4, CANCELLED: 1, FAILED: 1 },
  'Rollbacks per hour': { OBSERVATION_OVER: 0, EVIDENCE: 0, GUARDRAIL: 1, COMMAND: 2, BUDGET: 1 },
  'Guardrail trips per hour': expect.objectContaining({ maxLossUsd: 1, maxDrawdown: 0 }),
  'Decisions that wait for a person': { PROMOTION_APPROVAL: 0, DECISION: 1, CONFIG_APPROVAL: 0 },
  'Longest wait for a person': { oldest: A_WHILE },
  'Held by a freeze': { STEP_UP: 0, PROMOTE: 1 },
  'Most overdue allocation': { 'most overdue': A_WHILE },
  'From breach to safe': { median: A_WHILE, '99 %': A_WHILE },
  'Use of each loss budget': { desk: 1.25 },
  'Silent sides': { CANARY: 1, STABLE: 1 },
  'Leases that ran out per hour': { leases: 1 },
  'Halts and budget trips per hour': {
    'halt: PAUSE': 0,
    'halt: ROLLBACK': 1,
    'halt: CANCEL': 0,
    'budget: ROLLBACK_ALL': 1,
    'budget: ROLLBACK_LOSERS': 0,
    'budget: PAUSE': 0,
    'budget: FREEZE': 0,
  },
  'Oldest unfinished halt': { oldest: between(500, 1e7) },
};

test('all panels are known', () => {
  expect(panels.map(({ title }) => title).toSorted()).toEqual(Object.keys(PANELS).toSorted());
});

test.each(Object.entries(PANELS))('%s', (title, expected) => {
  expect(drawn(panels, title, scrapes)).toEqual(expected);
});
