/** `serin` as an operator types it: every command against a real server, what it prints and what it ends with. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, command, create, report, running, statusOf } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { PROGRAM } from '../harness/program.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { type Ran, serinCommand } from './serin.ts';

let serin: TestSerin;
let folder: string;
beforeAll(async () => {
  serin = await startTestSerin({ webhookNetworks: ['127.0.0.1'] });
  folder = await mkdtemp(join(tmpdir(), 'serin-cli-'));
});
afterAll(async () => {
  await serin.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Hours between two checks: nothing happens that a test did not do. */
const QUIET = { config: { ...CALM, checkIntervalSeconds: 3600, observationPeriodMinutes: 2880 } };

const run = (...args: string[]) => serinCommand(serin.url, args);

/** What `serin events` prints when it prints so many: one is shown when no open transaction can still come before it. */
async function shown(count: number, ...args: string[]): Promise<string> {
  let stdout = '';
  await until(async () => {
    stdout = (await run('events', ...args)).stdout;
    return stdout.trim().split('\n').length >= count;
  });
  expect(stdout.trim().split('\n')).toHaveLength(count);
  return stdout;
}

test('a deployment from creation to its end, in words and money', { timeout: 120_000 }, async () => {
  const file = join(folder, 'config.json');
  await writeFile(file, '{ "guardrails": { "maxStaleSeconds": null } }');
  const words = [
    '--id',
    'dep_cli',
    '--stable',
    'v42',
    '--steps',
    '10:60m,25:120',
    '-c',
    file,
    '--deploy',
    '$1m',
  ];
  const created = await run('create', 'eth-momentum', 'v43', ...words);
  expect(created).toMatchObject({ code: 0, stderr: '' });
  expect(created.stdout).toContain('dep_cli  running  canary $100,000, stable $900,000');
  await report(serin, 'Canary', 'dep_cli', { pnlUsd: '1000', trades: 3 });
  expect((await run('step', 'dep_cli', '-r', 'looks good')).stdout).toContain('canary $250,000');
  expect(await run('ack', 'dep_cli', 'canary', '250,000')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Allocation 2 acknowledged by the canary side'),
  });
  await report(serin, 'Canary', 'dep_cli', { pnlUsd: '-3186.07', trades: 12 });
  await report(serin, 'Stable', 'dep_cli', { pnlUsd: '90', trades: 9 });
  const [list, got, why] = await Promise.all([
    run('ls', 'eth'),
    run('get', 'dep_cli'),
    run('why', 'dep_cli'),
  ]);
  expect(list.stdout).toMatch(/dep_cli +eth-momentum +v42 +v43 +running +2\/2 .* \$1,000,000 +-0\.67 %/);
  expect(got.stdout).toMatch(/canary +-0\.67 % +-\$3,186\.07 +\$250,000 +12/);
  expect(got.stdout).toContain('canary to hold $250,000, holds $250,000');
  expect(got.stdout).toContain('you can');
  expect(why.stdout).toContain('Nothing was decided yet.');
  expect(await run('rollback', 'dep_cli', '--reason', 'enough')).toMatchObject({ code: 0 });
  expect(await statusOf(serin, 'dep_cli')).toBe('ROLLED_BACK');
  const over = await run('why', 'dep_cli');
  expect(over.stdout).toMatch(/rollback by cli:\w+ at .*: enough/);
  expect((await run('ls', 'eth')).stdout).toContain('no live deployment that matches eth');
  expect((await run('ls', 'eth', '--all', '-q')).stdout).toBe('dep_cli\n');
});

test('a key that is too long for the second command is refused before the first', async () => {
  const words = ['--deploy', '$1m', '--idempotency-key', 'k'.repeat(249), '--stable', 'v42'];
  expect(await run('create', 'too-long', 'v43', ...words)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('has at most 248 characters'),
  });
  expect((await run('ls', 'too-long')).stdout).toContain('no live deployment that matches too-long');
});

test('a server goes on whatever stands before the word serve', { timeout: 60_000 }, async () => {
  const env = { ...process.env, DATABASE_URL: serin.database.url, PORT: '0', LOG_LEVEL: 'silent' };
  const child = spawn(process.execPath, [PROGRAM, '--json', 'serve'], { env });
  const ended = once(child, 'exit');
  const [line] = await once(child.stdout, 'data');
  const url = /http:\S+/.exec(String(line))?.[0];
  expect(await Promise.race([ended, sleep(500, 'goes on')])).toBe('goes on');
  expect((await fetch(`${url}/health`)).status).toBe(200);
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test('deploy, pause, resume, cancel: each says what came of it', { timeout: 120_000 }, async () => {
  const { deployment } = await create(serin, QUIET);
  const { id } = deployment;
  expect((await run('deploy', id, '$250k')).stdout).toContain('running  canary $25,000, stable $225,000');
  expect((await run('extend', id, '30')).stderr).toContain('[INVALID_TRANSITION]');
  for (const name of ['pause', 'resume', 'cancel']) {
    expect(await run(name, id, '-r', 'a drill'), name).toMatchObject({ code: 0, stderr: '' });
  }
  const said = await shown(7, id, '--since', '0');
  for (const name of ['canary paused', 'canary resumed', 'canary cancelled']) expect(said).toContain(name);
});

test('an observation that is over is extended, and a person promotes', { timeout: 120_000 }, async () => {
  const config = { ...CALM, checkIntervalSeconds: 3600, observationPeriodMinutes: 60, autoRollback: false };
  const id = await running(serin, { config });
  await serin.advance(3700);
  await until(async () => (await statusOf(serin, id)) === 'OBSERVATION_COMPLETE');
  expect((await run('ls', id)).stdout).toContain('waits for you');
  const extended = await run('extend', id, '600', '-r', 'too few trades');
  expect(extended).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining(`${id}  running`) });
  const promoted = await run('promote', id, '-r', 'the desk agrees');
  expect(promoted).toMatchObject({ code: 0, stderr: '' });
  expect(promoted.stdout).toContain(`${id}  promoted  canary $100,000, stable $0`);
  expect((await run('why', id)).stdout).toMatch(/promote by cli:\w+ at .*: the desk agrees/);
});

test('settings of a live deployment are tried, changed, and refused by name', {
  timeout: 120_000,
}, async () => {
  const { deployment } = await create(serin);
  const { id } = deployment;
  const tried = await run(
    'set',
    id,
    'guardrails.maxLossUsd=500',
    'guardrails.maxLossPercent=null',
    '--dry-run',
  );
  expect(tried.stdout).toMatch(/guardrails\.maxLossUsd +none +500 +safer/);
  expect(tried.stdout).toMatch(/guardrails\.maxLossPercent +20 +none +looser/);
  const done = await run('set', id, 'guardrails.maxLossUsd=500', 'autoPromote=false', '-r', 'news');
  expect(done.stdout).toContain('guardrails.maxLossUsd from none to 500 (safer)');
  expect(await run('set', id, 'guardrails.maxLossUsd=-1')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('config.guardrails.maxLossUsd'),
  });
  expect(await run('set', id, '--approve')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Nobody has asked'),
  });
  expect(await run('set', id, 'maxLossUsd')).toMatchObject({ code: 2 });
});

test('refusals are sentences with a code for scripts, and nothing changes', {
  timeout: 120_000,
}, async () => {
  const { deployment } = await create(serin);
  const { id } = deployment;
  const refused = await run('promote', id);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toMatch(/^serin: .* is PENDING and cannot be promoted.*\[INVALID_TRANSITION\]\n$/);
  expect(await run('get', 'dep_none')).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('There is no deployment dep_none'),
  });
  expect(await run('pause', 'dep_none')).toMatchObject({ code: 4 });
  expect(await run('deploy', id, 'lots')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('got lots'),
  });
  // A decimal comma is no comma between thousands: this would be a hundred times as much.
  expect(await run('deploy', id, '1000,50')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('got 1000,50'),
  });
  expect(await run('deploy', id)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("missing required argument 'usd'"),
  });
  expect(await run('extned', id)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Did you mean extend?'),
  });
  expect(await run('ls', '--status', 'RUNING')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/RUNING.*one of PENDING, RUNNING/),
  });
  expect(await run('events', '-t', 'canary_prometed')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^serin: filter\.types\[0\]: Value "CANARY_PROMETED" does not exist/),
  });
  expect((await run('events', 'dep_none')).code).toBe(4);
  expect((await serinCommand('http://127.0.0.1:1', ['--url', serin.url, 'ls'])).code).toBe(0);
  const away = await serinCommand('http://127.0.0.1:1', ['ls']);
  expect(away).toMatchObject({ code: 3, stderr: expect.stringContaining('does not answer') });
  expect(await serinCommand('127.0.0.1:4000', ['ls'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--url must be'),
  });
  expect(await statusOf(serin, id)).toBe('PENDING');
});

test('as JSON every answer is one value, also a refusal', { timeout: 120_000 }, async () => {
  const id = await running(serin, QUIET);
  const [paused, again, list] = await Promise.all([
    run('pause', id, '--json', '--idempotency-key', 'p1'),
    run('promote', 'dep_none', '--json'),
    run('ls', '--json'),
  ]);
  expect(JSON.parse(paused.stdout)).toMatchObject({ success: true, deployment: { id, status: 'PAUSED' } });
  expect(again.code).toBe(4);
  expect(JSON.parse(again.stdout)).toMatchObject({ success: false, error: { code: 'NOT_FOUND' } });
  const known = await run('create', 's', 'v2', '--stable', 'v1', '--id', id, '--deploy', '1m', '--json');
  expect(JSON.parse(known.stdout)).toMatchObject({ success: false, error: { code: 'ALREADY_EXISTS' } });
  expect(JSON.parse(list.stdout)).toEqual(expect.arrayContaining([expect.objectContaining({ id })]));
  const repeated = await run('pause', id, '--idempotency-key', 'p1');
  expect(repeated).toMatchObject({ code: 0, stdout: expect.stringContaining('(answered before)') });
});

test('events: the newest, since a time, and live without a gap', { timeout: 120_000 }, async () => {
  const id = await running(serin, QUIET);
  const stdout = await shown(3, id);
  expect(stdout).toMatch(new RegExp(`${id}  canary started .*Canary started with 10 % of \\$100,000`));
  expect(JSON.parse((await run('events', id, '--json', '-t', 'canary_started')).stdout)).toMatchObject([
    { type: 'CANARY_STARTED', deploymentId: id },
  ]);
  expect((await run('events', id, '--since', 'yesterday')).code).toBe(2);
  const lines: string[] = [];
  const child = execFile(process.execPath, [PROGRAM, 'events', id, '-f', '--json'], {
    env: { PATH: process.env.PATH, SERIN_URL: serin.url },
  });
  child.stdout?.on('data', (text: string) => lines.push(...text.split('\n').filter(Boolean)));
  await until(() => lines.length === 3);
  await command(serin, 'pauseDeployment', id);
  await until(() => lines.length === 4);
  await serin.restart();
  await command(serin, 'cancelDeployment', id);
  await until(() => lines.length === 6);
  expect(lines.map((line) => JSON.parse(line).type).slice(3)).toEqual([
    'CANARY_PAUSED',
    'CANARY_CANCELLED',
    'ALLOCATION_REQUESTED',
  ]);
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGINT');
  expect(await ended).toBe(0);
});

test('--since counts on the clock of the server', { timeout: 120_000 }, async () => {
  const id = await running(serin, QUIET);
  await serin.advance(2 * 86_400);
  await command(serin, 'pauseDeployment', id);
  // A check that was due in those days may come before it, or after.
  const since = async (when: string) => {
    const types = ['-t', 'canary_started', 'canary_paused'];
    const { stdout } = await run('events', id, '--since', when, '--json', ...types);
    return JSON.parse(stdout).map(({ type }: { type: string }) => type);
  };
  await until(async () => (await since('1d')).length > 0);
  expect(await since('1d')).toEqual(['CANARY_PAUSED']);
  expect(await since('3d')).toEqual(['CANARY_STARTED', 'CANARY_PAUSED']);
});

test('a document goes out and comes in; a policy is tried on it', { timeout: 120_000 }, async () => {
  const id = await running(serin, QUIET);
  const file = join(folder, 'document.json');
  expect(await run('export', id, '-o', file)).toMatchObject({ code: 0, stdout: '' });
  expect(await run('export', id, '-o', join(folder, 'none/document.json'))).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('cannot be written'),
  });
  const document = JSON.parse(await readFile(file, 'utf8'));
  expect(await run('import', file)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('ALREADY_EXISTS'),
  });
  const other = await startTestSerin();
  try {
    // A document of the future is refused, and the tests before may have moved the clock of this one.
    await other.advance(7 * 86_400);
    const piped = await serinCommand(other.url, ['import', '-'], { input: JSON.stringify(document) });
    expect(piped).toMatchObject({ code: 0, stdout: expect.stringContaining(id) });
  } finally {
    await other.stop();
  }
  const [simulated, replayed] = await Promise.all([
    run('simulate', '--runs', '20', '--minutes', '30', '--seed', '1'),
    run('replay', id, '--percent', '20', '--no-auto-promote'),
  ]);
  expect(simulated.stdout, simulated.stderr).toMatch(/identical +[\d.]+ ± [\d.]+ %/);
  expect(replayed).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('undecided on 0 recorded checks'),
  });
});

test('a document from a pipe keeps its letters, wherever its pieces are cut', {
  timeout: 120_000,
}, async () => {
  const id = await running(serin, QUIET);
  await command(serin, 'pauseDeployment', id, { reason: 'zu größeres Risiko' });
  const exported = Buffer.from((await run('export', id)).stdout);
  const cut = exported.indexOf('ö') + 1;
  const other = await startTestSerin();
  try {
    await other.advance(7 * 86_400);
    const input = [exported.subarray(0, cut), exported.subarray(cut)];
    const piped = await serinCommand(other.url, ['import', '-'], { input });
    expect(piped).toMatchObject({ code: 0, stdout: expect.stringContaining(id) });
    const events = await serinCommand(other.url, ['events', id]);
    expect(events.stdout).toContain('zu größeres Risiko');
  } finally {
    await other.stop();
  }
  const marked = await serinCommand(serin.url, ['import', '-'], { input: `\ufeff${exported}` });
  expect(marked).toMatchObject({ code: 1, stderr: expect.stringContaining('ALREADY_EXISTS') });
  const invalid = { input: [Buffer.from([0x22, 0xff, 0x22])] };
  expect(await serinCommand(serin.url, ['import', '-'], invalid)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('it is not UTF-8'),
  });
});

test('what somebody has stored neither commands a terminal nor forges a line', {
  timeout: 120_000,
}, async () => {
  const id = await running(serin, QUIET);
  await command(serin, 'pauseDeployment', id, { reason: 'a\u001b[2J\u009b8m\nforged' });
  const stdout = await shown(4, id);
  expect(stdout).toContain('a␛[2J�8m␊forged');
  expect(JSON.parse((await run('events', id, '--json', '-t', 'canary_paused')).stdout)).toMatchObject([
    { description: expect.stringContaining('\nforged') },
  ]);
});

test.each([
  ['with letters that no header holds', "() => ({ username: 'Jörg Иванов' })", 'cli:Jorg'],
  ['without an account', "() => { throw new Error('ENOENT'); }", `cli:uid-${process.getuid?.()}`],
])('a user %s is a name, too', { timeout: 120_000 }, async (_who, userInfo, actor) => {
  const id = await running(serin, QUIET);
  const patch = `import os from 'node:os'; import { syncBuiltinESMExports } from 'node:module';
    os.userInfo = ${userInfo}; syncBuiltinESMExports();`;
  const environment = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(patch)}` };
  const paused = await serinCommand(serin.url, ['pause', id], { environment });
  expect(paused).toMatchObject({ code: 0, stderr: '' });
  await until(async () => (await run('events', id)).stdout.includes(`(${actor})`));
});

test('webhooks: made, listed, rotated, deleted', { timeout: 120_000 }, async () => {
  const made = await run('webhooks', 'create', 'http://127.0.0.1:9/hook', '-t', 'CANARY_PROMOTED');
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^whsec_\S+\n$/) });
  const list = await run('webhooks', 'ls', '--json');
  const [{ id }] = JSON.parse(list.stdout);
  expect(made.stderr).toBe(`Webhook ${id} created: store its secret, it is not shown again\n`);
  const rotated = await run('webhooks', 'rotate', id);
  expect(rotated.stdout).toMatch(/^whsec_\S+\n$/);
  expect(rotated.stderr).toContain('store its new secret, it is not shown again');
  expect((await run('webhooks', 'deliveries', id)).stdout).toContain('Nothing was sent yet.');
  expect(await run('webhooks', 'delete', id)).toMatchObject({ code: 0 });
  for (const verb of ['delete', 'deliveries']) expect((await run('webhooks', verb, 'wh_none')).code).toBe(4);
});

type Ask = (args: string[], environment?: Record<string, string>) => Promise<Ran>;

/** An administrator makes, lists and revokes a key from another machine. */
async function manageKeys(ask: Ask, key: string): Promise<void> {
  const own = { SERIN_KEY: key };
  const words = [
    'create',
    '--role',
    'bot',
    '--name',
    'eth-bot',
    '--strategies',
    'eth-*',
    '--sides',
    'canary',
  ];
  const made = await ask(['keys', ...words], own);
  expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^serin_[0-9a-f]{12}_[\w-]{43}\n$/) });
  const bot = { SERIN_KEY: made.stdout.trim() };
  const [again, listed, json, refused, used] = await Promise.all([
    ask(['keys', ...words, '--json'], own),
    ask(['keys', 'ls'], own),
    ask(['keys', 'ls', '--json'], own),
    ask(['keys', 'ls'], bot),
    ask(['ls'], bot),
  ]);
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('[ALREADY_EXISTS]') });
  expect(JSON.parse(again.stdout)).toMatchObject({ success: false, key: null });
  expect(listed.stdout).toMatch(/good +bot +eth-bot +eth-\* +canary +– +never/);
  expect(JSON.parse(json.stdout)).toContainEqual(
    expect.objectContaining({ name: 'eth-bot', sides: ['CANARY'] }),
  );
  expect([refused.code, used.code]).toEqual([5, 0]);
  expect(await ask(['keys', 'revoke', 'eth-bot'], own)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Key eth-bot is revoked'),
  });
  expect((await ask(['ls'], bot)).code).toBe(5);
}

test('a key is asked for where the server asks for one, and may do what its role may', {
  timeout: 120_000,
}, async () => {
  const guarded = await startTestSerin({ access: WITH_KEYS });
  try {
    const admin = await administrator(guarded);
    const key = await makeKey(admin, 'VIEWER');
    const ask = (args: string[], environment = {}) => serinCommand(guarded.url, args, { environment });
    const [none, listed, changed] = await Promise.all([
      ask(['ls']),
      ask(['ls'], { SERIN_KEY: key }),
      ask(['create', 's-key', 'v2', '--stable', 'v1', '--key', key]),
    ]);
    expect(none).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('give a key with --key or SERIN_KEY'),
    });
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringContaining('no live deployment') });
    expect(changed.code).toBe(5);
    await manageKeys(ask, await makeKey(admin, 'ADMIN'));
  } finally {
    await guarded.stop();
  }
});

test('the version, the help, and what may be typed next, with ids of this moment', {
  timeout: 120_000,
}, async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8'));
  const id = await running(serin, QUIET);
  const [versioned, helped, completed, elsewhere] = await Promise.all([
    run('--version'),
    run('get', '--help'),
    serinCommand('http://127.0.0.1:1', ['complete', '--', 'get', '--url', serin.url]),
    run('complete', '--', 'get', '--url', 'http://127.0.0.1:1'),
  ]);
  expect(versioned).toMatchObject({ code: 0, stdout: `${version}\n` });
  expect(helped).toMatchObject({ code: 0, stdout: expect.stringContaining('-w, --watch') });
  expect(completed.stdout.split('\n')).toEqual(expect.arrayContaining([id, '--watch']));
  expect(elsewhere.stdout.split('\n')).not.toContain(id);
  expect((await run('completion', 'tcsh')).code).toBe(2);
});

test('freezes and halts: an operator freezes, sees it, halts, and lifts it', {
  timeout: 120_000,
}, async () => {
  const id = await running(serin, { strategyId: 'sol-cli', ...QUIET });
  const until = ['--until', '2099-01-01'];
  const blocks = ['--block', 'promote', 'step-up'];
  const words = ['sol-*', '-r', 'rates decision', ...until, ...blocks, '--idempotency-key', 'f1'];
  const frozen = await run('freeze', ...words);
  expect(frozen).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('blocks STEP_UP, PROMOTE from now on'),
  });
  const [, freezeId = ''] = /(frz_\w+)/.exec(frozen.stdout) ?? [];
  expect((await run('freeze', ...words)).stdout).toContain(freezeId);
  const [refused, list, json] = await Promise.all([
    run('promote', id),
    run('freezes'),
    run('freezes', '--json'),
  ]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('[FROZEN]') });
  expect(list.stdout).toMatch(
    new RegExp(`${freezeId} +active until .* sol-\\* .* step up, promote .* rates decision`),
  );
  expect(JSON.parse(json.stdout)).toMatchObject([{ id: freezeId, activeNow: true }]);
  const halted = await run('halt', 'sol-*', '-r', 'exchange is down');
  expect(halted).toMatchObject({ code: 0, stdout: expect.stringContaining('1 halted') });
  expect(halted.stdout).toMatch(new RegExp(`${id} +done`));
  expect(await statusOf(serin, id)).toBe('ROLLED_BACK');
  expect(await run('unfreeze', freezeId)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('is lifted'),
  });
  expect((await run('freezes')).stdout).toBe('Nothing is frozen.\n');
  for (const name of ['a', 'b']) await run('freeze', `more-${name}-*`, '-r', 'x', '--for', '1h');
  const cut = await run('freezes', '--limit', '1');
  expect(cut.stderr).toBe('There are more: --limit 2 shows them.\n');
  expect(cut.stdout).toContain('more-b-*');
  expect(cut.stdout).not.toContain('more-a-*');
  expect(await run('freezes', '--limit', '500')).toMatchObject({ code: 0, stderr: '' });
  const half = ['freeze', 'doge-*', '-r', 'x', '--for', '12h', '--idempotency-key', 'f2'];
  const first = JSON.parse((await run(...half, '--json')).stdout);
  const hours = (Date.parse(first.freeze.until) - Date.parse(first.freeze.from)) / 3_600_000;
  expect(hours).toBe(12);
  // Sent again later it means the same end.
  await serin.advance(60);
  const repeated = JSON.parse((await run(...half, '--json')).stdout);
  expect(repeated).toMatchObject({ success: true, replayed: true, freeze: { until: first.freeze.until } });
  expect((await run(...half)).stdout).toContain('(answered before)');
  const rule = ['--rule', '15 8 29 2 *', '--zone', 'America/New_York', '--minutes', '60'];
  expect((await run('freeze', 'ltc-*', '-r', 'payrolls', ...rule)).stdout).toMatch(
    /from \d{4}-02-29T13:15:00.000Z on, 60 min each time, until it is lifted: payrolls\n$/,
  );
  const early = await run('create', 'doge-cli', 'v2', '--stable', 'v1', '--deploy', '1k');
  expect(early).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/is there, without capital: .*\n.*\[FROZEN\]/),
  });
  const wrong = await Promise.all([
    run('freeze', 'sol-*'),
    run('freeze', 'a b', '-r', 'x'),
    run('freeze', '-r', 'x', '--for', 'long'),
    run('freeze', '-r', 'x', '--for', '0h'),
    run('freeze', '-r', 'x', '--until', '2099-01-01T20:00:00'),
    run('freeze', '-r', 'x', '--rule', '0 8 * * *'),
    run('halt', 'sol-*', '-r', 'x', '--action', 'stop'),
    run('unfreeze', 'frz_none'),
  ]);
  expect(wrong.map(({ code }) => code)).toEqual([2, 1, 2, 2, 2, 2, 2, 4]);
  expect(wrong[1]?.stderr).toContain('(strategies.0) [INVALID_INPUT]');
});

test('loss budgets: an administrator makes one, sees how much is used, arms it again, and deletes it', {
  timeout: 120_000,
}, async () => {
  const id = await running(serin, { strategyId: 'ada-cli', ...QUIET });
  const made = await run(
    'budget',
    'ada desk',
    'ada-*',
    '--max',
    '$1k',
    '--hours',
    '24',
    '--action',
    'freeze',
  );
  expect(made).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('less than $1,000 may be lost in 24 h'),
  });
  const [, budgetId = ''] = /(bud_\w+)/.exec(made.stdout) ?? [];
  await report(serin, 'Canary', id, { pnlUsd: '-400' });
  expect((await run('budgets')).stdout).toMatch(
    new RegExp(`${budgetId} +ada desk +armed +\\$400 +\\$1,000 +40 % +24 h +freeze +ada-\\*`),
  );
  await report(serin, 'Canary', id, { pnlUsd: '-1000' });
  await until(async () => JSON.parse((await run('budgets', '--json')).stdout)[0].state === 'TRIPPED');
  expect(await run('promote', id)).toMatchObject({ code: 1, stderr: expect.stringContaining('ada desk') });
  expect(await run('rearm', budgetId, '-r', 'found the cause')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('is armed'),
  });
  expect((await run('unbudget', budgetId)).stdout).toContain('is deleted');
  expect((await run('budgets')).stdout).toBe('There is no loss budget.\n');
  const wrong = await Promise.all([
    run('budget', 'x', '--max', 'much', '--hours', '1'),
    run('budget', 'x', '--max', '5', '--hours', '1', '--action', 'stop'),
    run('budget', 'x', 'a b', '--max', '5', '--hours', '1'),
    run('rearm', budgetId),
    run('unbudget', 'bud_none'),
  ]);
  expect(wrong.map(({ code }) => code)).toEqual([2, 2, 1, 2, 4]);
});
