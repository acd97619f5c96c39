/** The example bots, run as their users run them: separate processes against a live Serin. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create } from './harness/deployment.ts';
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

function start(run: readonly string[], ...options: string[]) {
  const [file = '', ...first] = run;
  const bot = spawn(file, [...first, ...options], {
    env: { ...process.env, SERIN_URL: `${serin.url}/graphql` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  bots.push(bot);
  const said: string[] = [];
  bot.stdout.setEncoding('utf8').on('data', (text: string) => said.push(text));
  bot.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
  const ended = new Promise<number | null>((done) => bot.once('exit', done));
  return { said, ended };
}

const LOOK = `query($id: ID!) { deployment(id: $id) {
  canaryMetrics { tradeCount metrics { netPnlUsd sharpeRatio maxDrawdown } }
  stableMetrics { tradeCount metrics { netPnlUsd sharpeRatio maxDrawdown } }
  allocation { number sides { side heldUsd acknowledgedNumber unansweredSeconds } } } }`;

for (const { language, run, there } of LANGUAGES) {
  describe.runIf(there)(`the bot in ${language}`, () => {
    test('trades both sides, reports, holds what it is told to, and ends with the trial', async () => {
      const created = await create(serin, { config: { ...CALM, canaryPercent: '10' } });
      const { id } = created.deployment;
      await command(serin, 'deployCanary', id, { capitalUsd: '1000000' });
      const options = ['--deployment', id, '--every', '0.002'];
      const canary = start(run, ...options, '--side', 'CANARY', '--window', '20');
      const stable = start(run, ...options, '--side', 'STABLE', '--window', '50');

      const look = async () => (await serin.ask(LOOK, { id })).deployment;
      await until(async () => {
        const { canaryMetrics, stableMetrics } = await look();
        return canaryMetrics.tradeCount >= 2 && stableMetrics.metrics.sharpeRatio !== null;
      }, 50_000);
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
      expect(canary.said.join('')).toContain('ma-20 traded as CANARY');
    }, 120_000);

    test('goes on where it was when Serin was away', async () => {
      const created = await create(serin, { config: CALM });
      const { id } = created.deployment;
      await command(serin, 'deployCanary', id, { capitalUsd: '5000' });
      const bot = start(run, '--deployment', id, '--every', '0.05', '--side', 'CANARY');
      const acknowledged = async () =>
        (await serin.ask(LOOK, { id })).deployment.allocation.sides[0].acknowledgedNumber;
      await until(async () => (await acknowledged()) === 1, 50_000);
      await serin.restart();
      await command(serin, 'cancelDeployment', id);
      expect(await bot.ended, bot.said.join('')).toBe(0);
      expect(await acknowledged()).toBe(2);
    }, 120_000);
  });
}
