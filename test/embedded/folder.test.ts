/**
 * The data folder of Serin's own PostgreSQL: what is not its own is never touched, and a folder that cannot be used is
 * refused with a sentence that says what to do.
 */
import { execFileSync } from 'node:child_process';
import { chown, cp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded/embeddedPostgres.ts';
import { chooseRunner } from '../../src/store/embedded/privileges.ts';
import { dataFolder } from '../harness/dataFolder.ts';
import { until } from '../harness/serin.ts';

const folders: string[] = [];
const running: EmbeddedPostgres[] = [];
afterAll(async () => {
  for (const server of running) await server.stop();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function folder(): Promise<string> {
  const made = await dataFolder('folder');
  folders.push(made);
  return made;
}

/** A folder that a Serin was stopped on. */
let stopped: string;
beforeAll(async () => {
  stopped = await folder();
  await (await startEmbeddedPostgres({ dataDir: stopped })).stop();
});

/** A copy of it, owned as the original is: quicker than a new one. */
async function used(): Promise<string> {
  const copied = await folder();
  execFileSync('cp', ['-a', `${stopped}/.`, copied]);
  return copied;
}

async function start(dataDir: string): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir, settings: ['shared_buffers=16MB'] });
  running.push(server);
  return server;
}

async function answers({ url }: EmbeddedPostgres): Promise<boolean> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return (await sql`select 1`).length === 1;
  } finally {
    await sql.end();
  }
}

test('a recovery may take longer than a start, and a crash is told of', async () => {
  const dataDir = await used();
  const data = join(dataDir, 'postgres');
  // A standby that may not be read recovers until it is promoted.
  await writeFile(join(data, 'standby.signal'), '');
  const settings = ['shared_buffers=16MB', 'hot_standby=off'];
  const warnings: string[] = [];
  const starting = startEmbeddedPostgres({
    dataDir,
    settings,
    readyWithinMs: 1000,
    onWarning: (line) => void warnings.push(line),
  });
  starting.catch(() => {});
  await sleep(3000);
  await writeFile(join(data, 'promote'), '');
  const [pid = ''] = (await readFile(pidFile(dataDir), 'utf8')).split('\n');
  process.kill(Number(pid), 'SIGUSR1');
  const server = await starting;
  running.push(server);
  expect(await answers(server)).toBe(true);
  process.kill(Number(pid), 'SIGKILL');
  await until(() => warnings.length > 0);
  expect(warnings).toEqual(['PostgreSQL ended unexpectedly (SIGKILL), restarting it']);
});

const pidFile = (dataDir: string) => join(dataDir, 'postgres', 'postmaster.pid');

test('a stale pid file whose number belongs to another PostgreSQL now stops nothing', async () => {
  const other = await used();
  const unrelated = await start(other);
  const mine = await used();
  const [, , ...rest] = (await readFile(pidFile(other), 'utf8')).split('\n');
  await writeFile(pidFile(mine), [unrelated.pid(), join(mine, 'postgres'), ...rest].join('\n'));
  const server = await start(mine);
  expect(await answers(server)).toBe(true);
  expect(await answers(unrelated)).toBe(true);
  expect(server.pid()).not.toBe(unrelated.pid());
}, 60_000);

test('a copy of the folder of a running Serin is a folder of its own', async () => {
  const original = await used();
  const first = await start(original);
  const sql = postgres(first.url, { max: 1, onnotice: () => {} });
  await sql`create table kept as select 7 as number`;
  await sql`checkpoint`;
  const copied = await folder();
  await cp(original, copied, { recursive: true, preserveTimestamps: true });
  if (process.getuid?.() === 0) await giveAway(copied, original);
  const second = await start(copied);
  const there = postgres(second.url, { max: 1, onnotice: () => {} });
  expect(await there`select number from kept`).toEqual([{ number: 7 }]);
  await sql`insert into kept values (8)`;
  expect(await there`select count(*)::int as count from kept`).toEqual([{ count: 1 }]);
  await sql.end();
  await there.end();
}, 60_000);

/** Root copies for itself: the server's user must own the copy as it owned the original. */
async function giveAway(copied: string, original: string): Promise<void> {
  const { uid, gid } = await stat(join(original, 'postgres'));
  execFileSync('chown', ['-R', `${uid}:${gid}`, join(copied, 'postgres')]);
}

test('a database of another major version is refused, with the way out', async () => {
  const dataDir = await used();
  await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '17\n');
  await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(
    /PostgreSQL 17.*brings PostgreSQL 18.*upgrade\.md/,
  );
}, 60_000);

test('a database that was copied without its password is refused, and says what belongs to it', async () => {
  const dataDir = await used();
  await rm(join(dataDir, 'postgres.password'));
  await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(
    /postgres\.password belongs to the folder/,
  );
}, 60_000);

test.skipIf(process.getuid?.() !== 0)(
  'a folder of another user is refused, and says whose it is',
  async () => {
    const dataDir = await used();
    await chown(join(dataDir, 'postgres'), 12_345, 12_345);
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow(/belongs to user 12345.*chown -R/);
  },
  60_000,
);

test('a place that cannot be written is refused, naming the variable', async () => {
  const file = join(await folder(), 'a file');
  await writeFile(file, '');
  await expect(startEmbeddedPostgres({ dataDir: join(file, 'data') })).rejects.toThrow(
    /not writable: set SERIN_DATA_DIR/,
  );
});

test.runIf(process.getuid?.() === 0)(
  'as root, a program below a folder that only root may enter is found by the user that PostgreSQL runs as',
  async () => {
    const program = join(await folder(), 'program');
    await writeFile(program, '', { mode: 0o755 });
    const { wrap } = await chooseRunner([program]);
    // What PostgreSQL does with its own binaries: access(2).
    const look = `require('node:fs').accessSync(${JSON.stringify(program)}, 5); console.log(process.getuid())`;
    const [file, args] = wrap(process.execPath, ['-e', look]);
    expect(execFileSync(file, args, { encoding: 'utf8' })).not.toBe('0\n');
  },
);
