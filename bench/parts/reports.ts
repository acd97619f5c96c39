/** Metrics reports: one a request from many connections, and batches of a hundred. */
import { once } from 'node:events';
import { type Child, startChild } from '../harness/child.ts';
import { alternate, judge, type Row } from '../harness/measure.ts';
import { putLoad } from '../harness/order.ts';
import { seedRunning } from '../harness/seed.ts';
import { openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const CONNECTIONS = 64;
const BATCH = 100;
const BATCH_CONNECTIONS = 8;
const DEPLOYMENTS = BATCH * BATCH_CONNECTIONS;

const figures = { pnlUsd: '12.5', trades: 50, errors: 1, drawdown: '0.01' };

/** The body of a report of one canary. */
export const single = (deploymentId: string) =>
  JSON.stringify({
    query:
      'mutation($input: UpdateMetricsInput!) { updateCanaryMetrics(input: $input) { success error { message } } }',
    variables: { input: { deploymentId, ...figures } },
  });

/** The body of a report of many canaries. */
export const batch = (ids: readonly string[]) =>
  JSON.stringify({
    query: `mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) {
      success message results { success error { code message path } } } }`,
    variables: {
      input: { reports: ids.map((deploymentId) => ({ deploymentId, side: 'CANARY', ...figures })) },
    },
  });

export async function reports({ rounds, seconds }: Options): Promise<Row[]> {
  const stage = await openStage();
  const load = await startChild('harness/load.ts');
  const unbatched = await startChild('peers/unbatchedReports.ts', stage.databaseUrl);
  const direct = await startChild(
    'peers/directReports.ts',
    stage.databaseUrl,
    String(BATCH_CONNECTIONS),
    String(BATCH),
  );
  try {
    const { url } = await stage.node();
    const ids = await seedRunning(url, DEPLOYMENTS);
    const written = async () => {
      const [row] = await stage.sql<{ sum: number }[]>`select sum(version)::float8 as sum from side_metrics`;
      return row?.sum ?? 0;
    };
    const one = async (target: string) => {
      const bodies = Array.from({ length: CONNECTIONS }, (_, connection) =>
        ids.filter((_id, index) => index % CONNECTIONS === connection).map(single),
      );
      const order = { url: `${target}/graphql`, connections: CONNECTIONS, seconds, bodies };
      return (await putLoad(load, order)).perSecond;
    };
    const many = async () => {
      const bodies = Array.from({ length: BATCH_CONNECTIONS }, (_, connection) => [
        batch(ids.slice(connection * BATCH, (connection + 1) * BATCH)),
      ]);
      const before = await written();
      const order = { url: `${url}/graphql`, connections: BATCH_CONNECTIONS, seconds, bodies };
      const { perSecond, total } = await putLoad(load, order);
      const taken = (await written()) - before;
      if (taken !== total * BATCH) throw new Error(`${total * BATCH} reports answered, ${taken} are on disk`);
      return perSecond * BATCH;
    };
    await one(url);
    const singles = await alternate(
      rounds,
      () => one(url),
      () => one(unbatched.ready),
    );
    const batches = await alternate(rounds, many, () => directly(direct, seconds));
    const subject = { part: 'reports', unit: 'reports/s' };
    return [
      judge(
        {
          ...subject,
          work: 'metrics reports, one a request, 64 connections',
          against: 'the same without batching of concurrent writes',
          bound: { atLeast: 3 },
        },
        singles,
      ),
      judge(
        {
          ...subject,
          work: 'metrics reports in batches of 100, 8 connections',
          against: 'the same statement straight through the driver',
          bound: { atLeast: 4 },
        },
        batches,
      ),
    ];
  } finally {
    await direct.stop();
    await unbatched.stop();
    await load.stop();
    await stage.close();
  }
}

async function directly(peer: Child, seconds: number): Promise<number> {
  peer.process.send(seconds);
  const [rate] = await once(peer.process, 'message');
  if (typeof rate !== 'number') throw new Error(`the driver failed: ${rate}`);
  return rate;
}
