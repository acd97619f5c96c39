/**
 * A running Serin for a test, used over HTTP and WebSocket. Its clock is the database's: tests move it forward instead
 * of waiting.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { AccessSettings } from '../../src/access/access.ts';
import { type Environment, readEnvironment } from '../../src/environment/environment.ts';
import { type Serin, startSerin } from '../../src/serin.ts';
import { claimPort } from './claimedPort.ts';
import { freshDatabase, type TestDatabase } from './database.ts';
import { createWatchedLog, requireNoLeak } from './watchedLog.ts';

/** No authentication. */
export const OPEN: AccessSettings = { keys: false, tokens: null, botsReduceRisk: false };

/** Fast enough that the loop checks often, slow enough that a test's own steps take little of Serin's time. */
const TIME_SCALE = 60;

/** Less than the default: a third of a test run was PostgreSQL, which makes a process for each connection. */
export const POOL_SIZE = 5;

// biome-ignore lint/suspicious/noExplicitAny: the shape of an answer depends on the query of the test
export type Data = any;

export interface Answer {
  readonly data?: Data;
  readonly errors?: { readonly message: string; readonly extensions: Record<string, unknown> }[];
  readonly extensions?: Record<string, unknown>;
}

/** Serin for one caller. */
export interface TestCaller {
  /**
   * One operation over HTTP; throws if the response has errors. One that may be repeated is repeated while it is answered
   * with UNAVAILABLE, as docs/operations.md asks of clients: a loaded machine takes longer than the 8 s of an operation.
   * @param repeatable unless given: whether it is a query, or has an idempotency key
   */
  ask(query: string, variables?: Record<string, unknown>, repeatable?: boolean): Promise<Data>;
  /** One operation over HTTP; the response may have errors. */
  post(query: string, variables?: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>;
  /** A WebSocket client; it is closed when the server stops. */
  socket(): Client;
  /** The messages of a subscription, in order. */
  follow(query: string, variables?: Record<string, unknown>): Followed;
}

export interface TestSerin extends TestCaller {
  readonly url: string;
  readonly database: TestDatabase;
  /** What its servers have warned of so far, each a line of JSON. */
  readonly warnings: readonly string[];
  /** The same Serin for a caller with these credentials. */
  as(token: string): TestCaller;
  /** Moves Serin's clock forward. */
  advance(seconds: number): Promise<void>;
  /**
   * Stops this server and starts another on the same database and port, with changed settings if given.
   * @param whileAway what happens while no server runs
   */
  restart(changes?: Partial<Environment>, whileAway?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

export interface Followed {
  readonly received: Data[];
  readonly errors: unknown[];
  /** Waits until `count` messages have arrived and returns them. */
  take(count: number): Promise<Data[]>;
  end(): void;
}

/** How long an operation that is answered with UNAVAILABLE is repeated. */
const REPEAT_MS = 60_000;

function isRepeatable(query: string, variables: Record<string, unknown> = {}): boolean {
  const { input } = variables;
  const isKeyed = typeof input === 'object' && input !== null && Reflect.get(input, 'idempotencyKey');
  return !/^\s*(mutation|subscription)\b/.test(query) || Boolean(isKeyed);
}

export async function startTestSerin(settings: Partial<Environment> = {}): Promise<TestSerin> {
  const database = await freshDatabase();
  // A restart needs the same one.
  const claimed = await claimPort();
  const environment: Environment = {
    ...readEnvironment({}),
    host: '127.0.0.1',
    port: claimed.port,
    databaseUrl: database.url,
    dataDir: '/nowhere',
    timeScale: TIME_SCALE,
    poolSize: POOL_SIZE,
    access: OPEN,
    ...settings,
  };
  const watched = createWatchedLog(database.url);
  const start = (changes: Partial<Environment> = {}): Promise<Serin> =>
    startSerin({ ...environment, ...changes }, undefined, watched.log);
  let serin = await start();
  const clients: Client[] = [];

  const callerWith = (credentials: Record<string, string>) => callerAt(() => serin.url, credentials, clients);
  return {
    ...callerWith({}),
    get url() {
      return serin.url;
    },
    database,
    warnings: watched.warnings,
    as: (token) => callerWith({ authorization: `Bearer ${token}` }),
    async advance(seconds) {
      await database.sql`update clock set epoch = epoch + make_interval(secs => ${seconds})`;
    },
    async restart(changes = {}, whileAway = async () => {}) {
      const port = Number(new URL(serin.url).port);
      await serin.stop();
      await whileAway();
      serin = await start({ ...changes, port });
    },
    async stop() {
      for (const client of clients) await client.dispose();
      await serin.stop();
      claimed.release();
      await database.drop();
      requireNoLeak(watched);
    },
  };
}

/** Serin at an address, which may change, for a caller with these credentials. */
export function callerAt(
  url: () => string,
  credentials: Record<string, string> = {},
  clients: Client[] = [],
): TestCaller {
  const post: TestCaller['post'] = async (query, variables = {}, headers = {}) => {
    const response = await fetch(`${url()}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...credentials, ...headers },
      body: JSON.stringify({ query, variables }),
    });
    const answer: Answer = await response.json();
    return answer;
  };
  const socket = () => {
    const client = createClient({
      url: `${url().replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: credentials,
      lazy: false,
    });
    clients.push(client);
    return client;
  };
  return {
    post,
    async ask(query, variables, repeatable = isRepeatable(query, variables)) {
      const giveUpAt = Date.now() + REPEAT_MS;
      for (;;) {
        const { data, errors } = await post(query, variables);
        if (!errors) return data;
        const isUnavailable = errors.every(({ extensions }) => extensions?.code === 'UNAVAILABLE');
        if (!repeatable || !isUnavailable || Date.now() > giveUpAt) {
          throw new Error(errors.map(({ message }) => message).join('; '));
        }
        await sleep(50);
      }
    },
    socket,
    follow: (query, variables) => follow(socket(), query, variables),
  };
}

function follow(client: Client, query: string, variables: Record<string, unknown> = {}): Followed {
  const received: Data[] = [];
  const errors: unknown[] = [];
  const end = client.subscribe(
    { query, variables },
    {
      next: (message) => {
        if (message.errors) errors.push(...message.errors);
        else received.push(Object.values(message.data ?? {})[0]);
      },
      error: (error) => errors.push(error),
      complete: () => {},
    },
  );
  return {
    received,
    errors,
    end,
    async take(count) {
      await until(() => received.length >= count || errors.length > 0).catch((error: Error) => {
        throw new Error(`${error.message}; received ${JSON.stringify(received)}`);
      });
      if (errors.length > 0) throw new Error(`the feed failed: ${JSON.stringify(errors)}`);
      return received.slice(0, count);
    },
  };
}

/** Polls a condition until it holds: for long, as a loaded machine is slow. @throws {Error} after `withinMs` */
export async function until(condition: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${condition.toString()}`);
    await sleep(10);
  }
}
