/** The example bots, run as their users run them: separate processes against a live Serin. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rewindMessageOf } from '../src/webhooks/message.ts';
import { claimPort } from './harness/claimedPort.ts';
import { CALM, command, create, report } from './harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from './harness/serin.ts';

let serin: TestSerin;
const bots: ChildProcess[] = [];
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(async () => {
  for (const bot of bots) bot.kill();
  await serin.stop();
});

const hasPython = spawnSync('python3', ['--version']).status === 0;

const LANGUAGES = [
  { language: 'TypeScript', run: [process.execPath, '--import', 'tsx', 'examples/bot.ts'], there: true },
  { language: 'Python', run: ['python3', 'examples/bot.py'], there: hasPython },
];

function start(run: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const [file = '', ...args] = run;
  const bot = spawn(file, args, {
    env: { ...process.env, SERIN_URL: `${serin.url}/graphql`, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  bots.push(bot);
  const said: string[] = [];
  bot.stdout.setEncoding('utf8').on('data', (text: string) => said.push(text));
  bot.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
  const ended = new Promise<number | null>((done) => bot.once('exit', done));
  return { child: bot, said, ended };
}

const LOOK = `query($id: ID!) { deployment(id: $id) {
  canaryMetrics { tradeCount errorCount metrics { netPnlUsd sharpeRatio maxDrawdown } }
  stableMetrics { tradeCount metrics { netPnlUsd sharpeRatio maxDrawdown } }
  allocation { number sides { side heldUsd acknowledgedNumber unansweredSeconds } } } }`;

for (const { language, run, there } of LANGUAGES) {
  describe.runIf(there)(`the bot in ${language}`, () => {
    test('trades both sides, reports, holds its allocation, and ends with the deployment', async () => {
      const created = await create(serin, { config: { ...CALM, canaryPercent: '10' } });
      const { id } = created.deployment;
      await command(serin, 'deployCanary', id, { capitalUsd: '1000000' });
      const options = ['--deployment', id, '--every', '0.002'];
      const canary = start([...run, ...options, '--side', 'CANARY', '--window', '20']);
      const stable = start([...run, ...options, '--side', 'STABLE', '--window', '50']);

      const look = async () => (await serin.ask(LOOK, { id })).deployment;
      await until(async () => {
        const { canaryMetrics, stableMetrics } = await look();
        return canaryMetrics.tradeCount >= 2 && stableMetrics.metrics.sharpeRatio !== null;
      }, 100_000);
      expect((await look()).allocation.sides).toEqual([
        { side: 'CANARY', heldUsd: '100000', acknowledgedNumber: 1, unansweredSeconds: 0 },
        { side: 'STABLE', heldUsd: '900000', acknowledgedNumber: 1, unansweredSeconds: 0 },
      ]);

      await command(serin, 'rollbackCanary', id, { reason: 'seen enough' });
      expect([await canary.ended, await stable.ended], [...canary.said, ...stable.said].join('')).toEqual([
        0, 0,
      ]);
      expect((await look()).allocation.sides).toMatchObject([
        { side: 'CANARY', heldUsd: '0', acknowledgedNumber: 2 },
        { side: 'STABLE', heldUsd: '1000000', acknowledgedNumber: 2 },
      ]);
      const canarySaid = canary.said.join('');
      expect(canarySaid).toContain('ma-20 CANARY: Allocation 1 (DEPLOY): the CANARY side holds $100,000.');
      expect(canarySaid).toMatch(/ma-20 CANARY: \d{4}-\d\d-\d\d: \d+ trades, net PnL -?\$/);
      expect(canarySaid).toMatch(new RegExp(`${id} has ended. ma-20 made \\d+ trades as CANARY, net PnL `));
    }, 300_000);

    test('waits for a deployment that does not exist yet, and continues from its totals', async () => {
      const id = `later-${language}`;
      const early = start([...run, '--deployment', id, '--every', '0.002', '--side', 'STABLE']);
      await until(() => early.said.join('').includes(`There is no deployment ${id} yet`), 100_000);
      await create(serin, { id, config: CALM });
      await until(() => early.said.join('').includes(`${id} has no capital yet`), 100_000);
      await command(serin, 'deployCanary', id, { capitalUsd: '1000000' });
      await report(serin, 'Canary', id, { pnlUsd: '-3186.07', trades: 12, errors: 2, winRate: '0.25' });

      const again = start([...run, '--deployment', id, '--every', '0.002', '--side', 'CANARY']);
      const goesOn = 'The CANARY side goes on from 12 trades, net PnL -$3,186.07.';
      await until(() => again.said.join('').includes(goesOn), 100_000);
      const canary = async () => (await serin.ask(LOOK, { id })).deployment.canaryMetrics;
      await until(async () => (await canary()).tradeCount > 12, 100_000);
      expect((await canary()).errorCount).toBe(2);
      await command(serin, 'cancelDeployment', id);
      expect([await early.ended, await again.ended], again.said.join('')).toEqual([0, 0]);
    }, 300_000);

    test('says what was refused', async () => {
      const created = await create(serin, { config: CALM });
      const { id } = created.deployment;
      const deployed = await command(serin, 'deployCanary', id, { capitalUsd: '5000' });
      expect(deployed.success).toBe(true);
      // From now on this side is measured by its trades.
      const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id });
      const trade = { id: 't1', at: deployment.startedAt, pnlUsd: '1' };
      const { recordTrades } = await serin.ask(
        'mutation($input: RecordTradesInput!) { recordTrades(input: $input) { success } }',
        { input: { deploymentId: id, side: 'CANARY', trades: [trade] } },
      );
      expect(recordTrades.success).toBe(true);
      const bot = start([...run, '--deployment', id, '--every', '0.02', '--side', 'CANARY']);
      await until(() => bot.said.join('').includes('Report refused, INVALID_INPUT: '), 100_000);
      await command(serin, 'cancelDeployment', id);
      expect(await bot.ended).toBe(0);
    }, 300_000);

    test('continues from its position after Serin was away', async () => {
      const created = await create(serin, { config: CALM });
      const { id } = created.deployment;
      await command(serin, 'deployCanary', id, { capitalUsd: '5000' });
      const bot = start([...run, '--deployment', id, '--every', '0.05', '--side', 'CANARY']);
      const acknowledged = async () =>
        (await serin.ask(LOOK, { id })).deployment.allocation.sides[0].acknowledgedNumber;
      await until(async () => (await acknowledged()) === 1, 100_000);
      await serin.restart();
      await command(serin, 'cancelDeployment', id);
      expect(await bot.ended, bot.said.join('')).toBe(0);
      expect(await acknowledged()).toBe(2);
    }, 300_000);
  });
}

const runTypeScript = [process.execPath, '--import', 'tsx'];

test('the ledger writes every change of status once, over its own end and that of Serin', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'serin-ledger-'));
  const file = join(folder, 'ledger.jsonl');
  const entries = async () =>
    (await readFile(file, 'utf8').catch(() => ''))
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  const strategyId = 's-ledger';
  const of = async (id: string) => (await entries()).filter(({ deploymentId }) => deploymentId === id);
  try {
    const { id } = (await create(serin, { strategyId, config: CALM })).deployment;
    await command(serin, 'deployCanary', id, { capitalUsd: '1000' });
    const first = start([...runTypeScript, 'examples/ledger.ts', file]);
    await until(async () => (await of(id)).length === 1, 100_000);
    first.child.kill('SIGKILL');
    await first.ended;
    // As a crash in the middle of a write leaves it.
    await appendFile(file, '{"cursor":"1');
    await command(serin, 'pauseDeployment', id);
    const second = start([...runTypeScript, 'examples/ledger.ts', file]);
    await until(
      async () => second.said.join('').includes('continues after') && (await of(id)).length === 2,
      100_000,
    );
    await serin.restart();
    await command(serin, 'cancelDeployment', id);
    await until(async () => (await of(id)).length === 3, 100_000);
    expect((await of(id)).map(({ status }) => status)).toEqual(['RUNNING', 'PAUSED', 'CANCELLED']);
    const cursors = (await entries()).map(({ cursor }) => cursor);
    expect(new Set(cursors).size).toBe(cursors.length);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 300_000);

test('the receiver of webhooks takes what Serin has signed, and alerts once', async () => {
  const own = await startTestSerin({ webhookNetworks: ['127.0.0.1'] });
  const { port, release } = await claimPort();
  try {
    const url = `http://127.0.0.1:${port}/`;
    const { createWebhook } = await own.ask(
      `mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { secret } }`,
      { input: { url } },
    );
    const receiver = start([...runTypeScript, 'examples/alerts.ts'], {
      SERIN_WEBHOOK_SECRET: createWebhook.secret,
      PORT: String(port),
    });
    await until(() => receiver.said.join('').includes('Alerts are received'), 100_000);
    const forged = await fetch(url, { method: 'POST', body: '{"type":"CANARY_FAILED","data":{}}' });
    expect(forged.status).toBe(401);
    const { id } = (await create(own, { config: CALM })).deployment;
    await command(own, 'deployCanary', id, { capitalUsd: '1000' });
    await command(own, 'rollbackCanary', id, { reason: 'a test' });
    await until(() => /ALERT \S+ \S+: .*a test/.test(receiver.said.join('')), 100_000);
    expect(receiver.said.join('').match(/ALERT/g)).toHaveLength(1);
    // A rewind is about no deployment.
    const { headers, body } = rewindMessageOf({ label: '2.x', at: new Date(), last: null }, [
      createWebhook.secret,
    ]);
    expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(204);
    await until(() => receiver.said.join('').includes('ALERT all deployments: The database was set back'));
  } finally {
    await own.stop();
    release();
  }
}, 300_000);
