/** Observation checks: how fast the loop works off what is due, with one node and with four. */
import { setTimeout as sleep } from 'node:timers/promises';
import { growDeployments } from '../harness/grow.ts';
import { judge, type Round, type Row } from '../harness/measure.ts';
import { processorSeconds, processorSecondsOfAll } from '../harness/processor.ts';
import { seedRunning } from '../harness/seed.ts';
import { openStage, type Stage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const DEPLOYMENTS = 100_000;

export async function checks({ rounds, seconds }: Options): Promise<Row[]> {
  const stage = await openStage();
  try {
    const first = await stage.node();
    const [pattern = ''] = await seedRunning(first.url, 1);
    await first.stop();
    await growDeployments(stage.sql, pattern, DEPLOYMENTS);
    const bySql: number[] = [];
    const byOne: number[] = [];
    const byFour: number[] = [];
    const processor: Round[] = [];
    for (let round = 0; round < rounds; round += 1) {
      bySql.push(await claimAndUpdate(stage, seconds));
      const one = await checksBy(1, stage, seconds);
      byOne.push(one.perSecond);
      processor.push({ ours: one.nodesMs, theirs: one.postgresMs });
      byFour.push((await checksBy(4, stage, seconds)).perSecond);
    }
    const pairs = (ours: readonly number[], theirs: readonly number[]): Round[] =>
      ours.map((rate, round) => ({ ours: rate, theirs: theirs[round] ?? Number.NaN }));
    const live = `${DEPLOYMENTS.toLocaleString('en-US')} live deployments`;
    const subject = { part: 'checks', unit: 'checks/s' };
    const sql = 'claim and update alone in SQL';
    return [
      judge(
        { ...subject, work: `checks, 1 node, ${live}`, against: sql, bound: { atLeast: 0.6 } },
        pairs(byOne, bySql),
      ),
      judge(
        { ...subject, work: `checks, 4 nodes, ${live}`, against: '1 node', bound: { atLeast: 1 } },
        pairs(byFour, byOne),
      ),
      judge(
        {
          ...subject,
          work: 'processor time of a check, 1 node',
          against: 'that of PostgreSQL',
          unit: 'ms',
          bound: { atMost: Number.POSITIVE_INFINITY },
        },
        processor,
      ),
    ];
  } finally {
    await stage.close();
  }
}

const makeDue = (stage: Stage) =>
  stage.sql`update deployments set next_check_at = serin_now() - interval '1 second', lease_until = null, lease_token = null
    where next_check_at is not null`;

/** Nothing is due, and no dead rows are left: where every measurement starts. */
async function rest(stage: Stage): Promise<void> {
  await stage.sql`update deployments set next_check_at = serin_now() + interval '1 day' where next_check_at is not null`;
  await stage.sql`vacuum analyze deployments`;
  await stage.sql`checkpoint`;
}

async function checksDone(stage: Stage): Promise<number> {
  const [row] = await stage.sql<{ count: number }[]>`select count(*)::float8 as count from samples`;
  return row?.count ?? 0;
}

/** Seconds in which the code of a node that has just started becomes fast. */
const WARM_UP = 20;

interface Measured {
  readonly perSecond: number;
  /** Processor time of a check, of all nodes and of PostgreSQL, milliseconds. */
  readonly nodesMs: number;
  readonly postgresMs: number;
}

/** Checks by a number of nodes, counted by the samples on disk. */
async function checksBy(count: number, stage: Stage, seconds: number): Promise<Measured> {
  await rest(stage);
  const nodes = await Promise.all(Array.from({ length: count }, () => stage.node()));
  await makeDue(stage);
  await sleep(WARM_UP * 1000);
  const look = async () => ({
    done: await checksDone(stage),
    at: performance.now(),
    nodes: (await Promise.all(nodes.map(({ pid }) => processorSeconds(pid)))).reduce(
      (sum, each) => sum + each,
      0,
    ),
    postgres: await processorSecondsOfAll(stage.postgresPid),
  });
  const before = await look();
  await sleep(seconds * 1000);
  const after = await look();
  await Promise.all(nodes.map((node) => node.stop()));
  const done = after.done - before.done;
  if (done === 0) throw new Error(`${count} nodes made no check: what they say is above`);
  return {
    perSecond: (done * 1000) / (after.at - before.at),
    nodesMs: ((after.nodes - before.nodes) * 1000) / done,
    postgresMs: ((after.postgres - before.postgres) * 1000) / done,
  };
}

/** The same claims in batches of 16, and an update of each claimed row, by four connections of a client. */
async function claimAndUpdate(stage: Stage, seconds: number): Promise<number> {
  await rest(stage);
  await makeDue(stage);
  const began = performance.now();
  let done = 0;
  const worker = async () => {
    while (performance.now() - began < seconds * 1000) {
      const claimed = await stage.sql<{ id: string }[]>`
        update deployments set lease_until = clock_timestamp() + interval '30 seconds', lease_token = 'peer'
        where id in (select id from deployments
          where next_check_at <= (select serin_now()) and (lease_until is null or lease_until < clock_timestamp())
          order by next_check_at limit 16 for update skip locked)
        returning id`;
      if (claimed.length === 0) await makeDue(stage);
      for (const { id } of claimed) {
        await stage.sql`
          update deployments set lease_until = null, lease_token = null, event_count = event_count + 1,
            next_check_at = serin_now() + interval '1 day', detail = detail where id = ${id}`;
        done += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return done / ((performance.now() - began) / 1000);
}
