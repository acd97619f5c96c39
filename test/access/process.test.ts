/** Serin as a process: the command line for keys, and the refusal to be open where others can reach it. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEnvironment } from '../../src/environment/environment.ts';
import { startSerin } from '../../src/serin.ts';
import { WITH_KEYS } from '../harness/keys.ts';
import { PROGRAM } from '../harness/program.ts';
import { OPEN, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const ENVIRONMENT = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', LOG_LEVEL: 'error' };

function launch(args: readonly string[], variables: Record<string, string>) {
  const said = { stdout: '', stderr: '' };
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...ENVIRONMENT, ...variables },
  });
  child.stdout?.on('data', (chunk) => {
    said.stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    said.stderr += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { child, said, ended };
}

async function run(args: readonly string[], variables: Record<string, string> = {}): Promise<Ran> {
  const { said, ended } = launch(args, variables);
  return { code: await ended, ...said };
}

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
});
afterAll(() => serin.stop());

test('the command line makes a key that works, lists it, and revokes it', { timeout: 120_000 }, async () => {
  const own = { DATABASE_URL: serin.database.url };
  const made = await run(
    [
      'keys',
      'create',
      '--role',
      'operator',
      '--name',
      'ops',
      '--strategies',
      'eth-*, btc-*',
      '--expires',
      '90d',
    ],
    own,
  );
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^serin_[0-9a-f]{12}_[\w-]{43}\n$/) });
  expect(made.stderr).toContain(`It is a key of the database ${new URL(serin.database.url).host}`);
  const key = made.stdout.trim();
  expect((await serin.as(key).ask('{ viewer { actor role strategies } }')).viewer).toEqual({
    actor: 'ops',
    role: 'OPERATOR',
    strategies: ['eth-*', 'btc-*'],
  });
  const list = await run(['keys', 'list'], own);
  expect(list.stdout).toMatch(/^key_[0-9a-f]{12} {2}good +operator +ops +eth-\*,btc-\* +\* +– +\d{4}-/m);
  expect(list.stdout).not.toContain(key);
  expect((await run(['keys', 'revoke', 'ops'], own)).stdout).toContain('Key ops is revoked');
  await until(async () =>
    JSON.stringify(await serin.as(key).post('{ viewer { actor } }')).includes('revoked'),
  );
  const records = await serin.database.sql`select actor, action from audit_records order by id`;
  expect(records.map(({ action }) => action)).toEqual(['API_KEY_CREATED', 'API_KEY_REVOKED']);
  for (const { actor } of records) expect(actor).toMatch(/^cli:/);
});

test('`npx serin` makes a key in a fresh clone, before anything was built', {
  timeout: 180_000,
}, async () => {
  const clone = await mkdtemp(join(tmpdir(), 'serin-clone-'));
  try {
    for (const part of [
      'package.json',
      'schema.graphql',
      'bin',
      'src',
      'console',
      'scripts',
      'drizzle',
      'tsconfig.json',
      'tsconfig.build.json',
    ]) {
      await cp(part, join(clone, part), { recursive: true });
    }
    await symlink(resolve('node_modules'), join(clone, 'node_modules'));
    const npm = { npm_config_cache: join(clone, 'npm'), npm_config_offline: 'true' };
    const env = { ...ENVIRONMENT, ...npm, DATABASE_URL: serin.database.url };
    const words = ['--no', 'serin', 'keys', 'create', '--role', 'viewer', '--name', 'by-npx'];
    const { stdout } = await promisify(execFile)('npx', words, { cwd: clone, env });
    expect(stdout).toMatch(/^serin_[0-9a-f]{12}_[\w-]{43}\n$/);
    expect((await serin.as(stdout.trim()).ask('{ viewer { actor } }')).viewer.actor).toBe('by-npx');
  } finally {
    await rm(clone, { recursive: true, force: true });
  }
});

test('`serin keys` refuses with a sentence and a code', { timeout: 120_000 }, async () => {
  const words = ['create', '--role', 'admin', '--name', 'x'];
  const cases = [
    [[], 2, 'list|ls'],
    [['create', '--name', 'x'], 2, "required option '--role <role>'"],
    [['create', '--role', 'king', '--name', 'x'], 2, '--role must be one of viewer, bot, operator, admin'],
    [[...words, '--expires', 'soon'], 2, '--expires must be'],
    [[...words, '--nmae', 'x'], 2, "unknown option '--nmae'"],
    [['create', '--role', 'admin', '--name', 'serin'], 1, 'name must not be serin'],
    [['revoke'], 2, "missing required argument 'key'"],
    [['revoke', 'nobody', '--local'], 4, 'There is no key nobody'],
  ] as const;
  const own = { DATABASE_URL: serin.database.url };
  const ran = await Promise.all(cases.map(([args]) => run(['keys', ...args], own)));
  for (const [index, { code, stderr, stdout }] of ran.entries()) {
    expect({ code, stdout, stderr }).toEqual({
      code: cases[index]?.[1],
      stdout: '',
      stderr: expect.stringContaining(cases[index]?.[2] ?? ''),
    });
  }
});

test('in a data folder, keys are made before Serin runs there and while it does', {
  timeout: 180_000,
}, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'serin-keys-'));
  const own = { SERIN_DATA_DIR: dataDir, SERIN_AUTH: 'keys', PORT: '0' };
  const before = await run(['keys', 'create', '--role', 'admin', '--name', 'first'], own);
  expect(before).toMatchObject({ code: 0, stdout: expect.stringContaining('serin_') });
  const server = launch([], own);
  try {
    await until(() => server.said.stdout.includes('listening on http://'), 60_000);
    expect(server.said.stdout).not.toContain('runs open');
    const url = /listening on (http:\S+)/.exec(server.said.stdout)?.[1];
    const during = await run(['keys', 'create', '--role', 'viewer', '--name', 'second'], own);
    expect(during.code).toBe(0);
    for (const [made, actor] of [
      [before, 'first'],
      [during, 'second'],
    ] as const) {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${made.stdout.trim()}` },
        body: '{"query":"{ viewer { actor } }"}',
      });
      expect(await response.json()).toEqual({ data: { viewer: { actor } } });
    }
  } finally {
    // A terminal that is closed: the database ends with Serin.
    server.child.kill('SIGHUP');
    expect(await server.ended).toBe(0);
    expect(existsSync(join(dataDir, 'postgres', 'postmaster.pid'))).toBe(false);
    await rm(dataDir, { recursive: true, force: true });
  }
});

test('on loopback Serin runs open and says so', { timeout: 120_000 }, async () => {
  const server = launch([], { DATABASE_URL: serin.database.url, PORT: '0' });
  try {
    await until(() => server.said.stdout.includes('runs open'), 60_000);
    expect(server.said.stdout).toMatch(/^Serin listening on http:\/\/127\.0\.0\.1:\d+ .*\nSerin runs open/);
  } finally {
    server.child.kill('SIGTERM');
    await server.ended;
  }
});

test('as a process it refuses to be open to others, and says how to go on', { timeout: 60_000 }, async () => {
  const { code, stdout, stderr } = await run([], {
    DATABASE_URL: serin.database.url,
    PORT: '0',
    HOST: '0.0.0.0',
    SERIN_AUTH: 'open',
  });
  expect(code).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toContain('SERIN_AUTH=keys');
  expect(stderr).toContain('npx serin keys create --role admin');
});

test.each(['0.0.0.0', '::', '192.0.2.1', '::ffff:0.0.0.0'])(
  'an open Serin does not start on %s',
  async (host) => {
    await expect(start(host)).rejects.toThrow('SERIN_AUTH=keys');
  },
);

test.each(['localhost', '127.0.0.1', '127.1.2.3'])('an open Serin starts on %s', async (host) => {
  const { stop, open } = await start(host);
  expect(open).toBe(true);
  await stop();
});

test('a port that another program has is refused with the names of its variables', async () => {
  const port = Number(new URL(serin.url).port);
  await expect(start('127.0.0.1', port)).rejects.toThrow(
    new RegExp(`^HOST 127.0.0.1 and PORT ${port} cannot be listened on: .*EADDRINUSE`),
  );
});

function start(host: string, port = 0) {
  return startSerin({
    ...readEnvironment({}),
    host,
    port,
    databaseUrl: serin.database.url,
    logLevel: 'silent',
    access: OPEN,
  });
}
