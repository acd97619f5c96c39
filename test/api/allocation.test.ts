/** Allocations as bots see them: a numbered request, an answer a side, and what a late or repeated answer hears. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create, HOURLY, passCheck, report, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const RAMP = {
  ...CALM,
  steps: [
    { canaryPercent: 10, minutes: 600 },
    { canaryPercent: 40, minutes: 600 },
  ],
};

async function look(id: string): Promise<Data> {
  const { deployment } = await serin.ask(
    `query($id: ID!) { deployment(id: $id) { status revision
      allocation { number status cause canaryUsd stableUsd totalUsd
        sides { side requestedUsd heldUsd acknowledgedNumber acknowledgedAt unansweredSeconds } }
      canaryMetrics { capitalAllocatedUsd } stableMetrics { capitalAllocatedUsd }
      comparison { decision pnlRatio evidence { pairs } gates { name outcome measured } } } }`,
    { id },
  );
  return deployment;
}

const sideOf = ({ allocation }: Data, side: string): Data =>
  allocation.sides.find((found: Data) => found.side === side);

const acknowledge = (id: string, side: string, number: number, heldUsd: string, more = {}) =>
  command(serin, 'acknowledgeAllocation', id, { side, number, heldUsd, ...more });

describe('acknowledgeAllocation', () => {
  test('shows what each side was asked to hold, says it holds, and how long it has not answered', async () => {
    const id = await running(serin, { config: RAMP });
    await serin.advance(120);
    const open = await look(id);
    expect(open.allocation).toMatchObject({ number: 1, cause: 'DEPLOY', canaryUsd: '10000' });
    expect(sideOf(open, 'CANARY')).toMatchObject({ requestedUsd: '10000', heldUsd: null });
    expect(sideOf(open, 'CANARY').unansweredSeconds).toBeGreaterThanOrEqual(120);

    const answer = await acknowledge(id, 'CANARY', 1, '8000.5');
    expect(answer).toMatchObject({ success: true, error: null });
    const answered = await look(id);
    expect(sideOf(answered, 'CANARY')).toMatchObject({
      requestedUsd: '10000',
      heldUsd: '8000.5',
      acknowledgedNumber: 1,
      unansweredSeconds: 0,
    });
    expect(sideOf(answered, 'STABLE').unansweredSeconds).toBeGreaterThanOrEqual(120);
    expect(answered.canaryMetrics.capitalAllocatedUsd).toBe('8000.5');
    expect(answered.stableMetrics.capitalAllocatedUsd).toBe('90000');
  });

  test('the same answer twice changes nothing, a late one names the allocation in force', async () => {
    const id = await running(serin, { config: RAMP });
    const first = await acknowledge(id, 'CANARY', 1, '10000');
    const again = await acknowledge(id, 'CANARY', 1, '10000');
    expect(again).toMatchObject({ success: true, deployment: { revision: first.deployment.revision } });

    await command(serin, 'advanceStep', id);
    const late = await acknowledge(id, 'CANARY', 1, '10000');
    expect(late).toMatchObject({ success: false, error: { code: 'INVALID_INPUT', path: ['number'] } });
    expect(late.error.message).toContain('replaced by 2');
    const unknown = await acknowledge(id, 'CANARY', 7, '10000');
    expect(unknown.error).toMatchObject({ code: 'INVALID_INPUT', path: ['number'] });
    const negative = await acknowledge(id, 'CANARY', 2, '-1');
    expect(negative.error).toMatchObject({ code: 'INVALID_INPUT', path: ['heldUsd'] });
    const stale = await acknowledge(id, 'CANARY', 2, '1', { expectedRevision: 1 });
    expect(stale.error).toMatchObject({ code: 'REVISION_CONFLICT' });
    expect(sideOf(await look(id), 'CANARY')).toMatchObject({
      requestedUsd: '40000',
      heldUsd: '10000',
      acknowledgedNumber: 1,
    });
  });

  test('returns are on what was held, also after a step that is not acknowledged yet', async () => {
    const id = await running(serin, { config: RAMP });
    await acknowledge(id, 'CANARY', 1, '10000');
    await report(serin, 'Canary', id, { pnlUsd: '100', trades: 10 });
    await report(serin, 'Stable', id, { pnlUsd: '900', trades: 10 });
    await command(serin, 'advanceStep', id);
    expect((await look(id)).canaryMetrics.capitalAllocatedUsd).toBe('10000');
    await acknowledge(id, 'CANARY', 2, '20000');
    await report(serin, 'Canary', id, { pnlUsd: '300' });
    const { comparison } = await look(id);
    const pnl = comparison.gates.find(({ name }: Data) => name === 'PNL');
    // 100 on 10,000, then 200 on 20,000; the stable side never answers: 900 on the 90,000 it was asked to hold.
    expect(pnl.measured).toBe('0.02');
    expect(comparison.pnlRatio).toBe('2');
  });

  test('a side that holds nothing has finite returns, and is still guarded', async () => {
    const id = await running(serin);
    expect((await acknowledge(id, 'CANARY', 1, '0')).success).toBe(true);
    await report(serin, 'Canary', id, { pnlUsd: '-50', trades: 5 });
    await report(serin, 'Stable', id, { pnlUsd: '-450', trades: 5 });
    const { comparison } = await look(id);
    const gate = (wanted: string) => comparison.gates.find(({ name }: Data) => name === wanted);
    expect(gate('FINITE').outcome).toBe('PASSED');
    // What it earns while it holds nothing is no comparison with the other side.
    expect(gate('PNL').measured).toBe('0');
    const answer = await report(serin, 'Canary', id, { pnlUsd: '-2500' });
    expect(answer.deployment.status).toBe('ROLLED_BACK');
  });

  test('a side that holds dust only is no comparison: a late fee is no large return', async () => {
    const steps = [
      { canaryPercent: 10, minutes: 600 },
      { canaryPercent: 100, minutes: 600 },
    ];
    const id = await running(serin, { config: { ...HOURLY, steps } });
    await acknowledge(id, 'CANARY', 1, '10000');
    await acknowledge(id, 'STABLE', 1, '90000');
    await command(serin, 'advanceStep', id);
    await acknowledge(id, 'CANARY', 2, '100000');
    // Within 0.01 % of the total, which settles the allocation.
    const settled = await acknowledge(id, 'STABLE', 2, '5');
    expect(settled.success).toBe(true);
    expect((await look(id)).allocation.status).toBe('SETTLED');
    await report(serin, 'Canary', id, { pnlUsd: '10', trades: 10 });
    for (const pnlUsd of ['0', '-1', '-2']) {
      await report(serin, 'Stable', id, { pnlUsd, trades: 10 });
      await passCheck(serin, id);
    }
    const { comparison, stableMetrics } = await look(id);
    expect(stableMetrics.capitalAllocatedUsd).toBe('90000');
    expect(comparison.evidence.pairs).toBe(0);
    expect(comparison.gates.find(({ name }: Data) => name === 'PNL').measured).toBe('0');
  });

  const ENDINGS: [string, string, string, string, string][] = [
    ['promoteCanary', 'PROMOTE', 'STABLE', 'CANARY', 'PROMOTED'],
    ['rollbackCanary', 'ROLLBACK', 'CANARY', 'STABLE', 'ROLLED_BACK'],
    ['cancelDeployment', 'CANCEL', 'CANARY', 'STABLE', 'CANCELLED'],
  ];
  test.each(ENDINGS)(
    'the last request, of %s, is answered too',
    async (end, cause, loser, winner, status) => {
      const id = await running(serin);
      await command(serin, end, id);
      const ended = await look(id);
      expect(ended.allocation).toMatchObject({ number: 2, cause });
      expect(sideOf(ended, loser).requestedUsd).toBe('0');
      expect((await acknowledge(id, loser, 2, '0')).success).toBe(true);
      expect((await acknowledge(id, winner, 2, '100000')).success).toBe(true);
      const settled = await look(id);
      expect(settled.status).toBe(status);
      expect(sideOf(settled, loser)).toMatchObject({ heldUsd: '0', unansweredSeconds: 0 });
      expect(sideOf(settled, winner)).toMatchObject({ heldUsd: '100000', acknowledgedNumber: 2 });
      const late = await acknowledge(id, winner, 1, '100000');
      expect(late.error).toMatchObject({ code: 'INVALID_INPUT', path: ['number'] });
    },
  );

  test('there is nothing to answer before capital was allocated', async () => {
    const { deployment } = await create(serin);
    const answer = await acknowledge(deployment.id, 'CANARY', 1, '5');
    expect(answer).toMatchObject({ success: false, error: { code: 'INVALID_TRANSITION' } });
    const nowhere = await acknowledge('dep_nowhere', 'CANARY', 1, '5');
    expect(nowhere.error).toMatchObject({ code: 'NOT_FOUND', path: ['deploymentId'] });
  });

  test('an answer survives a restart', async () => {
    const id = await running(serin, { config: RAMP });
    await report(serin, 'Canary', id, { pnlUsd: '100', trades: 10 });
    await report(serin, 'Stable', id, { pnlUsd: '900', trades: 10 });
    await acknowledge(id, 'CANARY', 1, '4000');
    const before = await look(id);
    await serin.restart();
    const after = await look(id);
    expect(after.comparison).toEqual(before.comparison);
    expect(sideOf(after, 'CANARY')).toEqual(sideOf(before, 'CANARY'));
  });
});
