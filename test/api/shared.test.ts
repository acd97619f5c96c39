/** Subscriptions that are the same are executed once for all; nobody can tell, but for the speed. */
import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { command, HOURLY, report, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const CHANGES = `subscription($id: ID!) { stateChanged(deploymentId: $id) {
  cursor status reason deployment { id revision status } } }`;

/** How many streams the node executes. */
async function streams(): Promise<number> {
  const text = await (await fetch(`${serin.url}/metrics`)).text();
  return Number(/serin_feed_consumers (\d+)/.exec(text)?.[1]);
}

describe('many followers of one document', () => {
  test('get every event once and in order, and cost one execution', async () => {
    const id = await running(serin);
    const followers = Array.from({ length: 20 }, () => serin.follow(CHANGES, { id }));
    const other = serin.follow(CHANGES, { id: await running(serin) });
    await until(async () => (await streams()) === 2);
    await settled();
    for (let round = 0; round < 3; round += 1) {
      await command(serin, 'pauseDeployment', id, { reason: `"round" ${round}` });
      await command(serin, 'resumeDeployment', id);
    }
    for (const follower of followers) {
      const changes = await follower.take(6);
      expect(changes.map(({ status }) => status)).toEqual(Array(3).fill(['PAUSED', 'RUNNING']).flat());
      expect(changes[0]).toMatchObject({ reason: '"round" 0', deployment: { id } });
      expect(new Set(changes.map(({ cursor }) => cursor)).size).toBe(6);
      expect(follower.errors).toEqual([]);
    }
    expect(other.received).toEqual([]);
    for (const follower of [...followers, other]) follower.end();
    await until(async () => (await streams()) === 0);
  });

  test('a later subscriber gets what happens from then on', async () => {
    const id = await running(serin);
    const first = serin.follow(CHANGES, { id });
    await until(async () => (await streams()) === 1);
    await settled();
    await command(serin, 'pauseDeployment', id);
    await first.take(1);
    const second = serin.follow(CHANGES, { id });
    await settled();
    await command(serin, 'resumeDeployment', id);
    expect((await second.take(1)).map(({ status }) => status)).toEqual(['RUNNING']);
    expect((await first.take(2)).map(({ status }) => status)).toEqual(['PAUSED', 'RUNNING']);
    first.end();
    await command(serin, 'pauseDeployment', id);
    expect((await second.take(2)).map(({ status }) => status)).toEqual(['RUNNING', 'PAUSED']);
    second.end();
    await until(async () => (await streams()) === 0);
    const third = serin.follow(CHANGES, { id });
    await until(async () => (await streams()) === 1);
    await settled();
    await command(serin, 'resumeDeployment', id);
    expect((await third.take(1)).map(({ status }) => status)).toEqual(['RUNNING']);
    third.end();
  });

  test('a subscriber with a cursor gets its own replay, separate from the others', async () => {
    const id = await running(serin);
    const live = serin.follow(CHANGES, { id });
    await until(async () => (await streams()) >= 1);
    await settled();
    const resumed = serin.follow(
      `subscription($id: ID!, $after: String) { stateChanged(deploymentId: $id, after: $after) { status } }`,
      { id, after: '0' },
    );
    expect((await resumed.take(1)).map(({ status }) => status)).toEqual(['RUNNING']);
    await command(serin, 'pauseDeployment', id);
    expect((await resumed.take(2)).map(({ status }) => status)).toEqual(['RUNNING', 'PAUSED']);
    expect((await live.take(1)).map(({ status }) => status)).toEqual(['PAUSED']);
    live.end();
    resumed.end();
  });

  test('a subscriber that arrives while the last one leaves is neither refused nor forgotten', async () => {
    const id = await running(serin);
    const { socket, say, heard } = await connected();
    const rounds = 500;
    for (let round = 0; round < rounds; round += 1) {
      say({ type: 'subscribe', id: String(round), payload: { query: CHANGES, variables: { id } } });
      // Sooner and later: before the execution has begun, while it begins, and after.
      if (round % 3 > 0) await sleep(round % 5);
      if (round > 0) say({ type: 'complete', id: String(round - 1) });
    }
    await settled();
    await command(serin, 'pauseDeployment', id);
    await until(async () => heard.some(({ type }) => type === 'next'));
    expect(heard).toMatchObject([{ type: 'next', id: String(rounds - 1) }]);
    socket.terminate();
    await until(async () => (await streams()) === 0);
  });
});

describe('nothing is left of a stream', () => {
  const UPDATES = 'subscription($id: ID!) { deploymentUpdated(deploymentId: $id) { id revision } }';

  test('when the consumer leaves at the moment of an event', async () => {
    const id = await running(serin);
    const { socket, say } = await connected();
    for (let round = 0; round < 100; round += 1) {
      say({ type: 'subscribe', id: String(round), payload: { query: UPDATES, variables: { id } } });
      const changed = command(serin, round % 2 === 0 ? 'pauseDeployment' : 'resumeDeployment', id);
      await sleep(round % 7);
      say({ type: 'complete', id: String(round) });
      await changed;
    }
    await until(async () => (await streams()) === 0);
    socket.terminate();
  });

  test('of a deployment that is not there', async () => {
    const followed = serin.follow(UPDATES, { id: 'nobody' });
    await until(async () => followed.errors.length > 0);
    await until(async () => (await streams()) === 0);
  });

  test('when the caller leaves before the answer', async () => {
    const id = await running(serin);
    for (let round = 0; round < 100; round += 1) {
      const asked = request(`${serin.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        agent: false,
      });
      asked.on('error', () => {});
      asked.end(JSON.stringify({ query: UPDATES, variables: { id } }));
      await once(asked, 'finish');
      await sleep(round % 7);
      asked.destroy();
    }
    await until(async () => (await streams()) === 0);
  });
});

/** A WebSocket that speaks the protocol by hand: what it says, and what it hears. */
async function connected() {
  const socket = new WebSocket(`${serin.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  await once(socket, 'open');
  const say = (message: object) => socket.send(JSON.stringify(message));
  say({ type: 'connection_init' });
  await once(socket, 'message');
  const heard: { type: string; id?: string }[] = [];
  socket.on('message', (text) => heard.push(JSON.parse(text.toString())));
  return { socket, say, heard };
}

/**
 * Subscriptions are not acknowledged: this is time for those on their way to have begun. Each has then asked the database
 * where the log ends, and been answered.
 */
async function settled(): Promise<void> {
  for (let asked = 0; asked < 10; asked += 1) {
    await sleep(30);
    await serin.ask('{ __typename }');
  }
  const { sql } = serin.database;
  await until(async () => {
    const busy = await sql`
      select from pg_stat_activity
      where datname = current_database() and state = 'active' and pid <> pg_backend_pid()`;
    return busy.length === 0;
  });
}

describe('many followers of one list', () => {
  const LIST = `subscription($filter: DeploymentFilter) { deploymentsUpdated(filter: $filter) {
    deploymentId matches snapshot complete deployment { id status canaryMetrics { metrics { netPnlUsd } } } } }`;

  test('each gets the list as it is now, then every change, from one execution', async () => {
    const [first = '', second = ''] = [
      await running(serin, { strategyId: 'shared-a', config: HOURLY }),
      await running(serin, { strategyId: 'shared-b', config: HOURLY }),
    ];
    const filter = { strategies: ['shared-*'], live: true };
    const followers = Array.from({ length: 10 }, () => serin.follow(LIST, { filter }));
    for (const { take } of followers) {
      const picture = await take(2);
      expect(picture.map(({ deploymentId }) => deploymentId).sort()).toEqual([first, second].sort());
      expect(picture.map(({ snapshot, complete }) => [snapshot, complete])).toEqual([
        [true, false],
        [true, true],
      ]);
    }
    // The log once, and the metrics of two deployments once, whoever follows.
    await until(async () => (await streams()) === 3);
    const figures = '12.5';
    await report(serin, 'Canary', first, { pnlUsd: figures });
    await command(serin, 'pauseDeployment', second);
    const late = serin.follow(LIST, { filter });
    expect((await late.take(2)).map(({ deployment }) => deployment.status).sort()).toEqual([
      'PAUSED',
      'RUNNING',
    ]);
    await command(serin, 'rollbackCanary', second);
    const third = await running(serin, { strategyId: 'shared-c', config: HOURLY });
    for (const { received, errors } of [...followers, late]) {
      const of = (id: string) => received.filter(({ deploymentId }) => deploymentId === id);
      await until(
        () =>
          of(first).at(-1).deployment.canaryMetrics.metrics.netPnlUsd === figures &&
          of(second).at(-1).matches === false &&
          of(third).at(-1)?.deployment.status === 'RUNNING',
      );
      expect(of(second).filter(({ matches }) => !matches)).toHaveLength(1);
      expect(errors).toEqual([]);
    }
    for (const { end } of [...followers, late]) end();
    await until(async () => (await streams()) === 0);
  });

  test('one that begins while its deployments change ends with what is true', async () => {
    const ids = [];
    for (let index = 0; index < 8; index += 1) {
      ids.push(await running(serin, { strategyId: `storm-${index}`, config: HOURLY }));
    }
    const filter = { strategies: ['storm-*'], live: true };
    const held = serin.follow(LIST, { filter });
    await held.take(ids.length);
    const storm = Promise.all(
      ids.map(async (id, index) => {
        for (let round = 0; round < 4; round += 1) {
          await command(serin, 'pauseDeployment', id);
          await command(serin, 'resumeDeployment', id);
        }
        if (index % 2 === 0) await command(serin, 'rollbackCanary', id);
      }),
    );
    const followers = [];
    for (let index = 0; index < 12; index += 1) {
      followers.push(serin.follow(LIST, { filter }));
      await sleep(index * 3);
    }
    await storm;
    const expected = ids.filter((_, index) => index % 2 === 1).sort();
    for (const { received } of [held, ...followers]) {
      const latest = () => {
        const state = new Map<string, string>();
        for (const { deploymentId, deployment } of received) {
          if (deployment) state.set(deploymentId, deployment.status);
          else if (deploymentId) state.delete(deploymentId);
        }
        return state;
      };
      await until(() => [...latest().keys()].sort().join() === expected.join());
      await until(() => [...latest().values()].every((status) => status === 'RUNNING'));
    }
    for (const { end } of [held, ...followers]) end();
    await until(async () => (await streams()) === 0);
  });
});
