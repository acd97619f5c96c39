/**
 * One soak: two nodes on one PostgreSQL under a steady load, then thousands of subscribers that come and go. Nothing
 * may be left of either, and everything that was told must be true (the checker of the fault suite).
 */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../src/store/embedded/embeddedPostgres.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { check } from '../faults/checker.ts';
import { follow, post, type World } from '../faults/clients.ts';
import { emptyHistory, type History } from '../faults/history.ts';
import { createNode, type SerinNode } from '../faults/nodes.ts';
import { createRandom, type Random } from '../faults/random.ts';
import { calmDown } from '../faults/run.ts';
import { dataFolder } from '../harness/dataFolder.ts';
import { consumersOf, describeFigures, type Figures, findLeaks, measure } from './figures.ts';
import { INSPECTED, inspectorOf } from './inspector.ts';
import { listen, startReceiver, work } from './load.ts';
import { visit } from './visitors.ts';

export interface SoakOptions {
  readonly program: string;
  readonly seed: number;
  readonly warmUpSeconds: number;
  readonly loadSeconds: number;
  /** Connects and disconnects. */
  readonly visits: number;
  readonly say: (line: string) => void;
}

export interface Soaked {
  /** Leaks, and what was told and is not true; none when all is well. */
  readonly faults: readonly string[];
  readonly requests: number;
  readonly reports: number;
  /** To subscribers. */
  readonly deliveries: number;
  /** To the webhook. */
  readonly messages: number;
  readonly visits: number;
}

const TIME_SCALE = 60;
/** Visitors that come first, so that what is compiled and cached for them is there. */
const FIRST_VISITS = 300;
/** How long a node may take to see that somebody has left. */
const LEFT_WITHIN_MS = 30_000;

export async function soak(options: SoakOptions): Promise<Soaked> {
  const dataDir = await dataFolder('soak');
  const server = await startEmbeddedPostgres({ dataDir, settings: ['shared_buffers=64MB'] });
  const history = emptyHistory(options.seed);
  const make = (name: string) =>
    createNode({
      name,
      program: options.program,
      databaseUrl: () => server.url,
      timeScale: TIME_SCALE,
      onCrash: (why) => history.crashes.push(why),
      environment: { SERIN_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.1' },
      flags: INSPECTED,
    });
  const nodes: [SerinNode, SerinNode] = [await make('node 1'), await make('node 2')];
  try {
    for (const node of nodes) await node.start();
    const inspectors = new Map(nodes.map((node) => [node, inspectorOf(node)]));
    return await soakOn(nodes, inspectors, server.url, history, options);
  } finally {
    for (const node of nodes) await node.close();
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function soakOn(
  nodes: readonly [SerinNode, SerinNode],
  inspectors: ReadonlyMap<SerinNode, string>,
  url: string,
  history: History,
  { seed, warmUpSeconds, loadSeconds, visits, say }: SoakOptions,
): Promise<Soaked> {
  const random = createRandom(seed);
  const enough = new AbortController();
  const left = new AbortController();
  const world: World = { history, nodes, known: [], ending: enough.signal };
  const client = postgres(url, { max: 1, onnotice: () => {} });
  const receiver = await startReceiver();
  const station = async (name: string): Promise<Figures> => {
    const figures = await measure(inspectors, client);
    say(`${name}: ${describeFigures(figures)}`);
    return figures;
  };
  try {
    await createWebhook(nodes[0], receiver.url);
    const following = [
      follow(world, 'eventAppended', 0, left.signal),
      follow(world, 'stateChanged', 1, left.signal),
    ];
    const working = work(world, random.fork());
    const listeners = listen(nodes, (why) => history.crashes.push(why));
    await sleep(warmUpSeconds * 1000);
    const warm = await station('warm');
    const until = Date.now() + loadSeconds * 1000;
    for (let turn = 1; Date.now() < until; turn += 1) {
      await sleep(Math.min(60_000, Math.max(0, until - Date.now())));
      if (Date.now() < until) await station(`after ${turn} min`);
    }
    const worn = await station('worn');
    await listeners.leave();
    const visitors = (count: number) => come(world, random.fork(), count);
    await visitors(FIRST_VISITS);
    const before = await station('before visits');
    const visited = await visitors(visits);
    const after = await station('after visits');
    for (const [manner, times] of visited) say(`  ${times} × ${manner}`);
    enough.abort();
    await working;
    await calmDown(world, url);
    left.abort();
    await Promise.all(following);
    const told = await settled(client, receiver.messages);
    await gone(nodes);
    const idle = await station('everybody gone');
    const database = openDatabase({ url });
    const violations = await check(history, database);
    await database.close();
    return {
      faults: [
        ...findLeaks({ warm, worn, before, after, idle }),
        ...violations,
        ...told,
        ...complaints(nodes),
      ],
      requests: history.operations.reduce((sum, { tries }) => sum + tries, 0),
      reports: history.reports,
      deliveries:
        listeners.heard() + history.subscribers.reduce((sum, { deliveries }) => sum + deliveries.length, 0),
      messages: receiver.messages(),
      visits: FIRST_VISITS + visits,
    };
  } finally {
    enough.abort();
    left.abort();
    await client.end();
    await receiver.close();
  }
}

async function createWebhook(node: SerinNode, url: string): Promise<void> {
  const { data, errors } = await post(
    node,
    'admin',
    'mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { success message } }',
    { url },
  );
  const created = data?.createWebhook as { success: boolean } | undefined;
  if (!created?.success) throw new Error(`no webhook: ${JSON.stringify({ data, errors })}`);
}

/** Visitors come and go until so many did, and the nodes have seen them leave. */
async function come(world: World, random: Random, count: number): Promise<ReadonlyMap<string, number>> {
  const followed = world.history.subscribers.length;
  const manners = await visit(world.nodes, {
    count,
    random,
    deploymentId: () => world.known.at(-1) ?? 'none',
    after: world.history.subscribers[0]?.deliveries.at(-1)?.cursor ?? '0',
  });
  const streams = async () =>
    (await Promise.all(world.nodes.map(consumersOf))).reduce((sum, consumers) => sum + consumers, 0);
  await eventually(async () => (await streams()) <= followed);
  return manners;
}

/** Every event of the log was delivered to the webhook; otherwise a sentence. */
async function settled(client: postgres.Sql, messages: () => number): Promise<string[]> {
  const events = async () =>
    (await client<{ count: number }[]>`select count(*)::int from events where timeline`)[0]?.count ?? 0;
  await eventually(async () => messages() >= (await events()));
  const expected = await events();
  return messages() === expected
    ? []
    : [`a webhook is the log: ${messages()} of ${expected} events were delivered`];
}

/** Nothing that clients do is an error of a node. */
function complaints(nodes: readonly SerinNode[]): string[] {
  return nodes.flatMap((node) => {
    const [line] = node.said().match(/^\{.*"level":[56]0.*$/m) ?? [];
    return line ? [`a node has nothing to complain of: ${node.name} logged ${line}`] : [];
  });
}

/** Waits until the nodes have seen that everybody left. */
async function gone(nodes: readonly SerinNode[]): Promise<void> {
  await eventually(async () => (await Promise.all(nodes.map(consumersOf))).every((streams) => streams === 0));
}

/** Gives a condition its time. What is not so afterwards is the judgement's to say. */
async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + LEFT_WITHIN_MS;
  while (!(await condition()) && Date.now() < deadline) await sleep(100);
}
