/**
 * Serin's own schema, a lifecycle, feeds and a restore on every version of PostgreSQL that is promised. Where one is not
 * installed its test is shown as skipped: `scripts/clusterTools.sh` installs them.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { create, PLAIN, passCheck, report, statusOf } from '../harness/deployment.ts';
import { type Clusters, openClusters, programsOf } from './cluster.ts';
import { change, eventsAfter, FEED, refusedAt, serinOn, still } from './log.ts';

let clusters: Clusters;
beforeAll(async () => {
  clusters = await openClusters();
});
afterAll(() => clusters.close());

describe.each([14, 15, 16, 17, 18])('PostgreSQL %i', (version) => {
  const programs = programsOf(version);
  test.skipIf(programs === null)(
    'schema, lifecycle, feed, and a folder that is taken back',
    async () => {
      const cluster = await clusters.create([], programs ?? '');
      const [server] = await cluster.sql`select current_setting('server_version_num')::int / 10000 as major`;
      expect(server?.major).toBe(version);
      const serin = await serinOn(cluster.url);
      const ready = await fetch(`${serin.url}/ready`);
      expect(ready.status, await ready.text()).toBe(200);
      const feed = serin.follow(FEED, { after: '0' });
      const id = await still(serin, 'kept');
      await change(serin, id, 2);

      const config = { ...PLAIN, observationPeriodMinutes: 5, autoPromote: true };
      const { deployment } = await create(serin, { strategyId: 'promoted', config });
      const figures = { pnlUsd: '100', trades: 50, winRate: '0.6', drawdown: '0.01', sharpeRatio: '2' };
      const { deployCanary } = await serin.ask(
        'mutation($input: DeployCanaryInput!) { deployCanary(input: $input) { success message } }',
        { input: { deploymentId: deployment.id, capitalUsd: '10000', idempotencyKey: 'deploy' } },
      );
      expect(deployCanary).toMatchObject({ success: true });
      for (const side of ['Stable', 'Canary'] as const) {
        expect(await report(serin, side, deployment.id, figures)).toMatchObject({ success: true });
      }
      const advance = async (seconds: number) => {
        await cluster.sql`update clock set epoch = epoch + make_interval(secs => ${seconds})`;
      };
      while ((await statusOf(serin, deployment.id)) === 'RUNNING')
        await passCheck({ database: cluster, advance }, deployment.id);
      expect(await statusOf(serin, deployment.id)).toBe('PROMOTED');
      const kept = await eventsAfter(serin, '0');
      expect((await feed.take(kept.length)).map((event) => event.id)).toEqual(kept.map((event) => event.id));
      const { exportDeployment } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
      expect(exportDeployment.events).toHaveLength(5);
      await serin.stop();
      await cluster.stop();
      const copy = await cluster.copyFolder();
      await cluster.start();
      const lost = await serinOn(cluster.url);
      await change(lost, id, 1);
      const beyond = (await eventsAfter(lost, '0')).at(-1)?.cursor ?? '';
      await lost.stop();
      await cluster.stop();
      await copy.start();
      const again = await serinOn(copy.url);
      expect(await eventsAfter(again, '0')).toEqual(kept);
      expect((await refusedAt(again, beyond)).extensions).toMatchObject({
        code: 'HISTORY_REWOUND',
        lastCursor: kept.at(-1)?.cursor,
      });
      await change(again, id, 1);
      expect(await eventsAfter(again, kept.at(-1)?.cursor ?? '')).toMatchObject([
        { deploymentId: id, no: 6 },
      ]);
      await again.stop();
      await copy.stop();
    },
    180_000,
  );
});
