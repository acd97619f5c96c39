/**
 * Mutants by hand: faults that were once made, or nearly, each as a change of one place, and the tests that must notice
 * it. `npm run test:mutants` makes each in a copy of the checkout and fails if a test run stays green.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, env } from 'node:process';
import { promisify } from 'node:util';

interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Occurs in the file exactly once. */
  readonly original: string;
  readonly replacement: string;
  /** Files, and what else vitest is given. */
  readonly tests: readonly string[];
  /** What the failed run says, so that it failed for this mutant and not for another reason. */
  readonly says?: string;
}

/** Bots in both languages, node and database are killed, and what is left is put before the checker of the fault suite. */
const KILLS = ['test/client/kills.test.ts'];

/** Clients that lose a report, act twice, or lose their place in a feed when something is killed. */
const CLIENT_MUTANTS: readonly Mutant[] = [
  {
    name: 'client, TypeScript: a bot that restarts loses its first report',
    file: 'src/client/reporter.ts',
    original: "...(features.has('session') ? { session } : {}),",
    replacement: "...(features.has('session') ? { session, baseline: true } : {}),",
    tests: KILLS,
    says: 'dep_typescript',
  },
  {
    name: 'client, TypeScript: a bot that restarts carries out again what it has acknowledged',
    file: 'src/client/allocationFeed.ts',
    original: 'acknowledged: !standDown && hasAnswered(side, allocation),',
    replacement: 'acknowledged: !standDown && hasAnswered(side, allocation) && number < 0,',
    tests: KILLS,
    says: 'acted on twice: dep_typescript',
  },
  {
    name: 'client, TypeScript: a feed begins anew when a node is killed',
    file: 'src/client/followFeed.ts',
    original: '    after = delivery.cursor;\n',
    replacement: '',
    tests: KILLS,
    says: 'the feed is the log: dep_typescript',
  },
  {
    name: 'client, Python: a bot that restarts loses its first report',
    file: 'clients/python/serin/_reporter.py',
    original: 'fields = {"deploymentId": self._deployment_id, **figures}',
    replacement: 'fields = {"deploymentId": self._deployment_id, "baseline": True, **figures}',
    tests: KILLS,
    says: 'dep_python',
  },
  {
    name: 'client, Python: a bot that restarts carries out again what it has acknowledged',
    file: 'clients/python/serin/_side.py',
    original: '            answered and not stand_down,\n',
    replacement: '            False,\n',
    tests: KILLS,
    says: 'acted on twice: dep_python',
  },
  {
    name: 'client, Python: a feed begins anew when a node is killed',
    file: 'clients/python/serin/_client.py',
    original: '            position["after"] = delivery["cursor"]\n',
    replacement: '',
    tests: KILLS,
    says: 'the feed is the log: dep_python',
  },
];

const MUTANTS: readonly Mutant[] = [
  ...CLIENT_MUTANTS,
  {
    name: 'a request for promotion outlives a guardrail trip',
    file: 'src/core/lifecycle/evolve.ts',
    original: '{ tripped: true, promotionRequest: null }',
    replacement: '{ tripped: true }',
    tests: ['test/core/approval.test.ts'],
  },
  {
    name: 'a request for promotion outlives an extension',
    file: 'src/core/lifecycle/evolve.ts',
    original: `      lastCheckAt: at,
      tripped: false,
      promotionRequest: null,
    },
  };
}

function stepStarted`,
    replacement: `      lastCheckAt: at,
      tripped: false,
    },
  };
}

function stepStarted`,
    tests: ['test/core/approval.test.ts'],
  },
  {
    name: 'a request for promotion outlives the step',
    file: 'src/core/lifecycle/evolve.ts',
    original: `      evidence: atStep(state.observation.evidence),
      lastCheckAt: at,
      tripped: false,
      promotionRequest: null,`,
    replacement: `      evidence: atStep(state.observation.evidence),
      lastCheckAt: at,
      tripped: false,`,
    tests: ['test/core/approval.test.ts'],
  },
  {
    name: 'a command postpones an overdue check',
    file: 'src/core/lifecycle/state.ts',
    original: 'if (due > now || !wasCheck) return',
    replacement: 'if (due > now) return',
    tests: ['test/core/schedule.test.ts'],
  },
  {
    name: 'a check postpones the next one',
    file: 'src/core/lifecycle/state.ts',
    original: 'return beat !== null && beat > now ? beat : next;',
    replacement: 'return next;',
    tests: ['test/core/schedule.test.ts'],
  },
  {
    name: 'reports do not count towards several breaches in a row',
    file: 'src/core/lifecycle/check.ts',
    original: 'return { events: resets, breaches: counts };',
    replacement: 'return { events: resets, breaches: facts.breaches };',
    tests: ['test/core/guardrails.test.ts'],
  },
  {
    name: 'breaches that reports count are not written',
    file: 'src/app/stageCommand.ts',
    original: 'if (breaches !== counted) stageBreaches(unit, view, breaches);',
    replacement: '',
    tests: ['test/api/rule.test.ts'],
  },
  {
    name: 'the next command of a batch does not see what the one before made',
    file: 'src/app/commands.ts',
    original: 'if (answer.view && !answer.refusal) views.set(deploymentId, answer.view);',
    replacement: '',
    tests: ['test/api/concurrency.test.ts'],
  },
  {
    name: 'of two requests with one key the later one fails',
    file: 'src/app/execution/transaction.ts',
    original: 'error instanceof ConcurrentChange || CONFLICTS.has(code)',
    replacement: 'CONFLICTS.has(code)',
    tests: ['test/webhooks/manage.test.ts', '-t', 'at the same moment make one webhook'],
  },
  {
    name: 'a transaction begins after its caller has timed out',
    file: 'src/app/execution/transaction.ts',
    original: 'if (performance.now() - askedAt > REQUEST_TIMEOUT_MS) throw new CallerTimedOut();',
    replacement: '',
    tests: ['test/app/transaction.test.ts'],
  },
  {
    name: 'a conflict of transactions is not tried again',
    file: 'src/app/execution/transaction.ts',
    original: "new Set(['40001', '40P01'])",
    replacement: 'new Set<string>()',
    tests: ['test/app/transaction.test.ts'],
  },
  {
    name: 'a batch that fails is not run one by one',
    file: 'src/app/execution/batch.ts',
    original: 'return new Map();',
    replacement: 'throw error;',
    tests: ['test/api/concurrency.test.ts', 'test/app/transaction.test.ts'],
  },
  {
    name: 'nobody is told of a batch that fails',
    file: 'src/app/execution/batch.ts',
    original: 'app.onBatchFailure({ kind, size: items.length, error });',
    replacement: '',
    tests: ['test/app/transaction.test.ts', 'test/api/concurrency.test.ts'],
  },
];

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
