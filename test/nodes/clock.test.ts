/** Steps of the database's clock, on a running server: checks go on, and operators see the step. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const operator = async (path: string) => (await fetch(`${serin.url}${path}`)).text();

async function checksOf(id: string): Promise<number> {
  const { deployment } = await serin.ask(
    'query($id: ID!) { deployment(id: $id) { samples(last: 1) { edges { node { check } } } } }',
    { id },
  );
  return deployment.samples.edges[0]?.node.check ?? 0;
}

test('a clock that is set back an hour stops no checks; /ready and a metric say so', async () => {
  const id = await running(serin, { config: { ...CALM, observationPeriodMinutes: 600 } });
  await until(async () => (await checksOf(id)) >= 2);
  const before = await checksOf(id);
  await serin.advance(-3600);
  await until(async () => (await checksOf(id)) >= before + 3);
  await until(async () => (await operator('/ready')).includes('was set back by'));
  expect(await operator('/metrics')).toMatch(/serin_clock_steps_total\{direction="back"\} 1/);
});
