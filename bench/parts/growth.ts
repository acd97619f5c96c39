/** The same work while the tables grow: each size is held against the smallest. */

import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { claimDue } from '../../src/store/deployments/leases.ts';
import { readDeploymentEvents } from '../../src/store/log/deploymentEvents.ts';
import { lastSettledPosition, readLog } from '../../src/store/log/eventLog.ts';
import { LOG_START } from '../../src/store/log/position.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { fillEvents, growDeployments } from '../harness/grow.ts';
import { judge, median, type Row } from '../harness/measure.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage, type Stage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const ASKED = 300;
/** The months in which the deployments arrived: each is a partition of the log. */
const MONTHS = 12;

interface Size {
  readonly deployments: number;
  readonly events: number;
}
const SMALLEST = { deployments: 10_000, events: 100_000 };
const SIZES: readonly Size[] = [SMALLEST, { deployments: 100_000, events: 1_000_000 }];
const FULL_SIZES: readonly Size[] = [...SIZES, { deployments: 1_000_000, events: 10_000_000 }];
/** With a hundred events a deployment, for an hour and a half and 90 GB of disk. */
const LONGEST: readonly Size[] = [
  { deployments: 10_000, events: 1_000_000 },
  { deployments: 1_000_000, events: 100_000_000 },
];
/** Events of one database that grows, of which only the pages are counted. */
const LONG_LOGS = [3_000_000, 10_000_000, 30_000_000] as const;
/** Few enough that each has the events that are read of it. */
const DEPLOYMENTS_OF_LONG_LOG = 100_000;

const PAGE = `query { deployments(first: 20, filter: { status: [RUNNING] }) {
  nodes { id status strategyId canaryCapitalUsd comparison { decision } } pageInfo { endCursor } } }`;
const STATUS = 'query($id: ID!) { deployment(id: $id) { id status comparison { decision } } }';

const TIMELINE = `query($id: ID!) { deployment(id: $id) {
  events(last: 20) { nodes { type at } pageInfo { startCursor } } } }`;
const change = (field: string) =>
  `mutation($id: ID!) { ${field}(input: { deploymentId: $id }) { success message } }`;
const PAUSE = change('pauseDeployment');
const RESUME = change('resumeDeployment');

const TIMES = {
  page: 'page of a filtered list',
  status: 'status by id',
  timeline: 'page of a timeline',
  mutation: 'mutation',
  claim: 'claim of 16',
  start: 'start to listening',
} as const;
const PAGES = {
  tail: 'the log after its end',
  log: '100 events of the log',
  deployment: '20 events of a deployment',
} as const;

interface Measured {
  readonly size: Size;
  /** Milliseconds, the median. */
  readonly times: Readonly<Record<keyof typeof TIMES, number>>;
  /** Pages of 8 KiB that PostgreSQL reads, from memory or from disk. */
  readonly pages: Readonly<Record<keyof typeof PAGES, number>>;
}

export async function growth({ full, longest }: Options): Promise<Row[]> {
  if (longest) return compareSizes(LONGEST);
  if (full) return [...(await compareSizes(FULL_SIZES)), ...(await longLogs())];
  return compareSizes(SIZES);
}

/** Each size against the first of them. */
async function compareSizes(sizes: readonly Size[]): Promise<Row[]> {
  const measured: Measured[] = [];
  for (const size of sizes) measured.push(await measureAt(size));
  const [smallest, ...larger] = measured;
  if (!smallest) return [];
  const nameOf = ({ deployments, events }: Size) =>
    `${deployments.toLocaleString('en-US')} deployments, ${events.toLocaleString('en-US')} events`;
  return larger.flatMap(({ size, times, pages }) => {
    const row = (work: string, unit: string, ours: number, theirs: number) =>
      judged(`${work}, ${nameOf(size)}`, `the same at ${nameOf(smallest.size)}`, unit, ours, theirs);
    return [
      ...keysOf(TIMES).map((name) => row(TIMES[name], 'ms', times[name], smallest.times[name])),
      ...keysOf(PAGES).map((name) => row(PAGES[name], 'pages', pages[name], smallest.pages[name])),
    ];
  });
}

/** The pages that reads of the log need while it grows in its partitions: they depend on the depth of an index only. */
async function longLogs(): Promise<Row[]> {
  const stage = await openStage();
  try {
    const first = await stage.node();
    const [pattern = ''] = await seedRunning(first.url, 1);
    await first.stop();
    await growDeployments(stage.sql, pattern, DEPLOYMENTS_OF_LONG_LOG, MONTHS);
    const pages: Measured['pages'][] = [];
    let events = 0;
    for (const size of LONG_LOGS) {
      await fillEvents(stage.sql, DEPLOYMENTS_OF_LONG_LOG, MONTHS, { from: events, end: size });
      events = size;
      pages.push(await pagesRead(stage, `grown-${Math.ceil(DEPLOYMENTS_OF_LONG_LOG / 2)}`));
    }
    const [smallest, ...larger] = pages;
    if (!smallest) return [];
    return larger.flatMap((found, index) =>
      keysOf(PAGES).map((name) => {
        const millions = (LONG_LOGS[index + 1] ?? 0) / 1_000_000;
        const work = `${PAGES[name]}, ${millions} M events in ${MONTHS} months`;
        return judged(work, 'the same at 3 M', 'pages', found[name], smallest[name]);
      }),
    );
  } finally {
    await stage.close();
  }
}

/** A row that may grow by three tenths. */
function judged(work: string, against: string, unit: string, ours: number, theirs: number): Row {
  return judge({ part: 'growth', work, against, unit, bound: { atMost: 1.3 } }, [{ ours, theirs }]);
}

const keysOf = <K extends string>(named: Readonly<Record<K, string>>) => Object.keys(named) as K[];

async function measureAt(size: Size): Promise<Measured> {
  const { deployments, events } = size;
  const stage = await openStage();
  try {
    const first = await stage.node();
    const [pattern = ''] = await seedRunning(first.url, 1);
    // A node that runs meanwhile would tail millions of events, and be measured doing so.
    await first.stop();
    await growDeployments(stage.sql, pattern, deployments, MONTHS, events / deployments);
    await fillEvents(stage.sql, deployments, MONTHS, { end: events });
    const node = await stage.node();
    const some = () => `grown-${1 + Math.floor(Math.random() * deployments)}`;
    const page = await timed(() => ask(node.url, PAGE));
    const status = await timed(() => ask(node.url, STATUS, { id: some() }));
    const timeline = await timed(() => ask(node.url, TIMELINE, { id: some() }));
    const mutation = await timed(changes(node.url));
    await node.stop();
    const start = await startTime(stage);
    const pages = await pagesRead(stage, some());
    await stage.sql`
      update deployments set next_check_at = serin_now() - make_interval(secs => random() * 1000)
      where id like 'grown-%'`;
    await stage.sql`vacuum analyze deployments`;
    const database = openDatabase({ url: stage.databaseUrl, poolSize: 1 });
    const claim = await timed(() =>
      claimDue(database.db, {
        kind: 'ALL',
        limit: 16,
        leaseSeconds: 60,
        slots: { each: 16, left: new Map() },
      }),
    );
    await database.close();
    return { size, times: { page, status, timeline, mutation, claim, start }, pages };
  } finally {
    await stage.close();
  }
}

/** Pauses and resumes one deployment after the other: of one, so many changes a minute would be refused. */
function changes(url: string): () => Promise<unknown> {
  let made = 0;
  return async () => {
    const id = `grown-${1 + Math.floor(made / 2)}`;
    const { success, message } = Object.values(
      await ask<Record<string, { success: boolean; message: string }>>(url, made % 2 ? RESUME : PAUSE, {
        id,
      }),
    )[0] ?? { success: false, message: 'no answer' };
    if (!success) throw new Error(message);
    made += 1;
  };
}

/** Milliseconds from the start of a node to its first answer of being ready. */
async function startTime(stage: Stage): Promise<number> {
  const times: number[] = [];
  for (let started = 0; started < 5; started += 1) {
    const node = await stage.node();
    times.push(node.startMs);
    await node.stop();
  }
  return median(times);
}

/** What PostgreSQL reads for a query, as EXPLAIN counts it. */
async function pagesRead({ sql }: Stage, deploymentId: string): Promise<Measured['pages']> {
  const end = await lastSettledPosition(drizzle(sql));
  const pagesOf = async (read: (db: PostgresJsDatabase) => Promise<unknown>) => {
    const statements: { text: string; parameters: unknown[] }[] = [];
    const logQuery = (text: string, parameters: unknown[]) => void statements.push({ text, parameters });
    await read(drizzle(sql, { logger: { logQuery } }));
    let pages = 0;
    for (const { text, parameters } of statements) {
      const given = parameters.map((value) => (Array.isArray(value) ? value.map(String) : String(value)));
      const [row] = await sql.unsafe(`explain (analyze, buffers, format json) ${text}`, given);
      const plan: Record<string, number> = row?.['QUERY PLAN'][0].Plan;
      pages += (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);
    }
    return pages;
  };
  return {
    tail: await pagesOf((db) => readLog(db, end, 100, { scope: null })),
    log: await pagesOf((db) => readLog(db, LOG_START, 100, { scope: null })),
    deployment: await pagesOf((db) => readDeploymentEvents(db, deploymentId, { limit: 20 })),
  };
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
