/**
 * The courses of 30 deployments of 1,440 checks for one page: on a node that has just started, again, and those of deployments
 * that a node at work has not read yet.
 */
import { CanaryDeployment, type Clock } from '../../src/core/index.ts';
import { judge, median, type Row } from '../harness/measure.ts';
import { ask, openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const DEPLOYMENTS = 30;
/** Pages of other deployments that a node has read before it counts as at work: V8 compiles what runs often. */
const WORKED = 2;
const CHECKS = 1440;
const LIMIT_MS = 300;
const MINUTE_MS = 60_000;

const IMPORT = `mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) { success message } }`;
const SERIES = `query($ids: [ID!]!) { nodes(ids: $ids) { ... on CanaryDeployment { series(points: 200) {
  points { at check canaryReturn stableReturn difference canaryDrawdown stableDrawdown low high verdict decision drift }
  markers { at type } } } } }`;

interface Answer {
  readonly nodes: readonly { readonly series: { readonly points: readonly unknown[] } }[];
}

export async function series({ rounds }: Options): Promise<Row[]> {
  const stage = await openStage();
  try {
    const first = await stage.node();
    const document = JSON.stringify(await longDeployment());
    const pages = Array.from({ length: WORKED + 1 }, (_, page) =>
      Array.from({ length: DEPLOYMENTS }, (_, index) => `series-${page}-${index}`),
    );
    for (const id of pages.flat()) {
      const input = { document: JSON.parse(document.replaceAll('series-pattern', id)) };
      const { importDeployment } = await ask<{ importDeployment: { success: boolean; message: string } }>(
        first.url,
        IMPORT,
        { input },
      );
      if (!importDeployment.success) throw new Error(importDeployment.message);
    }
    await first.stop();
    await stage.sql`update deployments set next_check_at = serin_now() + interval '1 day' where next_check_at is not null`;
    await stage.sql`vacuum analyze`;
    const started: number[] = [];
    const again: number[] = [];
    const atWork: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const node = await stage.node();
      await ask(node.url, '{ __typename }');
      const [firstPage = [], ...others] = pages;
      started.push(await timed(node.url, firstPage));
      again.push(await timed(node.url, firstPage));
      const times: number[] = [];
      for (const page of others) times.push(await timed(node.url, page));
      atWork.push(times.at(-1) ?? Number.NaN);
      await node.stop();
    }
    const row = (work: string, ours: readonly number[]) =>
      judge({ part: 'series', work, against: 'its limit', unit: 'ms', bound: { atMost: 1 } }, [
        { ours: median(ours), theirs: LIMIT_MS },
      ]);
    const work = `${DEPLOYMENTS} courses of ${CHECKS.toLocaleString('en-US')} checks, 200 points each`;
    return [
      row(`${work}, on a node that has just started`, started),
      row(`${work}, read again`, again),
      row(`${work}, of deployments that a node at work has not read`, atWork),
    ];
  } finally {
    await stage.close();
  }
}

async function timed(url: string, ids: readonly string[]): Promise<number> {
  const began = performance.now();
  const { nodes } = await ask<Answer>(url, SERIES, { ids });
  const took = performance.now() - began;
  for (const node of nodes) {
    if (node.series.points.length < 100) throw new Error('a course has too few points');
  }
  return took;
}

/** A deployment after a day of checks, made by the engine on a clock of its own that ends now. */
async function longDeployment(): Promise<unknown> {
  let now = Date.now() - (CHECKS + 10) * MINUTE_MS;
  const clock: Clock = { now: () => now, wakeIn: () => () => {} };
  const deployment = new CanaryDeployment(
    {
      id: 'series-pattern',
      strategyId: 'strategy-of-series-pattern',
      stableVersionId: 'v1',
      canaryVersionId: 'v2',
      chain: 'bench',
      config: { observationPeriodMinutes: 10_000, guardrails: { maxLossPercent: null } },
    },
    { clock, monitor: false },
  );
  deployment.deployCanary(100_000);
  const pnl = { canary: 0, stable: 0 };
  for (let check = 1; check <= CHECKS; check += 1) {
    now += MINUTE_MS;
    // A market that both sides trade, and noise of their own: nothing is decided in a day.
    const market = Math.sin(check * 12.9898) * 10;
    pnl.canary += market + Math.sin(check * 78.233) * 5;
    pnl.stable += 9 * (market + Math.sin(check * 39.425) * 5);
    deployment.updateStableMetrics({ pnlUsd: pnl.stable.toFixed(2), trades: check });
    deployment.updateCanaryMetrics({ pnlUsd: pnl.canary.toFixed(2), trades: check });
    await deployment.check();
  }
  return deployment.toDict();
}
