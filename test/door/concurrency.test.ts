/** Commands that meet on one deployment: each is decided on what the one before it left. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const acknowledge = (deploymentId: string, side: string, heldUsd: number): Promise<Data> =>
  serin.ask(
    `mutation($input: AcknowledgeAllocationInput!) { acknowledgeAllocation(input: $input) { success message } }`,
    { input: { deploymentId, number: 1, side, heldUsd } },
  );

test('answers of both sides at the same time are all taken, one after the other', async () => {
  const id = await running(serin);
  const before = await serin.ask('query($id: ID!) { deployment(id: $id) { revision } }', { id });
  const amounts = Array.from({ length: 20 }, (_, index) => index + 1);
  const answers = await Promise.all(
    amounts.flatMap((amount) => [acknowledge(id, 'CANARY', amount), acknowledge(id, 'STABLE', amount)]),
  );
  expect(answers.every((answer) => answer.acknowledgeAllocation.success)).toBe(true);
  const { deployment } = await serin.ask(
    `query($id: ID!) { deployment(id: $id) { revision
      events(first: 100, types: [ALLOCATION_ACKNOWLEDGED]) { edges { node { no revision } } } } }`,
    { id },
  );
  expect(deployment.revision).toBe(before.deployment.revision + 40);
  expect(deployment.events.edges).toHaveLength(40);
});

test('of promote, rollback and cancel at the same time exactly one wins, and the others are told', async () => {
  for (let round = 0; round < 5; round += 1) {
    const id = await running(serin);
    const names = ['promoteCanary', 'rollbackCanary', 'cancelDeployment', 'promoteCanary', 'rollbackCanary'];
    const answers: Data[] = await Promise.all(names.map((name) => command(serin, name, id)));
    const won = answers.filter(({ success }) => success);
    expect(won).toHaveLength(1);
    for (const lost of answers.filter(({ success }) => !success)) {
      expect(lost.error.code).toBe('INVALID_TRANSITION');
      expect(lost.error.message).toContain(won[0].deployment.status);
    }
  }
});
