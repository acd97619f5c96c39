/**
 * A search for dear documents: those that cost the server most are changed at random again and again. Whatever a caller
 * of the smallest role sends, refused or not, costs at most a second of CPU and 64 MB on the thread that answers others.
 * `npm run test:fuzz` searches for five minutes, prints the dearest documents, and how much longer others wait meanwhile.
 * Otherwise only the changes are tested: CPU time is that of the machine, too.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { parse, validate } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { command, HOURLY, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';
import type { CallerTask } from './costCaller.ts';
import { mutate, seedDocuments } from './mutate.ts';
import { createRandom } from './random.ts';

const seconds = Number(process.env.SERIN_FUZZ_SECONDS ?? 0);
const seed = Number(process.env.SERIN_FUZZ_SEED ?? Date.now() % 1_000_000_000);
const MOST_CPU_MS = 1000;
const MOST_MB = 64;
/** Documents that are changed further. */
const POOL = 20;
const DEPLOYMENTS = 220;
/** Rounds in which another caller's reads are timed, alone and meanwhile, and reads a round. */
const ROUNDS = 5;
const READS_A_ROUND = 300;

interface Measured {
  readonly text: string;
  readonly cpuMs: number;
  readonly mb: number;
  /** `OK`, or the code of the first error. */
  readonly outcome: string;
}

let serin: TestSerin;
let child: ChildProcess;
let url = '';
let attacker = '';
let victim = '';
let ids: string[];

const reply = () =>
  new Promise<Record<string, unknown>>((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`the server ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(Object(message));
    });
  });
const tell = (message: string) => {
  const answer = reply();
  child.send(message);
  return answer;
};

/** Checks of the deployment with a history, as soon as they may be: one a sixth of a second on this clock. */
const BUSY = { guardrails: { maxStaleSeconds: 30_000_000 }, checkIntervalSeconds: 10 };
const CHECKS = 100;

async function start(): Promise<void> {
  serin = await startTestSerin({ access: WITH_KEYS });
  const root = await administrator(serin);
  attacker = await makeKey(root, 'VIEWER');
  victim = await makeKey(root, 'VIEWER');
  ids = Array.from({ length: DEPLOYMENTS }, (_each, index) => `dep_cost${index}`);
  const make = async (id: string, index: number) => {
    // Few checks, so that what the process costs is what was asked of it.
    await running(root, { id, strategyId: `cost-${index}`, config: index === 0 ? BUSY : HOURLY });
  };
  for (let index = 0; index < DEPLOYMENTS; index += 20) {
    await Promise.all(ids.slice(index, index + 20).map((id, place) => make(id, index + place)));
  }
  await makeHistory(root, ids[0] ?? '');
  child = fork('test/fuzz/costServer.ts', {
    execArgv: ['--import', 'tsx', '--expose-gc'],
    env: { ...process.env, DATABASE_URL: serin.database.url },
  });
  url = String((await reply()).url);
}

/** Trades of both sides, samples, and a timeline, more than a page of each; then it is paused. */
async function makeHistory(root: TestCaller, id: string): Promise<void> {
  const { deployment } = await root.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id });
  const trades = (side: string) =>
    Array.from({ length: 250 }, (_, index) => ({
      id: `${side}${index}`,
      at: deployment.startedAt,
      pnlUsd: String((index % 7) - 2),
      feesUsd: '0.1',
    }));
  for (const side of ['CANARY', 'STABLE']) {
    await root.ask('mutation($input: RecordTradesInput!) { recordTrades(input: $input) { success } }', {
      input: { deploymentId: id, side, trades: trades(side) },
    });
  }
  await until(async () => {
    const [row] = await serin.database
      .sql`select count(*)::int as n from samples where deployment_id = ${id}`;
    return row?.n >= CHECKS;
  });
  for (let time = 0; time < 20; time += 1) {
    await command(root, 'pauseDeployment', id);
    await command(root, 'resumeDeployment', id);
  }
  await command(root, 'pauseDeployment', id);
}

async function stop(): Promise<void> {
  if (child.connected) child.send('stop');
  await until(() => child.exitCode !== null);
  await serin.stop();
}

async function send(query: string, key: string): Promise<string> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query }),
  });
  const text = await response.text();
  return /"errors":/.test(text) ? (/"code":"(\w+)"/.exec(text)?.[1] ?? 'INVALID') : 'OK';
}

async function measure(text: string): Promise<Measured> {
  await tell('begin');
  const outcome = await send(text, attacker);
  const { cpuMs, mb } = await tell('end');
  return { text, outcome, cpuMs: Number(cpuMs), mb: Number(mb ?? 0) };
}

/** What a document costs at least: a busy machine, and what else the process does, only add to it. */
async function measureAgain(first: Measured): Promise<Measured> {
  let least = first;
  for (let time = 0; time < 3; time += 1) {
    const again = await measure(first.text);
    least = { ...again, cpuMs: Math.min(least.cpuMs, again.cpuMs), mb: Math.min(least.mb, again.mb) };
  }
  return least;
}

const isDear = ({ cpuMs, mb }: Measured) => cpuMs > MOST_CPU_MS || mb > MOST_MB;

test('changes of a document are documents that the schema knows', () => {
  const random = createRandom(seed);
  const seeds = seedDocuments(['dep_1', 'dep_2']);
  let valid = 0;
  for (let time = 0; time < 100; time += 1) {
    const text = mutate(random.pick(seeds), random);
    if (text && validate(schema, parse(text)).length === 0) valid += 1;
  }
  expect(valid).toBeGreaterThan(20);
  const unknown = seeds.flatMap((text) => validate(schema, parse(text)).map(({ message }) => message));
  expect(unknown.filter((message) => /^(Cannot query|Unknown|Field .* must)/.test(message))).toEqual([]);
});

describe.runIf(seconds > 0)('no document within the limits', () => {
  beforeAll(start, 600_000);
  afterAll(stop);

  test('costs more than a second or 64 MB', { timeout: 300_000 + seconds * 4000 }, search);
});

async function search(): Promise<void> {
  const random = createRandom(seed);
  const seeds = seedDocuments(ids);
  // The first time everything is compiled.
  for (const text of seeds) await send(text, attacker);
  let pool: Measured[] = [];
  const dear: Measured[] = [];
  let tried = 0;
  const consider = async (text: string) => {
    tried += 1;
    let found = await measure(text);
    if (isDear(found)) found = await measureAgain(found);
    if (isDear(found)) dear.push(found);
    pool = [...pool.filter((other) => other.text !== text), found]
      .sort((a, b) => b.cpuMs - a.cpuMs)
      .slice(0, POOL);
  };
  for (const text of seeds) await consider(text);
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until && dear.length < 10) {
    const parent = random.chance(0.3) ? random.pick(seeds) : random.pick(pool).text;
    let text: string | null = parent;
    for (let steps = 1 + random.below(4); steps > 0 && text; steps -= 1) text = mutate(text, random);
    if (text && text.length < 200_000) await consider(text);
  }
  const lines = pool.slice(0, 5).map(describeCost);
  process.stdout.write(`cost, seed ${seed}: ${tried} documents tried; the dearest:\n${lines.join('\n')}\n`);
  await printOthers(pool[0]);
  expect(dear.map(describeCost)).toEqual([]);
}

const describeCost = ({ text, cpuMs, mb, outcome }: Measured) =>
  `  ${Math.round(cpuMs)} ms, ${Math.round(mb)} MB, ${outcome}: ${text.replaceAll(/\s+/g, ' ').slice(0, 600)}`;

/** Prints the 99th percentile of another caller's reads, alone and while the dearest document is sent again and again. */
async function printOthers(dearest: Measured | undefined): Promise<void> {
  if (!dearest) return;
  const reading = startCaller();
  const read = `{ deployment(id: "${ids[1]}") { status canaryCapitalUsd } }`;
  const quantile = async () => {
    const times = await reading.ask({ url, key: victim, query: read, reads: READS_A_ROUND });
    return times.toSorted((a, b) => a - b)[Math.floor(READS_A_ROUND * 0.99)] ?? 0;
  };
  await quantile();
  const alone: number[] = [];
  const meanwhile: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    alone.push(await quantile());
    const attacking = startCaller();
    await attacking.ask({ url, key: attacker, query: dearest.text, reads: 0 });
    meanwhile.push(await quantile());
    attacking.stop();
  }
  reading.stop();
  const [before, then] = [median(alone), median(meanwhile)];
  process.stdout.write(
    `  another caller's reads, p99: ${before.toFixed(1)} ms alone, ${then.toFixed(1)} ms meanwhile: ` +
      `${(then / before).toFixed(1)} times (may be 2)\n`,
  );
}

/** A caller in its own process, so that what one of them does with its answers is not counted as waiting of the other. */
function startCaller() {
  const process = fork('test/fuzz/costCaller.ts', { execArgv: ['--import', 'tsx'] });
  return {
    /** Resolves with the times of the reads; at once where none are asked for. */
    ask: (task: CallerTask) =>
      new Promise<number[]>((resolve) => {
        process.once('message', (times: number[]) => resolve(times));
        process.send(task);
      }),
    stop: () => process.kill(),
  };
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
