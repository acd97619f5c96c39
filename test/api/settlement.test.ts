/** Settlement over HTTP: a bot that ignores its allocation is noticed by feed, webhook, metric and overview, also after the end. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create, report, running } from '../harness/deployment.ts';
import { administrator, makeKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { scrape } from '../ops/dashboard.ts';
import { rules } from '../ops/firing.ts';
import { evaluate, parseMetrics } from '../ops/promql.ts';
import { type Receiver, startReceiver } from '../webhooks/receiver.ts';
import { createWebhook } from '../webhooks/webhook.ts';

let serin: TestSerin;
const receivers: Receiver[] = [];
beforeAll(async () => {
  serin = await startTestSerin({ webhookNetworks: ['127.0.0.0/8'] });
});
afterAll(() => serin.stop());
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});

/** Far longer than a test takes at its rate of the clock, so that only `advance` passes it. */
const DEADLINE = 36_000;
const SETTLED = { ...CALM, observationPeriodMinutes: 60_000, settlement: { deadlineSeconds: DEADLINE } };

const STATE = `status
  allocation { number status settledAt overdueSince rollbackPlan { positions maxSlippageBps deadlineSeconds }
    sides { side settled openExposureUsd } }
  settlement { status settledAt settleBy overdueSince missing required breachToSafeSeconds }
  allocations { nodes { number status settledAt overdueSince } }
  warnings { message }
  config { settlement { tolerancePercent deadlineSeconds required } rollbackPlan { positions } }`;

async function look(id: string): Promise<Data> {
  const { deployment } = await serin.ask(`query($id: ID!) { deployment(id: $id) { ${STATE} } }`, { id });
  return deployment;
}

const acknowledge = (id: string, number: number, side: string, heldUsd: string, more = {}) =>
  command(serin, 'acknowledgeAllocation', id, { number, side, heldUsd, ...more });

async function settle(id: string, number: number, canaryUsd: string, stableUsd: string): Promise<void> {
  await acknowledge(id, number, 'CANARY', canaryUsd);
  await acknowledge(id, number, 'STABLE', stableUsd);
}

const OVERDUE = `subscription($id: ID!) { eventAppended(deploymentId: $id, after: "0",
  types: [ALLOCATION_SETTLED, ALLOCATION_OVERDUE]) { type description actor payload {
    ... on AllocationOverdue { number overdueSince sides { side requestedUsd heldUsd } }
    ... on AllocationSettled { number tookSeconds breachToSafeSeconds } } } }`;

const metric = async (name: string) => {
  const text = await (await fetch(`${serin.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
};

test('an allocation is requested, partly and wholly settled, with times, in feed and history', async () => {
  const id = await running(serin, { config: SETTLED });
  const feed = serin.follow(OVERDUE, { id });
  expect(await look(id)).toMatchObject({
    allocation: { status: 'REQUESTED', settledAt: null },
    settlement: { status: 'REQUESTED', required: false },
    config: { settlement: { tolerancePercent: '0.5', deadlineSeconds: DEADLINE, required: false } },
  });
  await acknowledge(id, 1, 'CANARY', '9960');
  const partial = await look(id);
  expect(partial.allocation).toMatchObject({
    status: 'PARTIAL',
    sides: [{ settled: true }, { settled: false }],
  });
  expect(partial.settlement.missing).toContain(
    'the stable side is to hold $90,000 and has acknowledged nothing',
  );
  await acknowledge(id, 1, 'STABLE', '90000');
  const settled = await look(id);
  expect(settled.allocation).toMatchObject({ status: 'SETTLED', overdueSince: null });
  expect(settled.settlement).toMatchObject({ status: 'SETTLED', settleBy: null, missing: null });
  expect(settled.settlement.settledAt).toBe(settled.allocation.settledAt);
  const [event] = await feed.take(1);
  expect(event).toMatchObject({
    type: 'ALLOCATION_SETTLED',
    payload: { number: 1, breachToSafeSeconds: null },
  });

  await command(serin, 'rollbackCanary', id);
  expect((await look(id)).allocations.nodes).toMatchObject([
    { number: 1, status: 'SETTLED', settledAt: settled.allocation.settledAt },
    { number: 2, status: 'REQUESTED', settledAt: null },
  ]);
});

test('a bot that ignores a rollback is noticed: event, webhook, metric, alert, overview, warning; the acknowledgement ends it', async () => {
  const to = await startReceiver();
  receivers.push(to);
  await createWebhook(serin, { url: to.url, strategyId: 'ignored', eventTypes: ['ALLOCATION_OVERDUE'] });
  const id = await running(serin, { strategyId: 'ignored', config: SETTLED });
  await settle(id, 1, '10000', '90000');
  await command(serin, 'rollbackCanary', id);
  const feed = serin.follow(OVERDUE, { id });
  await serin.advance(DEADLINE + 60);
  const [, overdue] = await feed.take(2);
  expect(overdue).toMatchObject({
    type: 'ALLOCATION_OVERDUE',
    actor: 'serin',
    payload: {
      number: 2,
      sides: [
        { side: 'CANARY', requestedUsd: '0', heldUsd: '10000' },
        { side: 'STABLE', requestedUsd: '100000', heldUsd: '90000' },
      ],
    },
  });
  await until(() => to.taken.length === 1);
  expect(to.taken[0]?.body).toMatchObject({ type: 'ALLOCATION_OVERDUE' });
  expect(await metric('serin_allocation_overdue_seconds')).toBeGreaterThanOrEqual(60);
  const samples = parseMetrics(await scrape(serin));
  const rule = rules.find(({ alert }) => alert === 'SerinAllocationOverdue');
  expect(evaluate(rule?.expr ?? '', { before: samples, now: samples, seconds: 60 })).toHaveLength(1);
  const { overview } = await serin.ask('{ overview { overdueAllocations } }');
  expect(overview.overdueAllocations).toBeGreaterThanOrEqual(1);
  const open = await look(id);
  expect(open).toMatchObject({ status: 'ROLLED_BACK', allocation: { status: 'OVERDUE' } });
  expect(open.allocation.overdueSince).toBe(overdue.payload.overdueSince);
  expect(open.warnings[0].message).toContain('the canary side is to hold $0 and holds $10,000');

  await serin.advance(DEADLINE);
  expect(await feed.take(3)).toMatchObject([{}, {}, { type: 'ALLOCATION_OVERDUE' }]);
  await settle(id, 2, '0', '100000');
  expect(await feed.take(4)).toMatchObject([{}, {}, {}, { type: 'ALLOCATION_SETTLED' }]);
  expect((await look(id)).allocation).toMatchObject({ status: 'SETTLED', overdueSince: null });
});

test('a deployment whose bots never acknowledge has no overdue allocation, also in the overview', async () => {
  const id = await running(serin, { config: { ...CALM, observationPeriodMinutes: 60_000 } });
  await command(serin, 'rollbackCanary', id);
  await serin.advance(2 * DEADLINE);
  expect(await look(id)).toMatchObject({
    allocation: { status: 'UNANSWERED', overdueSince: null },
    allocations: { nodes: [{ status: 'SUPERSEDED' }, { status: 'UNANSWERED' }] },
    config: { settlement: null },
  });
  const { events } = await serin.ask(
    'query($id: ID!) { events(filter: { deploymentId: $id, types: [ALLOCATION_OVERDUE] }) { nodes { no } } }',
    { id },
  );
  expect(events.nodes).toEqual([]);
});

test('breach to safe is measured from the report to the last acknowledgement', async () => {
  const before = await metric('serin_breach_to_safe_seconds_count');
  const guardrails = { maxLossUsd: '100', maxStaleSeconds: 30_000_000 };
  const id = await running(serin, { config: { ...SETTLED, guardrails } });
  await settle(id, 1, '10000', '90000');
  expect((await report(serin, 'Canary', id, { pnlUsd: '-500', trades: 1 })).deployment.status).toBe(
    'ROLLED_BACK',
  );
  await serin.advance(120);
  await settle(id, 2, '0', '100000');
  const { settlement } = await look(id);
  expect(settlement.breachToSafeSeconds).toBeGreaterThanOrEqual(120);
  expect(await metric('serin_breach_to_safe_seconds_count')).toBe(before + 1);
  expect(await metric('serin_breach_to_safe_seconds_sum')).toBeGreaterThanOrEqual(120);
});

test('the plan for open positions comes with the allocation; CLOSE waits until nothing is open', async () => {
  const rollbackPlan = { positions: 'CLOSE', maxSlippageBps: '30', deadlineSeconds: 7200 };
  const id = await running(serin, { config: { ...SETTLED, rollbackPlan } });
  expect((await look(id)).allocation.rollbackPlan).toBeNull();
  const feed = serin.follow(
    `subscription($id: ID!) { eventAppended(deploymentId: $id, after: "0", types: [ALLOCATION_REQUESTED]) {
      payload { ... on AllocationRequested { number deadlineSeconds rollbackPlan { positions maxSlippageBps } } } } }`,
    { id },
  );
  await command(serin, 'cancelDeployment', id);
  expect(await feed.take(2)).toMatchObject([
    { payload: { number: 1, deadlineSeconds: DEADLINE, rollbackPlan: null } },
    {
      payload: {
        number: 2,
        deadlineSeconds: 7200,
        rollbackPlan: { positions: 'CLOSE', maxSlippageBps: '30' },
      },
    },
  ]);
  await acknowledge(id, 2, 'STABLE', '100000');
  await acknowledge(id, 2, 'CANARY', '0', { openExposureUsd: '420.5' });
  const open = await look(id);
  expect(open.allocation).toMatchObject({
    status: 'PARTIAL',
    sides: [{ openExposureUsd: '420.5', settled: false }, {}],
  });
  expect(open.settlement.missing).toContain('420.5 USD of open positions');
  await acknowledge(id, 2, 'CANARY', '0', { openExposureUsd: '0' });
  expect((await look(id)).allocation.status).toBe('SETTLED');
});

describe('settlement that is required', () => {
  const config = {
    ...CALM,
    settlement: { required: true, deadlineSeconds: DEADLINE },
    steps: [
      { canaryPercent: 10, minutes: 60_000 },
      { canaryPercent: 40, minutes: 60_000 },
    ],
  };

  test('the next step is refused until both sides hold what they should', async () => {
    const id = await running(serin, { config });
    const refused = await command(serin, 'advanceStep', id);
    expect(refused).toMatchObject({ success: false, error: { code: 'INVALID_TRANSITION' } });
    expect(refused.error.message).toContain('the canary side is to hold $10,000');
    expect(refused.deployment.availableActions).not.toContain('ADVANCE_STEP');
    await settle(id, 1, '10000', '90000');
    expect(await command(serin, 'advanceStep', id)).toMatchObject({ success: true });
  });

  test('the strategy takes another canary only when its last capital is home; an administrator may say so', async () => {
    const strategyId = 'comes-home';
    const id = await running(serin, { strategyId, config });
    await settle(id, 1, '10000', '90000');
    await command(serin, 'rollbackCanary', id);
    await acknowledge(id, 2, 'STABLE', '100000');
    const busy = await create(serin, { strategyId, idempotencyKey: 'home-1' });
    expect(busy).toMatchObject({
      success: false,
      error: { code: 'STRATEGY_BUSY', path: ['strategyId'] },
      deployment: { id, status: 'ROLLED_BACK' },
    });
    expect(busy.error.message).toContain(
      'the canary side is to hold $0 and holds $10,000 (allocation 2, requested ',
    );
    expect(await create(serin, { strategyId, chain: 'elsewhere' })).toMatchObject({ success: true });

    const unexplained = await acknowledge(id, 2, 'CANARY', '0', { onBehalf: true });
    expect(unexplained.error).toMatchObject({ code: 'INVALID_INPUT', path: ['reason'] });
    await acknowledge(id, 2, 'CANARY', '0', { onBehalf: true, reason: 'seen at the venue' });
    // The refusal is the answer of its key; another request is free.
    expect(await create(serin, { strategyId, idempotencyKey: 'home-1' })).toMatchObject({
      replayed: true,
      success: false,
    });
    expect(await create(serin, { strategyId })).toMatchObject({ success: true });
  });

  test('a document cannot bring a live canary past it', async () => {
    const strategyId = 'imported-past';
    const live = await create(serin, { strategyId });
    const { exportDeployment } = await serin.ask('query($id: ID!) { exportDeployment(id: $id) }', {
      id: live.deployment.id,
    });
    await command(serin, 'cancelDeployment', live.deployment.id);
    const id = await running(serin, { strategyId, config });
    await command(serin, 'rollbackCanary', id);
    const document = JSON.parse(JSON.stringify(exportDeployment).replaceAll(live.deployment.id, 'dep_past'));
    const { importDeployment } = await serin.ask(
      `mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) { success error { code path } } }`,
      { input: { document } },
    );
    expect(importDeployment).toMatchObject({
      success: false,
      error: { code: 'STRATEGY_BUSY', path: ['strategyId'] },
    });
  });
});

test('only an administrator acknowledges on behalf of a bot', async () => {
  const locked = await startTestSerin({ access: WITH_KEYS });
  try {
    const root = await administrator(locked);
    const bot = locked.as(await makeKey(root, 'BOT', { strategies: ['mine-*'] }));
    const id = await running(root, { strategyId: 'mine-1', config: SETTLED });
    const input = {
      deploymentId: id,
      number: 1,
      side: 'CANARY',
      heldUsd: '10000',
      onBehalf: true,
      reason: 'gone',
    };
    const mutation =
      'mutation($input: AcknowledgeAllocationInput!) { acknowledgeAllocation(input: $input) { success error { code } } }';
    const forbidden = await bot.post(mutation, { input });
    expect(forbidden.errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN' });
    expect(await bot.ask(mutation, { input: { ...input, onBehalf: false } })).toMatchObject({
      acknowledgeAllocation: { success: true },
    });
    const hidden = await running(root, { strategyId: 'other', config: SETTLED });
    const unseen = await bot.ask(mutation, { input: { ...input, deploymentId: hidden } });
    expect(unseen.acknowledgeAllocation.error).toMatchObject({ code: 'NOT_FOUND' });
    expect(await root.ask(mutation, { input: { ...input, heldUsd: '10001' } })).toMatchObject({
      acknowledgeAllocation: { success: true },
    });
  } finally {
    await locked.stop();
  }
});
