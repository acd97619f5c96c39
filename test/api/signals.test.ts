/** Pairs of returns by signal: trades of both sides with one signalId are compared, each signal once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, command, create, report, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const SIGNAL = { ...CALM, checkIntervalSeconds: 60, evidence: { pairing: 'SIGNAL' } };

interface SentTrade {
  readonly id: string;
  readonly pnlUsd: string;
  readonly signalId?: string;
  /** Now, unless given. */
  readonly at?: string;
}

/** Sends trades of now, again if the answer is lost. */
async function trade(id: string, side: string, trades: readonly SentTrade[]): Promise<Data> {
  const at = new Date((await now()) - 1000).toISOString();
  const { recordTrades } = await serin.ask(
    `mutation($input: RecordTradesInput!) { recordTrades(input: $input) {
      success error { message } refused { error { code path message } } } }`,
    { input: { deploymentId: id, side, trades: trades.map((each) => ({ at, ...each })) } },
  );
  return recordTrades;
}

async function now(): Promise<number> {
  const [clock] = await serin.database.sql`select date_part('epoch', serin_now()) * 1000 as now`;
  return Number(clock?.now);
}

async function look(id: string): Promise<Data> {
  const { deployment } = await serin.ask(
    `query($id: ID!) { deployment(id: $id) { signals { open paired forgotten }
      comparison { evidence { pairs difference { mean } } }
      trades(side: CANARY, first: 9) { nodes { tradeId signalId } }
      events(first: 200, types: [CANARY_METRICS_UPDATED]) { nodes { payload {
        ... on CanaryMetricsUpdated { pairs } } } } } }`,
    { id },
  );
  return deployment;
}

test('each signal that both sides have traded is one pair; sliced and late trades too', async () => {
  const id = await running(serin, { config: SIGNAL });
  // The canary's order was sliced: its return on the signal is 30 + 20 on its 10,000.
  await trade(id, 'CANARY', [
    { id: 'c1', pnlUsd: '30', signalId: 'one' },
    { id: 'c2', pnlUsd: '20', signalId: 'one' },
    { id: 'c3', pnlUsd: '7', signalId: 'two' },
    { id: 'c4', pnlUsd: '900' },
  ]);
  await trade(id, 'STABLE', [{ id: 's1', pnlUsd: '90', signalId: 'one' }]);
  await until(async () => (await look(id)).signals.paired === 1);
  const first = await look(id);
  expect(first.signals).toEqual({ open: 1, paired: 1, forgotten: 0 });
  expect(first.comparison.evidence.pairs).toBe(1);
  expect(first.trades.nodes).toContainEqual({ tradeId: 'c2', signalId: 'one' });
  expect(first.trades.nodes).toContainEqual({ tradeId: 'c4', signalId: null });

  // A late trade of a paired signal counts in PnL only; the other side of the second signal arrives.
  await trade(id, 'CANARY', [{ id: 'c5', pnlUsd: '-500', signalId: 'one' }]);
  await trade(id, 'STABLE', [{ id: 's2', pnlUsd: '27', signalId: 'two' }]);
  await until(async () => (await look(id)).signals.paired === 2);
  const second = await look(id);
  expect(second.comparison.evidence.pairs).toBe(2);
  // (0.005 - 0.001 + 0.0007 - 0.0003) / 2
  expect(second.comparison.evidence.difference.mean).toBeCloseTo(0.0022, 12);
  const pairs = second.events.nodes.map(({ payload }: Data) => payload.pairs);
  expect(pairs.reduce((sum: number, each: number) => sum + each, 0)).toBe(2);
});

test('an export goes on where it was imported: paired signals stay paired, open ones wait', async () => {
  const id = await running(serin, { config: SIGNAL });
  await trade(id, 'CANARY', [
    { id: 'c1', pnlUsd: '5', signalId: 'done' },
    { id: 'c2', pnlUsd: '6', signalId: 'waits' },
  ]);
  await trade(id, 'STABLE', [{ id: 's1', pnlUsd: '45', signalId: 'done' }]);
  await until(async () => (await look(id)).signals.paired === 1);
  const { exportDeployment } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
  const elsewhere = await startTestSerin();
  try {
    // Its clock began later than the one of the export.
    await elsewhere.advance(86_400);
    const { importDeployment } = await elsewhere.ask(
      `mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) {
        success message deployment { signals { open paired forgotten }
          trades(side: CANARY, first: 9) { nodes { tradeId signalId } } } } }`,
      { input: { document: exportDeployment, idempotencyKey: 'once' } },
    );
    expect(importDeployment).toMatchObject({
      success: true,
      deployment: {
        signals: { open: 1, paired: 1, forgotten: 0 },
        trades: { nodes: [{ signalId: 'done' }, { signalId: 'waits' }] },
      },
    });
  } finally {
    await elsewhere.stop();
  }
});

test('a deployment that has ended keeps its signals through an export', async () => {
  const id = await running(serin, { config: SIGNAL });
  await trade(id, 'CANARY', [
    { id: 'c1', pnlUsd: '5', signalId: 'done' },
    { id: 'c2', pnlUsd: '6', signalId: 'open' },
  ]);
  await trade(id, 'STABLE', [{ id: 's1', pnlUsd: '45', signalId: 'done' }]);
  await until(async () => (await look(id)).signals.paired === 1);
  await command(serin, 'rollbackCanary', id);
  const { exportDeployment } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
  const elsewhere = await startTestSerin();
  try {
    await elsewhere.advance(86_400);
    const { importDeployment } = await elsewhere.ask(
      `mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) {
        deployment { status signals { open paired forgotten } } } }`,
      { input: { document: exportDeployment } },
    );
    expect(importDeployment.deployment).toEqual({
      status: 'ROLLED_BACK',
      signals: { open: 1, paired: 1, forgotten: 0 },
    });
  } finally {
    await elsewhere.stop();
  }
});

test('of more than 5,000 open signals the oldest are forgotten', async () => {
  const id = await running(serin, { config: { ...SIGNAL, checkIntervalSeconds: 3600 } });
  for (let batch = 0; batch < 6; batch += 1) {
    const trades = Array.from({ length: batch < 5 ? 1000 : 3 }, (_, index) => {
      const name = `${batch}-${String(index).padStart(4, '0')}`;
      return { id: name, pnlUsd: '1', signalId: name };
    });
    expect(await trade(id, 'CANARY', trades)).toMatchObject({ success: true });
  }
  expect((await look(id)).signals).toEqual({ open: 5000, paired: 0, forgotten: 3 });
});

test('totals, a provider, a margin, and names that cannot be are refused with the field', async () => {
  const id = await running(serin, { config: SIGNAL });
  expect(await report(serin, 'Canary', id, { pnlUsd: '1' })).toMatchObject({
    success: false,
    error: { code: 'INVALID_INPUT', message: expect.stringContaining('send them with recordTrades') },
  });
  const margin = { pairing: 'SIGNAL', margin: 3 };
  expect((await create(serin, { config: { evidence: margin } })).error.path).toEqual([
    'config',
    'evidence',
    'margin',
  ]);
  const { refused } = await trade(id, 'CANARY', [{ id: 'c', pnlUsd: '1', signalId: '' }]);
  expect(refused[0].error).toMatchObject({ code: 'INVALID_INPUT', path: ['trades', '0', 'signalId'] });
  const same = { id: 'c', at: new Date(await now()).toISOString(), pnlUsd: '1' };
  await trade(id, 'CANARY', [{ ...same, signalId: 'x' }]);
  const other = await trade(id, 'CANARY', [{ ...same, signalId: 'y' }]);
  expect(other.refused[0].error).toMatchObject({
    code: 'ALREADY_EXISTS',
    path: ['trades', '0', 'signalId'],
  });
});
