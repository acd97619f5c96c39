/**
 * The PostgreSQL of a history, durable as in production, and what happens to it: killed, failed over to a synchronous
 * standby, set back to a copy of its folder. Clients reach it at one address, whichever server serves.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, openClusters } from '../clusters/cluster.ts';
import { startProxy } from './proxy.ts';
import type { Random } from './random.ts';

export interface Servers {
  /** The same whichever server serves. */
  readonly url: string;
  /** The address of the server that serves now. */
  serving(): string;
  /** `kill -9`, and a start. */
  kill(): Promise<void>;
  /** A standby that has every acknowledged commit takes over from a server that was killed. */
  failOver(random: Random): Promise<void>;
  /**
   * Goes back to a copy of the folder that was made a little earlier. What was committed since is lost.
   * @returns the time of this process from which on commits may be lost, until now
   */
  restore(random: Random): Promise<{ readonly from: number; readonly to: number }>;
  stop(): Promise<void>;
}

const SETTINGS = ['shared_buffers = 64MB', 'wal_keep_size = 256MB', 'max_wal_senders = 10'];

export async function startServers(): Promise<Servers> {
  const clusters = await openClusters();
  let serving: Cluster = await clusters.create(SETTINGS);
  const proxy = await startProxy(() => serving.port);
  const url = new URL(serving.url);
  url.port = String(proxy.port);

  return {
    url: url.href,
    serving: () => serving.url,
    async kill() {
      await serving.stop('kill');
      await serving.start();
    },
    async failOver(random) {
      const before = serving;
      const standby = await before.baseBackup();
      await standby.follow(before, 'standby');
      await standby.start();
      await before.sql`alter system set synchronous_standby_names = 'standby'`;
      await before.sql`select pg_reload_conf()`;
      await isSynchronous(before);
      // The checkpointer is the one that makes commits wait. It reads the settings anew before a checkpoint.
      await before.sql`checkpoint`;
      // Whatever was acknowledged before is there, too.
      await standby.catchUp(before);
      await sleep(300 + random.below(700));
      await before.stop('kill');
      await standby.promote();
      serving = standby;
      proxy.cut();
    },
    async restore(random) {
      const from = performance.now();
      await serving.stop('kill');
      const copy = await serving.copyFolder();
      await serving.start();
      await sleep(1500 + random.below(1500));
      await serving.stop('kill');
      await copy.start();
      serving = copy;
      proxy.cut();
      return { from, to: performance.now() };
    },
    async stop() {
      await proxy.close();
      await clusters.close();
    },
  };
}

async function isSynchronous({ sql }: Cluster): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const [row] = await sql`select sync_state from pg_stat_replication where application_name = 'standby'`;
    if (row?.sync_state === 'sync') return;
    await sleep(50);
  }
  throw new Error('the standby does not become synchronous');
}
