/** `serin get -w` in a pseudo terminal: what stands on the screen at 80 and 120 columns, and what is left afterwards. */
import { type IPty, spawn } from '@lydell/node-pty';
import { Terminal } from '@xterm/headless';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startProxy, type TcpProxy } from '../faults/proxy.ts';
import { CALM, command, report, running } from '../harness/deployment.ts';
import { PROGRAM } from '../harness/program.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let proxy: TcpProxy;
const started: IPty[] = [];
beforeAll(async () => {
  serin = await startTestSerin();
  proxy = await startProxy(() => Number(new URL(serin.url).port));
});
afterEach(() => {
  proxy.pass();
  for (const pty of started.splice(0)) pty.kill('SIGKILL');
});
afterAll(async () => {
  await proxy.close();
  await serin.stop();
});

/** A terminal with something in it already, in which the command runs. */
function watch(id: string, cols: number, rows = 40) {
  const terminal = new Terminal({ cols, rows, allowProposedApi: true, scrollback: 500 });
  terminal.write('$ serin get -w\r\n');
  const pty = spawn(process.execPath, [PROGRAM, 'get', id, '-w'], {
    cols,
    rows,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: process.env.HOME ?? '',
      TZ: 'UTC',
      SERIN_URL: `http://127.0.0.1:${proxy.port}`,
    },
  });
  started.push(pty);
  let written = '';
  pty.onData((data) => {
    written += data;
    terminal.write(data);
  });
  // What it wrote last is on the screen by then.
  const ended = new Promise<number>((done) =>
    pty.onExit(({ exitCode }) => terminal.write('', () => done(exitCode))),
  );
  const lines = () => {
    const { active } = terminal.buffer;
    return Array.from(
      { length: active.length },
      (_, row) => active.getLine(row)?.translateToString(true) ?? '',
    );
  };
  return {
    pty,
    ended,
    lines,
    screen: () => lines().join('\n'),
    onSecondScreen: () => terminal.buffer.active.type === 'alternate',
    cursorShown: () => written.lastIndexOf('\x1b[?25h') > written.lastIndexOf('\x1b[?25l'),
  };
}

/** A deployment with three checks behind it, whose sides differ. */
async function observed(): Promise<string> {
  const id = await running(serin, {
    config: {
      ...CALM,
      rollbackPlan: { positions: 'CLOSE', maxSlippageBps: 25 },
      steps: [
        { canaryPercent: '10', minutes: 60 },
        { canaryPercent: '25', minutes: 60 },
      ],
    },
  });
  for (let check = 1; check <= 3; check += 1) {
    await report(serin, 'Canary', id, { pnlUsd: String(check * 40), trades: check * 3 });
    await report(serin, 'Stable', id, { pnlUsd: String(check * 90), trades: check * 3 });
    await serin.advance(60);
    await until(async () => (await checksOf(id)) >= check);
  }
  return id;
}

const checksOf = async (id: string): Promise<number> => {
  const query = 'query($id: ID!) { deployment(id: $id) { samples(last: 200) { edges { node { check } } } } }';
  const { deployment } = await serin.ask(query, { id });
  return deployment.samples.edges.length;
};

test.each([80, 120])(
  'at %i columns: live, no line too long, and the terminal is given back',
  async (columns) => {
    const id = await observed();
    const before = Date.now();
    const watched = watch(id, columns);
    await until(() => watched.screen().includes('live, as of'), 30_000);
    expect(watched.onSecondScreen()).toBe(true);
    const screen = watched.screen();
    // On the clock of this Serin, which was moved by the three minutes of `observed`.
    const [, day, time] = /as of (\S+) (\S+) ·/.exec(screen) ?? [];
    expect(Date.parse(`${day}T${time}Z`) - before).toBeGreaterThan(175_000);
    for (const part of [
      /v1 → v2 {2}running/,
      /1 of 2: 10 % of the capital/,
      /canary +\+1\.20 % +\$120/,
      /[⠁-⣿]{8}/,
      /✓ finite/,
      /evidence {3}/,
      /you can +promote, rollback.*open\s+positions: close, at most 25 bps/s,
    ]) {
      expect(screen).toMatch(part);
    }
    // The last column stays free of words that were cut: every line ends with a word of the view.
    expect(Math.max(...watched.lines().map((line) => line.length))).toBeLessThanOrEqual(columns);
    await report(serin, 'Canary', id, { pnlUsd: '-55.5', trades: 10 });
    await until(() => watched.screen().includes('-$55.50'));
    await command(serin, 'pauseDeployment', id);
    await until(() => /v1 → v2 {2}paused/.test(watched.screen()));
    watched.pty.write('q');
    expect(await watched.ended).toBe(0);
    expect(watched.onSecondScreen()).toBe(false);
    expect(watched.cursorShown()).toBe(true);
    expect(watched.lines()[0]).toBe('$ serin get -w');
    expect(watched.screen()).toMatch(/v1 → v2 {2}paused/);
  },
  90_000,
);

test('a terminal of 80 columns and 24 rows shows the words whole and leaves the charts out', async () => {
  const watched = watch(await observed(), 80, 24);
  await until(() => watched.screen().includes('live, as of'), 30_000);
  const lines = watched.lines();
  expect(lines).toHaveLength(24);
  expect(lines[0]).toMatch(/v1 → v2 {2}running/);
  expect(watched.screen()).toMatch(/you can +promote, rollback/);
  expect(watched.screen()).not.toMatch(/[⠁-⣿]{8}/);
  watched.pty.write('q');
  expect(await watched.ended).toBe(0);
}, 90_000);

test('says that it reconnects, shows what happened meanwhile, and ends with the deployment', async () => {
  const id = await observed();
  const watched = watch(id, 100);
  await until(() => watched.screen().includes('live, as of'), 30_000);
  proxy.refuse();
  proxy.cut();
  await until(() => watched.screen().includes('reconnecting for'));
  await command(serin, 'rollbackCanary', id, { reason: 'while it was away' });
  proxy.pass();
  expect(await watched.ended).toBe(0);
  expect(watched.onSecondScreen()).toBe(false);
  expect(watched.screen()).toMatch(/v1 → v2 {2}rolled back/);
}, 90_000);

test('a signal leaves the terminal as it was', async () => {
  const watched = watch(await running(serin), 80);
  await until(() => watched.onSecondScreen(), 30_000);
  watched.pty.kill('SIGTERM');
  expect(await watched.ended).toBe(0);
  expect([watched.onSecondScreen(), watched.cursorShown()]).toEqual([false, true]);
}, 60_000);
