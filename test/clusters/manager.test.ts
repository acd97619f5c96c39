/**
 * A failover by the manager that people run: pg_auto_failover watches two servers, and when the primary is killed it makes
 * the standby the primary. Serin has the address that the manager gives out. Where the programs are not installed the test
 * is shown as skipped: `scripts/clusterTools.sh` installs them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../harness/serin.ts';
import { type Clusters, debianPrograms, freePort, openClusters, owner } from './cluster.ts';
import { eventually, FEED, serinOn, still, wholeLog } from './log.ts';
import { startWriter } from './writer.ts';

const bin = debianPrograms();
const isInstalled =
  bin !== null && existsSync('/usr/bin/pg_autoctl') && existsSync(join(bin, '../lib/pgautofailover.so'));

let clusters: Clusters;
const managed: ChildProcess[] = [];
beforeAll(async () => {
  clusters = await openClusters();
});
afterAll(async () => {
  for (const child of managed) await end(child, 'SIGINT');
  await clusters.close();
});

/** Ends a process that `pg_autoctl` is, and waits for it. */
async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await gone;
}

/** The processes that a process has started, and those that they have. */
function childrenOf(pid: number): number[] {
  const children = readdirSync('/proc')
    .map(Number)
    .filter((each) => each > 0 && parentOf(each) === pid);
  return [...children, ...children.flatMap(childrenOf)];
}

function parentOf(pid: number): number | null {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    return null;
  }
}

/** `pg_autoctl create KIND --run`, with everything it writes below one folder. */
function autoctl(home: string, kind: string, options: Readonly<Record<string, string>>): ChildProcess {
  const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const common = [
    '--hostname',
    '127.0.0.1',
    '--auth',
    'trust',
    '--no-ssl',
    '--pgctl',
    join(bin ?? '', 'pg_ctl'),
  ];
  const child = spawn('/usr/bin/pg_autoctl', ['create', kind, ...common, ...given, '--run'], {
    ...owner(),
    cwd: home,
    stdio: 'ignore',
    env: {
      PATH: `${bin}:${process.env.PATH}`,
      HOME: home,
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_DATA_HOME: join(home, 'share'),
      // One that is there: else it takes a folder that all users share.
      XDG_RUNTIME_DIR: home,
      LC_ALL: 'C.UTF-8',
    },
  });
  managed.push(child);
  return child;
}

/** Whether a statement returns a row on a server. */
async function says(url: string, statement: string): Promise<boolean> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connect_timeout: 5 });
  try {
    return (await sql.unsafe(statement)).length > 0;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

test.skipIf(!isInstalled)(
  'pg_auto_failover replaces a primary that was killed: nothing acknowledged is lost',
  async () => {
    const home = await clusters.folder('manager');
    const ports = [await freePort(), await freePort(), await freePort()] as const;
    const monitor = `postgres://autoctl_node@127.0.0.1:${ports[0]}/pg_auto_failover`;
    autoctl(home, 'monitor', { pgdata: join(home, 'monitor'), pgport: String(ports[0]) });
    await eventually(() => says(monitor, 'select 1'), 60_000);
    const [primaryUrl, standbyUrl] = [1, 2].map((no) => `postgres://serin@127.0.0.1:${ports[no]}/serin`);
    const start = (no: 1 | 2) =>
      autoctl(home, 'postgres', {
        pgdata: join(home, `node-${no}`),
        pgport: String(ports[no]),
        username: 'serin',
        dbname: 'serin',
        monitor,
      });
    const primary = start(1);
    await eventually(() => says(primaryUrl ?? '', 'select 1 where not pg_is_in_recovery()'), 60_000);
    start(2);
    // The base backup waits for a checkpoint, which PostgreSQL takes its time for unless it is asked.
    await eventually(async () => {
      await says(primaryUrl ?? '', 'checkpoint');
      return says(monitor, "select from pgautofailover.node where reportedstate = 'primary'");
    }, 120_000);

    // What `pg_autoctl show uri` prints.
    const url = `postgres://serin@127.0.0.1:${ports[2]},127.0.0.1:${ports[1]}/serin?target_session_attrs=read-write&sslmode=prefer`;
    const nodes = [await serinOn(url), await serinOn(url)] as const;
    const feed = nodes[0].follow(FEED, { after: '0' });
    const writers = await Promise.all(
      nodes.map(async (node, index) => startWriter(node, await still(node, `managed-${index}`))),
    );
    await Promise.all(writers.map(({ more }) => more(10)));
    // The machine is gone: the manager of this server, and all that it has started.
    for (const pid of [primary.pid ?? 0, ...childrenOf(primary.pid ?? 0)]) process.kill(pid, 'SIGKILL');
    await eventually(() => says(standbyUrl ?? '', 'select 1 where not pg_is_in_recovery()'), 120_000);
    await Promise.all(writers.map(({ more }) => more(10)));
    await Promise.all(writers.map(({ stop }) => stop()));

    const log = await wholeLog(nodes[0]);
    for (const { deploymentId, acknowledged } of writers) {
      const revisions = log
        .filter((event) => event.deploymentId === deploymentId)
        .map((event) => event.revision);
      expect(revisions.slice(-acknowledged.length)).toEqual(acknowledged);
    }
    await until(() => feed.received.length >= log.length || feed.errors.length > 0);
    expect(feed.errors).toEqual([]);
    expect(feed.received.map(({ id }) => id)).toEqual(log.map(({ id }) => id));
    for (const node of nodes) await node.stop();
  },
  400_000,
);
