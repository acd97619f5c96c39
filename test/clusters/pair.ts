/** A primary with a streaming standby, and one address that leads to whichever of them serves. */
import { startProxy } from '../faults/proxy.ts';
import type { Cluster, Clusters } from './cluster.ts';

export interface Pair {
  readonly primary: Cluster;
  readonly standby: Cluster;
  /** The address of the server that serves. */
  readonly url: string;
  /** The primary ends without a last word, and the standby takes over. */
  failOver(): Promise<void>;
  close(): Promise<void>;
}

/** @param settings statements for the primary, once the standby follows it */
export async function openPair(clusters: Clusters, settings: readonly string[] = []): Promise<Pair> {
  const primary = await clusters.create();
  const standby = await primary.baseBackup();
  await standby.follow(primary, 'standby');
  await standby.start();
  await standby.catchUp(primary);
  for (const setting of settings) await primary.sql.unsafe(setting);
  let serving: Cluster = primary;
  const proxy = await startProxy(() => serving.port);
  const url = new URL(primary.url);
  url.port = String(proxy.port);
  return {
    primary,
    standby,
    url: url.href,
    async failOver() {
      await primary.stop('immediate');
      serving = standby;
      await standby.promote();
      proxy.cut();
    },
    async close() {
      await proxy.close();
      await standby.stop();
      await primary.stop();
    },
  };
}

/** Every commit waits for the standby. */
export const SYNCHRONOUS = [
  "alter system set synchronous_standby_names = 'standby'",
  'select pg_reload_conf()',
] as const;
