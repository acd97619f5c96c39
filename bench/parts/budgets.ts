/**
 * What loss budgets cost the reports that they watch: the time of a report with ten budgets over a thousand deployments,
 * all of which began before the windows, and without a budget.
 */
import { startChild } from '../harness/child.ts';
import { alternate, judge, type Row } from '../harness/measure.ts';
import { putLoad } from '../harness/order.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';
import { batch, single } from './reports.ts';

const DEPLOYMENTS = 1000;
const BUDGETS = 10;
const CONNECTIONS = 64;
const BATCH = 100;
const BATCH_CONNECTIONS = 8;

export async function budgets({ rounds, seconds }: Options): Promise<Row[]> {
  const stage = await openStage();
  const load = await startChild('harness/load.ts');
  try {
    const { url } = await stage.node();
    const ids = await seedRunning(url, DEPLOYMENTS);
    await stage.sql`update deployments set started_at = started_at - interval '3 days'`;
    await stage.sql`insert into samples (deployment_id, "check", at, decision, metrics, born)
      select id, 0, started_at + interval '1 day', 'CONTINUE', '{"CANARY": {"netPnlUsd": "100"}}', born from deployments`;
    await stage.sql`vacuum analyze`;

    const perReport = async (bodies: readonly string[][], reportsPerRequest: number) => {
      const order = { url: `${url}/graphql`, connections: bodies.length, seconds, bodies };
      const { perSecond } = await putLoad(load, order);
      return 1e6 / (perSecond * reportsPerRequest);
    };
    const shared = (count: number) =>
      Array.from({ length: count }, (_, connection) =>
        ids.filter((_id, index) => index % count === connection),
      );
    const one = () =>
      perReport(
        shared(CONNECTIONS).map((own) => own.map(single)),
        1,
      );
    const many = () =>
      perReport(
        shared(BATCH_CONNECTIONS).map((own) => [batch(own.slice(0, BATCH))]),
        BATCH,
      );
    const watched = (work: () => Promise<number>) => async () => {
      const made = await createBudgets(url);
      try {
        const time = await work();
        await expectSummed(stage.sql);
        return time;
      } finally {
        await deleteBudgets(url, made);
      }
    };

    await one();
    const subject = {
      part: 'budgets',
      unit: 'µs a report',
      against: 'the same without a budget',
      bound: { atMost: 1.05 },
    };
    const work = `a report while ${BUDGETS} budgets watch ${DEPLOYMENTS.toLocaleString('en-US')} deployments`;
    return [
      judge({ ...subject, work: `${work}, one a request` }, await alternate(rounds, watched(one), one)),
      judge(
        { ...subject, work: `${work}, batches of ${BATCH}` },
        await alternate(rounds, watched(many), many),
      ),
    ];
  } finally {
    await load.stop();
    await stage.close();
  }
}

/** Budgets of different windows, over all deployments. */
async function createBudgets(url: string): Promise<string[]> {
  const made: string[] = [];
  for (let index = 0; index < BUDGETS; index += 1) {
    const { createLossBudget } = await ask<{
      createLossBudget: { lossBudget: { id: string } | null; message: string };
    }>(
      url,
      'mutation($input: CreateLossBudgetInput!) { createLossBudget(input: $input) { message lossBudget { id } } }',
      {
        input: {
          name: `bench ${index}`,
          strategies: ['strategy-of-*'],
          windowHours: 24 + index,
          maxLossUsd: '1000000000',
          action: 'FREEZE',
        },
      },
    );
    if (!createLossBudget.lossBudget) throw new Error(`no budget: ${createLossBudget.message}`);
    made.push(createLossBudget.lossBudget.id);
  }
  return made;
}

/** The figure counts only if the losses were summed all the time. */
async function expectSummed(sql: Awaited<ReturnType<typeof openStage>>['sql']): Promise<void> {
  const [row] = await sql<{ seconds: number }[]>`
    select extract(epoch from clock_timestamp() - ended_at)::float8 as seconds from loss_budget_rounds`;
  if (!row || row.seconds > 5) throw new Error(`losses were last summed ${row?.seconds} s ago`);
}

async function deleteBudgets(url: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await ask(
      url,
      'mutation($input: DeleteLossBudgetInput!) { deleteLossBudget(input: $input) { success } }',
      {
        input: { id },
      },
    );
  }
}
