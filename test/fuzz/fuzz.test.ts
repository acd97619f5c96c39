/**
 * Bad input, many times, from one seed: whatever is sent, no answer is ours to blame, nothing of the inside is shown, and
 * a refusal writes nothing. `npm run test:fuzz` runs longer; SERIN_FUZZ_SEED repeats a run, SERIN_FUZZ_SECONDS sets its length.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readEnvironment } from '../../src/environment/environment.ts';
import { schema } from '../../src/graphql/schema.ts';
import { CALM, command, create, running } from '../harness/deployment.ts';
import { openInitialised, openRawSocket } from '../harness/rawSocket.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { contentOf, faultOf, insideOf, wasDone } from './judge.ts';
import { makeOperation, type Operation, rootFields } from './operations.ts';
import { createRandom } from './random.ts';
import type { Known } from './values.ts';
import { madFrame, madMessage, madRequest, speak, UPGRADE } from './wire.ts';

const seconds = Number(process.env.SERIN_FUZZ_SECONDS ?? 10);
const seed = Number(process.env.SERIN_FUZZ_SEED ?? Date.now() % 1_000_000_000);
const longEnough = 60_000 + seconds * 4000;

/**
 * Nothing is written automatically: what is written, a call wrote. Calls create and deploy deployments whose checks would
 * be due a minute later, so another node has the claim on every check, and does nothing; so it has on deadlines and on rounds of budgets.
 */
const NO_CHECKS = `
  create function hold_claim() returns trigger language plpgsql as
    $$ begin new.lease_token = 'nobody'; new.lease_until = 'infinity'; new.deadline_claimed_until = 'infinity'; return new; end $$;
  create trigger hold_claim before insert or update on deployments for each row execute function hold_claim();
  create function no_round() returns trigger language plpgsql as $$ begin return null; end $$;
  create trigger no_round before insert or update on loss_budget_rounds for each row execute function no_round()`;

let serin: TestSerin;
let known: Known;
beforeAll(async () => {
  // A loaded machine may take longer than 3 s for the first message of a WebSocket.
  const { http } = readEnvironment({ SERIN_INIT_TIMEOUT_MS: '60000' });
  serin = await startTestSerin({ timeScale: 1, http });
  await serin.database.sql.unsafe(NO_CHECKS);
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

interface Said {
  readonly status: number;
  readonly text: string;
  /** Whether it took longer than an operation may, so that the outcome of an earlier attempt is unknown. */
  readonly repeated: boolean;
}

/** How often is repeated what a loaded machine does not finish in time. UNAVAILABLE every time is a fault. */
const REPEATS = 5;

async function overHttp({ query, variables }: Operation): Promise<Said> {
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(`${serin.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const text = await response.text();
    if (attempt === REPEATS || !text.includes('"code":"UNAVAILABLE"'))
      return { status: response.status, text, repeated: attempt > 0 };
    await until(async () => (await busySessions()) === 0);
  }
}

/** The fault that an attempt finds, once the server was not merely too slow for it. */
async function faultIn(attempt: (number: number) => Promise<string | null>): Promise<string | null> {
  for (let number = 0; ; number += 1) {
    const fault = await attempt(number);
    if (number === REPEATS || !/^(UNAVAILABLE|HTTP 503)/.test(fault ?? '')) return fault;
    await until(async () => (await busySessions()) === 0);
  }
}

/** Sessions of Serin in a transaction: an operation that was given up may still be at work. */
async function busySessions(): Promise<number> {
  const [row] = await serin.database.sql`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and application_name = 'serin' and state <> 'idle'`;
  return row?.count;
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
        const { status, text, repeated } = await overHttp(operation);
        let fault = faultOf(status, text);
        if (operation.kind === 'mutation' || index % 20 === 0) {
          const after = await contentOf(serin.database.sql);
          if (after !== content && !wasDone(text) && !repeated)
            fault ??= `wrote, though refused:\n${content}\n${after}`;
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
    const faults = await tryFor(0.1, 'subscriptions', async (index) => {
      const root = roots[index % roots.length];
      if (!root) return null;
      const { query, variables } = makeOperation(root, schema, random, known);
      return faultIn(async (number) => {
        const id = `${index}-${number}`;
        socket.send({ type: 'subscribe', id, payload: { query, variables } });
        socket.send({ type: 'complete', id });
        socket.send({ type: 'ping' });
        const asked = socket.received.length;
        for (let last = null; last?.type !== 'pong' && !socket.closed(); ) {
          last = await socket.next().catch(() => null);
        }
        const closed = socket.closed();
        if (closed) socket = await openInitialised(serin);
        const texts = socket.received
          .slice(asked)
          .map(({ type, payload }) => JSON.stringify(type === 'next' ? payload : { errors: payload }));
        const fault = closed
          ? `closed: ${JSON.stringify(closed)}`
          : texts.map((text) => faultOf(200, text)).find(Boolean);
        return fault ? `${fault}\n${texts.join('\n')}\n${query}\n${JSON.stringify(variables)}` : null;
      });
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
      return faultIn(async () => {
        const said = await speak(portOf(), request);
        const status = Number(/^HTTP\/1\.1 (\d+)/.exec(said)?.[1] ?? 0);
        const body = said.split('\r\n\r\n').slice(1).join('');
        const fault = status >= 500 ? `HTTP ${status}` : insideOf(body);
        return fault && `${fault}\n${said}\n${request.toString('latin1')}`;
      });
    });
    expect(faults).toEqual([]);
    await until(isAlive);
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
      const open = random.chance(0.8) ? openInitialised : openRawSocket;
      const messages = Array.from({ length: 4 }, () => madMessage(random));
      return faultIn(async () => {
        const socket = await open(serin);
        for (const message of messages) socket.send(message);
        socket.send({ type: 'ping' });
        await socket.next().catch(() => null);
        const said = JSON.stringify(socket.received);
        const fault = socket.closed()?.code === 4500 ? 'closed with 4500' : faultOf(200, said);
        socket.close();
        const code = /"code":"(INTERNAL_SERVER_ERROR|UNAVAILABLE)"/.exec(said)?.[1];
        const found = fault ?? code ?? null;
        return found && `${found}\n${said}\n${JSON.stringify(messages)}`;
      });
    });
    expect(faults).toEqual([]);
    await until(isAlive);
    expect(await contentOf(serin.database.sql)).toBe(content);
  },
  longEnough,
);
