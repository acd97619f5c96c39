/**
 * Further than one machine, on one: each node may use only a share of a core, as if it ran elsewhere, and the machine's two
 * cores are never full. Several nodes behind a plain TCP balancer; then a replica for reads beside a primary, each with a
 * share of its own.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cluster, openClusters } from '../../test/clusters/cluster.ts';
import { type Child, startChild } from '../harness/child.ts';
import { judge, type Round, type Row } from '../harness/measure.ts';
import { type LoadOrder, putLoad } from '../harness/order.ts';
import { type ProcessorShare, processorShare } from '../harness/processorShare.ts';
import { seedRunning } from '../harness/seed.ts';
import { type Node, openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';
import { pausesAndResumes } from './mutation.ts';
import { bodiesOf, CARDS, LIST, STATUS } from './status.ts';

/** Connections of the load, for each node: what is sent together is written together. */
const CONNECTIONS = 32;
const DEPLOYMENTS = 1024;
/** Cores that a node may use. */
const OF_NODE = 0.15;
const NODES = 4;
/** Cores that each database may use where there is a replica. */
const OF_DATABASE = 0.3;
/** Connections of the load that writes meanwhile, and of the one that reads. */
const WRITERS = 16;
const READERS = 32;

export async function scale(options: Options): Promise<Row[]> {
  return [...(await severalNodes(options)), ...(await aReplica(options))];
}

async function severalNodes({ rounds, seconds }: Options): Promise<Row[]> {
  const stage = await openStage();
  const load = await startChild('harness/load.ts');
  const shares: ProcessorShare[] = [];
  const balancers: Child[] = [];
  try {
    const nodes = await Promise.all(Array.from({ length: NODES }, () => stage.node()));
    const ids = await seedRunning(nodes[0]?.url ?? '', DEPLOYMENTS);
    await stage.sql`analyze`;
    const works = worksOn(ids);
    // Code is compiled before the share is bounded, as on a machine that has run for a while.
    for (const { url } of nodes) {
      for (const { bodies } of works) await rate(load, url, bodies, 2);
    }
    for (const { pid } of nodes) {
      const share = await processorShare(OF_NODE);
      shares.push(share);
      await share.add(pid);
    }
    const behind = async (count: number) => {
      const balancer = await startChild('peers/balancer.ts', ...nodes.slice(0, count).map(({ url }) => url));
      balancers.push(balancer);
      return balancer.ready;
    };
    const [one, two, four] = [await behind(1), await behind(2), await behind(NODES)];
    const rows: Row[] = [];
    for (const { work, bodies } of works) {
      const twice: Round[] = [];
      const fourTimes: Round[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const theirs = await rate(load, one, bodies, seconds);
        twice.push({
          ours: await rate(load, two, bodies, seconds, { connections: 2 * CONNECTIONS }),
          theirs,
        });
        const connections = NODES * CONNECTIONS;
        fourTimes.push({ ours: await rate(load, four, bodies, seconds, { connections }), theirs });
      }
      const against = `1 node of ${OF_NODE} cores`;
      const subject = { part: 'scale', against, unit: 'requests/s' };
      rows.push(judge({ ...subject, work: `${work}, 2 nodes`, bound: { atLeast: 1.6 } }, twice));
      rows.push(judge({ ...subject, work: `${work}, 4 nodes`, bound: { atLeast: 3.2 } }, fourTimes));
    }
    return rows;
  } finally {
    for (const balancer of balancers) await balancer.stop();
    await load.stop();
    await stage.close();
    for (const share of shares) await share.remove();
  }
}

function worksOn(ids: readonly string[]) {
  const lists = NODES * CONNECTIONS;
  const each = Math.floor(ids.length / lists);
  const shareOf = (connection: number) => ids.slice(connection * each, (connection + 1) * each);
  return [
    { work: 'status by id', bodies: bodiesOf(STATUS, ids) },
    { work: `a list of ${CARDS} cards`, bodies: [[JSON.stringify({ query: LIST })]] },
    {
      work: 'lifecycle mutation',
      bodies: Array.from({ length: lists }, (_, connection) => pausesAndResumes(shareOf(connection))),
    },
  ];
}

async function rate(
  load: Child,
  url: string,
  bodies: readonly (readonly string[])[],
  seconds: number,
  more: Partial<LoadOrder> = {},
): Promise<number> {
  const order = { url: `${url}/graphql`, connections: CONNECTIONS, seconds, bodies, ...more };
  return (await putLoad(load, order)).perSecond;
}

/** Lists and mutations at once, without a replica and with one. */
async function aReplica({ rounds, seconds }: Options): Promise<Row[]> {
  const stage = await openStage();
  const [reads, writes] = [await startChild('harness/load.ts'), await startChild('harness/load.ts')];
  const clusters = await openClusters();
  const shares: ProcessorShare[] = [];
  try {
    const primary = await clusters.create(['shared_buffers = 256MB']);
    const alone = await stage.node({ DATABASE_URL: primary.url });
    const ids = await seedRunning(alone.url, DEPLOYMENTS);
    await primary.sql`analyze`;
    const standby = await primary.baseBackup();
    await standby.follow(primary, 'replica');
    await standby.start();
    await standby.catchUp(primary);
    const withReplica = await stage.node({ DATABASE_URL: primary.url, SERIN_READ_URL: standby.url });
    const each = Math.floor(ids.length / WRITERS);
    const commands = Array.from({ length: WRITERS }, (_, connection) =>
      pausesAndResumes(ids.slice(connection * each, (connection + 1) * each)),
    );
    const both = async ({ url }: Node, length: number) => {
      const [lists, mutations] = await Promise.all([
        rate(reads, url, [[JSON.stringify({ query: LIST })]], length, {
          connections: READERS,
          actor: 'reader',
        }),
        rate(writes, url, commands, length, { connections: WRITERS }),
      ]);
      return { lists, mutations };
    };
    for (const node of [alone, withReplica]) await both(node, 3);
    for (const cluster of [primary, standby]) {
      const share = await processorShare(OF_DATABASE);
      shares.push(share);
      await share.add(await serverOf(cluster));
    }
    const lists: Round[] = [];
    const mutations: Round[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const theirs = await both(alone, seconds);
      const ours = await both(withReplica, seconds);
      lists.push({ ours: ours.lists, theirs: theirs.lists });
      mutations.push({ ours: ours.mutations, theirs: theirs.mutations });
    }
    const subject = {
      part: 'scale',
      against: `without the replica; each database has ${OF_DATABASE} cores`,
      unit: 'requests/s',
    };
    return [
      judge(
        {
          ...subject,
          work: `lists of ${CARDS} cards beside mutations, with a replica`,
          bound: { atLeast: 1 },
        },
        lists,
      ),
      judge({ ...subject, work: 'those mutations', bound: { atLeast: 1 } }, mutations),
    ];
  } finally {
    await reads.stop();
    await writes.stop();
    await stage.close();
    await clusters.close();
    for (const share of shares) await share.remove();
  }
}

/** The process of a server. */
async function serverOf({ folder }: Cluster): Promise<number> {
  return Number((await readFile(join(folder, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}
