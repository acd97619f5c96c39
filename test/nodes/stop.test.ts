/** SIGTERM: the process drains and exits with 0 within ten seconds, whatever its clients do. And recovery after `kill -9`. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createNode, type SerinNode } from '../faults/nodes.ts';
import { freshDatabase, type TestDatabase } from '../harness/database.ts';
import { PROGRAM } from '../harness/program.ts';
import { type Data, until } from '../harness/serin.ts';
import { numbersOf, type Receiver, startReceiver } from '../webhooks/receiver.ts';

const DRAIN_MS = 10_000;

let database: TestDatabase;
let receiver: Receiver;
let node: SerinNode;
const crashes: string[] = [];
beforeAll(async () => {
  database = await freshDatabase();
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver.close();
  await database.drop();
});
beforeEach(async () => {
  node = await createNode({
    name: 'node',
    program: PROGRAM,
    databaseUrl: () => database.url,
    timeScale: 60,
    onCrash: (why) => void crashes.push(why),
    environment: { SERIN_WEBHOOKS_ALLOW_PRIVATE: '127.0.0.1' },
  });
  await node.start();
});
afterEach(async () => {
  await node.close();
  await database.sql`update webhooks set status = 'DISABLED', disabled_reason = 'the test is over'`;
});

async function ask(query: string, variables: Record<string, unknown> = {}): Promise<Data> {
  const response = await fetch(`${node.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data }: Data = await response.json();
  return data && Object.values(data)[0];
}

let deployed = 0;
/** A deployment whose checks are a day apart: no event but those of the test's commands. */
async function deploy(): Promise<string> {
  deployed += 1;
  const versions = { stableVersionId: 'a', canaryVersionId: 'b' };
  const config = {
    observationPeriodMinutes: 100_000,
    checkIntervalSeconds: 86_400,
    guardrails: { maxStaleSeconds: null },
  };
  const input = { strategyId: `stopped-${deployed}`, ...versions, config };
  const created = await ask(
    'mutation($input: CreateDeploymentInput!) { createDeployment(input: $input) { deployment { id } } }',
    { input },
  );
  const { id } = created.deployment;
  const deploy = 'mutation($input: DeployCanaryInput!) { deployCanary(input: $input) { success } }';
  expect(await ask(deploy, { input: { deploymentId: id, capitalUsd: '1000' } })).toEqual({ success: true });
  return id;
}

const pause = (deploymentId: string): Promise<Data> =>
  ask('mutation($input: PauseDeploymentInput!) { pauseDeployment(input: $input) { success } }', {
    input: { deploymentId },
  });

/** The exit code after SIGTERM; null if the process does not exit in time. */
const terminated = () => Promise.race([node.terminate(), sleep(DRAIN_MS, 'too late')]);

describe('SIGTERM ends the process with 0', () => {
  test.each(['refuse', 'swallow'] as const)(
    'while PostgreSQL is away (%s) and callers wait for it',
    async (kind) => {
      const id = await deploy();
      node.toDatabase[kind]();
      const waiting = Array.from({ length: 30 }, () => pause(id).catch(() => null));
      await sleep(300);
      expect(await terminated()).toBe(0);
      await Promise.all(waiting);
    },
    120_000,
  );

  test('with clients that read nothing, send nothing, or stop in the middle of a request', async () => {
    const id = await deploy();
    const port = Number(new URL(node.url).port);
    const query = 'subscription { stateChanged(after: "0") { cursor status } }';

    const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws');
    let received = 0;
    socket.on('message', () => {
      received += 1;
    });
    socket.on('error', () => {});
    await new Promise((open) => socket.once('open', open));
    socket.send('{"type":"connection_init"}');
    await until(() => received === 1);
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
    await until(() => received > 1);
    socket.pause();

    const raw = async (text: string, answered: boolean) => {
      const client = connect(port, '127.0.0.1');
      client.on('error', () => {});
      client.write(text);
      if (answered) await new Promise((got) => client.once('data', got));
      client.pause();
      return client;
    };
    const head = 'POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';
    const body = JSON.stringify({ query });
    const stream = `${head}Accept: text/event-stream\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const clients = [
      await raw(stream, true),
      await raw(`${head}Content-Length: 100\r\n\r\n{"query":`, false),
      await raw('POST /graphql HTTP/1.1\r\nHost: 127', false),
      await raw('', false),
    ];
    await pause(id);
    expect(await terminated()).toBe(0);
    for (const client of clients) client.destroy();
    socket.terminate();
  }, 120_000);

  test('with a webhook whose receiver never answers; its delivery is sent again', async () => {
    const id = await hangingDelivery();
    expect(await terminated()).toBe(0);
    await deliveredAfterRestart(id);
  }, 120_000);
});

test('kill -9 in the middle of a delivery: it is sent again, and nothing is missing', async () => {
  const id = await hangingDelivery();
  await node.kill();
  // The lease of the killed process expires.
  await database.sql`update webhook_deliveries set lease_until = clock_timestamp() where lease_token is not null`;
  await deliveredAfterRestart(id);
}, 120_000);

test('none of them crashed before', () => expect(crashes).toEqual([]));

/** A delivery in flight that is never answered. Returns its deployment. */
async function hangingDelivery(): Promise<string> {
  receiver.received.length = 0;
  receiver.taken.length = 0;
  receiver.answer = () => null;
  const create = 'mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { success } }';
  expect(await ask(create, { input: { url: receiver.url, strategyId: `stopped-${deployed + 1}` } })).toEqual({
    success: true,
  });
  const id = await deploy();
  await until(() => receiver.received.length > 0);
  return id;
}

async function deliveredAfterRestart(id: string): Promise<void> {
  const [tried] = receiver.received;
  receiver.answer = () => 200;
  await node.start();
  await pause(id);
  await until(() => numbersOf(receiver.taken, id).length >= 4, 60_000);
  expect(numbersOf(receiver.taken, id)).toEqual([1, 2, 3, 4]);
  expect(receiver.taken[0]?.headers['webhook-id']).toBe(tried?.headers['webhook-id']);
}

describe('SIGTERM while it starts ends it with 0 and leaves no PostgreSQL', () => {
  test.each([
    ['as soon as PostgreSQL runs', (dir: string) => existsSync(join(dir, 'postgres', 'postmaster.pid'))],
    ['as soon as the folder is locked', (dir: string) => existsSync(join(dir, 'serin.pid'))],
  ])(
    '%s',
    async (_name, ready) => {
      const dir = await mkdtemp(join(tmpdir(), 'serin-stop-'));
      const child = spawn('node', [PROGRAM], {
        env: { ...process.env, PORT: '0', SERIN_DATA_DIR: dir, DATABASE_URL: '', LOG_LEVEL: 'fatal' },
        stdio: 'ignore',
      });
      const ended = new Promise((done) => child.once('exit', (code, signal) => done(signal ?? code)));
      await until(() => ready(dir), 60_000);
      child.kill('SIGTERM');
      expect(await Promise.race([ended, sleep(DRAIN_MS, 'too late')])).toBe(0);
      expect(existsSync(join(dir, 'postgres', 'postmaster.pid'))).toBe(false);
      await rm(dir, { recursive: true, force: true });
    },
    120_000,
  );
});
