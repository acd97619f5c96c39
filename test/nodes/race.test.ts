/** Two nodes, many operators, one deployment: one decision wins, and the others are told which. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';

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

test('of twelve decisions at once, one is taken', async () => {
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

test('the log has the events of a contended deployment in their order', async () => {
  const acknowledge =
    'mutation($input: AcknowledgeAllocationInput!) { acknowledgeAllocation(input: $input) { success message } }';
  for (let round = 0; round < 5; round += 1) {
    const id = await running(one);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, turn) => {
        const input = { deploymentId: id, number: 1, side: 'CANARY', heldUsd: turn + 1 };
        return (turn % 2 === 0 ? one : other).ask(acknowledge, { input });
      }),
    );
    expect(answers.map(({ acknowledgeAllocation }) => acknowledgeAllocation.success)).toEqual(
      answers.map(() => true),
    );
    const log = await one.database.sql`select no from events where deployment_id = ${id} order by xid, id`;
    expect(log.map(({ no }) => no)).toEqual(log.map((_, index) => index + 1));
  }
});
