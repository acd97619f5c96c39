/** Starts, watches and ends the process of the embedded PostgreSQL. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from './dataDirLock.ts';
import type { Runner } from './privileges.ts';

/** A server that outlived its Serin (kill -9) is stopped cleanly; a stale pid file is PostgreSQL's to recover. */
export async function stopOrphan(data: string, log: (line: string) => void): Promise<void> {
  const pidFile = join(data, 'postmaster.pid');
  const pid = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!pid || !isPostgres(pid)) {
    await rm(pidFile, { force: true });
    return;
  }
  log(`stopping PostgreSQL ${pid}, left behind by a Serin that is gone`);
  for (const [signal, seconds] of [['SIGINT', 10] as const, ['SIGQUIT', 5] as const]) {
    process.kill(pid, signal);
    for (let waited = 0; waited < seconds * 20; waited += 1) {
      if (!isAlive(pid)) return;
      await sleep(50);
    }
  }
  throw new Error(`PostgreSQL ${pid} on ${data} does not stop: end it by hand and start Serin again`);
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
    // Its own process group: a Ctrl-C in the terminal is for Serin, which stops the database last.
    detached: true,
    cwd: '/',
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' },
    ...(runner.uid === undefined ? {} : { uid: runner.uid, gid: runner.gid }),
  });
}

export async function run(
  runner: Runner,
  file: string,
  args: readonly string[],
  log: (line: string) => void,
): Promise<void> {
  await chmod(file, 0o755).catch(() => {});
  const child = start(runner, file, args);
  const said: string[] = [];
  logLines(child, (line) => {
    said.push(line);
    log(line);
  });
  const code = await new Promise<number | null>((done, failed) => {
    child.on('error', failed);
    child.on('close', done);
  });
  if (code !== 0) throw new Error(`${file} failed (${code}): ${said.slice(-5).join(' ')}`);
}

export function logLines(child: ChildProcess, log: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      for (const line of chunk.split('\n')) if (line.trim()) log(line.trim());
    });
  }
}

export interface Supervised {
  child(): ChildProcess;
  stop(): Promise<void>;
}

/** Keeps the server running: one that crashes is started again, after a pause that grows. */
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
      log(`PostgreSQL ended by itself (${signal ?? code}), starting it again`);
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

/** A fast shutdown, and an immediate one when that takes too long. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGINT');
  const tooLong = setTimeout(() => child.kill('SIGQUIT'), 6000);
  await gone;
  clearTimeout(tooLong);
}
