/** recordTrades through the API: what is taken, known and refused, and that arrival does not matter. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create, report, running, statusOf } from '../harness/deployment.ts';
import { alignClocks, imported } from '../harness/imports.ts';
import { type Data, startTestSerin, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const RECORD = `mutation($input: RecordTradesInput!) { recordTrades(input: $input) {
  success message taken known error { code message path } refused { index id: tradeId error { code message path } }
  deployment { id status } } }`;
const LONG = { ...CALM, observationPeriodMinutes: 10_000 };

/** A trade as a bot sends it; times are seconds after the start of its deployment. */
interface Sent {
  readonly id: string;
  readonly at: string;
  readonly [field: string]: unknown;
}

/** A running deployment whose start lies an hour back, and the clock its trades are written by. */
async function trading(input: Record<string, unknown> = {}) {
  const id = await running(serin, { config: LONG, ...input });
  const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id });
  await serin.advance(3600);
  const start = Date.parse(deployment.startedAt);
  const time = (seconds: number) => new Date(start + seconds * 1000).toISOString();
  const trade = (name: string, seconds: number, more: Record<string, unknown>): Sent => {
    return { id: name, at: time(seconds), ...more };
  };
  return { id, time, trade };
}

async function record(deploymentId: string, trades: readonly unknown[], side = 'CANARY'): Promise<Data> {
  const { recordTrades } = await serin.ask(RECORD, { input: { deploymentId, side, trades } });
  return recordTrades;
}

async function metricsOf(deploymentId: string, side = 'canary'): Promise<Data> {
  const { deployment } = await serin.ask(
    `query($id: ID!) { deployment(id: $id) { metrics: ${side}Metrics { tradeCount errorCount reportedAt metrics {
      netPnlUsd totalPnlUsd maxDrawdown sharpeRatio winRate totalTrades totalGasUsd avgTradeSizeUsd } } } }`,
    { id: deploymentId },
  );
  const { reportedAt, ...figures } = deployment.metrics;
  return { ...figures, known: reportedAt !== null };
}

async function tradesOf(deploymentId: string, side = 'CANARY', args = ''): Promise<Data> {
  const { deployment } = await serin.ask(
    `query($id: ID!) { deployment(id: $id) { trades(side: ${side} ${args}) {
      nodes { id: tradeId side at pnlUsd feesUsd gasUsd netPnlUsd notionalUsd error capitalUsd recordedAt }
      edges { cursor node { id } } pageInfo { hasNextPage endCursor } } } }`,
    { id: deploymentId },
  );
  return deployment.trades;
}

test('ids that clients may cache are unique over sides and deployments, and the same at every read', async () => {
  const QUERY = `query($id: ID!) { deployment(id: $id) {
    canary: trades(side: CANARY) { nodes { id tradeId side } } stable: trades(side: STABLE) { nodes { id tradeId side } } } }`;
  const read = async (id: string): Promise<Data[]> => {
    const { canary, stable } = (await serin.ask(QUERY, { id })).deployment;
    return [...canary.nodes, ...stable.nodes];
  };
  const all: Data[] = [];
  for (let count = 0; count < 2; count += 1) {
    const { id, trade } = await trading();
    for (const side of ['CANARY', 'STABLE']) await record(id, [trade('signal-1', 10, { pnlUsd: '1' })], side);
    const trades = await read(id);
    expect(trades.map(({ tradeId, side }) => [tradeId, side])).toEqual([
      ['signal-1', 'CANARY'],
      ['signal-1', 'STABLE'],
    ]);
    expect(await read(id)).toEqual(trades);
    all.push(...trades);
  }
  expect(new Set(all.map(({ id }) => id)).size).toBe(4);
});

test('two refusals of one trade are two objects', async () => {
  const { id, trade } = await trading();
  const twice = [
    trade('a', 10, { pnlUsd: '1', error: 'both' }),
    trade('a', 11, { pnlUsd: '1', error: 'both' }),
  ];
  const { recordTrades } = await serin.ask(
    'mutation($input: RecordTradesInput!) { recordTrades(input: $input) { refused { id tradeId } } }',
    { input: { deploymentId: id, side: 'CANARY', trades: twice } },
  );
  const [first, second] = recordTrades.refused;
  expect([first.tradeId, second.tradeId]).toEqual(['a', 'a']);
  expect(first.id).not.toBe(second.id);
});

describe('a batch', () => {
  test('is taken, and all metrics of the side follow from it', async () => {
    const { id, trade } = await trading();
    const answer = await record(id, [
      trade('a', 10, { pnlUsd: '1000.000000000000000001', feesUsd: '1', gasUsd: '0.5', notionalUsd: '5000' }),
      trade('b', 20, { pnlUsd: '-1099', notionalUsd: '6001' }),
      trade('c', 30, { error: 'reverted: slippage', gasUsd: '2.25' }),
      trade('d', 40, { pnlUsd: '200', feesUsd: '-0.25' }),
    ]);
    expect(answer).toMatchObject({ success: true, taken: 4, known: 0, refused: [], error: null });
    expect(await metricsOf(id)).toEqual({
      tradeCount: 3,
      errorCount: 1,
      known: true,
      metrics: {
        totalPnlUsd: '101.000000000000000001',
        netPnlUsd: '97.500000000000000001',
        totalGasUsd: '2.75',
        totalTrades: 3,
        winRate: '0.666666666666666667',
        avgTradeSizeUsd: '5500.5',
        // From 10,998.5 down to 9,897.25.
        maxDrawdown: '0.100127290085011592',
        sharpeRatio: '0.031407175705232067',
      },
    });
  });

  test('sent twice counts once, whole or in part', async () => {
    const { id, trade } = await trading();
    const batch = [trade('a', 1, { pnlUsd: '5' }), trade('b', 2, { pnlUsd: '-3.0', gasUsd: '0.1' })];
    expect(await record(id, batch)).toMatchObject({ success: true, taken: 2, known: 0 });
    const before = await metricsOf(id);
    expect(await record(id, batch)).toMatchObject({ success: true, taken: 0, known: 2 });
    expect(await metricsOf(id)).toEqual(before);
    const longer = [...batch, trade('c', 3, { pnlUsd: '1' }), trade('c', 3, { pnlUsd: '1.0' })];
    expect(await record(id, longer)).toMatchObject({ success: true, taken: 1, known: 3 });
    expect((await metricsOf(id)).tradeCount).toBe(3);
  });

  test('with a bad trade takes the good ones and says which field of which is wrong', async () => {
    const { id, trade, time } = await trading();
    await record(id, [trade('old', 5, { pnlUsd: '7' })]);
    const answer = await record(id, [
      trade('good', 10, { pnlUsd: '5' }),
      trade('old', 5, { pnlUsd: '8' }),
      trade('early', -61, { pnlUsd: '5' }),
      trade('future', 90_000, { pnlUsd: '5' }),
      trade('neither', 11, {}),
      trade('both', 12, { pnlUsd: '5', error: 'no' }),
      trade('good', 10, { pnlUsd: '6' }),
      trade('gas', 13, { pnlUsd: '5', gasUsd: '-1' }),
      trade('size', 14, { pnlUsd: '5', notionalUsd: '-1' }),
      trade('', 15, { pnlUsd: '5' }),
      trade('silent', 16, { error: '' }),
    ]);
    expect(answer).toMatchObject({ success: false, error: null, taken: 1, known: 0 });
    const refusals = answer.refused.map(({ index, error }: Data) => [
      index,
      error.code,
      error.path.join('.'),
    ]);
    expect(refusals).toEqual([
      [1, 'ALREADY_EXISTS', 'trades.1.pnlUsd'],
      [2, 'INVALID_INPUT', 'trades.2.at'],
      [3, 'INVALID_INPUT', 'trades.3.at'],
      [4, 'INVALID_INPUT', 'trades.4.pnlUsd'],
      [5, 'INVALID_INPUT', 'trades.5.pnlUsd'],
      [6, 'ALREADY_EXISTS', 'trades.6.pnlUsd'],
      [7, 'INVALID_INPUT', 'trades.7.gasUsd'],
      [8, 'INVALID_INPUT', 'trades.8.notionalUsd'],
      [9, 'INVALID_INPUT', 'trades.9.id'],
      [10, 'INVALID_INPUT', 'trades.10.error'],
    ]);
    for (const { error } of answer.refused) expect(error.message).toContain(error.path.join('.'));
    expect(answer.message).toContain('trades.1.pnlUsd: trade old is on the books with 7, not 8');
    expect((await metricsOf(id)).metrics.netPnlUsd).toBe('12');
    const nothing = await record(id, [{ id: 'x', at: time(-61), pnlUsd: '1' }]);
    expect(nothing).toMatchObject({ success: false, taken: 0, refused: [{ index: 0 }] });
  });

  test('may be empty: the side lives and has not traded', async () => {
    const config = { checkIntervalSeconds: 10, observationPeriodMinutes: 1000 };
    const id = await running(serin, { config });
    for (let beat = 0; beat < 8; beat += 1) {
      expect(await record(id, [])).toMatchObject({ success: true, taken: 0, known: 0 });
      expect(await record(id, [], 'STABLE')).toMatchObject({ success: true });
      await serin.advance(20);
    }
    expect(await statusOf(serin, id)).toBe('RUNNING');
    expect(await metricsOf(id)).toMatchObject({ known: true, tradeCount: 0, metrics: { winRate: null } });
  });
});

describe('a batch that is refused as a whole', () => {
  test('is too long, or its deployment does not take trades', async () => {
    const { id, trade } = await trading();
    const many = Array.from({ length: 1001 }, (_, index) => trade(`t${index}`, 1, { pnlUsd: '1' }));
    expect((await record(id, many)).error).toMatchObject({ code: 'INVALID_INPUT', path: ['trades'] });
    const one = [trade('a', 1, { pnlUsd: '1' })];
    expect((await record('dep_nowhere', one)).error).toMatchObject({
      code: 'NOT_FOUND',
      path: ['deploymentId'],
    });
    const pending = (await create(serin)).deployment.id;
    expect((await record(pending, one)).error.code).toBe('INVALID_TRANSITION');
    await command(serin, 'cancelDeployment', id);
    const late = await record(id, one);
    expect(late).toMatchObject({ success: false, taken: 0, error: { code: 'INVALID_TRANSITION' } });
    expect(late.error.message).toContain('CANCELLED');
  });

  test('would lead to figures that cannot be kept', async () => {
    const { id, trade } = await trading({ config: { ...LONG, guardrails: { maxLossPercent: null } } });
    const huge = '99999999999999999999';
    const answer = await record(id, [trade('a', 1, { pnlUsd: huge }), trade('b', 2, { pnlUsd: huge })]);
    expect(answer).toMatchObject({ success: false, error: { code: 'INVALID_INPUT', path: ['trades'] } });
    expect((await tradesOf(id)).nodes).toEqual([]);
    expect((await metricsOf(id)).known).toBe(false);
    expect(await record(id, [trade('a', 1, { pnlUsd: huge })])).toMatchObject({ success: true });
  });

  test('a value that cannot be read is refused with its path', async () => {
    const { id, time } = await trading();
    const input = { deploymentId: id, side: 'CANARY', trades: [{ id: 'a', at: time(1), pnlUsd: 'lots' }] };
    const { errors } = await serin.post(RECORD, { input });
    expect(errors?.[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      path: ['input', 'trades', '0', 'pnlUsd'],
    });
  });
});

describe('a side is measured one way', () => {
  test('totals are refused where trades are recorded', async () => {
    const { id, trade } = await trading();
    await record(id, [trade('a', 1, { pnlUsd: '5' })]);
    const answer = await report(serin, 'Canary', id, { pnlUsd: '500' });
    expect(answer).toMatchObject({
      success: false,
      error: { code: 'INVALID_INPUT', path: ['deploymentId'] },
    });
    expect(answer.error.message).toContain('recordTrades');
    const losing = await report(serin, 'Canary', id, { pnlUsd: '-9000' });
    expect(losing).toMatchObject({ success: false, deployment: { status: 'RUNNING' } });
    const { reportMetrics } = await serin.ask(
      `mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) { results { success error { path } } } }`,
      {
        input: {
          reports: [
            { deploymentId: id, side: 'CANARY', trades: 9 },
            { deploymentId: id, side: 'STABLE', trades: 9 },
          ],
        },
      },
    );
    expect(reportMetrics.results).toEqual([
      { success: false, error: { path: ['reports', '0', 'deploymentId'] } },
      { success: true, error: null },
    ]);
    expect((await metricsOf(id)).metrics.netPnlUsd).toBe('5');
  });

  test('trades are refused where totals are reported', async () => {
    const { id, trade } = await trading();
    await report(serin, 'Canary', id, { pnlUsd: '500', trades: 3 });
    const answer = await record(id, [trade('a', 1, { pnlUsd: '5' })]);
    expect(answer).toMatchObject({
      success: false,
      taken: 0,
      error: { code: 'INVALID_INPUT', path: ['side'] },
    });
    expect((await metricsOf(id)).metrics.netPnlUsd).toBe('500');
    expect((await record(id, [], 'STABLE')).success).toBe(true);
  });

  test('of two concurrent ones the first wins, and the other is refused', async () => {
    for (let round = 0; round < 3; round += 1) {
      const { id, trade } = await trading();
      const [traded, reported] = await Promise.all([
        record(id, [trade('a', 1, { pnlUsd: '5' })]),
        report(serin, 'Canary', id, { pnlUsd: '500', trades: 3 }),
      ]);
      expect([traded.success, reported.success].filter(Boolean)).toHaveLength(1);
      expect((await metricsOf(id)).metrics.netPnlUsd).toBe(traded.success ? '5' : '500');
    }
  });
});

describe('guardrails', () => {
  test('see the trades before the batch is answered', async () => {
    const { id, trade } = await trading();
    const answer = await record(id, [trade('bad', 1, { pnlUsd: '-2500' }), trade('not a trade', 2, {})]);
    expect(answer).toMatchObject({ taken: 1, deployment: { status: 'ROLLED_BACK' } });
    expect(answer.refused).toHaveLength(1);
    const { deployment } = await serin.ask(
      `query($id: ID!) { deployment(id: $id) { decisionHistory { decision cause } canaryMetrics { tradeCount } } }`,
      { id },
    );
    expect(deployment.decisionHistory).toEqual([{ decision: 'ROLLBACK', cause: 'GUARDRAIL' }]);
    expect(deployment.canaryMetrics.tradeCount).toBe(1);
  });

  test('a retry is no further breach in a row', async () => {
    const guardrails = { maxStaleSeconds: null, maxLossUsd: '10', breaches: { maxLossUsd: 3 } };
    const config = { observationPeriodMinutes: 10_000, checkIntervalSeconds: 86_400, guardrails };
    const { id, trade } = await trading({ config });
    const loss = [trade('a', 1, { pnlUsd: '-50' })];
    for (let time = 0; time < 5; time += 1) await record(id, loss);
    expect(await statusOf(serin, id)).toBe('RUNNING');
    await record(id, [trade('b', 2, { pnlUsd: '-1' })]);
    expect(await record(id, [trade('c', 3, { pnlUsd: '-1' })])).toMatchObject({
      deployment: { status: 'ROLLED_BACK' },
    });
  });
});

/** A number a trade, the same in every run. */
const noise = (index: number) => ((index * 7919) % 2003) - 1000;

describe('arrival does not matter', () => {
  test('late and shuffled batches lead to the same figures, over a restart', async () => {
    const [inOrder, shuffled] = [await trading(), await trading()];
    const count = 1300;
    const made = (from: typeof inOrder) =>
      Array.from({ length: count }, (_, index) => {
        const more = index % 17 === 0 ? { error: 'no', gasUsd: '0.3' } : { pnlUsd: `${noise(index)}.25` };
        // Three trades an instant.
        return from.trade(`t${index}`, Math.floor(index / 3), { feesUsd: '0.1', notionalUsd: null, ...more });
      });
    const trades = made(inOrder);
    for (let from = 0; from < count; from += 325) {
      expect(await record(inOrder.id, trades.slice(from, from + 325))).toMatchObject({ success: true });
    }
    const others = made(shuffled);
    const odd = others.filter((_, index) => index % 2 === 1);
    const even = others.filter((_, index) => index % 2 === 0).reverse();
    await record(shuffled.id, odd.slice(325));
    await record(shuffled.id, even.slice(0, 350));
    await serin.restart();
    await record(shuffled.id, odd.slice(0, 325));
    await record(shuffled.id, even.slice(350));
    const expected = await metricsOf(inOrder.id);
    expect(expected.tradeCount + expected.errorCount).toBe(count);
    expect(await metricsOf(shuffled.id)).toEqual(expected);
  });

  test('a trade that comes a little late in a long history is booked from a checkpoint', async () => {
    const { id, trade } = await trading();
    const { sql } = serin.database;
    for (let batch = 0; batch < 3; batch += 1) {
      const trades = Array.from({ length: 1000 }, (_, index) => {
        const no = batch * 1000 + index;
        return trade(`t${no}`, no * 0.5, { pnlUsd: String(noise(no)) });
      });
      await record(id, trades);
    }
    const checkpoints = async () =>
      (await sql`select at from trade_checkpoints where deployment_id = ${id} order by at`).map(
        ({ at }) => at,
      );
    const before = await checkpoints();
    expect(before).toHaveLength(2);
    expect(await record(id, [trade('late', 1400.25, { pnlUsd: '-1' })])).toMatchObject({ taken: 1 });
    expect((await checkpoints()).slice(0, 2)).toEqual(before);
  });

  test('two clients that send the same trades at the same time count once', async () => {
    const { id, trade } = await trading();
    const trades = Array.from({ length: 200 }, (_, index) => trade(`t${index}`, index, { pnlUsd: '1' }));
    const answers = await Promise.all([
      record(id, trades),
      record(id, [...trades].reverse()),
      record(id, trades.slice(50, 150)),
    ]);
    expect(answers.every(({ success }) => success)).toBe(true);
    expect(answers.reduce((sum, { taken }) => sum + taken, 0)).toBe(200);
    expect(answers.reduce((sum, { known }) => sum + known, 0)).toBe(300);
    expect(await metricsOf(id)).toMatchObject({ tradeCount: 200, metrics: { netPnlUsd: '200' } });
  });

  test('a return is on the capital held when the trade was closed, however late it comes', async () => {
    const { id, trade } = await trading();
    await record(id, [trade('before', 100, { pnlUsd: '100' })]);
    await command(serin, 'acknowledgeAllocation', id, { number: 1, side: 'CANARY', heldUsd: '5000' });
    await serin.advance(600);
    await record(id, [
      trade('after', 4100, { pnlUsd: '100' }),
      trade('late', 50, { pnlUsd: '-100' }),
      // By a clock that is half a minute behind, it was closed before the deployment started.
      trade('first', -30, { pnlUsd: '0' }),
    ]);
    const { nodes } = await tradesOf(id);
    expect(nodes.map(({ id: name, capitalUsd }: Data) => [name, capitalUsd])).toEqual([
      ['first', '10000'],
      ['late', '10000'],
      ['before', '10000'],
      ['after', '5000'],
    ]);
    expect((await metricsOf(id)).metrics.maxDrawdown).toBe('0.01');
  });
});

describe('reading trades back', () => {
  test('pages run through a side in the order of time', async () => {
    const { id, trade, time } = await trading();
    await record(id, [
      trade('c', 30, { pnlUsd: '3', feesUsd: '0.5' }),
      trade('b', 10, { error: 'no' }),
      trade('a', 10, { pnlUsd: '1' }),
    ]);
    const first = await tradesOf(id, 'CANARY', 'first: 2');
    expect(first.nodes.map(({ id: name }: Data) => name)).toEqual(['a', 'b']);
    expect(first.pageInfo.hasNextPage).toBe(true);
    const rest = await tradesOf(id, 'CANARY', `first: 2, after: "${first.pageInfo.endCursor}"`);
    expect(rest.pageInfo.hasNextPage).toBe(false);
    expect(rest.nodes).toMatchObject([
      { id: 'c', side: 'CANARY', at: time(30), pnlUsd: '3', feesUsd: '0.5', netPnlUsd: '2.5', error: null },
    ]);
    expect(first.nodes[1]).toMatchObject({ id: 'b', pnlUsd: null, error: 'no', netPnlUsd: '0' });
    expect((await tradesOf(id, 'STABLE')).nodes).toEqual([]);
    const { errors } = await serin.post(
      `{ deployment(id: "${id}") { trades(side: CANARY, after: "zzz!") { nodes { id } } } }`,
    );
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
  });
});

describe('a deployment with trades as a document', () => {
  const EXPORT = 'query($id: ID!) { exportDeployment(id: $id) }';
  const IMPORT = `mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) {
    success message error { code path } } }`;

  test('loses nothing, and continues to record', async () => {
    const other = await startTestSerin();
    try {
      const { id, trade } = await trading();
      const batch = [
        trade('a', -59, { pnlUsd: '1.000000000000000001', feesUsd: '-0.1' }),
        trade('b', 20, { error: 'no', gasUsd: '0.2' }),
        trade('c', 15, { pnlUsd: '-7', notionalUsd: '12' }),
      ];
      await record(id, batch);
      await record(id, [], 'STABLE');
      await command(serin, 'pauseDeployment', id);
      const { exportDeployment: document } = await serin.ask(EXPORT, { id });
      expect(document.trades.CANARY).toHaveLength(3);
      expect(document.trades.STABLE).toEqual([]);
      await alignClocks(serin, other);
      expect((await other.ask(IMPORT, { input: { document } })).importDeployment).toMatchObject({
        success: true,
      });
      expect((await other.ask(EXPORT, { id })).exportDeployment).toEqual(imported(document));
      const more = [...batch, trade('d', 12, { pnlUsd: '5' })];
      // The other Serin's clock knows nothing of the hours that this one was moved by.
      await other.advance(1_000_000);
      const input = { deploymentId: id, side: 'CANARY', trades: more };
      const { recordTrades } = await other.ask(RECORD, { input });
      expect(recordTrades).toMatchObject({ success: true, taken: 1, known: 3 });
      const there = (await other.ask(EXPORT, { id })).exportDeployment.metrics.CANARY;
      await record(id, more);
      const here = (await serin.ask(EXPORT, { id })).exportDeployment.metrics.CANARY;
      expect({ ...there, reportedAt: null }).toEqual({ ...here, reportedAt: null });
    } finally {
      await other.stop();
    }
  });

  test('is refused where trades and metrics do not agree', async () => {
    const { id, trade } = await trading();
    await record(id, [trade('a', 10, { pnlUsd: '1' }), trade('b', 20, { pnlUsd: '2' })]);
    const { exportDeployment: document } = await serin.ask(EXPORT, { id });
    const cases: [(copy: Data) => void, string][] = [
      [(copy) => (copy.metrics.CANARY.netPnlUsd = '4'), 'document.metrics.CANARY.netPnlUsd'],
      [(copy) => copy.trades.CANARY.pop(), 'document.metrics.CANARY.netPnlUsd'],
      [(copy) => (copy.trades.CANARY[1].id = 'a'), 'document.trades.CANARY.1.id'],
      [(copy) => (copy.trades.CANARY[1].gasUsd = '-1'), 'document.trades.CANARY.1.gasUsd'],
      [(copy) => (copy.trades.CANARY[1].capitalUsd = '0'), 'document.trades.CANARY.1.capitalUsd'],
      [(copy) => (copy.trades.STABLE = []), 'document.trades.STABLE'],
      [(copy) => delete copy.trades, 'document.trades'],
    ];
    for (const [change, path] of cases) {
      const copy = structuredClone(document);
      change(copy);
      const { importDeployment } = await serin.ask(IMPORT, { input: { document: copy } });
      expect(importDeployment.error).toEqual({ code: 'INVALID_INPUT', path: path.split('.') });
    }
  });
});
