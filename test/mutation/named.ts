/**
 * `npm run test:mutants` makes each of the mutants in a copy of the checkout and fails if a test run stays green. A part of
 * a name makes those whose names contain it.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, env } from 'node:process';
import { promisify } from 'node:util';
import { MUTANTS, type Mutant } from './mutants.ts';

const run = promisify(execFile);
/** What a test run needs of the checkout. */
const COPIED = ['src', 'test', 'bench', 'examples', 'scripts', 'drizzle', 'data', 'docs', 'clients'];
const FILES = ['package.json', 'tsconfig.build.json', 'vitest.config.ts', 'tsconfig.json', 'schema.graphql'];

/** Whether a test fails when the mutant is made. */
async function isNoticed(root: string, mutant: Mutant): Promise<boolean> {
  const path = join(root, mutant.file);
  const text = await readFile(path, 'utf8');
  if (text.split(mutant.original).length !== 2) {
    throw new Error(
      `${mutant.file} does not have this once, so "${mutant.name}" cannot be made: ${mutant.original}`,
    );
  }
  await writeFile(
    path,
    text.replace(mutant.original, () => mutant.replacement),
  );
  try {
    const said = await failureOf(root, mutant.tests);
    if (said === null) return false;
    if (!said.includes(mutant.says ?? ''))
      throw new Error(`"${mutant.name}" fails without saying "${mutant.says}":\n${said}`);
    return true;
  } finally {
    await writeFile(path, text);
  }
}

/** What a run of tests says that fails; null if all pass. */
async function failureOf(root: string, tests: readonly string[]): Promise<string | null> {
  const options = { cwd: root, env: { ...env, NO_COLOR: '1' }, maxBuffer: 1 << 26 };
  try {
    await run('npx', ['vitest', 'run', '--bail', '1', ...tests], options);
    return null;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return stdout + stderr;
  }
}

/** Every mutant, or those whose name contains the text of the command line. */
async function main(): Promise<void> {
  const chosen = MUTANTS.filter(({ name }) => name.includes(argv[2] ?? ''));
  const root = await mkdtemp(join(tmpdir(), 'serin-mutants-'));
  try {
    for (const name of COPIED) await cp(name, join(root, name), { recursive: true });
    for (const name of FILES) await cp(name, join(root, name));
    await symlink(join(process.cwd(), 'node_modules'), join(root, 'node_modules'));
    let survivors = 0;
    /** Tests that pass without a mutant. */
    const green = new Set<string>();
    for (const mutant of chosen) {
      // A run that fails for another reason would count the mutant as noticed.
      const tests = mutant.tests.join(' ');
      const failure = green.has(tests) ? null : await failureOf(root, mutant.tests);
      if (failure !== null) throw new Error(`${tests} fails without a mutant:\n${failure}`);
      green.add(tests);
      const noticed = await isNoticed(root, mutant);
      if (!noticed) survivors += 1;
      console.log(`${noticed ? 'noticed ' : 'SURVIVED'}  ${mutant.name}`);
    }
    console.log(`${chosen.length} mutants, ${survivors} survived`);
    if (survivors > 0) process.exitCode = 1;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

await main();
