/** Several nodes behave as one: events reach the subscribers of all nodes, with and without NOTIFY. */
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

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
    });
    expect((await feed.take(2)).at(-1)?.status).toBe('PAUSED');
    await until(async () => (await held(one)) === 0);
    expect(await (await fetch(`${one.url}/ready`)).json()).toEqual({ status: 'ready' });
    await stranger.end();
    feed.end();
  });
});
