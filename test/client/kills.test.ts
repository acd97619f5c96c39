/**
 * Bots in both languages, the node and the database killed in turn, again and again (`kill -9`), and what is left put
 * before the checker of the fault suite: no report that was answered is lost, nothing is acted on twice.
 * `npm run test:clients` kills each ten times.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type CommandInputs, type CommandName, connectSerin } from '../../src/client/index.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded/embeddedPostgres.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { check } from '../faults/checker.ts';
import { emptyHistory, type History } from '../faults/history.ts';
import { createNode, type SerinNode } from '../faults/nodes.ts';
import { PROGRAM } from '../harness/program.ts';
import { until } from '../harness/serin.ts';
import { type Entry, readDiary, reportedTrades, violationsOf } from './diary.ts';

const ROUNDS = Number(process.env.SERIN_KILLS ?? 1);
/** A machine that runs other tests, too, starts processes slowly. */
const WITHIN_MS = 120_000;
const hasPython =
  spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']).status === 0;
if (!hasPython) console.log('The Python bot is not killed: there is no python3 of version 3.9 or newer.');

const LANGUAGES = {
  typescript: [process.execPath, '--import', 'tsx', 'test/client/killedBot.ts'],
  ...(hasPython ? { python: ['python3', 'test/client/killed_bot.py'] } : {}),
};

/** A bot and its deployment, over all its runs. */
interface Bot {
  readonly id: string;
  readonly diary: string;
  readonly command: readonly string[];
  child: ChildProcess | null;
  run: string;
}

function start(bot: Bot, url: string, run: string): void {
  const [program = '', ...args] = bot.command;
  bot.run = run;
  bot.child = spawn(program, [...args, url, bot.id, run, bot.diary], {
    env: { ...process.env, PYTHONPATH: 'clients/python', PYTHONDONTWRITEBYTECODE: '1' },
    stdio: 'inherit',
  });
}

async function kill(bot: Bot): Promise<void> {
  const { child } = bot;
  bot.child = null;
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await ended;
}

/** Sends commands, each under a name of its own, and keeps what was answered for the checker. */
function createOperator(url: string, history: History) {
  return async <Name extends CommandName>(
    mutation: Name,
    deploymentId: string,
    input: CommandInputs[Name],
  ): Promise<void> => {
    const actor = `operator-${history.operations.length}`;
    const sentAt = performance.now();
    const answer = await connectSerin({ url, actor, retryForMs: WITHIN_MS }).command(mutation, input);
    history.operations.push({ actor, mutation, deploymentId, answers: [answer], tries: 1, sentAt });
    expect(answer.error).toBeNull();
  };
}

const QUIET = { maxStaleSeconds: null, maxLossPercent: null };
const STEPS = Array.from({ length: 20 }, (_, no) => ({
  canaryPercent: no + 1,
  minutes: 600,
  gate: 'MANUAL',
}));

test(`${ROUNDS} kills of bots, node and database: no report lost, nothing done twice`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'serin-kills-'));
  const history = emptyHistory(0);
  const postgres = await startEmbeddedPostgres({
    dataDir: join(folder, 'postgres'),
    settings: ['shared_buffers=64MB'],
  });
  const node = await createNode({
    name: 'node',
    program: PROGRAM,
    databaseUrl: () => postgres.url,
    timeScale: 1,
    onCrash: (why) => history.crashes.push(why),
  });
  const bots: Bot[] = Object.entries(LANGUAGES).map(([language, command]) => ({
    id: `dep_${language}`,
    diary: join(folder, `${language}.jsonl`),
    command,
    child: null,
    run: '',
  }));
  try {
    await node.start();
    const operate = createOperator(node.url, history);
    for (const { id } of bots) {
      const names = { id, strategyId: `s_${id}`, stableVersionId: 'v1', canaryVersionId: 'v2' };
      await operate('createDeployment', id, { ...names, config: { steps: STEPS, guardrails: QUIET } });
      await operate('deployCanary', id, { deploymentId: id, capitalUsd: 1_000_000 });
    }
    for (const bot of bots) start(bot, node.url, 'run0');
    for (let round = 1; round <= ROUNDS; round += 1) {
      await killNode(node, bots);
      await killDatabase(postgres, bots);
      for (const { id } of bots) await operate('advanceStep', id, { deploymentId: id });
      for (const bot of bots) {
        await kill(bot);
        start(bot, node.url, `run${round}`);
      }
      await reportedAgain(bots);
    }
    // In between they are killed before or after they acknowledge, as it happens; here, all have acknowledged.
    for (const bot of bots) {
      await until(() => isOffered(bot, 'acknowledged', ROUNDS + 1), WITHIN_MS);
      await kill(bot);
      start(bot, node.url, 'last');
    }
    for (const bot of bots) await until(() => isOffered(bot, 'offered', ROUNDS + 1, 'last'), WITHIN_MS);
    for (const { id } of bots) await operate('rollbackCanary', id, { deploymentId: id });
    const database = openDatabase({ url: postgres.url });
    try {
      await until(async () => (await Promise.all(bots.map(hasEnded))).every(Boolean), WITHIN_MS);
      for (const bot of bots) await keptUp(bot, database.client);
      for (const bot of bots) await kill(bot);
      for (const { id, diary } of bots) {
        const entries = await readDiary(diary);
        for (const [side, trades] of Object.entries(reportedTrades(entries))) {
          const about = { deploymentId: id, side: side as 'CANARY' | 'STABLE', trades };
          history.reported.set(`${id} ${side}`, about);
        }
        expect(await violationsOf(id, entries, database.client)).toEqual([]);
      }
      expect(await check(history, database)).toEqual([]);
    } finally {
      await database.close();
    }
    expect(history.operations).toHaveLength(bots.length * (3 + ROUNDS));
  } finally {
    for (const bot of bots) await kill(bot);
    await node.close();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
}, 900_000);

async function killNode(node: SerinNode, bots: readonly Bot[]): Promise<void> {
  await reportedAgain(bots);
  await node.kill();
  await node.start();
}

async function killDatabase(postgres: EmbeddedPostgres, bots: readonly Bot[]): Promise<void> {
  await reportedAgain(bots);
  const pid = postgres.pid();
  if (pid) process.kill(-pid, 'SIGKILL');
}

/** Every bot has been answered since now: what is killed next is in the middle of something. */
async function reportedAgain(bots: readonly Bot[]): Promise<void> {
  const answered = async ({ diary, run }: Bot) =>
    (await readDiary(diary)).filter((entry) => entry.run === run && entry.kind === 'reported').length;
  const before = await Promise.all(bots.map(answered));
  const isLater = async (bot: Bot, index: number) => (await answered(bot)) > (before[index] ?? 0);
  await until(async () => (await Promise.all(bots.map(isLater))).every(Boolean), WITHIN_MS);
}

/** Both sides have been offered, or have acknowledged, the request for capital with a number; in one run if it is named. */
async function isOffered(
  { diary }: Bot,
  kind: 'offered' | 'acknowledged',
  number: number,
  run?: string,
): Promise<boolean> {
  const found = (await readDiary(diary)).flatMap((entry) =>
    entry.kind === kind && entry.value.number === number && (run ?? entry.run) === entry.run
      ? [entry.value.side]
      : [],
  );
  return new Set(found).size === 2;
}

const hasEnded = async ({ diary }: Bot) => (await readDiary(diary)).some(({ kind }) => kind === 'ended');

/** The bot has been sent the whole timeline of its deployment. */
async function keptUp({ id, diary }: Bot, sql: ReturnType<typeof openDatabase>['client']): Promise<void> {
  await until(async () => {
    const [row] = await sql<{ id: string }[]>`
      select deployment_id || ':' || no as id from events where deployment_id = ${id} order by no desc limit 1`;
    const events = (await readDiary(diary)).flatMap((entry: Entry) =>
      entry.kind === 'event' ? [entry] : [],
    );
    return row !== undefined && events.at(-1)?.value.id === row.id;
  }, WITHIN_MS);
}
