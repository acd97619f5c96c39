/**
 * Bot, node and database killed again and again (`kill -9`): no report that was answered is lost, none counts twice, and
 * the last request for capital is acknowledged. `npm run test:clients` kills each ten times.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { connectSerin } from '../../src/client/index.ts';
import { startEmbeddedPostgres } from '../../src/store/embedded/embeddedPostgres.ts';
import { buildSerin, createNode } from '../faults/nodes.ts';
import { until } from '../harness/serin.ts';

const ROUNDS = Number(process.env.SERIN_KILLS ?? 1);
const STEPS = 20;

/** A line of the bot's diary. */
type Entry = { readonly run: string } & (
  | { readonly kind: 'sent'; readonly value: { readonly trades: number; readonly id: string } }
  | { readonly kind: 'reported'; readonly value: number }
  | { readonly kind: 'recorded'; readonly value: string }
  | { readonly kind: 'acknowledged'; readonly value: { readonly side: string; readonly number: number } }
);

test(`${ROUNDS} kills of bot, node and database: no report lost, none twice`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'serin-kills-'));
  const diary = join(folder, 'diary.jsonl');
  const postgres = await startEmbeddedPostgres({
    dataDir: join(folder, 'postgres'),
    settings: ['shared_buffers=64MB'],
  });
  const crashes: string[] = [];
  const node = await createNode({
    name: 'node',
    program: await buildSerin('kills'),
    databaseUrl: () => postgres.url,
    timeScale: 1,
    onCrash: (why) => crashes.push(why),
  });
  let bot: ChildProcess | null = null;
  try {
    await node.start();
    const serin = connectSerin({ url: node.url, retryForMs: 60_000 });
    const steps = Array.from({ length: STEPS }, (_, no) => ({
      canaryPercent: no + 1,
      minutes: 600,
      gate: 'MANUAL',
    }));
    const config = { steps, guardrails: { maxStaleSeconds: null, maxLossPercent: null } };
    await serin.command('createDeployment', {
      id: 'dep_kills',
      strategyId: 's',
      stableVersionId: 'v1',
      canaryVersionId: 'v2',
      config,
    });
    const deployed = await serin.command('deployCanary', {
      deploymentId: 'dep_kills',
      capitalUsd: 1_000_000,
    });
    expect(deployed.error).toBeNull();
    const entries = async (): Promise<Entry[]> =>
      (await readFile(diary, 'utf8').catch(() => ''))
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    const reportedBy = async (run: string) =>
      (await entries()).filter((entry) => entry.run === run && entry.kind === 'reported').length;
    const startBot = (run: string) => {
      bot = spawn(
        process.execPath,
        ['--import', 'tsx', 'test/client/killedBot.ts', node.url, 'dep_kills', run, diary],
        { stdio: 'inherit' },
      );
      return bot;
    };
    let running = startBot('run0');
    for (let round = 1; round <= ROUNDS; round += 1) {
      await until(async () => (await reportedBy(`run${round - 1}`)) > 3, 60_000);
      await node.kill();
      await sleep(100);
      await node.start();
      const pid = postgres.pid();
      if (pid) process.kill(-pid, 'SIGKILL');
      await serin.command('advanceStep', { deploymentId: 'dep_kills' });
      running.kill('SIGKILL');
      await once(running, 'exit');
      running = startBot(`run${round}`);
    }
    await until(async () => (await reportedBy(`run${ROUNDS}`)) > 3, 60_000);
    const ended = once(running, 'exit');
    await serin.command('rollbackCanary', { deploymentId: 'dep_kills' });
    expect((await ended)[0]).toBe(0);

    const { deployment } = await serin.query<Final>(FINAL);
    const all = await entries();
    const runs = [...new Set(all.map(({ run }) => run))];
    const sum = (of: (entry: Entry) => number) =>
      runs
        .map((run) => Math.max(0, ...all.filter((entry) => entry.run === run).map(of)))
        .reduce((total, most) => total + most, 0);
    // A report that a kill cut off counts or not; what was answered counts, and nothing beyond what was sent.
    const total = deployment.canaryMetrics.tradeCount;
    expect(total).toBeGreaterThanOrEqual(sum((entry) => (entry.kind === 'reported' ? entry.value : 0)));
    expect(total).toBeLessThanOrEqual(sum((entry) => (entry.kind === 'sent' ? entry.value.trades : 0)));
    const ids = deployment.trades.nodes.map((trade) => trade.tradeId);
    expect(new Set(ids).size).toBe(ids.length);
    const recorded = all.flatMap((entry) => (entry.kind === 'recorded' ? [entry.value] : []));
    if (!deployment.trades.pageInfo.hasNextPage) expect(ids).toEqual(expect.arrayContaining(recorded));
    expect(deployment.stableMetrics.tradeCount).toBeGreaterThanOrEqual(recorded.length);
    expect(deployment.allocation.sides.map((side) => side.acknowledgedNumber)).toEqual([
      deployment.allocation.number,
      deployment.allocation.number,
    ]);
    expect(crashes).toEqual([]);
  } finally {
    (bot as ChildProcess | null)?.kill('SIGKILL');
    await node.close();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
}, 600_000);

interface Final {
  readonly deployment: {
    readonly canaryMetrics: { readonly tradeCount: number };
    readonly stableMetrics: { readonly tradeCount: number };
    readonly trades: {
      readonly nodes: readonly { readonly tradeId: string }[];
      readonly pageInfo: { readonly hasNextPage: boolean };
    };
    readonly allocation: {
      readonly number: number;
      readonly sides: readonly { readonly acknowledgedNumber: number }[];
    };
  };
}

const FINAL = `query { deployment(id: "dep_kills") { canaryMetrics { tradeCount } stableMetrics { tradeCount }
  trades(side: STABLE, first: 200) { nodes { tradeId } pageInfo { hasNextPage } }
  allocation { number sides { acknowledgedNumber } } } }`;
