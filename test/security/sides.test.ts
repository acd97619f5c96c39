/** A bot of one side speaks for that side only: it decides no comparison it competes in. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, command, report, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
let canary: TestCaller;
let stable: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
  canary = serin.as(await makeKey(root, 'BOT', { sides: ['CANARY'] }));
  stable = serin.as(await makeKey(root, 'BOT', { sides: ['STABLE'] }));
});
afterAll(() => serin.stop());

const refusal = { code: 'INVALID_INPUT', path: ['side'] };

test('in reports of totals, alone and in batches', async () => {
  const id = await running(root, { config: CALM });
  expect((await report(canary, 'Canary', id, { pnlUsd: '1' })).success).toBe(true);
  expect((await report(canary, 'Stable', id, { pnlUsd: '-1000' })).error).toMatchObject(refusal);
  const { reportMetrics } = await canary.ask(
    `mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) { results { success error { code path } } } }`,
    {
      input: {
        reports: [
          { deploymentId: id, side: 'STABLE', pnlUsd: '-1000' },
          { deploymentId: id, side: 'CANARY', pnlUsd: '2' },
        ],
      },
    },
  );
  expect(reportMetrics.results.map(({ success }: Data) => success)).toEqual([false, true]);
  const { deployment } = await root.ask(
    'query($id: ID!) { deployment(id: $id) { stableMetrics { metrics { netPnlUsd } } } }',
    { id },
  );
  expect(deployment.stableMetrics.metrics.netPnlUsd).toBe('0');
  expect((await report(stable, 'Stable', id, { pnlUsd: '5' })).success).toBe(true);
});

test('in trades', async () => {
  const id = await running(root, { config: CALM });
  const record = async (by: TestCaller, side: string): Promise<Data> =>
    (
      await by.ask(
        `mutation($input: RecordTradesInput!) { recordTrades(input: $input) { success error { code path } } }`,
        { input: { deploymentId: id, side, trades: [] } },
      )
    ).recordTrades;
  expect((await record(canary, 'STABLE')).error).toEqual(refusal);
  expect((await record(stable, 'CANARY')).error).toEqual(refusal);
  expect((await record(canary, 'CANARY')).success).toBe(true);
});

test('in acknowledgements', async () => {
  const id = await running(root, { config: CALM });
  const say = (by: TestCaller, side: string, heldUsd: string) =>
    command(by, 'acknowledgeAllocation', id, { number: 1, side, heldUsd });
  expect((await say(canary, 'STABLE', '1')).error).toMatchObject(refusal);
  expect((await say(canary, 'CANARY', '10000')).success).toBe(true);
});

test('in heartbeats', async () => {
  const id = await running(root, { config: { ...CALM, capitalLeaseSeconds: 600_000 } });
  const beat = async (by: TestCaller, side: string, stoodDown = false): Promise<Data> =>
    (
      await by.ask(
        `mutation($input: HeartbeatInput!) { heartbeat(input: $input) { success error { code path } } }`,
        { input: { deploymentId: id, side, stoodDown } },
      )
    ).heartbeat;
  expect((await beat(stable, 'CANARY')).error).toEqual(refusal);
  expect((await beat(stable, 'CANARY', true)).error).toEqual(refusal);
  expect((await beat(canary, 'CANARY')).success).toBe(true);
});

test('and where one credential speaks for both, the deployment says so, and who reported', async () => {
  const both = serin.as(await makeKey(root, 'BOT', { name: 'both' }));
  const id = await running(root, { config: CALM });
  const seen = async () => {
    const { deployment } = await root.ask(
      `query($id: ID!) { deployment(id: $id) { warnings { side message }
        canaryMetrics { reportedBy } stableMetrics { reportedBy } } }`,
      { id },
    );
    const one = deployment.warnings.filter(({ message }: Data) => message.includes('same credential (both)'));
    return [one.length, deployment.canaryMetrics.reportedBy, deployment.stableMetrics.reportedBy];
  };
  await report(both, 'Canary', id, { pnlUsd: '1' });
  expect(await seen()).toEqual([0, 'both', null]);
  await report(both, 'Stable', id, { pnlUsd: '1' });
  expect(await seen()).toEqual([1, 'both', 'both']);
  await report(stable, 'Stable', id, { pnlUsd: '2' });
  expect(await seen()).toEqual([0, 'both', expect.stringMatching(/./)]);

  const traded = await running(root, { config: CALM });
  for (const side of ['CANARY', 'STABLE']) {
    await both.ask('mutation($input: RecordTradesInput!) { recordTrades(input: $input) { success } }', {
      input: { deploymentId: traded, side, trades: [] },
    });
  }
  const { deployment } = await root.ask(
    'query($id: ID!) { deployment(id: $id) { warnings { message } stableMetrics { reportedBy } } }',
    { id: traded },
  );
  expect(deployment.stableMetrics.reportedBy).toBe('both');
  expect(JSON.stringify(deployment.warnings)).toContain('same credential (both)');
});

test('creates no key for more sides, and learns nothing of what it may not see', async () => {
  const admin = serin.as(await makeKey(root, 'ADMIN', { sides: ['CANARY'] }));
  await expect(makeKey(admin, 'BOT')).rejects.toThrow('sides');
  await expect(makeKey(admin, 'BOT', { sides: ['STABLE'] })).rejects.toThrow('sides');
  const local = serin.as(await makeKey(root, 'BOT', { sides: ['CANARY'], strategies: ['mine'] }));
  const id = await running(root, { config: CALM });
  expect((await report(local, 'Stable', id, { pnlUsd: '1' })).error).toMatchObject({ code: 'NOT_FOUND' });
});
