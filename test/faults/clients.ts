/** Operators, bots and subscribers: ordinary API clients that go on through every fault and write down what they saw. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { FeedRefused, followFeed } from '../../src/client/index.ts';
import type { History, Operation, Reported, Result, Subscriber } from './history.ts';
import type { SerinNode } from './nodes.ts';
import { createRandom, type Random } from './random.ts';

export interface World {
  readonly history: History;
  readonly nodes: readonly [SerinNode, ...SerinNode[]];
  /** Deployments that operators know of, oldest first. */
  readonly known: string[];
  /** When operators and bots stop. */
  readonly ending: AbortSignal;
}

export const STRATEGIES = ['momentum', 'carry', 'basis', 'grid'] as const;
const CHAINS = ['base', 'eth'] as const;
/** Longer than a node may take to answer UNAVAILABLE. */
const ANSWER_MS = 10_000;
export const TRIES = 12;

const FIELDS = `success replayed error { code path }
  deployment { id status revision totalCapitalUsd canaryCapitalUsd stableCapitalUsd }`;
const REPORT = `mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) { results { success } } }`;

interface Answered {
  readonly data?: Record<string, unknown>;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions?: { readonly code?: string; readonly id?: string };
  }[];
}

/** One operation over HTTP, as somebody. */
export async function post(
  node: SerinNode,
  actor: string,
  query: string,
  input: unknown = null,
): Promise<Answered> {
  const response = await fetch(`${node.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-serin-actor': actor },
    body: JSON.stringify({ query, variables: { input } }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const answer: Answered = await response.json();
  return answer;
}

/**
 * One try of a mutation on some node. Returns what it answered, null if nobody knows, and REFUSED after an error that is
 * none of availability: that is a crash.
 */
export async function attempt<T>(
  { history, nodes }: Pick<World, 'history' | 'nodes'>,
  random: Random,
  request: {
    readonly actor: string;
    readonly mutation: string;
    readonly fields: string;
    readonly input: object;
  },
): Promise<T | null | 'REFUSED'> {
  const { actor, mutation, fields, input } = request;
  const type = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
  const query = `mutation($input: ${type}!) { ${mutation}(input: $input) { ${fields} } }`;
  try {
    const { data, errors } = await post(random.pick(nodes), actor, query, input);
    const result = data?.[mutation] as T | undefined;
    if (result) return result;
    if (errors?.[0]?.extensions?.code === 'UNAVAILABLE') return null;
    const id = errors?.[0]?.extensions?.id;
    const said = nodes.flatMap((node) => node.said().split('\n')).find((line) => id && line.includes(id));
    history.crashes.push(`${mutation} of ${actor} failed: ${JSON.stringify(errors)} ${said ?? ''}`);
    return 'REFUSED';
  } catch {
    await sleep(50 + random.below(200));
    return null;
  }
}

/** Sends a command, to another node after each failure, until it is answered. The same key every time. */
export async function perform(
  world: World,
  random: Random,
  mutation: string,
  input: Readonly<Record<string, unknown>>,
  deploymentId: string,
): Promise<Result | null> {
  const no = world.history.operations.length;
  const operation: Operation = {
    actor: `op-${no}`,
    mutation,
    deploymentId,
    answers: [],
    tries: 0,
    sentAt: performance.now(),
  };
  world.history.operations.push(operation);
  const request = {
    actor: operation.actor,
    mutation,
    fields: FIELDS,
    input: { ...input, idempotencyKey: `key-${no}` },
  };
  // Now and then an answered command is sent again, as after an answer that was lost.
  let again = random.chance(0.15) ? 1 : 0;
  while (operation.tries < TRIES) {
    operation.tries += 1;
    const result = await attempt<Result>(world, random, request);
    if (result === 'REFUSED') return null;
    if (!result) continue;
    operation.answeredAt ??= performance.now();
    operation.answers.push(result);
    if (again === 0) return result;
    again -= 1;
  }
  return operation.answers.at(-1) ?? null;
}

export async function operate(world: World, random: Random): Promise<void> {
  while (!world.ending.aborted) {
    await sleep(random.below(60));
    const id = world.known.at(-1 - random.below(Math.min(world.known.length, 6)));
    if (!id || random.chance(0.2)) await launch(world, random);
    else await command(world, random, id);
  }
}

async function launch(world: World, random: Random): Promise<void> {
  const id = `dep-${world.history.operations.length}`;
  const created = await perform(
    world,
    random,
    'createDeployment',
    {
      id,
      strategyId: random.pick(STRATEGIES),
      chain: random.pick(CHAINS),
      ...(random.chance(0.5) ? { stableVersionId: 'v0' } : {}),
      canaryVersionId: `v${world.history.operations.length + 1}`,
      config: {
        // Some are decided by the loop while others are decided by people.
        observationPeriodMinutes: random.pick([5, 10, 60]),
        checkIntervalSeconds: 10,
        canaryPercent: random.pick(['10', '33.3', '7.123456789']),
        promotionCriteria: { minTrades: 1 },
        guardrails: { maxStaleSeconds: null, maxLossUsd: MAX_LOSS_USD },
        settlement: { deadlineSeconds: 300 },
      },
    },
    id,
  );
  // Where it was never answered, nobody knows whether the deployment is there.
  if (!created?.success) return;
  const capitalUsd = random.chance(0.1)
    ? '-5'
    : random.pick(['100000', '0.000000000000000007', '98765.4321']);
  await perform(world, random, 'deployCanary', { deploymentId: id, capitalUsd }, id);
  world.known.push(id);
}

/** As many want the same row at once that some wait behind others who wait. */
const CROWD = 8;

async function command(world: World, random: Random, deploymentId: string): Promise<void> {
  if (random.chance(0.1)) return acknowledge(world, random, deploymentId);
  const mutation = random.pick([
    'pauseDeployment',
    'pauseDeployment',
    'resumeDeployment',
    'resumeDeployment',
    'promoteCanary',
    'rollbackCanary',
    'cancelDeployment',
    'extendObservation',
  ]);
  const more = mutation === 'extendObservation' ? { minutes: 5 } : {};
  // Two people with the same thought: decisions race on different nodes.
  const people = random.chance(0.5) ? 2 : 1;
  await Promise.all(
    Array.from({ length: people }, () =>
      perform(world, random.fork(), mutation, { deploymentId, ...more }, deploymentId),
    ),
  );
}

/** A crowd says what a side holds, everyone another amount: all are taken, one after the other. */
async function acknowledge(world: World, random: Random, deploymentId: string): Promise<void> {
  const first = world.history.operations.length;
  await Promise.all(
    Array.from({ length: CROWD }, (_, person) => {
      const input = { deploymentId, number: 1, side: 'STABLE', heldUsd: String(first + person) };
      return perform(world, random.fork(), 'acknowledgeAllocation', input, deploymentId);
    }),
  );
}

/** A canary that has lost more is rolled back in the report that says so. */
const MAX_LOSS_USD = 50;

/** Reports more and more trades of the youngest deployments; now and then the canary of one of them has lost a lot. */
export async function report(world: World, random: Random, side: 'CANARY' | 'STABLE'): Promise<void> {
  for (let trades = 1; !world.ending.aborted; trades += 1) {
    await sleep(20 + random.below(80));
    const ids = world.known.slice(-4);
    if (ids.length === 0) continue;
    const pnlUsd = String(random.below(2000) / 100);
    const loser = side === 'CANARY' && random.chance(LOSSES) ? random.below(ids.length) : -1;
    const reports = ids.map((deploymentId, index) => ({
      deploymentId,
      side,
      pnlUsd: index === loser ? String(-2 * MAX_LOSS_USD) : pnlUsd,
      trades,
    }));
    const sentAt = performance.now();
    try {
      const { data } = await post(random.pick(world.nodes), 'bot', REPORT, { reports });
      const answer = data?.reportMetrics as { results: { success: boolean }[] } | undefined;
      world.history.reports += ids.length;
      // What was sent before the database was set back may be lost with it.
      if (sentAt < (world.history.restores.at(-1)?.to ?? 0)) continue;
      ids.forEach((deploymentId, index) => {
        if (answer?.results[index]?.success) note(world.history, deploymentId, side, trades);
      });
    } catch {
      // Not answered: nothing is promised.
    }
  }
}

function note({ reported }: History, deploymentId: string, side: Reported['side'], trades: number): void {
  const key = `${deploymentId} ${side}`;
  const known = reported.get(key) ?? { deploymentId, side, trades: 0 };
  known.trades = Math.max(known.trades, trades);
  reported.set(key, known);
}

/** Share of the reports of canaries that break a guardrail. */
const LOSSES = 0.3;

const FEEDS = {
  eventAppended: 'subscription($after: String) { eventAppended(after: $after) { cursor id } }',
  stateChanged: 'subscription($after: String) { stateChanged(after: $after) { cursor id: deploymentId } }',
} as const;

/**
 * Follows a feed from the beginning, through all nodes, until the signal. What a rewind has undone is forgotten, as
 * docs/backup.md asks of consumers.
 */
export async function follow(
  { history, nodes }: Pick<World, 'history' | 'nodes'>,
  feed: Subscriber['feed'],
  first: number,
  signal: AbortSignal,
): Promise<void> {
  const subscriber: Subscriber = {
    name: `${feed} ${first}`,
    feed,
    deliveries: [],
    reconnects: 0,
    rewinds: [],
  };
  history.subscribers.push(subscriber);
  const urls = nodes.map(({ url }) => `${url.replace('http', 'ws')}/graphql`);
  const followAfter = (after: string) =>
    followFeed<{ cursor: string; id: string }>({
      url: [...urls.slice(first % urls.length), ...urls.slice(0, first % urls.length)],
      query: FEEDS[feed],
      after,
      webSocketImpl: WebSocket,
      keepAliveMs: 1500,
      signal,
      onDisconnect: () => {
        subscriber.reconnects += 1;
      },
    });
  for (let after: string | null = '0'; after !== null; ) {
    try {
      for await (const { cursor, id } of followAfter(after)) subscriber.deliveries.push({ cursor, id });
      after = null;
    } catch (error) {
      if (!(error instanceof FeedRefused) || error.lastCursor === null) throw error;
      after = error.lastCursor;
      subscriber.rewinds.push({ at: performance.now(), to: after });
      forgetAfter(subscriber.deliveries, after);
    }
  }
}

/** Removes the deliveries that come after a cursor in the history that it belongs to. */
function forgetAfter(deliveries: Subscriber['deliveries'], last: string): void {
  const end = placeOf(last);
  const lost = deliveries.findIndex(({ cursor }) => isBeyond(placeOf(cursor), end));
  if (lost >= 0) deliveries.length = lost;
}

/** The epoch, transaction id and row id of a cursor. Within one history they only grow. */
function placeOf(cursor: string): readonly bigint[] {
  const parts = cursor.split('-');
  // One without a label is of the first epoch, and "0" is before it.
  const [id = '0', xid = '0', label = parts.length === 1 ? '0' : '1'] = parts.toReversed();
  const number = (text: string) =>
    [...text].reduce((value, digit) => value * 36n + BigInt(Number.parseInt(digit, 36)), 0n);
  return [BigInt(label.split('.')[0] ?? 0), number(xid), number(id)];
}

function isBeyond(place: readonly bigint[], end: readonly bigint[]): boolean {
  const at = place.findIndex((value, index) => value !== end[index]);
  return at >= 0 && (place[at] ?? 0n) > (end[at] ?? 0n);
}

/** Ends every deployment that is still live, so that the log comes to rest. */
export async function endAll(world: World): Promise<void> {
  for (let round = 0; round < 20; round += 1) {
    const live = await liveDeployments(world);
    if (live?.length === 0) return;
    for (const id of live ?? []) {
      await perform(world, createRandom(round), 'cancelDeployment', { deploymentId: id }, id);
    }
    await sleep(200);
  }
}

async function liveDeployments({ nodes, history }: World): Promise<string[] | null> {
  const query = `{ deployments(first: 100, filter: { status: [PENDING, RUNNING, PAUSED, OBSERVATION_COMPLETE] }) {
    nodes { id } } }`;
  try {
    const { data, errors } = await post(nodes[0], 'operator', query);
    if (errors && errors[0]?.extensions?.code !== 'UNAVAILABLE') {
      history.crashes.push(`the list of live deployments failed: ${JSON.stringify(errors)}`);
    }
    const found = data?.deployments as { nodes: { id: string }[] } | undefined;
    return found?.nodes.map(({ id }) => id) ?? null;
  } catch {
    return null;
  }
}
