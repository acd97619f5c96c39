/** One history: nodes, clients and faults for a while, then calm, then the proof. */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { formatCursor } from '../../src/store/log/position.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { check } from './checker.ts';
import { endAll, follow, operate, report, type World } from './clients.ts';
import { guard, watchBudgets } from './guards.ts';
import { emptyHistory, type History } from './history.ts';
import { hold } from './holders.ts';
import { injectFaults, KINDS } from './injection.ts';
import { createNode, type SerinNode } from './nodes.ts';
import { createRandom } from './random.ts';
import { type Servers, startServers } from './servers.ts';

export interface RunOptions {
  readonly program: string;
  readonly seed: number;
  /** How many faults to inject; operators and bots go on until then. */
  readonly faults: number;
  /** Which kinds; all of them unless given. */
  readonly kinds?: readonly string[] | undefined;
  readonly nodes?: number;
}

export interface Verdict {
  readonly history: History;
  readonly violations: readonly string[];
}

const TIME_SCALE = 60;
const OPERATORS = 5;
/** How long the calm may go without anything arriving: longer than a connection takes to be given up and made anew. */
const STILL_MS = 20_000;

/** A history on a PostgreSQL of its own, durable as in production. */
export async function runHistory(options: RunOptions): Promise<Verdict> {
  const servers = await startServers();
  try {
    return await runOn(servers, options);
  } finally {
    await servers.stop();
  }
}

async function runOn(
  servers: Servers,
  { program, seed, faults, kinds = KINDS, nodes: count = 3 }: RunOptions,
): Promise<Verdict> {
  const history = emptyHistory(seed);
  const random = createRandom(seed);
  const make = (name: string) =>
    createNode({
      name,
      program,
      databaseUrl: servers.serving,
      timeScale: TIME_SCALE,
      onCrash: (why) => history.crashes.push(why),
    });
  const first = await make('node 1');
  const nodes: [SerinNode, ...SerinNode[]] = [first];
  for (let no = 2; no <= count; no += 1) nodes.push(await make(`node ${no}`));
  const left = new AbortController();
  try {
    await Promise.all(nodes.map((node) => node.start()));
    const enough = new AbortController();
    const world: World = { history, nodes, known: [], ending: enough.signal };
    const following = [
      ...nodes.map((_, no) => follow(world, 'eventAppended', no, left.signal)),
      ...nodes.map((_, no) => follow(world, 'stateChanged', no, left.signal)),
    ];
    await Promise.all([
      ...Array.from({ length: OPERATORS }, () => operate(world, random.fork())),
      report(world, random.fork(), 'CANARY'),
      report(world, random.fork(), 'STABLE'),
      hold(world, random.fork(), 'CANARY'),
      hold(world, random.fork(), 'STABLE'),
      guard(world, random.fork()),
      watchBudgets(world, random.fork()),
      injectFaults(world, servers, random.fork(), faults, kinds).finally(() => enough.abort()),
      leaveTransactionsOpen(servers.url, world.ending),
    ]);
    await calmDown(world, servers.url);
    left.abort();
    await Promise.all(following);
    const database = openDatabase({ url: servers.url });
    const violations = await check(history, database);
    history.breachToSafeMs.push(...(await breachesToSafe(database.client)));
    history.trips = await countTrips(database.client);
    await database.close();
    return { history, violations };
  } finally {
    left.abort();
    await Promise.all(nodes.map((node) => node.close()));
  }
}

/** Real milliseconds from each report that broke a guardrail to the last acknowledgement. */
async function breachesToSafe(client: postgres.Sql): Promise<number[]> {
  const rows = await client<{ ms: number }[]>`
    select (payload ->> 'breachToSafeMs')::float8 as ms from events
    where type = 'ALLOCATION_SETTLED' and payload ? 'breachToSafeMs'`;
  return rows.map(({ ms }) => ms / TIME_SCALE);
}

async function countTrips(client: postgres.Sql): Promise<number> {
  const [row] = await client<{ trips: number }[]>`
    select coalesce(sum(trips), 0)::int as trips from loss_budgets`;
  return row?.trips ?? 0;
}

/** Others write to the same PostgreSQL, slowly: events commit out of the order of their ids. */
async function leaveTransactionsOpen(url: string, ending: AbortSignal): Promise<void> {
  const client = postgres(url, { max: 2, onnotice: () => {}, fetch_types: false, backoff: () => 0.2 });
  while (!ending.aborted) {
    await client
      .begin(async (tx) => {
        await tx`select pg_current_xact_id()`;
        await tx`select pg_sleep(0.3)`;
      })
      .catch(() => sleep(100));
  }
  await client.end({ timeout: 1 });
}

/** No more faults: every deployment is ended, and every subscriber sees the end of the log. */
export async function calmDown(world: World, url: string): Promise<void> {
  const { history, nodes } = world;
  for (const node of nodes) {
    node.thaw();
    node.toDatabase.pass();
    if (!node.running()) await node.start();
  }
  await endAll(world);
  const client = postgres(url, { max: 1, onnotice: () => {} });
  const received = () => history.subscribers.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
  const behind = async () => {
    const [row] = await client<{ live: boolean }[]>`
      select exists (select from deployments where ended_at is null) as live`;
    if (!row || row.live) return true;
    const ends = {
      eventAppended: await endOf(client, client`events.timeline`),
      stateChanged: await endOf(client, client`events.status is not null`),
    };
    // A subscriber that is yet to be notified of a rewind has as many deliveries, but another end.
    const isBehind = history.subscribers.some(
      ({ feed, deliveries }) =>
        deliveries.length < ends[feed].count || deliveries.at(-1)?.cursor !== ends[feed].cursor,
    );
    if (!isBehind)
      for (const subscriber of history.subscribers) subscriber.end = ends[subscriber.feed].cursor;
    return isBehind;
  };
  let last = { count: received(), at: Date.now() };
  while ((await behind()) && Date.now() - last.at < STILL_MS) {
    if (received() > last.count) last = { count: received(), at: Date.now() };
    await sleep(100);
  }
  await client.end();
}

/** How many events a feed has, and the cursor of the last one. */
async function endOf(
  client: postgres.Sql,
  isInFeed: postgres.PendingQuery<postgres.Row[]>,
): Promise<{ readonly count: number; readonly cursor: string | undefined }> {
  const [row] = await client<{ count: number; number: number; label: string; xid: string; id: string }[]>`
    select i.number, i.epoch || '.' || i.mark as label, events.xid::text, events.id::text,
      (select count(*)::int from events where ${isInFeed}) as count
    from events join incarnations i on i.number = events.incarnation
    where ${isInFeed} order by events.incarnation desc, events.xid desc, events.id desc limit 1`;
  if (!row) return { count: 0, cursor: undefined };
  const { count, number, label, xid, id } = row;
  return {
    count,
    cursor: formatCursor({ incarnation: { number, label }, xid: BigInt(xid), id: BigInt(id) }),
  };
}
