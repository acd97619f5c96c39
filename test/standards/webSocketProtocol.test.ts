/** The GraphQL over WebSocket protocol (graphql-transport-ws), spoken by hand: every rule that a client may break. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { command, running } from '../harness/deployment.ts';
import { openInitialised, openRawSocket } from '../harness/rawSocket.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const LIVE = 'subscription { stateChanged { status } }';

async function consumers(): Promise<number> {
  const text = await (await fetch(`${serin.url}/metrics`)).text();
  return Number(/serin_feed_consumers (\d+)/.exec(text)?.[1]);
}

describe('the connection', () => {
  test('a subprotocol that is not spoken here closes with 4406', async () => {
    // The old protocol is offered, none is chosen: a client that goes on all the same is told why it cannot.
    await expect(openRawSocket(serin, ['graphql-ws'])).rejects.toThrow('Server sent no subprotocol');
    const socket = await openRawSocket(serin, []);
    expect(await socket.closeCode()).toBe(4406);
  });

  test('no init in time closes with 4408', async () => {
    const socket = await openRawSocket(serin);
    expect(await socket.closeCode()).toBe(4408);
  });

  test('an operation before the init closes with 4401', async () => {
    const socket = await openRawSocket(serin);
    socket.send({ type: 'subscribe', id: '1', payload: { query: LIVE } });
    expect(await socket.closeCode()).toBe(4401);
  });

  test('a second init closes with 4429', async () => {
    const socket = await openInitialised(serin);
    socket.send({ type: 'connection_init' });
    expect(await socket.closeCode()).toBe(4429);
  });

  test('a ping is answered with a pong and its payload, a pong is ignored', async () => {
    const socket = await openInitialised(serin);
    socket.send({ type: 'pong' });
    socket.send({ type: 'ping', payload: { at: 1 } });
    expect(await socket.next()).toEqual({ type: 'pong', payload: { at: 1 } });
    socket.close();
  });
});

describe('a client that is pinged', () => {
  const PING_MS = 12_000;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('stays connected if it answers, and is closed if it does not', async () => {
    const watched = await startTestSerin();
    try {
      const address = `${watched.url.replace('http', 'ws')}/graphql`;
      const connect = async (autoPong: boolean) => {
        const socket = new WebSocket(address, ['graphql-transport-ws'], { autoPong });
        const seen = { pings: 0, closed: false, received: [] as string[] };
        socket.on('ping', () => {
          seen.pings += 1;
        });
        socket.on('message', (text) => seen.received.push(text.toString()));
        socket.on('close', () => {
          seen.closed = true;
        });
        socket.on('error', () => {});
        await new Promise((done) => socket.once('open', done));
        socket.send('{"type":"connection_init"}');
        await until(() => seen.received.length === 1);
        return { socket, seen };
      };
      const answers = await connect(true);
      const silent = await connect(false);
      vi.advanceTimersByTime(PING_MS);
      await until(() => answers.seen.pings === 1 && silent.seen.pings === 1);
      // The pong is on its way before this message, so it is there when the message is answered.
      answers.socket.send('{"type":"ping"}');
      await until(() => answers.seen.received.length === 2);
      vi.advanceTimersByTime(PING_MS);
      await until(() => silent.seen.closed && answers.seen.pings === 2);
      expect(silent.seen.pings).toBe(1);
      answers.socket.send('{"type":"ping"}');
      await until(() => answers.seen.received.length === 3);
      expect(answers.seen.closed).toBe(false);
      answers.socket.terminate();
    } finally {
      await watched.stop();
    }
  });
});

describe('messages', () => {
  test.each([
    ['no JSON', 'hello'],
    ['an unknown type', '{"type":"start"}'],
    ['no type', '{}'],
    ['no object', '[1]'],
    ['an operation without id', `{"type":"subscribe","payload":{"query":"${LIVE}"}}`],
    ['an operation without query', '{"type":"subscribe","id":"1","payload":{}}'],
    ['variables that are no object', '{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":7}}'],
    ['a message of the server', '{"type":"next","id":"1","payload":{}}'],
  ])('%s closes with 4400', async (_what, text) => {
    const socket = await openInitialised(serin);
    socket.sendText(text);
    expect(await socket.closeCode()).toBe(4400);
  });

  test('an id in use closes with 4409', async () => {
    const socket = await openInitialised(serin);
    socket.send({ type: 'subscribe', id: 'same', payload: { query: LIVE } });
    socket.send({ type: 'subscribe', id: 'same', payload: { query: LIVE } });
    expect(await socket.closeCode()).toBe(4409);
  });

  test('an id is free again after complete, and nothing is delivered any more', async () => {
    const id = await running(serin);
    const socket = await openInitialised(serin);
    const query = `subscription { stateChanged(deploymentId: "${id}", after: "0") { status } }`;
    socket.send({ type: 'subscribe', id: 'a', payload: { query } });
    expect(await socket.next()).toMatchObject({ type: 'next', id: 'a' });
    socket.send({ type: 'complete', id: 'a' });
    await command(serin, 'pauseDeployment', id);
    socket.send({ type: 'subscribe', id: 'a', payload: { query: '{ viewer { actor } }' } });
    expect(await socket.next()).toMatchObject({ type: 'next', id: 'a', payload: { data: { viewer: {} } } });
    expect(await socket.next()).toEqual({ type: 'complete', id: 'a' });
    socket.close();
  });

  test('an id that was completed while its operation opened belongs to the next operation alone', async () => {
    const id = await running(serin);
    const consumersBefore = await consumers();
    const socket = await openInitialised(serin);
    const subscribe = (field: string) => {
      const query = `subscription { stateChanged(deploymentId: "${id}") { ${field} } }`;
      socket.send({ type: 'subscribe', id: 'a', payload: { query } });
    };
    subscribe('first: status');
    socket.send({ type: 'complete', id: 'a' });
    subscribe('second: status');
    await until(async () => (await consumers()) > consumersBefore);
    await command(serin, 'pauseDeployment', id);
    const payload = { data: { stateChanged: { second: 'PAUSED' } } };
    expect(await socket.next()).toMatchObject({ type: 'next', id: 'a', payload });
    // In order after anything that the first one would have sent.
    socket.send({ type: 'ping' });
    expect(await socket.next()).toMatchObject({ type: 'pong' });
    socket.close();
    await until(async () => (await consumers()) === consumersBefore);
  });

  test('an id that is completed belongs to the operation that is sent together with the complete', async () => {
    const id = await running(serin);
    const consumersBefore = await consumers();
    const socket = await openInitialised(serin);
    const subscribe = (field: string) => {
      const query = `subscription { stateChanged(deploymentId: "${id}", after: "0") { ${field} } }`;
      socket.send({ type: 'subscribe', id: 'a', payload: { query } });
    };
    subscribe('first: status');
    expect(await socket.next()).toMatchObject({ type: 'next', id: 'a' });
    socket.send({ type: 'complete', id: 'a' });
    subscribe('second: status');
    const payload = { data: { stateChanged: { second: 'RUNNING' } } };
    expect(await socket.next()).toMatchObject({ type: 'next', id: 'a', payload });
    socket.send({ type: 'complete', id: 'a' });
    await until(async () => (await consumers()) === consumersBefore);
    socket.close();
  });

  test('complete for an id that is not there is no fault', async () => {
    const socket = await openInitialised(serin);
    socket.send({ type: 'complete', id: 'nobody' });
    socket.send({ type: 'ping' });
    expect(await socket.next()).toMatchObject({ type: 'pong' });
    socket.close();
  });

  test.each([
    ['a syntax error', 'subscription {'],
    ['a field that does not exist', '{ nothing }'],
    ['two root fields in a subscription', 'subscription { a: stateChanged { at } b: stateChanged { at } }'],
  ])('%s is an error message, and the connection lives on', async (_what, query) => {
    const socket = await openInitialised(serin);
    socket.send({ type: 'subscribe', id: '1', payload: { query } });
    const refused = await socket.next();
    expect(refused).toMatchObject({ type: 'error', id: '1' });
    expect(refused.payload[0].message).toEqual(expect.any(String));
    socket.send({ type: 'ping' });
    expect(await socket.next()).toMatchObject({ type: 'pong' });
    socket.close();
  });

  test('many operations share a connection, each under its own id', async () => {
    const socket = await openInitialised(serin);
    for (let id = 0; id < 10; id += 1) {
      socket.send({ type: 'subscribe', id: String(id), payload: { query: '{ viewer { actor } }' } });
    }
    await until(() => socket.received.filter(({ type }) => type === 'complete').length === 10);
    const answered = socket.received.filter(({ type }) => type === 'next').map(({ id }) => id);
    expect(answered.map(Number).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    socket.close();
  });

  test('the operation that is named is the one that runs', async () => {
    const socket = await openInitialised(serin);
    const query = 'query A { viewer { actor } } query B($id: ID!) { deployment(id: $id) { id } }';
    socket.send({
      type: 'subscribe',
      id: '1',
      payload: { query, operationName: 'B', variables: { id: 'dep_no' } },
    });
    expect(await socket.next()).toEqual({ type: 'next', id: '1', payload: expectData({ deployment: null }) });
    socket.close();
  });
});

const expectData = (data: unknown) => expect.objectContaining({ data });
