/** Figures that survive a restart of the bot, through the API: sessions, order, bases and open positions. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create, running, statusOf } from '../harness/deployment.ts';
import { alignClocks } from '../harness/imports.ts';
import { type Data, startTestSerin, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const LONG = { ...CALM, observationPeriodMinutes: 10_000 };

async function send(
  deploymentId: string,
  report: Record<string, unknown>,
  side: 'Canary' | 'Stable' = 'Canary',
): Promise<Data> {
  const data = await serin.ask(
    `mutation($input: UpdateMetricsInput!) { update${side}Metrics(input: $input) {
      success stale now clockRate message error { code path message } deployment { status } } }`,
    { input: { deploymentId, ...report } },
  );
  return data[`update${side}Metrics`];
}

async function canary(id: string): Promise<Data> {
  const { deployment } = await serin.ask(
    `query($id: ID!) { deployment(id: $id) { canaryMetrics { session asOf returnOnCapital tradeCount errorCount
      metrics { netPnlUsd unrealizedPnlUsd maxDrawdown totalGasUsd uptimeSeconds } } warnings { side message } } }`,
    { id },
  );
  return { ...deployment.canaryMetrics, ...deployment.canaryMetrics.metrics, warnings: deployment.warnings };
}

describe('without a session', () => {
  test.each(['trades', 'errors', 'uptimeSeconds', 'totalGasUsd'])(
    'a fall of %s is refused and changes nothing',
    async (counter) => {
      const id = await running(serin, { config: LONG });
      await send(id, { pnlUsd: '100', [counter]: 60 });
      const again = await send(id, { pnlUsd: '0', [counter]: 0 });
      expect(again).toMatchObject({
        success: false,
        stale: false,
        error: { code: 'COUNTER_RESET', path: [counter] },
      });
      expect(again.error.message).toContain(`${counter} fell from 60 to 0`);
      expect(await canary(id)).toMatchObject({ netPnlUsd: '100', session: null });
    },
  );

  test('a batch names the index of the report whose counter fell', async () => {
    const id = await running(serin, { config: LONG });
    const { reportMetrics } = await serin.ask(
      `mutation($i: ReportMetricsInput!) { reportMetrics(input: $i) { success results { success error { code path } } } }`,
      { i: { reports: [60, 59].map((trades) => ({ deploymentId: id, side: 'CANARY', trades })) } },
    );
    expect(reportMetrics.results).toEqual([
      { success: true, error: null },
      { success: false, error: { code: 'COUNTER_RESET', path: ['reports', '1', 'trades'] } },
    ]);
  });
});

describe('a session', () => {
  test('counts from zero, and what the sessions before earned is kept', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, {
      session: 'a',
      pnlUsd: '-300',
      trades: 5,
      errors: 1,
      totalGasUsd: '2',
      uptimeSeconds: 60,
    });
    await send(id, { session: 'b', pnlUsd: '100', trades: 2 });
    await send(id, { session: 'b', pnlUsd: '120', trades: 3, errors: 1 });
    expect(await canary(id)).toMatchObject({
      session: 'b',
      netPnlUsd: '-180',
      tradeCount: 8,
      errorCount: 2,
      totalGasUsd: '2',
      uptimeSeconds: 60,
      returnOnCapital: '-0.018',
      // 1 - 0.03 / 1 after the first session; the second earned since.
      maxDrawdown: '0.03',
    });
    const { deployment } = await serin.ask(
      `query($id: ID!) { deployment(id: $id) { events(first: 9, types: [COUNTER_RESET]) { nodes: edges { node { description details } } } } }`,
      { id },
    );
    const [{ node }] = deployment.events.nodes;
    expect(node.description).toContain('session b began');
    expect(node.details).toMatchObject({
      side: 'CANARY',
      session: 'b',
      previousSession: 'a',
      carried: { trades: 5 },
    });
  });

  test('a report of a closed session is stale and changes nothing', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, { session: 'a', pnlUsd: '10', trades: 1 });
    await send(id, { session: 'b', pnlUsd: '5', trades: 1 });
    expect(await send(id, { session: 'a', pnlUsd: '-9000', trades: 2 })).toMatchObject({
      success: true,
      stale: true,
    });
    expect(await canary(id)).toMatchObject({ netPnlUsd: '15', tradeCount: 2, session: 'b' });
  });

  test('the last hundred are remembered, and one that was closed before them is refused', async () => {
    const id = await running(serin, { config: LONG });
    for (let run = 0; run <= 102; run += 1) await send(id, { session: `run-${run}`, trades: 1 });
    expect(await send(id, { session: 'run-50', trades: 2 })).toMatchObject({ success: true, stale: true });
    expect(await send(id, { session: 'run-0', trades: 2 })).toMatchObject({
      success: false,
      error: { code: 'INVALID_INPUT', path: ['session'] },
    });
    expect(await canary(id)).toMatchObject({ tradeCount: 103 });
  }, 60_000);

  test('a total that falls within it is refused too', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, { session: 'a', trades: 9 });
    await send(id, { session: 'b', trades: 4 });
    const refused = await send(id, { session: 'b', trades: 3 });
    expect(refused).toMatchObject({ success: false, error: { code: 'COUNTER_RESET', path: ['trades'] } });
    expect(refused.error.message).toContain('trades fell from 4 to 3');
  });

  test('a canary that loses 15 % and restarts, four times, is rolled back at 20 %', async () => {
    const id = await running(serin, { config: { ...LONG, evidence: { mode: 'OFF' } } });
    let lost = 0;
    let status = 'RUNNING';
    for (let life = 1; life <= 4 && status === 'RUNNING'; life += 1) {
      for (let trades = 1; trades <= 5 && status === 'RUNNING'; trades += 1) {
        const answer = await send(id, { session: `life-${life}`, pnlUsd: String(-300 * trades), trades });
        expect(answer.success).toBe(true);
        lost += 300;
        status = answer.deployment.status;
      }
    }
    expect({ lost, status }).toEqual({ lost: 2100, status: 'ROLLED_BACK' });
  });

  test('a name that is none is refused with its path', async () => {
    const id = await running(serin, { config: LONG });
    for (const session of ['', 'x'.repeat(201), 'a\u0007b']) {
      expect(await send(id, { session, trades: 1 })).toMatchObject({
        error: { code: 'INVALID_INPUT', path: ['session'] },
      });
    }
  });

  test('moves to another Serin with its deployment', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, { session: 'a', pnlUsd: '10', trades: 4 });
    await send(id, { session: 'b', pnlUsd: '1', trades: 1 });
    const { exportDeployment } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
    const other = await startTestSerin();
    try {
      await alignClocks(serin, other);
      const { importDeployment } = await other.ask(
        `mutation($document: JSON!) { importDeployment(input: { document: $document }) { success message } }`,
        { document: exportDeployment },
      );
      expect(importDeployment).toMatchObject({ success: true });
      const { updateCanaryMetrics } = await other.ask(
        `mutation($input: UpdateMetricsInput!) { updateCanaryMetrics(input: $input) { success stale
          deployment { canaryMetrics { tradeCount metrics { netPnlUsd } } } } }`,
        { input: { deploymentId: id, session: 'b', pnlUsd: '3', trades: 2 } },
      );
      expect(updateCanaryMetrics).toEqual({
        success: true,
        stale: false,
        deployment: { canaryMetrics: { tradeCount: 6, metrics: { netPnlUsd: '13' } } },
      });
    } finally {
      await other.stop();
    }
  });

  test('that has not begun after a fall of its counters is missing on another Serin, too', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, { pnlUsd: '10', trades: 60 });
    await send(id, { pnlUsd: '1', trades: 5 });
    const query = 'query($id: ID!) { exportDeployment(id: $id) }';
    const { exportDeployment } = await serin.ask(query, { id });
    const other = await startTestSerin();
    try {
      await alignClocks(serin, other);
      const { importDeployment } = await other.ask(
        `mutation($document: JSON!) { importDeployment(input: { document: $document }) { success message } }`,
        { document: exportDeployment },
      );
      expect(importDeployment).toMatchObject({ success: true });
      const again = (await other.ask(query, { id })).exportDeployment;
      expect(again.metrics.CANARY).toEqual(exportDeployment.metrics.CANARY);
      expect(again.metrics.CANARY.fellAt).toBeDefined();
    } finally {
      await other.stop();
    }
  });
});

test('a loss that is beyond all measure of the capital is stored, and rolls back', async () => {
  const { deployment } = await create(serin, { config: LONG });
  await command(serin, 'deployCanary', deployment.id, { capitalUsd: '0.000000000000001' });
  await send(deployment.id, { pnlUsd: '0', unrealizedPnlUsd: '0', trades: 1 });
  const lost = await send(deployment.id, { pnlUsd: '-9000000', unrealizedPnlUsd: '0', trades: 2 });
  expect(lost).toMatchObject({ success: true, deployment: { status: 'ROLLED_BACK' } });
  expect(await canary(deployment.id)).toMatchObject({
    maxDrawdown: '99999999999999999999.999999999999999999',
  });
});

test('open positions whose difference to their base cannot be stored are refused', async () => {
  const id = await running(serin, { config: LONG });
  const base = { session: 'a', baseline: true, pnlUsd: '90000000000000000000' };
  await send(id, { ...base, unrealizedPnlUsd: '-90000000000000000000' });
  const far = { session: 'a', pnlUsd: '0', unrealizedPnlUsd: '90000000000000000000' };
  expect(await send(id, far)).toMatchObject({
    success: false,
    error: { code: 'INVALID_INPUT', path: ['unrealizedPnlUsd'] },
  });
});

describe('order', () => {
  test('a report with an older sequence number, or the same, is stale', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, { sequence: 7, pnlUsd: '10' });
    for (const sequence of [6, 7]) {
      expect(await send(id, { sequence, pnlUsd: '-9999' })).toMatchObject({ success: true, stale: true });
    }
    expect(await send(id, { sequence: 8, pnlUsd: '11' })).toMatchObject({ success: true, stale: false });
    expect(await canary(id)).toMatchObject({ netPnlUsd: '11' });
  });

  test('a report with an older asOf is stale, and trips nothing', async () => {
    const id = await running(serin, {
      config: { ...LONG, guardrails: { ...CALM.guardrails, maxLossUsd: '50' } },
    });
    const { now } = await send(id, { trades: 1 });
    const at = (seconds: number) => new Date(Date.parse(now) + seconds * 1000).toISOString();
    await send(id, { asOf: at(-10), pnlUsd: '10' });
    expect(await send(id, { asOf: at(-20), pnlUsd: '-500' })).toMatchObject({ success: true, stale: true });
    expect(await canary(id)).toMatchObject({ netPnlUsd: '10', asOf: at(-10) });
    expect(await statusOf(serin, id)).toBe('RUNNING');
  });

  test('an asOf of more than a minute in the future is refused; the answer says what time it is', async () => {
    const id = await running(serin, { config: LONG });
    const { now, clockRate } = await send(id, { trades: 1 });
    expect(clockRate).toBe(60);
    const asOf = new Date(Date.parse(now) + 600_000).toISOString();
    expect(await send(id, { asOf, trades: 2 })).toMatchObject({
      error: { code: 'INVALID_INPUT', path: ['asOf'] },
    });
  });
});

describe('a base', () => {
  test('lifetime totals are no gain where the first report says since when they count', async () => {
    const id = await running(serin, { config: LONG });
    const since = '2020-01-01T00:00:00.000Z';
    await send(id, { session: 'a', since, pnlUsd: '5000', trades: 900 });
    await send(id, { session: 'a', since, pnlUsd: '5040', trades: 903, totalGasUsd: '70' });
    expect(await canary(id)).toMatchObject({ netPnlUsd: '40', tradeCount: 3, totalGasUsd: '0' });
    expect(await send(id, { session: 'a', since: '2021-01-01T00:00:00.000Z', trades: 904 })).toMatchObject({
      error: { code: 'INVALID_INPUT', path: ['since'] },
    });
  });

  test('or says baseline: true; a later report may not say otherwise', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, { baseline: true, pnlUsd: '5000', trades: 900 });
    await send(id, { pnlUsd: '4990', trades: 901 });
    expect(await canary(id)).toMatchObject({ netPnlUsd: '-10', tradeCount: 1 });
    expect(await send(id, { baseline: false, trades: 902 })).toMatchObject({
      error: { code: 'INVALID_INPUT', path: ['baseline'] },
    });
  });
});

describe('open positions', () => {
  test('are part of the net PnL, and a position that closes counts once', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, { pnlUsd: '10', unrealizedPnlUsd: '-40', trades: 1 });
    expect(await canary(id)).toMatchObject({
      netPnlUsd: '-30',
      unrealizedPnlUsd: '-40',
      maxDrawdown: '0.003',
    });
    await send(id, { pnlUsd: '-30', unrealizedPnlUsd: '0', trades: 2 });
    expect(await canary(id)).toMatchObject({ netPnlUsd: '-30', unrealizedPnlUsd: '0' });
    expect(await send(id, { pnlUsd: '-20' })).toMatchObject({
      error: { code: 'INVALID_INPUT', path: ['unrealizedPnlUsd'] },
    });
    expect(await send(id, { errors: 1 })).toMatchObject({ success: true });
  });

  test('break a guardrail before they are closed', async () => {
    const id = await running(serin, { config: LONG });
    const answer = await send(id, { pnlUsd: '500', unrealizedPnlUsd: '-2600', trades: 9 });
    expect(answer.deployment.status).toBe('ROLLED_BACK');
  });

  test('go on in the next session, where they are reported anew', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, { session: 'a', pnlUsd: '10', unrealizedPnlUsd: '-40', trades: 1 });
    await send(id, { session: 'b', trades: 0 });
    expect(await canary(id)).toMatchObject({ netPnlUsd: '-30', unrealizedPnlUsd: '-40' });
    await send(id, { session: 'b', pnlUsd: '5', unrealizedPnlUsd: '-50', trades: 1 });
    expect(await canary(id)).toMatchObject({ netPnlUsd: '-35', unrealizedPnlUsd: '-50' });
  });

  test('come with a batch of trades, and stand until the next that has them', async () => {
    const id = await running(serin, { config: LONG });
    const record = (trades: unknown[], more: Record<string, unknown>) =>
      serin.ask(
        'mutation($input: RecordTradesInput!) { recordTrades(input: $input) { success deployment { status } } }',
        { input: { deploymentId: id, side: 'CANARY', trades, ...more } },
      );
    const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id });
    await record([{ id: 't1', at: deployment.startedAt, pnlUsd: '30' }], { unrealizedPnlUsd: '-100' });
    expect(await canary(id)).toMatchObject({
      netPnlUsd: '-70',
      unrealizedPnlUsd: '-100',
      maxDrawdown: '0.007',
    });
    await record([{ id: 't2', at: deployment.startedAt, pnlUsd: '5' }], {});
    expect(await canary(id)).toMatchObject({ netPnlUsd: '-65', unrealizedPnlUsd: '-100' });
    const { recordTrades } = await record([], { unrealizedPnlUsd: '-5000' });
    expect(recordTrades.deployment.status).toBe('ROLLED_BACK');
  });

  test('a side that has never sent them, or nothing that shows a restart, is warned of', async () => {
    const id = await running(serin, { config: LONG });
    await send(id, { pnlUsd: '1' });
    const { warnings } = await canary(id);
    expect(warnings).toEqual([
      { side: 'CANARY', message: expect.stringContaining('unrealizedPnlUsd') },
      { side: 'CANARY', message: expect.stringContaining('neither a session nor a counter') },
    ]);
    await send(id, { session: 'a', pnlUsd: '1', unrealizedPnlUsd: '0' });
    expect((await canary(id)).warnings).toEqual([]);
  });
});

test('three percent written as 3 is refused, unless the side has lost all it had', async () => {
  const id = await running(serin, { config: { ...LONG, autoRollback: false } });
  const refused = await send(id, { drawdown: '3', pnlUsd: '-300' });
  expect(refused).toMatchObject({ error: { code: 'INVALID_INPUT', path: ['drawdown'] } });
  expect(refused.error.message).toContain('three percent is 0.03');
  expect(await send(id, { drawdown: '1.4', pnlUsd: '-14000' })).toMatchObject({ success: true });
});
