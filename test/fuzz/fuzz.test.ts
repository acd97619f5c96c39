/**
 * Bad input, many times, from one seed: whatever is sent, no answer is ours to blame, nothing of the inside is shown, and
 * a refusal writes nothing. `npm run test:fuzz` runs longer; SERIN_FUZZ_SEED repeats a run, SERIN_FUZZ_SECONDS sets its length.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { CALM, command, create, running } from '../harness/deployment.ts';
import { openInitialised, openRawSocket } from '../harness/rawSocket.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';
import { contentOf, faultOf, insideOf, wasDone } from './judge.ts';
import { makeOperation, type Operation, rootFields } from './operations.ts';
import { createRandom } from './random.ts';
import type { Known } from './values.ts';
import { madFrame, madMessage, madRequest, speak, UPGRADE } from './wire.ts';

const seconds = Number(process.env.SERIN_FUZZ_SECONDS ?? 10);
const seed = Number(process.env.SERIN_FUZZ_SEED ?? Date.now() % 1_000_000_000);
const longEnough = 60_000 + seconds * 4000;

let serin: TestSerin;
let known: Known;
beforeAll(async () => {
  // Nothing happens by itself: what is written, a call wrote.
  serin = await startTestSerin({ timeScale: 1 });
  const config = { ...CALM, checkIntervalSeconds: 86_400, observationPeriodMinutes: 100_000 };
  const ids = [await running(serin, { config }), await running(serin, { config })];
  const paused = await running(serin, { config });
  await command(serin, 'pauseDeployment', paused);
  const over = await running(serin, { config });
  await command(serin, 'rollbackCanary', over);
  ids.push(paused, over, (await create(serin, { config })).deployment.id, 'dep_nowhere');
  const { exportDeployment } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id: over });
  const { events } = await serin.ask('{ events(first: 5) { edges { cursor } } }');
  const cursors = events.edges.map(({ cursor }: { cursor: string }) => cursor);
  known = { ids, document: exportDeployment, cursors };
});
afterAll(() => serin.stop());

/** Runs cases until the time is over, and at least so many; answers every fault with what led to it. */
async function tryFor(
  share: number,
  what: string,
  one: (index: number) => Promise<string | null>,
  least = 1,
): Promise<string[]> {
  const until = performance.now() + seconds * 1000 * share;
  const faults: string[] = [];
  let tried = 0;
  for (; (tried < least || performance.now() < until) && faults.length < 20; tried += 1) {
    const fault = await one(tried);
    if (fault) faults.push(fault.slice(0, 2000));
  }
  process.stdout.write(`fuzz, seed ${seed}: ${tried} ${what} tried, ${faults.length} faults found\n`);
  return faults;
}

const isAlive = async () => (await fetch(`${serin.url}/ready`)).status === 200;
const portOf = () => Number(new URL(serin.url).port);

async function overHttp({ query, variables }: Operation): Promise<{ status: number; text: string }> {
  const response = await fetch(`${serin.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, text: await response.text() };
}

test(
  'every operation of the schema, with arguments of every kind',
  async () => {
    const random = createRandom(seed);
    const roots = rootFields(schema).filter(({ kind }) => kind !== 'subscription');
    const covered = new Set<string>();
    let content = await contentOf(serin.database.sql);
    const faults = await tryFor(
      0.6,
      'operations',
      async (index) => {
        const root = roots[index % roots.length];
        if (!root) return null;
        const operation = makeOperation(root, schema, random, known);
        covered.add(operation.field);
        const { status, text } = await overHttp(operation);
        let fault = faultOf(status, text);
        if (operation.kind === 'mutation' || index % 20 === 0) {
          const after = await contentOf(serin.database.sql);
          if (after !== content && !wasDone(text)) fault ??= `wrote, though refused:\n${content}\n${after}`;
          content = after;
        }
        return (
          fault &&
          `${fault}\n${text.slice(0, 600)}\n${operation.query}\n${JSON.stringify(operation.variables)}`
        );
      },
      roots.length,
    );
    expect(faults).toEqual([]);
    expect([...covered].sort()).toEqual(roots.map(({ field }) => field.name).sort());
  },
  longEnough,
);

test(
  'every subscription, over WebSocket',
  async () => {
    const random = createRandom(seed + 1);
    const roots = rootFields(schema).filter(({ kind }) => kind === 'subscription');
    let socket = await openInitialised(serin);
    let asked = 0;
    const faults = await tryFor(0.1, 'subscriptions', async (index) => {
      const root = roots[index % roots.length];
      if (!root) return null;
      const { query, variables } = makeOperation(root, schema, random, known);
      const id = String(index);
      socket.send({ type: 'subscribe', id, payload: { query, variables } });
      socket.send({ type: 'complete', id });
      socket.send({ type: 'ping' });
      asked = socket.received.length;
      await socket.next().catch(() => null);
      const closed = socket.closed();
      if (closed) socket = await openInitialised(serin);
      const texts = socket.received
        .slice(asked)
        .map((message) => JSON.stringify({ errors: message.payload }));
      const fault = closed
        ? `closed: ${JSON.stringify(closed)}`
        : texts.map((text) => faultOf(200, text)).find(Boolean);
      return fault ? `${fault}\n${texts.join('\n')}\n${query}\n${JSON.stringify(variables)}` : null;
    });
    socket.close();
    expect(faults).toEqual([]);
  },
  longEnough,
);

test(
  'requests that are none',
  async () => {
    const random = createRandom(seed + 2);
    const content = await contentOf(serin.database.sql);
    const faults = await tryFor(0.1, 'requests', async () => {
      const request = madRequest(random);
      const said = await speak(portOf(), request);
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(said)?.[1] ?? 0);
      const body = said.split('\r\n\r\n').slice(1).join('');
      const fault = status >= 500 ? `HTTP ${status}` : insideOf(body);
      return fault && `${fault}\n${said}\n${request.toString('latin1')}`;
    });
    expect(faults).toEqual([]);
    expect(await isAlive()).toBe(true);
    expect(await contentOf(serin.database.sql)).toBe(content);
  },
  longEnough,
);

test(
  'frames and messages of a WebSocket that are none',
  async () => {
    const random = createRandom(seed + 3);
    const content = await contentOf(serin.database.sql);
    const faults = await tryFor(0.2, 'sockets', async (index) => {
      if (index % 2 === 0) {
        const frames = [madFrame(random), madFrame(random), madFrame(random)];
        const said = await speak(portOf(), UPGRADE, frames);
        const fault = /"code":"INTERNAL/.test(said) ? 'INTERNAL_SERVER_ERROR' : insideOf(said);
        return fault && `${fault}\n${said}\n${frames.map((frame) => frame.toString('hex')).join('\n')}`;
      }
      const socket = await (random.chance(0.8) ? openInitialised(serin) : openRawSocket(serin));
      const messages = Array.from({ length: 4 }, () => madMessage(random));
      for (const message of messages) socket.send(message);
      socket.send({ type: 'ping' });
      await socket.next().catch(() => null);
      const said = JSON.stringify(socket.received);
      const fault = socket.closed()?.code === 4500 ? 'closed with 4500' : faultOf(200, said);
      socket.close();
      const internal = /"code":"(INTERNAL_SERVER_ERROR|UNAVAILABLE)"/.test(said) ? 'INTERNAL' : null;
      return (fault ?? internal) && `${fault ?? internal}\n${said}\n${JSON.stringify(messages)}`;
    });
    expect(faults).toEqual([]);
    expect(await isAlive()).toBe(true);
    expect(await contentOf(serin.database.sql)).toBe(content);
  },
  longEnough,
);
