/**
 * `npm run test:soak`: a steady load on two nodes, then subscribers that come and go; fails on a leak.
 *   --minutes N    under load, after a warm-up of half a minute (2)
 *   --visits N     connects and disconnects (10000)
 *   --seed N
 *   --check-the-checker    runs programs with a leak each, briefly, and fails unless every leak is found
 */
import { parseArgs } from 'node:util';
import { type Mutation, mutate } from '../faults/mutations.ts';
import { buildSerin, copyProgram } from '../faults/nodes.ts';
import { LEAKS } from './leaks.ts';
import { type Soaked, soak } from './soak.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    visits: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Math.floor(Date.now() / 1000) % 1_000_000) },
    'check-the-checker': { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
process.exitCode = (await (values['check-the-checker'] ? checkTheChecker() : soakOnce())) ? 0 : 1;

async function soakOnce(): Promise<boolean> {
  const program = await buildSerin('soak');
  const soaked = await soak({
    program,
    seed,
    warmUpSeconds: 30,
    loadSeconds: Number(values.minutes) * 60,
    visits: Number(values.visits),
    say: console.log,
  });
  print(soaked);
  return soaked.faults.length === 0;
}

async function checkTheChecker(): Promise<boolean> {
  const whole = await buildSerin('soak');
  let missed = 0;
  for (const leak of LEAKS) {
    const found = await findLeak(whole, leak);
    console.log(`${found ? 'found ' : 'MISSED'} ${leak.name}${found ? `: ${found}` : ''}`);
    if (!found) missed += 1;
  }
  return missed === 0;
}

async function findLeak(whole: string, leak: Mutation): Promise<string | undefined> {
  const program = await copyProgram(whole, 'soak-mutated');
  await mutate(program, leak);
  const say = () => {};
  const { faults } = await soak({ program, seed, warmUpSeconds: 5, loadSeconds: 5, visits: 5000, say });
  return faults.find((fault) => leak.foundAs.some((start) => fault.startsWith(start)));
}

function print({ faults, ...counts }: Soaked): void {
  for (const fault of faults.slice(0, 20)) console.log(`  FAULT ${fault.slice(0, 2000)}`);
  const line = Object.entries({ ...counts, faults: faults.length }).map(
    ([what, count]) => `${what} ${count}`,
  );
  console.log(line.join(', '));
}
