/** Starts, supervises and stops the process of the embedded PostgreSQL. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from './dataDirLock.ts';
import type { Runner } from './privileges.ts';

/** Stops a server whose Serin was killed (kill -9), with a clean shutdown. Removes a stale pid file. */
export async function stopOrphan(data: string, log: (line: string) => void): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!pid || !isPostgres(pid)) {
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

function isPostgres(pid: number): boolean {
  if (!isAlive(pid)) return false;
  const proc = `/proc/${pid}/cmdline`;
  return !existsSync('/proc/self') || (existsSync(proc) && readFileSync(proc, 'utf8').includes('postgres'));
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

/** Runs a command to its end. @throws {Error} with its last lines if it fails */
export async function run(
  runner: Runner,
  file: string,
  args: readonly string[],
  log: (line: string) => void,
): Promise<void> {
  await chmod(file, 0o755).catch(() => {});
  const child = start(runner, file, args);
  const output: string[] = [];
  logLines(child, (line) => {
    output.push(line);
    log(line);
  });
  const code = await new Promise<number | null>((done, failed) => {
    child.on('error', failed);
    child.on('close', done);
  });
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
export function superviseServer(launch: () => ChildProcess, log: (line: string) => void): Supervised {
  let stopping = false;
  let crashes = 0;
  let child = watch(launch());
  const killNow = () => child.kill('SIGINT');
  process.once('exit', killNow);
  return {
    child: () => child,
    async stop() {
      stopping = true;
      process.removeListener('exit', killNow);
      await end(child);
    },
  };

  function watch(started: ChildProcess): ChildProcess {
    logLines(started, log);
    started.on('error', (error) => log(`PostgreSQL cannot be started: ${error.message}`));
    started.once('exit', (code, signal) => {
      if (stopping) return;
      crashes += 1;
      log(`PostgreSQL ended unexpectedly (${signal ?? code}), restarting it`);
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
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGINT');
  const tooLong = setTimeout(() => child.kill('SIGQUIT'), 6000);
  await gone;
  clearTimeout(tooLong);
}
