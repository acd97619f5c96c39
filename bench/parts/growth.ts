/** The same work while the tables grow: each size is held against the smallest. */

import { claimDue } from '../../src/store/deployments/leases.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { growDeployments, growEvents } from '../harness/grow.ts';
import { judge, median, type Row } from '../harness/measure.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const ASKED = 300;

const PAGE = `query { deployments(first: 20, filter: { status: [RUNNING] }) {
  nodes { id status strategyId canaryCapitalUsd comparison { decision } } pageInfo { endCursor } } }`;
const STATUS = 'query($id: ID!) { deployment(id: $id) { id status comparison { decision } } }';

/** Milliseconds, the median. */
interface Times {
  readonly deployments: number;
  readonly page: number;
  readonly status: number;
  readonly claim: number;
}

export async function growth({ full }: Options): Promise<Row[]> {
  const sizes = full ? [10_000, 100_000, 1_000_000] : [10_000, 100_000];
  const times: Times[] = [];
  for (const size of sizes) times.push(await timesAt(size, full ? 10 : 2));
  const [smallest, ...larger] = times;
  if (!smallest) return [];
  const works = { page: 'page of a filtered list', status: 'status by id', claim: 'claim of 16' } as const;
  return larger.flatMap((at) =>
    (['page', 'status', 'claim'] as const).map((name) => {
      const work = `${works[name]}, ${at.deployments.toLocaleString('en-US')} deployments`;
      const subject = { part: 'growth', work, against: 'the same at 10,000', unit: 'ms' };
      return judge({ ...subject, bound: { atMost: 1.5 } }, [{ ours: at[name], theirs: smallest[name] }]);
    }),
  );
}

async function timesAt(deployments: number, eventsEach: number): Promise<Times> {
  const stage = await openStage();
  try {
    const first = await stage.node();
    const [pattern = ''] = await seedRunning(first.url, 1);
    // A node that runs meanwhile would tail millions of events, and be measured doing so.
    await first.stop();
    await growDeployments(stage.sql, pattern, deployments);
    await growEvents(stage.sql, deployments, deployments * eventsEach);
    const node = await stage.node();
    const some = () => `grown-${1 + Math.floor(Math.random() * deployments)}`;
    const page = await timed(() => ask(node.url, PAGE));
    const status = await timed(() => ask(node.url, STATUS, { id: some() }));
    await node.stop();
    await stage.sql`
      update deployments set next_check_at = serin_now() - make_interval(secs => random() * 1000)
      where id like 'grown-%'`;
    await stage.sql`vacuum analyze deployments`;
    const database = openDatabase({ url: stage.databaseUrl, poolSize: 1 });
    const claim = await timed(() =>
      claimDue(database.db, { limit: 16, leaseSeconds: 60, slots: { each: 16, left: new Map() } }),
    );
    await database.close();
    return { deployments, page, status, claim };
  } finally {
    await stage.close();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  for (let warm = 0; warm < 20; warm += 1) await work();
  const times: number[] = [];
  for (let asked = 0; asked < ASKED; asked += 1) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  return median(times);
}
