/** `/ready`: a node that cannot write is not ready, and what somebody dropped from the database is named. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeEach(async () => {
  serin = await startTestSerin();
});
afterEach(() => serin.stop());

interface Ready {
  readonly status: number;
  readonly missing?: string;
  readonly warnings?: readonly string[];
}

async function ready(node = serin): Promise<Ready> {
  const response = await fetch(`${node.url}/ready`);
  return { ...(await response.json()), status: response.status };
}

const CREATE = `mutation($strategyId: ID!) {
  createDeployment(input: { strategyId: $strategyId, stableVersionId: "v1", canaryVersionId: "v2" }) { success } }`;

const databaseName = () => new URL(serin.database.url).pathname.slice(1);

test('a database that was made read-only is named until it takes writes again', async () => {
  expect(await ready()).toEqual({ status: 200 });
  const { sql } = serin.database;
  await sql.unsafe(`alter database ${databaseName()} set default_transaction_read_only = on`);
  const endSessions = () =>
    sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'serin'`;
  await endSessions();
  await until(async () => {
    const { status, missing } = await ready();
    return status === 503 && missing !== undefined && missing.includes('read-only');
  });
  await sql.unsafe(`
    set default_transaction_read_only = off;
    alter database ${databaseName()} reset default_transaction_read_only`);
  await until(async () => (await ready()).status === 200);
});

test('a full disk is named until there is space again', async () => {
  const { sql } = serin.database;
  await sql.unsafe(`
    create function no_space() returns trigger language plpgsql as $$
      begin raise 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
    create trigger no_space before insert on events for each row execute function no_space();
    create trigger no_space before insert on nodes for each row execute function no_space()`);
  const refused = await serin.post(CREATE, { strategyId: 'btc' });
  expect(refused.errors).toMatchObject([{ extensions: { code: 'UNAVAILABLE' } }]);
  const full = { status: 503, missing: 'the disk of the PostgreSQL server is full: nothing can be written' };
  expect(await ready()).toMatchObject(full);
  // Reads work all the same.
  expect(await serin.ask('{ deployments { nodes { id } } }')).toEqual({ deployments: { nodes: [] } });
  await sql.unsafe('drop trigger no_space on events');
  expect(await ready()).toMatchObject(full);
  await sql.unsafe('drop trigger no_space on nodes');
  expect(await ready()).toEqual({ status: 200 });
  expect((await serin.ask(CREATE, { strategyId: 'btc' })).createDeployment).toEqual({ success: true });
});

test('a role that may not write to a table is named', async () => {
  const { sql, url } = serin.database;
  const role = `${databaseName()}_role`;
  await sql.unsafe(`create role ${role};
    grant all on schema public, drizzle to ${role};
    grant all on all tables in schema public, drizzle to ${role};
    grant all on all sequences in schema public, drizzle to ${role}`);
  const other = await startTestSerin({
    databaseUrl: `${url}?options=${encodeURIComponent(`-c role=${role}`)}`,
  });
  try {
    expect(await ready(other)).toEqual({ status: 200 });
    await sql.unsafe(`revoke insert on events from ${role}`);
    expect(await ready(other)).toEqual({
      status: 503,
      missing: 'the role of Serin may not write to the table events',
    });
    expect(await ready(serin)).toEqual({ status: 200 });
  } finally {
    await other.stop();
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`);
  }
});

test('dropped indexes and constraints are named from the start on, until they are there again', async () => {
  const { sql } = serin.database;
  const [{ definition } = { definition: '' }] = await sql<{ definition: string }[]>`
    select indexdef as definition from pg_indexes where indexname = 'deployments_due'`;
  await sql`drop index deployments_due`;
  await sql`alter table clock drop constraint clock_rate`;
  await sql`alter table strategies alter stable_version_id drop not null`;
  expect(await ready()).toEqual({ status: 200 });
  await serin.restart();
  const { status, warnings = [] } = await ready();
  expect(status).toBe(200);
  expect(warnings).toEqual([
    expect.stringMatching(/^the constraint clock_rate is missing \(defined in drizzle\/\d{4}_\w+\.sql\)$/),
    'the column strategies.stable_version_id allows null',
    expect.stringMatching(/^the index deployments_due is missing \(defined in drizzle\/\d{4}_\w+\.sql\)$/),
  ]);
  await sql.unsafe(definition);
  await sql`alter table clock add constraint clock_rate check (rate >= 1) not valid`;
  await sql`alter table strategies alter stable_version_id set not null`;
  expect((await ready()).warnings).toEqual([
    'the constraint clock_rate is not validated: existing rows may violate it',
  ]);
  await sql`alter table clock validate constraint clock_rate`;
  expect(await ready()).toEqual({ status: 200 });
});
