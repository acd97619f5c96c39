/**
 * `npm run bench`: every part, or the named ones (`npm run bench -- status reports`). Prints a table and writes
 * `bench/results.json`. `--rounds=N`, `--seconds=N` and `--full` make it longer and steadier.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { type Row, tableOf } from './harness/measure.ts';
import { type Options, PARTS } from './registry.ts';

const given = process.argv.slice(2);
const setting = (name: string, standard: number) => {
  const found = given.find((arg) => arg.startsWith(`--${name}=`))?.split('=')[1];
  return found === undefined ? standard : Number(found);
};
const options: Options = {
  rounds: setting('rounds', 3),
  seconds: setting('seconds', 4),
  full: given.includes('--full'),
  longest: given.includes('--longest'),
};
const named = given.filter((arg) => !arg.startsWith('--'));
const unknown = named.filter((name) => !(name in PARTS));
if (unknown.length > 0) {
  process.stderr.write(`No part ${unknown.join(', ')}: there are ${Object.keys(PARTS).join(', ')}\n`);
  process.exit(2);
}

const rows: Row[] = [];
for (const [name, run] of Object.entries(PARTS)) {
  if (named.length > 0 && !named.includes(name)) continue;
  process.stderr.write(`${name} …\n`);
  try {
    const measured = await run(options);
    rows.push(...measured);
    process.stderr.write(`${tableOf(measured)}\n`);
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(
      `${name} could not be measured: ${error instanceof Error ? error.message : error}\n`,
    );
  }
}

const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
};
await writeFile(
  new URL('results.json', import.meta.url),
  `${JSON.stringify({ machine, options, rows }, null, 2)}\n`,
);
process.stdout.write(
  `\n${machine.cores} x ${machine.cpu}, ${machine.memoryGiB} GiB, Node ${machine.node}\n\n`,
);
process.stdout.write(`${tableOf(rows)}\n`);
process.exit();
