/** What people read: a summary that never hides a decision, and money as it is written. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, command, create, report, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const READ = `query($id: ID!) { deployment(id: $id) { summary
  samples(last: 1) { edges { node { check } } }
  events(first: 200) { edges { node { type description } } } } }`;
const read = async (id: string) => (await serin.ask(READ, { id })).deployment;

async function acknowledge(id: string, number: number, side: string, heldUsd: string): Promise<void> {
  const done = await command(serin, 'acknowledgeAllocation', id, { number, side, heldUsd });
  expect(done).toMatchObject({ success: true });
}

test('neither checks nor allocations hide the last decision', async () => {
  const config = { ...CALM, checkIntervalSeconds: 10 };
  const id = await running(serin, { config });
  await acknowledge(id, 1, 'CANARY', '10000');
  await report(serin, 'Canary', id, { pnlUsd: '1' });
  await report(serin, 'Stable', id, { pnlUsd: '1' });
  await until(async () => (await read(id)).samples.edges.length > 0);
  // A busy machine may have made the checks wait: that is told, too.
  expect((await read(id)).summary).toMatch(/^(Canary started with 10 % of \$100,000$|Checks continue after)/);

  await command(serin, 'rollbackCanary', id, { reason: 'seen enough' });
  await acknowledge(id, 2, 'CANARY', '0');
  await acknowledge(id, 2, 'STABLE', '100000');
  const { summary, events } = await read(id);
  expect(summary).toBe('v2 rolled back to v1: seen enough');
  expect(events.edges.at(-1).node.type).toBe('ALLOCATION_SETTLED');
});

test('money has commas between thousands, two decimals or none, and its sign before the dollar', async () => {
  const config = { guardrails: { maxStaleSeconds: null, maxLossUsd: '3000' } };
  const id = await running(serin, { config });
  await acknowledge(id, 1, 'STABLE', '90000.5');
  await report(serin, 'Stable', id, { pnlUsd: '-1234567.891' });
  await report(serin, 'Canary', id, { pnlUsd: '-3186.07' });
  await until(async () => (await read(id)).summary.startsWith('v2 rolled back'));
  const { events } = await read(id);
  const said = events.edges.map(({ node }: { node: { description: string } }) => node.description);
  expect(said).toContain('Allocation 1: canary $10,000, stable $90,000');
  expect(said).toContain('The stable side holds $90,000.50 (allocation 1)');
  expect(said).toContain(
    'Guardrail maxLossUsd tripped: the canary lost $3,186.07, at most $3,000 allowed (maxLossUsd)',
  );
});

test('a deployment without a chain is described without one', async () => {
  const said = async (chain: string | undefined) => {
    const { deployment } = await create(serin, { strategyId: `chain-${chain}`, chain });
    return (await read(deployment.id)).events.edges[0].node.description;
  };
  expect(await said(undefined)).toBe('v2 is to be tried alongside v1');
  expect(await said('base')).toBe('v2 is to be tried alongside v1 on base');
});
