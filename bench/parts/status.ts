/** The status of a deployment by id, and the list of deployments: what bots and dashboards ask all day. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startChild } from '../harness/child.ts';
import { alternate, judge, type Row } from '../harness/measure.ts';
import { putLoad } from '../harness/order.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const CONNECTIONS = 64;
const DEPLOYMENTS = 512;

const side = 'metrics { netPnlUsd totalPnlUsd maxDrawdown sharpeRatio winRate totalTrades } errorCount';
export const STATUS = `query Status($id: ID!) { deployment(id: $id) {
  id status totalCapitalUsd canaryCapitalUsd stableCapitalUsd
  canaryMetrics { ${side} } stableMetrics { ${side} }
  comparison { pnlRatio drawdownRatio sharpeRatio winRateRatio decision decisionReasons } } }`;

/** The same row and the same figures; PostGraphile has no comparison. */
const PEER_STATUS = `query Status($id: String!) { deploymentByRowId(rowId: $id) {
  rowId status totalCapitalUsd canaryCapitalUsd stableCapitalUsd
  sideMetricsByDeploymentId { nodes {
    side netPnlUsd totalPnlUsd maxDrawdown sharpeRatio winRate trades errors } } } }`;

/** A page of cards, as a front end of its own shows them. */
export const CARDS = 50;
export const LIST = `{ deployments(first: ${CARDS}) { nodes {
  id strategyId status totalCapitalUsd canaryCapitalUsd stableCapitalUsd
  canaryMetrics { ${side} } stableMetrics { ${side} }
  comparison { pnlRatio drawdownRatio sharpeRatio winRateRatio decision decisionReasons } } } }`;
/** The same rows without a comparison, in no order of its own choice. */
const PEER_LIST = `{ allDeployments(first: ${CARDS}) { nodes {
  rowId strategyId status totalCapitalUsd canaryCapitalUsd stableCapitalUsd
  sideMetricsByDeploymentId { nodes {
    side netPnlUsd totalPnlUsd maxDrawdown sharpeRatio winRate trades errors } } } } }`;

export async function status({ rounds, seconds }: Options): Promise<Row[]> {
  await installPostGraphile();
  const stage = await openStage();
  const load = await startChild('harness/load.ts');
  const yoga = await startChild('peers/stockYoga.ts', stage.databaseUrl);
  const ownLoaders = await startChild('peers/stockYoga.ts', stage.databaseUrl, 'shared');
  const postgraphile = await startChild('peers/postgraphile/server.js', stage.databaseUrl);
  try {
    const { url } = await stage.node();
    const ids = await seedRunning(url, DEPLOYMENTS);
    await stage.sql`analyze`;
    await checkAnswers(url, postgraphile.ready, ids[0] ?? '');
    const rate = async (target: string, query: string) => {
      const bodies = query.includes('$id') ? bodiesOf(query, ids) : [[JSON.stringify({ query })]];
      const order = { url: `${target}/graphql`, connections: CONNECTIONS, seconds, bodies };
      return (await putLoad(load, order)).perSecond;
    };
    const ours = () => rate(url, STATUS);
    await ours();
    const work = 'status by id over HTTP, 64 connections';
    const subject = { part: 'status', work, unit: 'requests/s' };
    const peer = await alternate(rounds, ours, () => rate(postgraphile.ready, PEER_STATUS));
    const stock = await alternate(rounds, ours, () => rate(yoga.ready, STATUS));
    const list = {
      part: 'status',
      work: `a list of ${CARDS} cards over HTTP, 64 connections`,
      unit: 'requests/s',
    };
    const lists = await alternate(
      rounds,
      () => rate(url, LIST),
      () => rate(postgraphile.ready, PEER_LIST),
    );
    const withOwnLoaders = await alternate(rounds, ours, () => rate(ownLoaders.ready, STATUS));
    return [
      judge({ ...subject, against: 'PostGraphile 5, the same row', bound: { atLeast: 2.5 } }, peer),
      judge(
        { ...subject, against: 'the schema behind stock createServer(yoga)', bound: { atLeast: 3 } },
        stock,
      ),
      judge(
        { ...list, against: "PostGraphile's connection, without comparison", bound: { atLeast: 1 } },
        lists,
      ),
      judge(
        { ...subject, against: 'the same with our loaders: the HTTP layer alone', bound: { atLeast: 1 } },
        withOwnLoaders,
      ),
    ];
  } finally {
    await postgraphile.stop();
    await yoga.stop();
    await ownLoaders.stop();
    await load.stop();
    await stage.close();
  }
}

/** Every connection asks for its own share of the deployments, one after the other. */
export function bodiesOf(query: string, ids: readonly string[]): string[][] {
  return Array.from({ length: CONNECTIONS }, (_, connection) =>
    ids
      .filter((_id, index) => index % CONNECTIONS === connection)
      .map((id) => JSON.stringify({ query, variables: { id } })),
  );
}

/** Both sides of the comparison must answer with what was asked for. */
async function checkAnswers(url: string, peer: string, id: string): Promise<void> {
  const ours = await ask<{ deployment: { comparison: { decision: string } } | null }>(url, STATUS, { id });
  const theirs = await ask<{ deploymentByRowId: { sideMetricsByDeploymentId: { nodes: unknown[] } } | null }>(
    peer,
    PEER_STATUS,
    { id },
  );
  if (!ours.deployment?.comparison.decision) throw new Error('Serin answered no comparison');
  const cards = await ask<{ deployments: { nodes: { comparison: unknown }[] } }>(url, LIST);
  const rows = await ask<{
    allDeployments: { nodes: { sideMetricsByDeploymentId: { nodes: unknown[] } }[] };
  }>(peer, PEER_LIST);
  if (cards.deployments.nodes.filter(({ comparison }) => comparison).length !== CARDS) {
    throw new Error('Serin answered a list without comparisons');
  }
  if (
    rows.allDeployments.nodes.filter((row) => row.sideMetricsByDeploymentId.nodes.length === 2).length !==
    CARDS
  ) {
    throw new Error('PostGraphile answered a list without metrics');
  }
  if (theirs.deploymentByRowId?.sideMetricsByDeploymentId.nodes.length !== 2) {
    throw new Error('PostGraphile answered no metrics');
  }
}

/** PostGraphile lives in a folder of its own, with its own lock file. */
async function installPostGraphile(): Promise<void> {
  const cwd = fileURLToPath(new URL('../peers/postgraphile', import.meta.url));
  if (existsSync(`${cwd}/node_modules`)) return;
  process.stderr.write('installing PostGraphile …\n');
  await promisify(execFile)('npm', ['ci', '--prefer-offline', '--no-audit', '--no-fund'], { cwd });
}
