/** Requests that meet: commands are decided on what the one before them left, and reads share no fault. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { command, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, type Door, startTestSerin, type TestSerin } from '../harness/serin.ts';

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

test('of reads that come at the same moment, one that fails is one, and each caller gets what it sees', async () => {
  const keyed = await startTestSerin({ access: WITH_KEYS });
  try {
    const admin = await administrator(keyed);
    const ids: string[] = [];
    for (const strategyId of ['ours', 'theirs', 'broken']) ids.push(await running(admin, { strategyId }));
    await keyed.database.sql`update deployments set detail = '{}' where id = ${ids[2] ?? ''}`;
    const bot = keyed.as(await makeKey(admin, 'BOT', { strategies: ['ours'] }));
    const status = 'query($id: ID!) { deployment(id: $id) { id status comparison { decision } } }';
    const look = (door: Door, id: string) => door.post(status, { id });
    for (let round = 0; round < 3; round += 1) {
      const answers = await Promise.all(
        [admin, bot].flatMap((door) => [...ids, ...ids].map((id) => look(door, id))),
      );
      const said = answers.map(
        ({ data, errors }) => errors?.[0]?.extensions.code ?? data.deployment?.id ?? null,
      );
      const [ours, theirs] = ids;
      const all = [ours, theirs, 'INTERNAL_SERVER_ERROR'];
      const own = [ours, null, 'INTERNAL_SERVER_ERROR'];
      expect(said).toEqual([...all, ...all, ...own, ...own]);
    }
  } finally {
    await keyed.stop();
  }
});
