/** Serin as processes: built once, started as often as a history wants, each behind two proxies that can be cut. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFile, cp, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startProxy, type TcpProxy } from './proxy.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_WITHIN_MS = 60_000;

const PLACE = join(ROOT, 'node_modules/.cache/serin-faults');

/** Builds Serin into a folder of its own. @returns the program to run */
export async function buildSerin(name: string): Promise<string> {
  const folder = join(PLACE, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await copyFile(join(ROOT, 'package.json'), join(folder, 'package.json'));
  await cp(join(ROOT, 'drizzle'), join(folder, 'drizzle'), { recursive: true });
  const options = ['-p', 'tsconfig.build.json', '--outDir', join(folder, 'dist')];
  await promisify(execFile)('npx', ['tsc', ...options, '--sourceMap', 'false', '--declaration', 'false'], {
    cwd: ROOT,
  });
  return join(folder, 'dist/main.js');
}

/** A copy of a program, to be changed. */
export async function copyProgram(program: string, name: string): Promise<string> {
  const folder = join(PLACE, name);
  await rm(folder, { recursive: true, force: true });
  await cp(join(dirname(program), '..'), folder, { recursive: true });
  return join(folder, 'dist/main.js');
}

export interface NodeOptions {
  readonly name: string;
  readonly program: string;
  /** The database, reached through this node's own proxy. */
  readonly databaseUrl: () => string;
  readonly timeScale: number;
  readonly onCrash: (why: string) => void;
  /** More of the environment, and flags for Node itself. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
}

export interface SerinNode {
  readonly name: string;
  /** The same over all restarts. */
  readonly url: string;
  readonly toDatabase: TcpProxy;
  readonly toClients: TcpProxy;
  running(): boolean;
  /** The last of what the process wrote on stderr. */
  said(): string;
  start(): Promise<void>;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** SIGTERM. Answers the exit code. */
  terminate(): Promise<number | null>;
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

export async function createNode(options: NodeOptions): Promise<SerinNode> {
  const { name, program, databaseUrl, timeScale, onCrash, environment = {}, flags = [] } = options;
  const toDatabase = await startProxy(() => Number(new URL(databaseUrl()).port));
  let port = 0;
  const toClients = await startProxy(() => port);
  let child: ChildProcess | null = null;
  let said = '';

  async function start(): Promise<void> {
    const url = new URL(databaseUrl());
    url.port = String(toDatabase.port);
    const started = spawn(process.execPath, [...flags, program], {
      env: {
        PATH: process.env.PATH ?? '',
        DATABASE_URL: url.href,
        PORT: '0',
        SERIN_TIME_SCALE: String(timeScale),
        LOG_LEVEL: 'error',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    said = '';
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-20_000);
    });
    started.once('exit', (code, signal) => {
      if (child !== started) return;
      child = null;
      onCrash(`${name} ended by itself (${signal ?? code}): ${said}`);
    });
    port = await listening(started, () => said);
  }

  /** The process is ours to end: from here on its end is no crash. */
  function end(signal: NodeJS.Signals): Promise<number | null> {
    const ending = child;
    child = null;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return Promise.resolve(null);
    const ended = new Promise<number | null>((done) => ending.once('exit', (code) => done(code)));
    ending.kill(signal);
    return ended;
  }

  return {
    name,
    url: `http://127.0.0.1:${toClients.port}`,
    toDatabase,
    toClients,
    running: () => child !== null,
    said: () => said,
    start,
    async kill() {
      await end('SIGKILL');
    },
    terminate: () => end('SIGTERM'),
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async close() {
      await end('SIGKILL');
      await toDatabase.close();
      await toClients.close();
    },
  };
}

/** The port that a process says it listens on. */
async function listening(child: ChildProcess, said: () => string): Promise<number> {
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  for (let waited = 0; waited < START_WITHIN_MS; waited += 20) {
    const port = /listening on http:\/\/[^:]+:(\d+)/.exec(output)?.[1];
    if (port) return Number(port);
    if (child.exitCode !== null) break;
    await sleep(20);
  }
  throw new Error(`a node does not start: ${said()}`);
}
