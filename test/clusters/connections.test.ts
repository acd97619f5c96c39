/** PostgreSQL as people run it: read-only for a while, several hosts, TLS, standbys that are away, roles with defaults. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, copyFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { migrateDatabase, openDatabase } from '../../src/store/postgres/database.ts';
import { databaseUrl } from '../harness/database.ts';
import { command } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';
import { type Cluster, type Clusters, freePort, openClusters, startProgram } from './cluster.ts';
import { change, eventsAfter, eventually, FEED, serinOn, still } from './log.ts';

let clusters: Clusters;
/** For tests that leave it as they found it; each has a database of its own. */
let cluster: Cluster;
beforeAll(async () => {
  clusters = await openClusters();
  cluster = await clusters.create();
});
// A test that fails on the way must not fail those after it.
afterEach(async () => {
  await cluster.sql`alter system reset all`;
  await cluster.sql`select pg_reload_conf()`;
});
afterAll(() => clusters.close());

/** A new database of the cluster that the tests share. */
async function database(name: string): Promise<string> {
  await cluster.sql.unsafe(`create database ${name}`);
  return databaseUrl(cluster.url, name);
}

const pause = (serin: TestSerin, deploymentId: string, idempotencyKey?: string) =>
  serin.post(
    'mutation($input: PauseDeploymentInput!) { pauseDeployment(input: $input) { success replayed } }',
    {
      input: { deploymentId, idempotencyKey },
    },
  );
const codeOf = ({ errors }: Awaited<ReturnType<typeof pause>>) => errors?.[0]?.extensions.code;
const readiness = async ({ url }: TestSerin) => {
  const response = await fetch(`${url}/ready`);
  return { status: response.status, text: await response.text() };
};

test('a server that is read-only for a while: UNAVAILABLE, /ready says why, and no restart afterwards', async () => {
  const serin = await serinOn(await database('read_only'));
  const id = await still(serin, 'read-only');
  const other = await still(serin, 'asked');
  const feed = serin.follow(FEED, { after: '0' });
  await feed.take(6);
  await cluster.sql`alter system set default_transaction_read_only = on`;
  await cluster.sql`select pg_reload_conf()`;
  // The call returns before the sessions have the setting: the first commands may still be carried out.
  const askTwenty = async (deploymentId: string) =>
    (await Promise.all(Array.from({ length: 20 }, () => pause(serin, deploymentId)))).map(codeOf);
  await eventually(async () => (await askTwenty(other)).every((code) => code === 'UNAVAILABLE'));
  const codes = await askTwenty(id);
  expect(new Set(codes)).toEqual(new Set(['UNAVAILABLE']));
  const { status, text } = await readiness(serin);
  expect(status).toBe(503);
  expect(text).toContain('takes no writes');
  await cluster.sql`alter system reset default_transaction_read_only`;
  await cluster.sql`select pg_reload_conf()`;
  await eventually(async () => (await readiness(serin)).status === 200);
  expect((await command(serin, 'pauseDeployment', id)).success).toBe(true);
  await eventually(async () => feed.received.some(({ deploymentId, no }) => deploymentId === id && no === 4));
  expect(feed.errors).toEqual([]);
  await serin.stop();
}, 90_000);

test('of several hosts the one that takes writes is used, whatever their order, also after a failover', async () => {
  const primary = await clusters.create();
  const standby = await primary.baseBackup();
  await standby.follow(primary, 'standby');
  await standby.start();
  await standby.catchUp(primary);
  // Alone it is refused at start, in words.
  await expect(migrateDatabase({ url: standby.url })).rejects.toThrow(
    /standby \(in recovery\) and takes no writes/,
  );
  const url = `postgres://serin@127.0.0.1:${standby.port},127.0.0.1:${primary.port}/postgres?target_session_attrs=read-write`;
  const serin = await serinOn(url);
  const id = await still(serin, 'hosts');
  await standby.catchUp(primary);
  await primary.stop('immediate');
  await standby.promote();
  await eventually(async () => (await command(serin, 'pauseDeployment', id)).success);
  const [row] = await standby.sql`select count(*)::int as count from events`;
  expect(row?.count).toBe(4);
  await serin.stop();
  await standby.stop();
}, 90_000);

/** Ends the waits of commits for a standby. */
const cancelAll = () =>
  cluster.sql`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`;

/** Until the server has the setting that was reloaded: the call returns before, and commits do not wait yet. */
async function untilCommitsWait(): Promise<void> {
  let waits = false;
  const committing = (async () => {
    while (!waits) await cluster.sql`comment on database postgres is 'committed'`;
  })();
  await eventually(async () => {
    waits = (await cluster.sql`select from pg_stat_activity where wait_event = 'SyncRep'`).length > 0;
    return waits;
  });
  await cancelAll();
  await committing;
}

/** Longer than an operation may take; `npm run test:clusters` has a whole minute. */
const AWAY_MS = process.env.SERIN_CLUSTERS === 'whole' ? 60_000 : 10_000;

test('a synchronous standby that is away: never more connections than documented, and a cancelled wait is no success', async () => {
  const serin = await serinOn(await database('away'));
  const ids = await Promise.all(Array.from({ length: 30 }, (_, index) => still(serin, `sync-${index}`)));
  await cluster.sql`alter system set synchronous_standby_names = 'away'`;
  await cluster.sql`select pg_reload_conf()`;
  await untilCommitsWait();
  const backends = async () =>
    (await cluster.sql`select from pg_stat_activity where application_name = 'serin' and datname = 'away'`)
      .length;
  let most = 0;
  const until = Date.now() + AWAY_MS;
  const codes = new Set<unknown>();
  // Callers try again as long as it lasts, as clients do.
  const asking = ids.map(async (id) => {
    do codes.add(codeOf(await pause(serin, id, `key-${id}`)));
    while (Date.now() < until);
  });
  while (Date.now() < until) {
    most = Math.max(most, await backends());
    await sleep(200);
  }
  await Promise.all(asking);
  expect(codes).toEqual(new Set(['UNAVAILABLE']));
  expect(most).toBeLessThanOrEqual(17);
  // An operator ends the waits: what they were for is committed here, and nobody was told that it is safe.
  const first = ids[0] ?? '';
  const cancelling = setInterval(() => void cancelAll().catch(() => {}), 100);
  const again = await pause(serin, first, `key-${first}`).finally(() => clearInterval(cancelling));
  expect(codeOf(again)).toBe('UNAVAILABLE');
  await cluster.sql`alter system reset synchronous_standby_names`;
  await cluster.sql`select pg_reload_conf()`;
  await eventually(async () => {
    const { data } = await pause(serin, first, `key-${first}`);
    return data?.pauseDeployment.success;
  });
  await serin.stop();
}, 180_000);

test('defaults of a role or a database change nothing of what is read and written', async () => {
  const odd = [
    "datestyle = 'German, DMY'",
    "timezone = 'Asia/Kathmandu'",
    "intervalstyle = 'iso_8601'",
    "bytea_output = 'escape'",
    'extra_float_digits = -10',
    "default_transaction_isolation = 'serializable'",
    "search_path = 'nowhere'",
    'synchronous_commit = off',
    "client_min_messages = 'error'",
    'statement_timeout = 1',
    'standard_conforming_strings = off',
  ];
  await cluster.sql`create role odd login superuser`;
  await cluster.sql.unsafe(odd.map((setting) => `alter role odd set ${setting}`).join('; '));
  const serin = await serinOn((await database('defaults')).replace('serin@', 'odd@'));
  const id = await still(serin, 'odd');
  await change(serin, id, 4);
  const events = await eventsAfter(serin, '0');
  expect(events.map(({ no }) => no)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  const { exportDeployment } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
  expect(exportDeployment.events).toHaveLength(7);
  await serin.stop();
}, 60_000);

test('a role that owns one schema and nothing else is enough, and two Serins live in two schemas', async () => {
  const url = await database('schemas');
  const owner = postgres(url, { max: 1, onnotice: () => {} });
  for (const name of ['desk', 'lab']) {
    await owner.unsafe(
      `create role ${name} login; create schema ${name} authorization ${name}; revoke create on database schemas from public`,
    );
  }
  const start = (name: string) =>
    startTestSerin({ databaseUrl: url.replace('serin@', `${name}@`), databaseSchema: name });
  const [desk, lab] = [await start('desk'), await start('lab')];
  const feed = lab.follow(FEED, { after: '0' });
  await still(desk, 'mine');
  const id = await still(lab, 'mine');
  await feed.take(3);
  expect(new Set(feed.received.map(({ deploymentId }) => deploymentId))).toEqual(new Set([id]));
  expect(await owner`select from pg_tables where schemaname in ('public', 'drizzle')`).toHaveLength(0);
  await owner.end();
  await desk.stop();
  await lab.stop();
}, 60_000);

test('an encoding that cannot hold every text is refused at start', async () => {
  await cluster.sql.unsafe("create database latin encoding 'LATIN1' locale 'C' template template0");
  const url = databaseUrl(cluster.url, 'latin');
  await expect(migrateDatabase({ url })).rejects.toThrow(/encoding LATIN1.*UTF8/);
}, 60_000);

const openssl = ['/usr/bin/openssl', '/usr/local/bin/openssl', '/opt/homebrew/bin/openssl'].some((path) =>
  existsSync(path),
);
describe.skipIf(!openssl)('TLS', () => {
  let encrypted: Cluster;
  let authority: string;
  beforeAll(async () => {
    encrypted = await clusters.create();
    const folder = await clusters.folder('certificates');
    authority = join(folder, 'ca.pem');
    const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    run(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=test authority',
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
    );
    run(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/CN=db.test',
      '-keyout',
      'server.key',
      '-out',
      'server.csr',
    );
    await writeFile(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    run(
      'x509',
      '-req',
      '-in',
      'server.csr',
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      'names',
      '-out',
      'server.crt',
    );
    const { uid, gid } = await stat(encrypted.folder);
    for (const name of ['server.key', 'server.crt']) {
      await copyFile(join(folder, name), join(encrypted.folder, name));
      await chown(join(encrypted.folder, name), uid, gid);
      await chmod(join(encrypted.folder, name), 0o600);
    }
    await encrypted.configure('ssl = on');
    await encrypted.stop();
    await encrypted.start();
    await encrypted.sql`create role plain login`;
    await writeFile(
      join(encrypted.folder, 'pg_hba.conf'),
      'hostnossl postgres plain 127.0.0.1/32 trust\nhostssl postgres plain 127.0.0.1/32 reject\n' +
        'hostssl postgres serin 127.0.0.1/32 trust\n',
    );
    await encrypted.sql`select pg_reload_conf()`;
  }, 60_000);
  afterAll(() => encrypted.stop());

  const connect = async (query: string, user = 'serin') => {
    const opened = openDatabase({
      url: `postgres://${user}@127.0.0.1:${encrypted.port}/postgres?${query}`,
      poolSize: 1,
    });
    try {
      const [row] = await opened.client`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
      return row?.ssl;
    } finally {
      await opened.close();
    }
  };

  test.each([
    ['sslmode=require', true],
    ['sslmode=prefer', true],
    ['sslmode=allow', true],
    ['', true],
    ['sslmode=verify-ca&sslrootcert=CA', true],
    ['sslmode=verify-full&sslrootcert=CA', true],
  ])('%s', async (query, isEncrypted) => {
    expect(await connect(query.replace('CA', encodeURIComponent(authority)))).toBe(isEncrypted);
  });

  test('allow is plain where the server takes it', async () => {
    expect(await connect('sslmode=allow', 'plain')).toBe(false);
  });

  test.each([
    ['sslmode=verify-full', /self-signed certificate|unable to/],
    ['sslmode=disable', /no pg_hba.conf entry/],
  ])('%s is refused', async (query, why) => {
    await expect(connect(query)).rejects.toThrow(why);
  });
});

const pgbouncer = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => existsSync(path));
/** `scripts/clusterTools.sh` installs it. */
describe.skipIf(!pgbouncer)('pgbouncer', () => {
  async function pooled(name: string, mode: string) {
    await database(name);
    const folder = await clusters.folder('pgbouncer');
    const port = await freePort();
    await writeFile(join(folder, 'users'), '"serin" ""\n');
    await writeFile(
      join(folder, 'pgbouncer.ini'),
      [
        '[databases]',
        `${name} = host=127.0.0.1 port=${cluster.port} dbname=${name} user=serin`,
        '[pgbouncer]',
        'listen_addr = 127.0.0.1',
        `listen_port = ${port}`,
        'unix_socket_dir =',
        'auth_type = trust',
        `auth_file = ${join(folder, 'users')}`,
        `pool_mode = ${mode}`,
      ].join('\n'),
    );
    const stop = await startProgram(pgbouncer ?? '', [join(folder, 'pgbouncer.ini')], port);
    return { url: `postgres://serin@127.0.0.1:${port}/${name}`, stop };
  }

  test('session mode with its defaults: one node works, a second one says why it waits, and two smaller ones work', async () => {
    const pool = await pooled('pooled', 'session');
    const serin = await serinOn(pool.url);
    const feed = serin.follow(FEED, { after: '0' });
    const id = await still(serin, 'pooled');
    await change(serin, id, 3);
    await feed.take(6);
    expect(feed.errors).toEqual([]);
    // Two nodes of 17 ask for more than the 20 that it has.
    const second = await serinOn(pool.url);
    const busy = new AbortController();
    const reading = [serin, second].flatMap((node) =>
      Array.from({ length: 20 }, async () => {
        while (!busy.signal.aborted) await node.post('{ deployments { totalCount } }');
      }),
    );
    await eventually(async () => {
      const states = await Promise.all([serin, second].map(readiness));
      return states.some(({ text }) =>
        /waited \d+ s for a server of the pooler.*default_pool_size/.test(text),
      );
    }, 60_000);
    busy.abort();
    await Promise.all(reading);
    await second.stop();
    await serin.stop();
    const smaller = { databaseUrl: pool.url, poolSize: 8 };
    const nodes = [await startTestSerin(smaller), await startTestSerin(smaller)] as const;
    expect((await command(nodes[0], 'resumeDeployment', id)).success).toBe(true);
    const events = await eventsAfter(nodes[1], '0');
    expect(events).toHaveLength(7);
    expect((await Promise.all(nodes.map(readiness))).map(({ status }) => status)).toEqual([200, 200]);
    for (const node of nodes) await node.stop();
    await pool.stop();
  }, 120_000);

  test('transaction mode is refused with what to use instead', async () => {
    const pool = await pooled('transactions', 'transaction');
    await expect(migrateDatabase({ url: pool.url })).rejects.toThrow(/transaction mode.*pool_mode = session/);
    expect(await cluster.sql`select from pg_locks where locktype = 'advisory'`).toHaveLength(0);
    await pool.stop();
  }, 60_000);
});
