/**
 * The Dockerfile, step by step without a container engine: each stage is a folder, COPY copies what .dockerignore lets
 * through, RUN runs, and what the last stage's CMD starts must pass its HEALTHCHECK, over a PostgreSQL of its own.
 */
import { type ChildProcess, execSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbeddedPostgres } from '../src/store/embedded/embeddedPostgres.ts';
import { type Instruction, parseDockerfile } from '../test/ops/dockerfile.ts';

const root = mkdtempSync(join(tmpdir(), 'serin-image-'));
const allowed = readFileSync('.dockerignore', 'utf8').split('\n');
const environment: NodeJS.ProcessEnv = { ...process.env };
let stage = 'last';
let folder = root;
let health = '';

function carryOut({ instruction, value }: Instruction): void {
  console.log(`${instruction} ${value}`);
  if (instruction === 'FROM') stage = / AS (\S+)/.exec(value)?.[1] ?? 'last';
  if (instruction === 'WORKDIR') {
    folder = join(root, stage, value);
    mkdirSync(folder, { recursive: true });
  }
  if (instruction === 'COPY') copy(value);
  if (instruction === 'RUN') execSync(value, { cwd: folder, stdio: 'inherit' });
  if (instruction === 'ENV') Object.assign(environment, pairs(value));
  if (instruction === 'HEALTHCHECK') health = value.slice(value.indexOf('CMD ') + 4);
}

function copy(value: string): void {
  const words = value.split(' ');
  const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined;
  const target = words.pop() ?? '.';
  for (const path of words) {
    if (from === undefined && !allowed.includes(`!${path}`))
      throw new Error(`.dockerignore keeps ${path} out`);
    const source = from === undefined ? path : join(root, from, path);
    const into = join(folder, target, target === './' ? basename(path) : '');
    cpSync(source, into, { recursive: true, verbatimSymlinks: true });
  }
}

function pairs(value: string): Record<string, string> {
  return Object.fromEntries(value.split(' ').map((pair) => pair.split('=', 2)));
}

/** Waits until the container would be called healthy. */
async function beHealthy(): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      execSync(health, { cwd: folder, env: environment, stdio: 'ignore' });
      return;
    } catch (error) {
      if (tries === 30) throw error;
      await sleep(500);
    }
  }
}

function start(command: string): ChildProcess {
  const [program = '', ...args]: string[] = JSON.parse(command);
  return spawn(program, args, { cwd: folder, env: environment, stdio: 'inherit' });
}

const own = await startEmbeddedPostgres({ dataDir: join(root, 'postgres') });
try {
  const steps = parseDockerfile(readFileSync('Dockerfile', 'utf8'));
  for (const step of steps) carryOut(step);
  Object.assign(environment, { DATABASE_URL: own.url, SERIN_AUTH: 'keys', PORT: '4173' });
  const server = start(steps.find(({ instruction }) => instruction === 'CMD')?.value ?? '[]');
  await beHealthy();
  console.log(execSync('du -sh .', { cwd: folder, encoding: 'utf8' }).trim(), 'without Node itself');
  server.kill('SIGTERM');
  const [code] = await once(server, 'exit');
  console.log(`healthy, and stopped with code ${code}`);
  process.exitCode = code === 0 ? 0 : 1;
} finally {
  await own.stop();
  rmSync(root, { recursive: true });
}
