/** Starts, supervises and stops the process of the embedded PostgreSQL. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, readFile, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { isAlive } from './dataDirLock.ts';
import type { Runner } from './privileges.ts';

/**
 * Stops a server whose Serin was killed (kill -9), with a clean shutdown. Removes a stale pid file: its number may by now
 * belong to another PostgreSQL, which is left alone.
 */
export async function stopOrphan(data: string, log: (line: string) => void): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  const [pid] = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n').map(Number);
  if (!pid || !(await isServerOf(pid, data))) {
    await rm(pidFile, { force: true });
    return;
  }
  log(`stopping PostgreSQL ${pid}: the Serin that started it has ended`);
  for (const [signal, seconds] of [['SIGINT', 10] as const, ['SIGQUIT', 5] as const]) {
    process.kill(pid, signal);
    for (let waited = 0; waited < seconds * 20; waited += 1) {
      if (!isAlive(pid)) return;
      await sleep(50);
    }
  }
  throw new Error(`PostgreSQL ${pid} in ${data} does not stop: stop it manually and start Serin again`);
}

/**
 * Whether a process is the PostgreSQL server of a data folder. A server works in its data folder; where the system does
 * not say where a process works, its command line must name the folder.
 */
async function isServerOf(pid: number, data: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const folder = await realpath(data);
  if (existsSync('/proc/self/cwd')) {
    const program = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
    const worksIn = await realpath(`/proc/${pid}/cwd`).catch(() => '');
    return program === 'postgres' && worksIn === folder;
  }
  const { stdout } = await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(
    () => ({
      stdout: '',
    }),
  );
  return stdout.includes('postgres') && (stdout.includes(`-D ${folder} `) || stdout.includes(`-D ${data} `));
}

export function start(runner: Runner, file: string, args: readonly string[]): ChildProcess {
  const [command, all] = runner.wrap(file, args);
  return spawn(command, all, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: Ctrl-C in the terminal reaches only Serin, which stops the database last.
    detached: true,
    cwd: '/',
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' },
    ...(runner.uid === undefined ? {} : { uid: runner.uid, gid: runner.gid }),
  });
}

/** Runs a command to its end, or until the signal. @throws {Error} with its last lines if it fails */
export async function run(
  runner: Runner,
  file: string,
  args: readonly string[],
  log: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  await chmod(file, 0o755).catch(() => {});
  const child = start(runner, file, args);
  const output: string[] = [];
  logLines(child, (line) => {
    output.push(line);
    log(line);
  });
  const giveUp = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', giveUp, { once: true });
  const code = await new Promise<number | null>((done, failed) => {
    child.on('error', failed);
    child.on('close', done);
  });
  signal?.removeEventListener('abort', giveUp);
  signal?.throwIfAborted();
  if (code !== 0) throw new Error(`${file} failed (${code}): ${output.slice(-5).join(' ')}`);
}

export function logLines(child: ChildProcess, log: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      for (const line of chunk.split('\n')) if (line.trim()) log(line.trim());
    });
  }
}

/** A server that is restarted when it crashes. */
export interface Supervised {
  child(): ChildProcess;
  stop(): Promise<void>;
}

/** Keeps the server running: restarts it when it crashes, after a pause that doubles up to 5 s. */
export function superviseServer(
  launch: () => ChildProcess,
  log: (line: string) => void,
  warn: (line: string) => void,
): Supervised {
  let stopping = false;
  let crashes = 0;
  let child = watch(launch());
  // Whoever ends the process earlier waits for nothing: PostgreSQL must not outlive it for the time of its last checkpoint.
  const killNow = () => child.kill('SIGQUIT');
  process.once('exit', killNow);
  return {
    child: () => child,
    async stop() {
      stopping = true;
      await end(child);
      process.removeListener('exit', killNow);
    },
  };

  function watch(started: ChildProcess): ChildProcess {
    logLines(started, log);
    started.on('error', (error) => warn(`PostgreSQL cannot be started: ${error.message}`));
    started.once('exit', (code, signal) => {
      if (stopping) return;
      crashes += 1;
      warn(`PostgreSQL ended unexpectedly (${signal ?? code}), restarting it`);
      setTimeout(
        () => {
          if (!stopping) child = watch(launch());
        },
        Math.min(100 * 2 ** crashes, 5000),
      ).unref();
    });
    return started;
  }
}

/** Requests a fast shutdown, and an immediate one after 6 s. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGINT');
  const tooLong = setTimeout(() => child.kill('SIGQUIT'), 6000);
  await gone;
  clearTimeout(tooLong);
}
