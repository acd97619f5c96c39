/**
 * `npm run bench:decision`: how four rules decide about canaries whose worth is known, and on real prices. Prints the
 * table and whether each bar is met, and writes docs/decision-table.md. `-- SHARE SEED` changes the runs, as a share of
 * what the table takes, and the seed.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { startThread } from '../src/simulation/thread.ts';
import { LIMITS, MARKETS, TURNS } from './decision/markets.ts';
import { PAIRS, readCloses, windowStarts } from './decision/prices.ts';
import { type Endings, HORIZONS, RUNS, SERIN, VARIATIONS } from './decision/rules.ts';
import { type Measured, page } from './decision/table.ts';
import type { MarketTask, SimulatedTask, Task } from './decisionWorker.ts';

const SHARE = Number(process.argv[2] ?? 1);
const SEED = Number(process.argv[3] ?? 40_417);
const CHUNK = 250;

const SHIFTS = [
  { name: 'identical', shift: 0 },
  { name: 'worse', shift: -0.5 },
];

interface Group {
  readonly checks: number;
  readonly name: string;
  readonly tasks: readonly Task[];
}

const horizons = Object.keys(HORIZONS).map(Number);

const runsAt = (checks: number) => Math.max(1, Math.round((RUNS[checks] ?? 0) * SHARE));

/** The runs of a kind of trial, in parts. */
function parts<T>(checks: number, part: (range: { readonly from: number; readonly to: number }) => T): T[] {
  const runs = runsAt(checks);
  return Array.from({ length: Math.ceil(runs / CHUNK) }, (_, index) => {
    const from = index * CHUNK;
    return part({ from, to: Math.min(runs, from + CHUNK) });
  });
}

function tasksOf(
  checks: number,
  shift: number,
  more: Pick<SimulatedTask, 'assume' | 'rules'> = {},
): SimulatedTask[] {
  return parts(checks, (range) => ({ checks, shift, seed: SEED, ...range, ...more }));
}

function marketTasks(checks: number, market: string, shift: MarketTask['shift']): MarketTask[] {
  return parts(checks, (range) => ({ checks, market, shift, seed: SEED, ...range }));
}

/** Identical and clearly worse canaries in simulated markets, the same markets for both. */
const simulated = horizons.flatMap((checks) =>
  SHIFTS.map(({ name, shift }): Group => ({ checks, name, tasks: tasksOf(checks, shift) })),
);

/** The same under other assumptions, for Serin's default alone. */
const varied = Object.entries(VARIATIONS).flatMap(([variation, assume]) =>
  horizons.flatMap((checks) =>
    SHIFTS.map(({ name, shift }): Group => {
      const tasks = tasksOf(checks, shift, { assume, rules: [SERIN] });
      return { checks, name: `${variation}: ${name}`, tasks };
    }),
  ),
);

/** Identical and clearly worse canaries in other markets, and canaries that turn bad. */
const markets = [
  ...Object.keys({ ...MARKETS, ...LIMITS }).flatMap((market) =>
    horizons.flatMap((checks) =>
      SHIFTS.map(({ name, shift }): Group => {
        return { checks, name: `${market}: ${name}`, tasks: marketTasks(checks, market, shift) };
      }),
    ),
  ),
  ...Object.entries(TURNS).flatMap(([name, turn]) =>
    horizons.map(
      (checks): Group => ({ checks, name, tasks: marketTasks(checks, 'independent, normal', turn) }),
    ),
  ),
];

const closes = readCloses();
const real = PAIRS.flatMap(({ name }, pair) =>
  horizons.map((checks): Group => {
    const starts = windowStarts(closes, checks);
    return { checks, name, tasks: [{ checks, pair, starts }] };
  }),
);

/** Runs all tasks on all cores and gathers what came of each group. */
async function runAll(groups: readonly Group[]): Promise<Measured[]> {
  const todo = groups.flatMap((group) => group.tasks.map((task) => ({ group, task })));
  const found = new Map<Group, Map<Task, Endings[]>>(groups.map((group) => [group, new Map()]));
  const total = todo.length;
  await Promise.all(Array.from({ length: availableParallelism() }, oneThread));
  return groups.map((group) => {
    const { checks, name } = group;
    return { checks, name, endings: group.tasks.flatMap((task) => found.get(group)?.get(task) ?? []) };
  });

  async function oneThread(): Promise<void> {
    const thread = startThread('./decisionWorker', import.meta.url);
    for (let next = todo.shift(); next; next = todo.shift()) {
      const { group, task } = next;
      const answer = new Promise<Endings[]>((done, failed) => {
        thread.once('message', done);
        thread.once('error', failed);
      });
      thread.postMessage(task);
      found.get(group)?.set(task, await answer);
      thread.removeAllListeners('error');
      process.stderr.write(`\r${total - todo.length} of ${total} parts`);
    }
    await thread.terminate();
  }
}

const startedAt = performance.now();
const measured = await runAll([...simulated, ...real, ...varied, ...markets]);
process.stderr.write(`\r${Math.round((performance.now() - startedAt) / 1000)} s                \n`);
const at = {
  real: simulated.length,
  varied: simulated.length + real.length,
  markets: simulated.length + real.length + varied.length,
};
const groups = {
  simulated: measured.slice(0, at.real),
  real: measured.slice(at.real, at.varied),
  varied: measured.slice(at.varied, at.markets),
  markets: measured.slice(at.markets),
};
const { text, met } = page(groups, { seed: SEED });
process.stdout.write(text);
writeFileSync('docs/decision-table.md', text);
process.exitCode = met ? 0 : 1;
