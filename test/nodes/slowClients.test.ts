/** Clients that do not read: they are closed before they cost much memory, and resume without a gap. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { dropSlowClients } from '../../src/server/http/slowClients.ts';
import { CALM, command, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

/** Deliveries of some 100 kB: a few hundred of them are more than all buffers on the way hold. */
const PAGE = 'events(first: 200) { edges { node { id type at actor description revision } } }';
const QUERY = `subscription($id: ID, $after: String) { eventAppended(deploymentId: $id, after: $after) { cursor no
  deployment { a: ${PAGE} b: ${PAGE} c: ${PAGE} } } }`;
const COMMANDS = 300;

describe('over WebSocket', () => {
  let serin: TestSerin;
  beforeAll(async () => {
    serin = await startTestSerin({ timeScale: 1 });
  });
  afterAll(() => serin.stop());

  /** A subscriber that can stop reading. */
  async function subscriber(id: string, after: string | null) {
    const socket = new WebSocket(`${serin.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const deliveries: { cursor: string; no: number }[] = [];
    const ends: Data[] = [];
    let closed: number | null = null;
    socket.on('message', (text) => {
      const { type, payload } = JSON.parse(text.toString());
      const subscription = { query: QUERY, variables: { id, after } };
      if (type === 'connection_ack') {
        socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: subscription }));
      } else if (type === 'next' && payload.data) deliveries.push(payload.data.eventAppended);
      else if (type !== 'ping') ends.push(payload ?? type);
    });
    socket.on('close', (code) => {
      closed = code;
    });
    socket.on('error', () => {});
    await new Promise((open) => socket.once('open', open));
    socket.send('{"type":"connection_init"}');
    return { socket, deliveries, ends, closed: () => closed };
  }

  test.each([
    ['one execution for many: a client that does not read is closed', null],
    ['an execution for each: it waits for its client', '0'],
  ])(
    '%s, others miss nothing, and nor does it',
    async (_what, after) => {
      const config = { ...CALM, observationPeriodMinutes: 100_000, checkIntervalSeconds: 86_400 };
      const id = await running(serin, { config });
      const slow = await subscriber(id, after);
      const quick = await subscriber(id, after);
      const both = [slow, quick];
      let turn = 0;
      const next = () => {
        turn += 1;
        return command(serin, turn % 2 === 1 ? 'pauseDeployment' : 'resumeDeployment', id);
      };
      const lastNo = async () => {
        const [row] = await serin.database.sql<{ last: number }[]>`
          select event_count::int as last from deployments where id = ${id}`;
        return row?.last;
      };
      // Who has been sent an event is subscribed. From now on each is sent all of them.
      await until(async () => {
        expect((await next()).success).toBe(true);
        expect([...slow.ends, ...quick.ends]).toEqual([]);
        return both.every(({ deliveries }) => deliveries.length > 0);
      });
      const begin = await lastNo();
      await until(() => both.every(({ deliveries }) => deliveries.at(-1)?.no === begin));
      for (const { deliveries } of both) deliveries.splice(0, deliveries.length - 1);
      slow.socket.pause();
      while (turn < COMMANDS) await next();
      const last = await lastNo();
      await until(() => quick.deliveries.at(-1)?.no === last, 120_000);
      const numbers = quick.deliveries.map(({ no }) => no);
      expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index));
      expect(quick.ends).toEqual([]);

      // Time for the server to notice that nothing is read.
      await sleep(2500);
      slow.socket.resume();
      await until(
        () => slow.closed() !== null || slow.ends.length > 0 || slow.deliveries.length === numbers.length,
        60_000,
      );
      const got = slow.deliveries.length;
      // On a busy machine the other one may read nothing for 20 seconds and be closed too.
      if (after === null) expect(got).toBeLessThan(numbers.length);
      const resumed = await subscriber(id, slow.deliveries.at(-1)?.cursor ?? null);
      await until(() => got + resumed.deliveries.length >= numbers.length, 120_000);
      expect([...slow.deliveries, ...resumed.deliveries].map(({ no }) => no)).toEqual(numbers);
      for (const { socket } of [slow, quick, resumed]) socket.terminate();
    },
    360_000,
  );
});

describe('any connection', () => {
  let server: Server;
  let write: (bytes: number) => void;
  let end: (bytes: number) => void;
  let stop: () => void;
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      write = (bytes) => void response.write(Buffer.alloc(bytes));
      end = (bytes) => void response.end(Buffer.alloc(bytes));
    });
    stop = dropSlowClients(server);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  });
  afterEach(async () => {
    vi.useRealTimers();
    stop();
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });

  async function reader() {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    let closed = false;
    client.on('close', () => {
      closed = true;
    });
    client.on('error', () => {});
    client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((got) => client.once('data', got));
    return { client, closed: () => closed };
  }

  /** Seconds of fake time, with turns of the real event loop in between. */
  async function pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      vi.advanceTimersByTime(1000);
      await sleep(5);
    }
  }

  test('that reads nothing for 20 seconds is closed; one that has nothing to read stays open', async () => {
    const { client, closed } = await reader();
    await pass(60);
    expect(closed()).toBe(false);
    client.pause();
    write(12_000_000);
    await pass(5);
    expect(server.listening).toBe(true);
    expect(await connections()).toBe(1);
    await pass(40);
    expect(await connections()).toBe(0);
    client.destroy();
  });

  test('with more than 16 MB waiting is closed immediately; one that reads is not', async () => {
    const { client } = await reader();
    write(40_000_000);
    while (client.bytesRead < 40_000_000) await sleep(10);
    await pass(3);
    expect(await connections()).toBe(1);
    client.pause();
    write(40_000_000);
    await pass(2);
    expect(await connections()).toBe(0);
    client.destroy();
  });

  test('with a whole response of 60 MB may take its time, as long as it reads on', async () => {
    const { client } = await reader();
    client.pause();
    end(60_000_000);
    // Far longer than a stream with so much unsent data may stay.
    await pass(15);
    expect(await connections()).toBe(1);
    client.resume();
    while (client.bytesRead < 60_000_000) await sleep(10);
    expect(await connections()).toBe(1);
    client.destroy();
  });

  test('with a whole response that it does not read is closed after 20 seconds', async () => {
    const { client } = await reader();
    client.pause();
    end(60_000_000);
    await pass(45);
    expect(await connections()).toBe(0);
    client.destroy();
  });

  const connections = () =>
    new Promise<number>((done) => server.getConnections((_error, count) => done(count)));
});
