/**
 * What a part of the benchmark runs on: a durable PostgreSQL of its own (fsync on) in a temporary folder, and nodes of
 * Serin as their users run them: the built program, a process each, in production mode.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { request } from 'undici';
import { startEmbeddedPostgres } from '../../src/store/embedded/embeddedPostgres.ts';
import { migrateDatabase } from '../../src/store/postgres/database.ts';

export interface Stage {
  readonly databaseUrl: string;
  readonly sql: postgres.Sql;
  /** The process of PostgreSQL, the parent of its sessions. */
  readonly postgresPid: number;
  /** Starts a node; answers its address and process. */
  node(variables?: Readonly<Record<string, string>>): Promise<Node>;
  close(): Promise<void>;
}

export interface Node {
  readonly url: string;
  readonly pid: number;
  /** Milliseconds from starting the process to its first answer of being ready. */
  readonly startMs: number;
  stop(): Promise<void>;
}

const PROGRAM = new URL('../../dist/main.js', import.meta.url);

export async function openStage(): Promise<Stage> {
  const dataDir = await mkdtemp(join(tmpdir(), 'serin-bench-'));
  const own = await startEmbeddedPostgres({ dataDir, settings: ['shared_buffers=1GB', 'max_wal_size=4GB'] });
  const kill = () => {
    const pid = own.pid();
    if (pid) process.kill(pid, 'SIGQUIT');
  };
  process.on('exit', kill);
  await migrateDatabase({ url: own.url });
  const sql = postgres(own.url, { max: 4, onnotice: () => {} });
  const nodes: Node[] = [];
  return {
    databaseUrl: own.url,
    sql,
    postgresPid: own.pid() ?? 0,
    async node(variables = {}) {
      const node = await startNode(own.url, variables);
      nodes.push(node);
      return node;
    },
    async close() {
      for (const node of nodes) await node.stop();
      await sql.end();
      process.removeListener('exit', kill);
      await own.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function startNode(databaseUrl: string, variables: Readonly<Record<string, string>>): Promise<Node> {
  const began = performance.now();
  const child = fork(PROGRAM, [], {
    execArgv: [
      ...(process.env.BENCH_NODE_ARGS?.split(' ').filter(Boolean) ?? []),
      ...(process.env.BENCH_PROFILE ? ['--cpu-prof', `--cpu-prof-dir=${process.env.BENCH_PROFILE}`] : []),
    ],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: {
      ...process.env,
      NODE_ENV: 'production',
      DATABASE_URL: databaseUrl,
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'warn',
      ...variables,
    },
  });
  const kill = () => void child.kill('SIGKILL');
  process.on('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  const url = await new Promise<string>((listening, failed) => {
    child.once('exit', (code) => failed(new Error(`the node ended with ${code} before it listened`)));
    child.stdout?.on('data', (text: Buffer) => {
      const found = /listening on (\S+)/.exec(text.toString());
      if (found?.[1]) listening(found[1]);
    });
  });
  const startMs = performance.now() - began;
  return {
    url,
    pid: child.pid ?? 0,
    startMs,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** One operation over HTTP; throws when it has errors. */
export async function ask<T>(
  url: string,
  query: string,
  variables: Record<string, unknown> = {},
): Promise<T> {
  const { body } = await request(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const text = await body.text();
  const answer: { data?: T; errors?: { message: string }[] } = JSON.parse(text);
  if (!answer.data || answer.errors) throw new Error(JSON.stringify(answer.errors ?? answer));
  return answer.data;
}
