/**
 * `npm run test:faults`: seeded histories, one after the other.
 *   --minutes N            for how long (1)
 *   --seed N               the first seed; the next histories take the next ones
 *   --kind TEXT            only faults whose name contains it, or bugs that such faults show
 *   --check-the-checker    runs programs with a bug each and fails unless every bug is found
 *   --bug TEXT             only the bugs whose name has this text
 */
import { parseArgs } from 'node:util';
import { KINDS } from './injection.ts';
import { MUTATIONS, type Mutation, mutate } from './mutations.ts';
import { buildSerin, copyProgram } from './nodes.ts';
import { runHistory, type Verdict } from './run.ts';

/** Every kind twice. */
const EACH_KIND = 2;
/** Histories that a bug may hide through. */
const ATTEMPTS = 5;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Math.floor(Date.now() / 1000) % 1_000_000) },
    kind: { type: 'string', default: '' },
    'check-the-checker': { type: 'boolean', default: false },
    bug: { type: 'string', default: '' },
  },
});
const seed = Number(values.seed);
const isAsked = (kind: string) => kind.includes(values.kind);
const kinds = KINDS.filter(isAsked);
if (kinds.length === 0) throw new Error(`--kind must be a part of one of: ${KINDS.join('; ')}`);
process.exitCode = (await (values['check-the-checker'] ? checkTheChecker() : runHistories())) ? 0 : 1;

async function runHistories(): Promise<boolean> {
  const program = await buildSerin('whole');
  const until = Date.now() + Number(values.minutes) * 60_000;
  const total = { histories: 0, operations: 0, reports: 0, deliveries: 0, faults: 0, violations: 0 };
  const safety = { freezes: 0, halts: 0, halted: 0, trips: 0 };
  const breachToSafeMs: number[] = [];
  const counts = new Map<string, number>();
  do {
    const verdict = await runHistory({
      program,
      seed: seed + total.histories,
      faults: EACH_KIND * kinds.length,
      kinds,
    });
    const { history, violations } = verdict;
    total.histories += 1;
    total.operations += history.operations.length;
    total.reports += history.reports;
    total.deliveries += history.subscribers.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
    total.faults += history.faults.length;
    total.violations += violations.length;
    safety.freezes += history.freezes.length;
    safety.halts += history.halts.length;
    safety.halted += history.halts.reduce(
      (sum, halt) => sum + (halt.answers.at(-1)?.outcomes.length ?? 0),
      0,
    );
    safety.trips += history.trips;
    breachToSafeMs.push(...history.breachToSafeMs);
    for (const fault of history.faults) counts.set(fault, (counts.get(fault) ?? 0) + 1);
    print(verdict);
  } while (Date.now() < until);
  for (const [kind, times] of counts) console.log(`  ${times} × ${kind}`);
  for (const numbers of [safety, total]) {
    console.log(
      Object.entries(numbers)
        .map(([what, count]) => `${what} ${count}`)
        .join(', '),
    );
  }
  console.log(`breach to safe: ${describeTimes(breachToSafeMs)}`);
  return total.violations === 0;
}

function describeTimes(ms: readonly number[]): string {
  const sorted = ms.toSorted((a, b) => a - b);
  const at = (share: number) =>
    ((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) / 1000).toFixed(2);
  return `p50 ${at(0.5)} s, p99 ${at(0.99)} s, longest ${at(1)} s, of ${ms.length}`;
}

async function checkTheChecker(): Promise<boolean> {
  const whole = await buildSerin('whole');
  let missed = 0;
  const isShown = ({ kinds: own }: Mutation) => values.kind === '' || own?.some(isAsked);
  for (const mutation of MUTATIONS.filter((each) => each.name.includes(values.bug) && isShown(each))) {
    const program = await copyProgram(whole, 'mutated');
    await mutate(program, mutation);
    const { kinds: shownBy } = mutation;
    let found: string | undefined;
    for (let attempt = 0; attempt < ATTEMPTS && !found; attempt += 1) {
      const { violations } = await runHistory({
        program,
        seed: seed + attempt,
        faults: shownBy ? EACH_KIND * shownBy.length : 8,
        kinds: shownBy,
      });
      found = violations.find((violation) => mutation.foundAs.some((start) => violation.startsWith(start)));
    }
    console.log(`${found ? 'found ' : 'MISSED'} ${mutation.name}${found ? `: ${found.slice(0, 200)}` : ''}`);
    if (!found) missed += 1;
  }
  return missed === 0;
}

function print({ history, violations }: Verdict): void {
  const { seed: of, operations, faults } = history;
  console.log(
    `seed ${of}: ${operations.length} operations, ${faults.length} faults, ${violations.length} violations`,
  );
  for (const violation of violations.slice(0, 20)) console.log(`  VIOLATION ${violation.slice(0, 2000)}`);
}
