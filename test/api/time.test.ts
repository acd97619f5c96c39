/** Steps of the database's clock, on a running server: nothing ends early, nothing stops, and operators see them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { report, running, statusOf } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const CONFIG = {
  checkIntervalSeconds: 60,
  observationPeriodMinutes: 60,
  evidence: { mode: 'OFF' },
  guardrails: { maxStaleSeconds: 3600 },
};

/** A deployment that would be promoted, after its first checks. */
async function watched(): Promise<string> {
  const id = await running(serin, { config: CONFIG });
  await report(serin, 'Canary', id, { pnlUsd: '120', trades: 10 });
  await report(serin, 'Stable', id, { pnlUsd: '900', trades: 90 });
  await until(async () => (await checksOf(id)) >= 2);
  return id;
}

async function look(id: string) {
  const { deployment } = await serin.ask(
    `query($id: ID!) { deployment(id: $id) { status observationRemainingSeconds
      samples(last: 1) { edges { node { check } } }
      events(first: 20, types: [WATCH_RESUMED]) { edges { node { description details } } } } }`,
    { id },
  );
  return deployment;
}

const checksOf = async (id: string): Promise<number> => (await look(id)).samples.edges[0]?.node.check ?? 0;
const operator = async (path: string) => (await fetch(`${serin.url}${path}`)).text();

test('a step forward of an hour ends nothing; the step is said in /ready and in a metric', async () => {
  const id = await watched();
  await serin.advance(3600);
  await until(async () => (await look(id)).events.edges.length === 1);
  const { status, observationRemainingSeconds, events } = await look(id);
  expect(status).toBe('RUNNING');
  expect(observationRemainingSeconds).toBeGreaterThan(3000);
  expect(events.edges[0].node.details.unwatchedMs).toBeGreaterThan(3_400_000);
  await until(async () => (await operator('/ready')).includes('was set forward by'));
  expect(await operator('/metrics')).toMatch(/serin_clock_steps_total\{direction="forward"\} [1-9]/);
});

test('a step back of an hour stops nothing: checks go on, and the deadline comes with the clock', async () => {
  const id = await watched();
  const before = await checksOf(id);
  await serin.advance(-3600);
  await until(async () => (await checksOf(id)) >= before + 3);
  const { status, observationRemainingSeconds, events } = await look(id);
  expect(status).toBe('RUNNING');
  expect(observationRemainingSeconds).toBeLessThanOrEqual(3600);
  expect(events.edges.map(({ node }: { node: { description: string } }) => node.description)).toEqual([
    expect.stringContaining('the clock was set back'),
  ]);
  await until(async () => (await operator('/ready')).includes('was set back by'));
});

test('a promotion by hand on old figures is done, and its first reason says how old they are', async () => {
  const id = await running(serin, { config: CONFIG });
  await report(serin, 'Canary', id, { pnlUsd: '120', trades: 10 });
  // So far that it is a gap: no check finds the stable side silent for too long.
  await serin.advance(7200);
  const { promoteCanary } = await serin.ask(
    `mutation($id: ID!) { promoteCanary(input: { deploymentId: $id }) { success
      deployment { decisionHistory { reasons } } } }`,
    { id },
  );
  expect(promoteCanary.success).toBe(true);
  expect(promoteCanary.deployment.decisionHistory[0].reasons[0]).toMatch(
    /^canary figures 1[2-7]\d min old, no figures of the stable side$/,
  );
  expect(await statusOf(serin, id)).toBe('PROMOTED');
});
