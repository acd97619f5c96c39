/** The bots that README, docs/clients.md and the Python package show: the same in all, at most 20 lines, and they run. */
import { spawn, spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const STRATEGIES = {
  ts: `let capital = 0, trades = 0;
export const strategy = {
  async hold(usd: number) { capital = usd; },
  async trade() { await new Promise((done) => setTimeout(done, 50)); if (capital > 0) trades += 1; },
  totals: () => ({ pnlUsd: String(trades), trades, errors: 0, drawdown: '0' }),
};`,
  python: `import time
class Strategy:
    capital = trades = 0
    def hold(self, usd): self.capital = usd
    def trade(self):
        time.sleep(0.05)
        self.trades += self.capital > 0
    def totals(self): return {"pnl_usd": str(self.trades), "trades": self.trades, "errors": 0, "drawdown": "0"}
strategy = Strategy()`,
};
const hasPython = spawnSync('python3', ['--version']).status === 0;

let serin: TestSerin;
let folder: string;
beforeAll(async () => {
  serin = await startTestSerin();
  folder = await mkdtemp(join(tmpdir(), 'serin-docs-'));
  await cp('clients/python/serin', join(folder, 'serin'), { recursive: true });
  await writeFile(join(folder, 'strategy.ts'), STRATEGIES.ts);
  await writeFile(join(folder, 'strategy.py'), STRATEGIES.python);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
});
afterAll(async () => {
  await serin.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The first block of a language, with another deployment. */
async function bot(language: string, deploymentId: string): Promise<string> {
  const text = await readFile('docs/clients.md', 'utf8');
  const [, block = ''] = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(text) ?? [];
  expect(await readFile('README.md', 'utf8')).toContain(block);
  if (language === 'python') expect(await readFile('clients/python/README.md', 'utf8')).toContain(block);
  expect(block).toContain('dep_first');
  expect(block.trimEnd().split('\n').length).toBeLessThanOrEqual(20);
  return block.replace('dep_first', deploymentId);
}

const LANGUAGES = [
  {
    language: 'ts',
    file: 'bot.ts',
    run: [process.execPath, '--import', pathToFileURL(resolve('node_modules/tsx/dist/loader.mjs')).href],
  },
  ...(hasPython ? [{ language: 'python', file: 'bot.py', run: ['python3'] }] : []),
];
if (!hasPython) process.stderr.write('The bot in Python is not run: there is no python3 here.\n');

test.each(LANGUAGES)(
  'the bot in $language trades and ends with its deployment',
  async ({ language, file, run }) => {
    const id = await running(serin);
    const client = pathToFileURL(resolve('src/client/index.ts')).href;
    await writeFile(join(folder, file), (await bot(language, id)).replace("'serin-client'", `'${client}'`));
    const [program = '', ...args] = run;
    const child = spawn(program, [...args, join(folder, file)], {
      env: { PATH: process.env.PATH, SERIN_URL: serin.url },
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        said += text;
      });
    const ended = new Promise((done) => child.once('close', done));
    const trades = async () => {
      const query = 'query($id: ID!) { deployment(id: $id) { canaryMetrics { tradeCount } } }';
      return (await serin.ask(query, { id })).deployment.canaryMetrics.tradeCount;
    };
    await until(async () => (await trades()) > 3, 30_000);
    await command(serin, 'rollbackCanary', id);
    expect(await ended, said).toBe(0);
    const { deployment } = await serin.ask(
      'query($id: ID!) { deployment(id: $id) { allocation { sides { acknowledgedNumber } } } }',
      { id },
    );
    expect(deployment.allocation.sides[0].acknowledgedNumber).toBe(2);
  },
  90_000,
);
