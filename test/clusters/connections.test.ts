/** PostgreSQL as people run it: read-only for a while, several hosts, TLS, standbys that are away, roles with defaults. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, copyFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrateDatabase, openDatabase } from '../../src/store/postgres/database.ts';
import { command } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';
import { type Cluster, type Clusters, freePort, openClusters, startProgram } from './cluster.ts';
import { change, eventsAfter, eventually, FEED, serinOn, still } from './log.ts';

let clusters: Clusters;
beforeAll(async () => {
  clusters = await openClusters();
});
afterAll(() => clusters.close());

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
  const cluster = await clusters.create();
  const serin = await serinOn(cluster.url);
  const id = await still(serin, 'read-only');
  const feed = serin.follow(FEED, { after: '0' });
  await feed.take(3);
  await cluster.sql`alter system set default_transaction_read_only = on`;
  await cluster.sql`select pg_reload_conf()`;
  await eventually(async () => codeOf(await pause(serin, id)) === 'UNAVAILABLE');
  const codes = (await Promise.all(Array.from({ length: 20 }, () => pause(serin, id)))).map(codeOf);
  expect(new Set(codes)).toEqual(new Set(['UNAVAILABLE']));
  const { status, text } = await readiness(serin);
  expect(status).toBe(503);
  expect(text).toContain('takes no writes');
  await cluster.sql`alter system reset default_transaction_read_only`;
  await cluster.sql`select pg_reload_conf()`;
  await eventually(async () => (await readiness(serin)).status === 200);
  expect((await command(serin, 'pauseDeployment', id)).success).toBe(true);
  await feed.take(4);
  expect(feed.errors).toEqual([]);
  await serin.stop();
  await cluster.stop();
}, 90_000);

test('of several hosts the one that takes writes is used, whatever their order, also after a failover', async () => {
  const primary = await clusters.create();
  const standby = await primary.baseBackup();
  await standby.follow(primary, 'standby');
  await standby.start();
  await standby.catchUp(primary);
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

test('a standby alone is refused at start, in words', async () => {
  const primary = await clusters.create();
  const standby = await primary.baseBackup();
  await standby.follow(primary, 'standby');
  await standby.start();
  await expect(migrateDatabase({ url: standby.url })).rejects.toThrow(
    /standby \(in recovery\) and takes no writes/,
  );
  await standby.stop();
  await primary.stop();
}, 60_000);

test('a synchronous standby that is away: never more connections than documented, and a cancelled wait is no success', async () => {
  const cluster = await clusters.create();
  const serin = await serinOn(cluster.url);
  const ids = await Promise.all(Array.from({ length: 30 }, (_, index) => still(serin, `sync-${index}`)));
  await cluster.sql`alter system set synchronous_standby_names = 'away'`;
  await cluster.sql`select pg_reload_conf()`;
  const backends = async () =>
    (await cluster.sql`select from pg_stat_activity where application_name = 'serin'`).length;
  let most = 0;
  const until = Date.now() + 24_000;
  const asking = ids.map(async (id) => codeOf(await pause(serin, id, `key-${id}`)));
  while (Date.now() < until) {
    most = Math.max(most, await backends());
    await sleep(200);
  }
  expect(new Set(await Promise.all(asking))).toEqual(new Set(['UNAVAILABLE']));
  expect(most).toBeLessThanOrEqual(17);
  // An operator ends the waits: what they were for is committed here, and nobody was told that it is safe.
  const cancelAll = () =>
    cluster.sql`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`;
  const first = ids[0] ?? '';
  const again = pause(serin, first, `key-${first}`);
  const cancelling = setInterval(() => void cancelAll().catch(() => {}), 100);
  expect(codeOf(await again)).toBe('UNAVAILABLE');
  clearInterval(cancelling);
  await cluster.sql`alter system reset synchronous_standby_names`;
  await cluster.sql`select pg_reload_conf()`;
  await eventually(async () => {
    const { data } = await pause(serin, first, `key-${first}`);
    return data?.pauseDeployment.success;
  });
  await serin.stop();
  await cluster.stop();
}, 120_000);

test('defaults of a role or a database change nothing of what is read and written', async () => {
  const cluster = await clusters.create();
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
  await cluster.sql.unsafe(odd.map((setting) => `alter role serin set ${setting}`).join('; '));
  const serin = await serinOn(cluster.url);
  const id = await still(serin, 'odd');
  await change(serin, id, 4);
  const events = await eventsAfter(serin, '0');
  expect(events.map(({ no }) => no)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  const { exportDeployment } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
  expect(exportDeployment.events).toHaveLength(7);
  await serin.stop();
  await cluster.stop();
}, 60_000);

test('a role that owns one schema and nothing else is enough, and two Serins live in two schemas', async () => {
  const cluster = await clusters.create();
  for (const name of ['desk', 'lab']) {
    await cluster.sql.unsafe(
      `create role ${name} login; create schema ${name} authorization ${name}; revoke create on database postgres from public`,
    );
  }
  const start = (name: string) =>
    startTestSerin({ databaseUrl: cluster.url.replace('serin@', `${name}@`), databaseSchema: name });
  const [desk, lab] = [await start('desk'), await start('lab')];
  const feed = lab.follow(FEED, { after: '0' });
  await still(desk, 'mine');
  const id = await still(lab, 'mine');
  await feed.take(3);
  expect(new Set(feed.received.map(({ deploymentId }) => deploymentId))).toEqual(new Set([id]));
  expect(await cluster.sql`select from pg_tables where schemaname in ('public', 'drizzle')`).toHaveLength(0);
  await desk.stop();
  await lab.stop();
  await cluster.stop();
}, 60_000);

test('an encoding that cannot hold every text is refused at start', async () => {
  const cluster = await clusters.create();
  await cluster.sql.unsafe("create database latin encoding 'LATIN1' locale 'C' template template0");
  const url = cluster.url.replace(/postgres$/, 'latin');
  await expect(migrateDatabase({ url })).rejects.toThrow(/encoding LATIN1.*UTF8/);
  await cluster.stop();
}, 60_000);

const openssl = ['/usr/bin/openssl', '/usr/local/bin/openssl', '/opt/homebrew/bin/openssl'].some((path) =>
  existsSync(path),
);
describe.skipIf(!openssl)('TLS', () => {
  let cluster: Cluster;
  let authority: string;
  beforeAll(async () => {
    cluster = await clusters.create();
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
    const { uid, gid } = await stat(cluster.folder);
    for (const name of ['server.key', 'server.crt']) {
      await copyFile(join(folder, name), join(cluster.folder, name));
      await chown(join(cluster.folder, name), uid, gid);
      await chmod(join(cluster.folder, name), 0o600);
    }
    await cluster.configure('ssl = on');
    await cluster.stop();
    await cluster.start();
    await cluster.sql`create role plain login`;
    await writeFile(
      join(cluster.folder, 'pg_hba.conf'),
      'hostnossl postgres plain 127.0.0.1/32 trust\nhostssl postgres plain 127.0.0.1/32 reject\n' +
        'hostssl postgres serin 127.0.0.1/32 trust\n',
    );
    await cluster.sql`select pg_reload_conf()`;
  }, 60_000);
  afterAll(() => cluster.stop());

  const connect = async (query: string, user = 'serin') => {
    const database = openDatabase({
      url: `postgres://${user}@127.0.0.1:${cluster.port}/postgres?${query}`,
      poolSize: 1,
    });
    try {
      const [row] = await database.client`select ssl from pg_stat_ssl where pid = pg_backend_pid()`;
      return row?.ssl;
    } finally {
      await database.close();
    }
  };

  test.each([
    ['sslmode=require', true],
    ['sslmode=prefer', true],
    ['sslmode=allow', true],
    ['', true],
    ['sslmode=verify-ca&sslrootcert=CA', true],
    ['sslmode=verify-full&sslrootcert=CA', true],
  ])('%s', async (query, encrypted) => {
    expect(await connect(query.replace('CA', encodeURIComponent(authority)))).toBe(encrypted);
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
  async function pooled(cluster: Cluster, mode: string) {
    const folder = await clusters.folder('pgbouncer');
    const port = await freePort();
    await writeFile(join(folder, 'users'), '"serin" ""\n');
    await writeFile(
      join(folder, 'pgbouncer.ini'),
      [
        '[databases]',
        `postgres = host=127.0.0.1 port=${cluster.port} dbname=postgres user=serin`,
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
    return { url: `postgres://serin@127.0.0.1:${port}/postgres`, stop };
  }

  test('session mode with its defaults: one node works', async () => {
    const cluster = await clusters.create();
    const pool = await pooled(cluster, 'session');
    const serin = await serinOn(pool.url);
    const feed = serin.follow(FEED, { after: '0' });
    const id = await still(serin, 'pooled');
    await change(serin, id, 3);
    await feed.take(6);
    expect(feed.errors).toEqual([]);
    await serin.stop();
    await pool.stop();
    await cluster.stop();
  }, 60_000);

  test('transaction mode is refused with what to use instead', async () => {
    const cluster = await clusters.create();
    const pool = await pooled(cluster, 'transaction');
    await expect(migrateDatabase({ url: pool.url })).rejects.toThrow(/transaction mode.*pool_mode = session/);
    expect(await cluster.sql`select from pg_locks where locktype = 'advisory'`).toHaveLength(0);
    await pool.stop();
    await cluster.stop();
  }, 60_000);
});
