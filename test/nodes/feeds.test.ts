/** Several nodes behave as one: events reach the subscribers of all nodes, with and without NOTIFY. */
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readSettledPage } from '../../src/store/log/eventLog.ts';
import { LOG_START } from '../../src/store/log/position.ts';
import { command, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let one: TestSerin;
let other: TestSerin;
beforeAll(async () => {
  one = await startTestSerin();
  other = await startTestSerin({ databaseUrl: one.database.url });
});
afterAll(async () => {
  await other.stop();
  await one.stop();
});

const STATES =
  'subscription($id: ID, $after: String) { stateChanged(deploymentId: $id, after: $after) { cursor status } }';

const eventsOf = async (deploymentId: string, args: string): Promise<Data> =>
  (
    await one.ask(
      `query($id: ID!) { events(filter: { deploymentId: $id }, ${args}) { nodes { type } heldBackSeconds } }`,
      { id: deploymentId },
    )
  ).events;

/** The number of statements that a page of events takes when the log is known to have been blocked for this time. */
async function statementsOf(deploymentId: string, blockedMs: number): Promise<number> {
  const statements: string[] = [];
  const db = drizzle(one.database.sql, { logger: { logQuery: (text) => void statements.push(text) } });
  const page = { after: LOG_START, before: undefined, limit: 11, fromEnd: false };
  await readSettledPage(db, page, { deploymentId, scope: null }, blockedMs);
  return statements.length;
}

describe('two nodes', () => {
  test('a mutation on one reaches subscribers on both, and a cursor of one is valid on the other', async () => {
    const id = await running(one);
    const here = one.follow(STATES, { id, after: '0' });
    const there = other.follow(STATES, { id, after: '0' });
    const [first] = await here.take(1);
    await command(other, 'pauseDeployment', id);
    await command(one, 'rollbackCanary', id);
    const seen = await here.take(3);
    expect(await there.take(3)).toEqual(seen);
    const resumed = other.follow(STATES, { id, after: first.cursor });
    expect(await resumed.take(2)).toEqual(seen.slice(1));
    for (const feed of [here, there, resumed]) feed.end();
  });

  test('without notifications a feed is delayed and loses nothing', async () => {
    const id = await running(one);
    const feed = other.follow(STATES, { id, after: '0' });
    await feed.take(1);
    const { sql } = one.database;
    for (let round = 0; round < 3; round += 1) {
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query ilike 'listen %'`;
      await command(one, round % 2 === 0 ? 'pauseDeployment' : 'resumeDeployment', id);
    }
    expect((await feed.take(4)).map(({ status }) => status)).toEqual([
      'RUNNING',
      'PAUSED',
      'RUNNING',
      'PAUSED',
    ]);
    feed.end();
  });

  test('an open transaction of another program holds feeds back, and is reported', async () => {
    const id = await running(one);
    const feed = one.follow(STATES, { id, after: '0' });
    await feed.take(1);
    const stranger = postgres(one.database.url, {
      max: 1,
      onnotice: () => {},
      connection: { application_name: 'nightly report' },
    });
    const held = async (node: TestSerin) => {
      const text = await (await fetch(`${node.url}/metrics`)).text();
      return Number(/serin_feed_held_seconds ([\d.]+)/.exec(text)?.[1]);
    };
    await stranger.begin(async (tx) => {
      await tx`select pg_current_xact_id()`;
      await command(one, 'pauseDeployment', id);
      await until(async () => (await held(one)) > 5 && (await held(other)) > 5);
      await until(async () => {
        const ready = await fetch(`${one.url}/ready`);
        expect(ready.status).toBe(200);
        return JSON.stringify(await ready.json()).includes('nightly report');
      });
      expect(feed.received).toHaveLength(1);
      for (const args of ['first: 10', 'last: 10']) {
        const page = await eventsOf(id, args);
        expect(page.nodes.map(({ type }: Data) => type)).not.toContain('CANARY_PAUSED');
        expect(page.heldBackSeconds).toBeGreaterThan(5);
      }
      expect(await statementsOf(id, 5000)).toBe(2);
      expect(await statementsOf(id, 0)).toBeGreaterThan(2);
      // A page that is full before the events that are held back is complete.
      expect((await eventsOf(id, 'first: 1')).heldBackSeconds).toBeNull();
    });
    const whole = await eventsOf(id, 'first: 10');
    expect(whole.nodes.map(({ type }: Data) => type)).toContain('CANARY_PAUSED');
    expect(whole.heldBackSeconds).toBeNull();
    expect((await feed.take(2)).at(-1)?.status).toBe('PAUSED');
    await until(async () => (await held(one)) === 0);
    expect(await (await fetch(`${one.url}/ready`)).json()).toEqual({ status: 'ready' });
    await stranger.end();
    feed.end();
  });
});
