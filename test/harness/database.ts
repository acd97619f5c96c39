/** Databases for tests: each test file gets its own, cloned from a migrated template. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { inject } from 'vitest';

export const TEMPLATE = 'serin_template';

export function databaseUrl(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

export interface TestDatabase {
  readonly url: string;
  readonly sql: postgres.Sql;
  drop(): Promise<void>;
}

/** Creates and drops databases, for all files of a worker. */
let creator: postgres.Sql | null = null;
/** Seconds after which it closes its connection. */
const IDLE_SECONDS = 10;

export async function freshDatabase(): Promise<TestDatabase> {
  const server = inject('postgresUrl');
  const name = `serin_${randomBytes(6).toString('hex')}`;
  creator ??= postgres(server, { max: 1, idle_timeout: IDLE_SECONDS, onnotice: () => {} });
  const admin = creator;
  await admin.unsafe(`create database ${name} template ${TEMPLATE}`);
  const url = databaseUrl(server, name);
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  return {
    url,
    sql,
    async drop() {
      await sql.end();
      await admin.unsafe(`drop database ${name} with (force)`);
    },
  };
}
