/** The helper that follows a feed for ever: through cuts, restarts and refusals, every event once. */
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { FeedRefused, followFeed } from '../../src/client/index.ts';
import { startProxy, type TcpProxy } from '../faults/proxy.ts';
import { command, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let proxy: TcpProxy;
beforeAll(async () => {
  serin = await startTestSerin();
  proxy = await startProxy(() => Number(new URL(serin.url).port));
});
afterAll(async () => {
  await proxy.close();
  await serin.stop();
});

const QUERY = `subscription($id: ID, $after: String) {
  eventAppended(deploymentId: $id, after: $after) { cursor no } }`;
interface Numbered {
  readonly cursor: string;
  readonly no: number;
}
interface Identified {
  readonly cursor: string;
  readonly id: string;
}
describe.each(['ws', 'http'])('over %s', (scheme) => {
  const place = () => ({ url: `${scheme}://127.0.0.1:${proxy.port}/graphql`, webSocketImpl: WebSocket });

  test('follows through cuts, refused connections and a restart, every event once and in order', async () => {
    const id = await running(serin);
    const leave = new AbortController();
    const seen: number[] = [];
    const lost: unknown[] = [];
    const following = (async () => {
      const feed = followFeed<Numbered>({
        ...place(),
        query: QUERY,
        variables: { id },
        after: '0',
        signal: leave.signal,
        onDisconnect: (reason) => lost.push(reason),
      });
      for await (const { no } of feed) seen.push(no);
    })();
    for (let round = 0; round < 6; round += 1) {
      await command(serin, round % 2 === 0 ? 'pauseDeployment' : 'resumeDeployment', id);
      // It is connected again: there is something to lose.
      const [last] = await serin.database.sql`select max(no) as no from events where deployment_id = ${id}`;
      await until(() => (seen.at(-1) ?? 0) >= last?.no);
      if (round === 2) {
        proxy.refuse();
        await command(serin, 'pauseDeployment', id).catch(() => {});
        await until(() => lost.length > 2);
        proxy.pass();
      } else if (round === 4) {
        await serin.restart();
      } else {
        proxy.cut();
      }
    }
    await command(serin, 'cancelDeployment', id);
    const log = await serin.database.sql`select no from events where deployment_id = ${id} order by no`;
    await until(() => seen.length >= log.length);
    expect(seen).toEqual(log.map(({ no }) => no));
    expect(lost.length).toBeGreaterThan(4);
    leave.abort();
    await following;
  });

  test('continues from a cursor, in a new process as well', async () => {
    const id = await running(serin);
    const first: Numbered[] = [];
    for await (const delivery of followFeed<Numbered>({
      ...place(),
      query: QUERY,
      variables: { id },
      after: '0',
    })) {
      first.push(delivery);
      if (first.length === 2) break;
    }
    await command(serin, 'cancelDeployment', id);
    const rest: number[] = [];
    const after = first.at(-1)?.cursor ?? null;
    for await (const { no } of followFeed<Numbered>({ ...place(), query: QUERY, variables: { id }, after })) {
      rest.push(no);
      if (rest.length === 2) break;
    }
    expect([...first.map(({ no }) => no), ...rest]).toEqual([1, 2, 3, 4]);
  });

  test('an event with a line or paragraph separator in it passes', async () => {
    const id = await running(serin);
    const reason = 'one\u2028two\u2029three';
    await command(serin, 'pauseDeployment', id, { reason });
    const query = `subscription($id: ID, $after: String) {
      eventAppended(deploymentId: $id, after: $after) { cursor details } }`;
    const lost: unknown[] = [];
    const feed = followFeed<{ cursor: string; details: { reason?: string } }>({
      ...place(),
      query,
      variables: { id },
      after: '0',
      onDisconnect: (why) => lost.push(why),
    });
    const reasons: unknown[] = [];
    for await (const { details } of feed) {
      reasons.push(details.reason);
      if (details.reason === reason || lost.length > 0) break;
    }
    expect([reasons.at(-1), lost]).toEqual([reason, []]);
  });

  test('a subscription that is refused ends the feed with the reason', async () => {
    const refused = (query: string, after: string) =>
      followFeed<Numbered>({ ...place(), query, variables: {}, after }).next();
    await expect(refused(QUERY, 'no cursor')).rejects.toThrow(FeedRefused);
    await expect(
      refused('subscription($after: String) { nothing(after: $after) { cursor } }', '0'),
    ).rejects.toThrow(/nothing/);
  });

  test('a consumer that is slow gets every event, and holds no more than a bounded number', async () => {
    const strategyId = `slow-${scheme}`;
    const lost: unknown[] = [];
    let closed = 0;
    class Noted extends WebSocket {
      constructor(address: string, protocol: string) {
        super(address, protocol);
        this.once('close', () => {
          closed += 1;
        });
      }
    }
    const feed = followFeed<Identified>({
      ...place(),
      webSocketImpl: Noted,
      query: `subscription($id: ID, $after: String) { eventAppended(strategyId: $id, after: $after) { cursor id } }`,
      variables: { id: strategyId },
      after: '0',
      onDisconnect: (reason) => lost.push(reason),
    });
    const seen: string[] = [];
    const first = feed.next();
    // More than may wait for a consumer that takes none of them; one deployment may not change so often.
    const rounds = scheme === 'ws' ? 7 : 2;
    for (let round = 0; round < rounds; round += 1) {
      const id = await running(serin, { strategyId });
      await Promise.all(
        Array.from({ length: 40 }, (_, no) =>
          command(serin, 'acknowledgeAllocation', id, { number: 1, side: 'STABLE', heldUsd: String(no) }),
        ),
      );
      await command(serin, 'cancelDeployment', id);
    }
    const log = await serin.database.sql`
      select deployment_id || ':' || no as id from events where strategy_id = ${strategyId} order by xid, events.id`;
    expect(log.length).toBeGreaterThan(rounds * 40);
    if (scheme === 'ws') await until(() => closed > 0);
    seen.push(String((await first).value?.id));
    for await (const { id } of feed) {
      seen.push(id);
      if (seen.length === log.length) break;
    }
    expect(seen).toEqual(log.map(({ id }) => id));
    if (scheme === 'ws') expect(String(lost[0])).toContain('wait to be taken');
  }, 240_000);
});

test('a node that takes connections and says nothing is given up, and can be left', async () => {
  const mute = createServer((socket) => void socket.on('error', () => {}));
  await new Promise<void>((listening) => mute.listen(0, '127.0.0.1', listening));
  const { port } = mute.address() as AddressInfo;
  onTestFinished(() => void mute.close());
  const id = await running(serin);
  const follow = (url: readonly string[], signal?: AbortSignal) =>
    followFeed<Numbered>({
      url,
      webSocketImpl: WebSocket,
      query: QUERY,
      variables: { id },
      after: '0',
      keepAliveMs: 300,
      signal,
    });
  const silent = `ws://127.0.0.1:${port}/graphql`;
  const feed = follow([silent, `ws://127.0.0.1:${proxy.port}/graphql`]);
  expect(await feed.next()).toMatchObject({ value: { no: 1 } });
  await feed.return();
  const leave = new AbortController();
  const left = follow([silent], leave.signal).next();
  setTimeout(() => leave.abort(), 50);
  expect(await left).toEqual({ done: true, value: undefined });
});
