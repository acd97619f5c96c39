/** Two nodes, many operators, one deployment: one decision wins, and the others are refused with its outcome. */
import { randomUUID } from 'node:crypto';
import type { TransactionSql } from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, report, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const ACKNOWLEDGE =
  'mutation($input: AcknowledgeAllocationInput!) { acknowledgeAllocation(input: $input) { success message } }';

let one: TestSerin;
let other: TestSerin;
beforeAll(async () => {
  one = await startTestSerin();
  other = await startTestSerin({ databaseUrl: one.database.url });
});
afterAll(async () => {
  await other.stop();
  await one.stop();
});

/** The number of connections that wait for a lock of this session. */
async function waitingFor(holder: TransactionSql): Promise<number> {
  const [session] = await holder`select pg_backend_pid() as pid`;
  const [row] = await one.database.sql`
    select count(*) from pg_stat_activity where ${session?.pid} = any(pg_blocking_pids(pid))`;
  return Number(row?.count);
}

/** Acknowledges an allocation, again and again until the outcome is known. */
const acknowledge = (node: TestSerin, deploymentId: string, heldUsd: number): Promise<Data> =>
  node.ask(ACKNOWLEDGE, {
    input: { deploymentId, number: 1, side: 'CANARY', heldUsd, idempotencyKey: randomUUID() },
  });

test('of twelve concurrent decisions one is accepted', async () => {
  for (let round = 0; round < 5; round += 1) {
    const id = await running(one);
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, operator) => {
        const name = ['promoteCanary', 'rollbackCanary', 'cancelDeployment'][operator % 3] ?? '';
        return command(operator % 2 === 0 ? one : other, name, id);
      }),
    );
    const [won, ...more] = answers.filter(({ success }) => success);
    expect(more).toEqual([]);
    for (const { success, error, deployment } of answers) {
      if (success) continue;
      expect(error.code).toBe('INVALID_TRANSITION');
      expect(deployment.status).toBe(won.deployment.status);
    }
  }
});

test('commands on one deployment queue up and lose nothing', async () => {
  const id = await running(one);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, turn) =>
      command(turn % 2 === 0 ? one : other, turn < 10 ? 'pauseDeployment' : 'resumeDeployment', id),
    ),
  );
  const done = answers.filter(({ success }) => success);
  const revisions = done.map(({ deployment }) => deployment.revision).sort((a, b) => a - b);
  expect(revisions).toEqual(revisions.map((_, index) => 3 + index));
});

test('many commands on a locked deployment take one connection and do not delay other deployments', async () => {
  const [held, free] = [await running(one), await running(one)];
  const { sql } = one.database;
  let crowd: Promise<unknown[]> = Promise.resolve([]);
  await sql.begin(async (holder) => {
    await holder`select 1 from deployments where id = ${held} for update`;
    crowd = Promise.all(Array.from({ length: 40 }, (_, turn) => acknowledge(one, held, turn + 1)));
    await until(async () => (await waitingFor(holder)) === 1);
    for (let turn = 0; turn < 10; turn += 1) {
      const name = turn % 2 === 0 ? 'pauseDeployment' : 'resumeDeployment';
      expect((await command(one, name, free)).success).toBe(true);
    }
    // None while one that has waited too long is followed by the next.
    expect(await waitingFor(holder)).toBeLessThanOrEqual(1);
  });
  expect(await crowd).toEqual(
    Array.from({ length: 40 }, () => ({
      acknowledgeAllocation: { success: true, message: expect.any(String) },
    })),
  );
});

test('a report that changes a guardrail waits for its deployment and delays no other report', async () => {
  const strict = { config: { guardrails: { maxStaleSeconds: null, maxDrawdown: '0.1' } } };
  const [held, free] = [await running(one, strict), await running(one, strict)];
  const { sql } = one.database;
  let careful: Promise<Data> = Promise.resolve({});
  await sql.begin(async (holder) => {
    await holder`select 1 from deployments where id = ${held} for no key update`;
    careful = report(one, 'Canary', held, { drawdown: '0.99', trades: 10 });
    await until(async () => (await waitingFor(holder)) === 1);
    for (let turn = 1; turn <= 10; turn += 1) {
      expect((await report(one, 'Canary', free, { trades: turn })).success).toBe(true);
    }
    // None while one that has waited too long is followed by the next.
    expect(await waitingFor(holder)).toBeLessThanOrEqual(1);
  });
  expect((await careful).deployment.status).toBe('ROLLED_BACK');
});

test('the log has the events of a contended deployment in their order', async () => {
  for (let round = 0; round < 5; round += 1) {
    const id = await running(one);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, turn) => acknowledge(turn % 2 === 0 ? one : other, id, turn + 1)),
    );
    expect(answers.map(({ acknowledgeAllocation }) => acknowledgeAllocation.success)).toEqual(
      answers.map(() => true),
    );
    const log = await one.database.sql`select no from events where deployment_id = ${id} order by xid, id`;
    expect(log.map(({ no }) => no)).toEqual(log.map((_, index) => index + 1));
  }
});
