/** A read replica: lists, exports and series from a real standby, while it is near enough, and never without its writer's writes. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { command, create } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin } from '../harness/serin.ts';
import { type Cluster, type Clusters, openClusters } from './cluster.ts';
import { change, eventsAfter, eventually, FEED, still } from './log.ts';

let clusters: Clusters;
let primary: Cluster;
let standby: Cluster;
let serin: TestSerin;

interface Ready {
  readonly warnings?: readonly string[];
  readonly replica: { readonly used: boolean; readonly lagSeconds: number };
}
const ready = async (): Promise<Ready> => (await fetch(`${serin.url}/ready`)).json();
const used = () => eventually(async () => (await ready()).replica.used);
const unusedWith = (why: string) =>
  eventually(async () => {
    const { replica, warnings } = await ready();
    return !replica.used && warnings?.some((warning) => warning.includes(why));
  });

/** Reads that the node has sent to the replica, and those that it could have. */
async function served(): Promise<{ readonly replica: number; readonly primary: number }> {
  const text = await (await fetch(`${serin.url}/metrics`)).text();
  const of = (server: string) =>
    Number(new RegExp(`serin_replica_reads_total\\{server="${server}"\\} (\\d+)`).exec(text)?.[1]);
  return { replica: of('replica'), primary: of('primary') };
}

interface Asked {
  readonly data?: Data;
  readonly errors?: readonly { readonly extensions: Record<string, unknown> }[];
  readonly position: string | null;
  /** Which server answered, where either may. */
  readonly server: 'replica' | 'primary' | null;
}

/** One operation of somebody who may send a position. */
async function ask(actor: string, query: string, position?: string, at = serin.url): Promise<Asked> {
  const before = await served();
  const response = await fetch(`${at}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-serin-actor': actor,
      ...(position === undefined ? {} : { 'serin-position': position }),
    },
    body: JSON.stringify({ query }),
  });
  const after = await served();
  const server =
    after.replica > before.replica ? 'replica' : after.primary > before.primary ? 'primary' : null;
  return { ...(await response.json()), position: response.headers.get('serin-position'), server };
}

const LIST = '{ deployments(first: 100) { nodes { id status revision strategy { id } } totalCount } }';
const pauseBy = (actor: string, id: string, at?: string) =>
  ask(actor, `mutation { pauseDeployment(input: { deploymentId: "${id}" }) { success } }`, undefined, at);
const resumeBy = (actor: string, id: string) =>
  ask(actor, `mutation { resumeDeployment(input: { deploymentId: "${id}" }) { success } }`);
const statusIn = ({ data }: Asked, id: string) => {
  const { nodes } = data?.deployments ?? { nodes: [] };
  return nodes.find((node: { readonly id: string }) => node.id === id)?.status;
};

const pauseReplay = () => standby.sql`select pg_wal_replay_pause()`;
const resumeReplay = () => standby.sql`select pg_wal_replay_resume()`;

beforeAll(async () => {
  clusters = await openClusters();
  primary = await clusters.create();
  standby = await primary.baseBackup();
  await standby.follow(primary, 'standby');
  await standby.start();
  serin = await startTestSerin({
    databaseUrl: primary.url,
    timeScale: 1,
    replica: { url: standby.url, maxLagMs: 5000 },
  });
  await used();
}, 120_000);
afterEach(() => resumeReplay());
afterAll(async () => {
  await serin.stop();
  await clusters.close();
});

test('lists, exports, the log and the overview are read from it; one deployment, commands and feeds are not', async () => {
  const id = await still(serin, 'routed');
  await used();
  const documents = [
    LIST,
    '{ strategies { nodes { id deployments { nodes { id } } stableVersions { versionId } } } }',
    `{ exportDeployment(id: "${id}") }`,
    '{ events { nodes { id no deployment { id } } } }',
    '{ overview { counts { status count } capitalOnTrialUsd } }',
    '{ auditRecords { nodes { action } } }',
    'query { ...all } fragment all on Query { deployments { nodes { headline events { nodes { no } } } } }',
  ];
  for (const document of documents) {
    await eventually(async () => {
      const { server, errors } = await ask('reader', document);
      expect(errors).toBeUndefined();
      return server === 'replica';
    });
  }
  const single = await ask('reader', `{ deployment(id: "${id}") { status events { nodes { no } } } }`);
  expect(single).toMatchObject({ data: { deployment: { status: 'RUNNING' } }, server: null });
  // The deployment itself is the primary's, its course is not.
  const drawn = await ask('reader', `{ deployment(id: "${id}") { status series { points { at } } } }`);
  expect(drawn).toMatchObject({ data: { deployment: { status: 'RUNNING' } }, server: 'replica' });
  const both = `{ deployment(id: "${id}") { status } deployments { nodes { id } } }`;
  expect(await ask('reader', both)).toMatchObject({ server: null });
  // What the replica answers is the same as what the primary answers.
  const [one, other] = [await ask('reader', LIST), await ask('reader', `${LIST} # ${Date.now()}`)];
  expect(one.data).toEqual(other.data);
  const backends = await standby.sql`
    select current_setting('transaction_read_only') as "readOnly", pg_is_in_recovery() as recovering`;
  expect(backends).toMatchObject([{ readOnly: 'on', recovering: true }]);
}, 60_000);

test('whoever has written sees it: at this node, and at another one with the position of the answer', async () => {
  const id = await still(serin, 'written');
  await used();
  await pauseReplay();
  const paused = await pauseBy('writer', id);
  expect(paused.position).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
  // The writer is answered by the primary, without a header of theirs; others may be a little behind.
  expect(await ask('writer', LIST)).toMatchObject({ server: 'primary' });
  expect(statusIn(await ask('writer', LIST), id)).toBe('PAUSED');
  const other = await ask('other', LIST);
  expect(other.server).toBe('replica');
  expect(statusIn(other, id)).toBe('RUNNING');
  const told = await ask('other', LIST, paused.position ?? '');
  expect(told.server).toBe('primary');
  expect(statusIn(told, id)).toBe('PAUSED');
  // An export that the replica does not have yet is the primary's, and a cursor that it does not know no rewind.
  const { deployment } = await create(serin, { strategyId: 'unborn' });
  const exported = await ask('other', `{ exportDeployment(id: "${deployment.id}") }`);
  expect(exported.data?.exportDeployment.deployment).toMatchObject({ id: deployment.id });
  const newest = (await eventsAfter(serin, '0')).at(-1)?.cursor;
  const after = await ask('other', `{ events(after: "${newest}") { nodes { no } } }`);
  expect(after).toMatchObject({ data: { events: { nodes: [] } }, server: 'primary' });
  expect(after.errors).toBeUndefined();
  await resumeReplay();
  await eventually(async () => (await ask('writer', LIST)).server === 'replica');
  const caughtUp = await ask('other', LIST, paused.position ?? '');
  expect(caughtUp.server).toBe('replica');
  expect(statusIn(caughtUp, id)).toBe('PAUSED');
}, 60_000);

test('a position that is none is refused', async () => {
  const { errors } = await ask('other', LIST, 'yesterday');
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
});

test('a writer that goes from node to node never reads back in time', async () => {
  const id = await still(serin, 'wandering');
  const second = await startTestSerin({
    databaseUrl: primary.url,
    timeScale: 1,
    replica: { url: standby.url, maxLagMs: 5000 },
  });
  await used();
  for (let round = 0; round < 15; round += 1) {
    const written = await (round % 2 === 0 ? pauseBy : resumeBy)('wanderer', id);
    expect(written.data).toMatchObject({
      [round % 2 === 0 ? 'pauseDeployment' : 'resumeDeployment']: { success: true },
    });
    const there = await ask('wanderer', LIST, written.position ?? '', second.url);
    expect(statusIn(there, id)).toBe(round % 2 === 0 ? 'PAUSED' : 'RUNNING');
    const here = await ask('wanderer', LIST);
    expect(statusIn(here, id)).toBe(round % 2 === 0 ? 'PAUSED' : 'RUNNING');
  }
  await second.stop();
}, 60_000);

test('its lag is bounded and shown: beyond the bound all reads are those of the primary', async () => {
  const id = await still(serin, 'late');
  await used();
  await pauseReplay();
  await change(serin, id, 1);
  await unusedWith('lags by');
  expect((await ready()).replica.lagSeconds).toBeGreaterThan(5);
  const late = await ask('other', LIST);
  expect(late.server).toBe('primary');
  expect(statusIn(late, id)).toBe('PAUSED');
  const metrics = await (await fetch(`${serin.url}/metrics`)).text();
  expect(Number(/serin_replica_lag_seconds ([\d.]+)/.exec(metrics)?.[1])).toBeGreaterThan(5);
  await resumeReplay();
  await used();
  await eventually(async () => (await ask('other', LIST)).server === 'replica');
}, 60_000);

test('a replica that is away, or stands still, costs no answer', async () => {
  const id = await still(serin, 'alone');
  await used();
  const feed = serin.follow(FEED, { after: '0' });
  const reading = new AbortController();
  const failures: unknown[] = [];
  let answered = 0;
  const readers = Array.from({ length: 4 }, async (_, reader) => {
    while (!reading.signal.aborted) {
      const { errors, data } = await serin.post(LIST, {}, { 'x-serin-actor': `reader ${reader}` });
      if (errors) failures.push(errors);
      else if (data) answered += 1;
    }
  });
  await standby.stop('immediate');
  await unusedWith('does not answer');
  await change(serin, id, 1);
  await standby.start();
  await used();
  reading.abort();
  await Promise.all(readers);
  expect(failures).toEqual([]);
  expect(answered).toBeGreaterThan(10);
  expect(feed.errors).toEqual([]);
  feed.end();
}, 90_000);

describe('after a failover', () => {
  test('a replica of the former primary is not used, and the promoted one is', async () => {
    const cluster = await clusters.create();
    const first = await cluster.baseBackup();
    await first.follow(cluster, 'first');
    await first.start();
    const second = await cluster.baseBackup();
    await second.follow(cluster, 'second');
    await second.start();
    const url = `postgres://serin@127.0.0.1:${cluster.port},127.0.0.1:${first.port}/postgres`;
    const node = await startTestSerin({
      databaseUrl: url,
      timeScale: 1,
      replica: { url: second.url, maxLagMs: 5000 },
    });
    const readyHere = async (): Promise<Ready> => (await fetch(`${node.url}/ready`)).json();
    await eventually(async () => (await readyHere()).replica.used);
    const id = await still(node, 'failover');
    await first.catchUp(cluster);
    await cluster.stop('immediate');
    await first.promote();
    await eventually(async () => (await command(node, 'pauseDeployment', id)).success);
    // It follows nobody now: what the new primary writes never reaches it.
    await eventually(async () => !(await readyHere()).replica.used);
    const { deployments } = await node.ask(LIST);
    expect(deployments.nodes).toMatchObject([{ id, status: 'PAUSED' }]);
    await second.sql.unsafe(
      `alter system set primary_conninfo = 'host=127.0.0.1 port=${first.port} user=serin application_name=second'`,
    );
    await second.sql`select pg_reload_conf()`;
    await eventually(async () => (await readyHere()).replica.used);
    expect((await node.ask(LIST)).deployments.nodes).toMatchObject([{ id, status: 'PAUSED' }]);
    await node.stop();
    await second.stop();
    await first.stop();
  }, 120_000);

  test('an address of another server that takes writes is never read from', async () => {
    const stranger = await clusters.create([], undefined, 'OWN');
    const node = await startTestSerin({
      databaseUrl: stranger.url,
      timeScale: 1,
      replica: { url: primary.url, maxLagMs: 5000 },
    });
    const state: Ready = await eventually(async () => {
      const found: Ready = await (await fetch(`${node.url}/ready`)).json();
      return found.warnings?.some((warning) => warning.includes('takes writes')) && found;
    });
    expect(state.replica.used).toBe(false);
    expect((await node.ask(LIST)).deployments.nodes).toEqual([]);
    await node.stop();
    await stranger.stop();
  }, 60_000);
});
