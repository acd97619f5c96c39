/**
 * The README, pasted: every shell block, in order and unchanged, in a fresh copy of the repository. Only what is
 * installed already is not installed again, and the port is a free one.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { claimPort } from './harness/claimedPort.ts';
import { until } from './harness/serin.ts';

const ROOT = resolve(import.meta.dirname, '..');
const NOT_COPIED = new Set(['.git', '.serin', 'node_modules', 'dist']);
/** A step: the demo takes a minute; the machine may be busy. */
const WITHIN_MS = 240_000;
/** All steps of a test, of which one may be slow. */
const TEST_MS = 2 * WITHIN_MS;

const there = (program: string) => spawnSync(program, ['--version']).status === 0;

interface Pasted {
  readonly child: ChildProcess;
  output: string;
  code: number | null;
}

let folder = '';
let environment: NodeJS.ProcessEnv = {};
let blocks: string[] = [];
const pasted: Pasted[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serin-readme-'));
  // As a clone would be: PostgreSQL runs as another user when this is run by root.
  await chmod(folder, 0o755);
  const clone = join(folder, 'serin');
  await cp(ROOT, clone, {
    recursive: true,
    filter: (path) =>
      !relative(ROOT, path)
        .split('/')
        .some((name) => NOT_COPIED.has(name)),
  });
  await symlink(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
  // For the servers of the whole file, which start much later, one after the other.
  const port = String((await claimPort()).port);
  // As in a terminal: without what npm sets for the command that runs these tests.
  const terminal = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'));
  environment = {
    ...Object.fromEntries(terminal),
    PATH: [await npmThatHasInstalled(join(folder, 'bin')), process.env.PATH].join(delimiter),
    PORT: port,
    SERIN_URL: `http://127.0.0.1:${port}/graphql`,
    LOG_LEVEL: 'error',
  };
  const text = await readFile(join(ROOT, 'README.md'), 'utf8');
  blocks = [...text.matchAll(/^```(?:sh|bash)\n(.*?)^```/gms)].map(([, block = '']) =>
    block.replaceAll('127.0.0.1:4000', `127.0.0.1:${port}`),
  );
});
afterAll(async () => {
  for (const { child } of pasted) signal(child, 'SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

/** An `npm` for which `npm ci` is done; everything else is the real one's. */
async function npmThatHasInstalled(bin: string): Promise<string> {
  const npm = execFileSync('bash', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim();
  await mkdir(bin);
  await writeFile(join(bin, 'npm'), `#!/bin/sh\n[ "$1" = ci ] || exec '${npm}' "$@"\n`, { mode: 0o755 });
  return bin;
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    // The shell and all it has started.
    if (pid) process.kill(-pid, name);
  } catch {
    // They have ended.
  }
}

/** Pastes the one block that matches into a shell of its own. */
function paste(words: RegExp): Pasted {
  const found = blocks.filter((block) => words.test(block));
  expect(found, `blocks with ${words.source}`).toHaveLength(1);
  const [block = ''] = found;
  blocks = blocks.filter((other) => other !== block);
  const child = spawn('bash', ['-c', block], {
    cwd: join(folder, 'serin'),
    env: environment,
    detached: true,
  });
  const shell: Pasted = { child, output: '', code: null };
  const hear = (text: string) => {
    shell.output += text;
  };
  child.stdout?.setEncoding('utf8').on('data', hear);
  child.stderr?.setEncoding('utf8').on('data', hear);
  child.once('close', (code) => {
    shell.code = code ?? -1;
  });
  pasted.push(shell);
  return shell;
}

async function ended(shell: Pasted): Promise<string> {
  await until(() => shell.code !== null, WITHIN_MS);
  expect(shell.code, shell.output).toBe(0);
  return shell.output;
}

async function says(shell: Pasted, words: string): Promise<void> {
  await until(() => shell.output.includes(words) || shell.code !== null, WITHIN_MS);
  expect(shell.output).toContain(words);
}

// The demo is a minute of waiting: the first steps are taken meanwhile, as in another terminal.
describe.runIf(there('curl') && there('python3')).concurrent('the README, pasted', () => {
  test(
    'installs and shows the demo',
    async () => {
      const demo = await ended(paste(/npm run demo/));
      expect(demo).toContain('ma-20 promoted; it is the stable version now');
      expect(demo).toContain('ma-20-reentering rolled back to ma-20');
      expect(demo).not.toContain('http://127.0.0.1:4000/graphql in a browser');
    },
    TEST_MS,
  );

  test(
    'takes a deployment from its creation to a promotion, and asks callers who they are',
    async () => {
      const server = paste(/^npm start$/m);
      await says(server, 'listening on http://127.0.0.1:');
      const created = await ended(paste(/createDeployment/));
      expect(created.match(/"success":true/g), created).toHaveLength(2);
      const bots = paste(/examples\/bot/);
      await says(bots, 'the CANARY side holds $100,000.');
      await says(bots, 'the STABLE side holds $900,000.');
      const feed = paste(/subscription/);
      await says(feed, 'Canary started with 10 % of $1,000,000');
      const promoted = await ended(paste(/promoteCanary/));
      expect(promoted).toContain('"status":"RUNNING"');
      expect(promoted).toContain('"success":true');
      expect(await ended(bots)).toMatch(/dep_first has ended. ma-20 made \d+ trades as CANARY/);
      await says(feed, 'ma-20 promoted; it is the stable version now: first steps');
      signal(feed.child, 'SIGTERM');
      signal(server.child, 'SIGTERM');
      await until(() => server.code !== null, WITHIN_MS);

      const guarded = paste(/keys create/);
      await says(guarded, 'listening on http://0.0.0.0:');
      expect(guarded.output).toMatch(/^serin_[0-9a-f]{12}_/m);
      signal(guarded.child, 'SIGTERM');
      expect(blocks, 'blocks that no test has pasted').toEqual([]);
    },
    TEST_MS,
  );
});
