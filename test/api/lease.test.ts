/** The lease of the canary's capital over HTTP, on two nodes, at two rates of the clock: what prolongs it, and its end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create, report, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

/** Days, of which a test takes little at its rate of the clock: only `advance` passes them. */
const LEASE = 360_000;
const CONFIG = { ...CALM, observationPeriodMinutes: 500_000, capitalLeaseSeconds: LEASE };

const ANSWER =
  'success message stale now leaseSeconds leaseUntil error { code message path } deployment { status }';

async function beat(
  caller: TestCaller,
  deploymentId: string,
  more: Record<string, unknown> = {},
): Promise<Data> {
  const { heartbeat } = await caller.ask(
    `mutation($input: HeartbeatInput!) { heartbeat(input: $input) { ${ANSWER} } }`,
    { input: { deploymentId, side: 'CANARY', ...more } },
    true,
  );
  return heartbeat;
}

async function reported(
  caller: TestCaller,
  deploymentId: string,
  figures: Record<string, unknown>,
): Promise<Data> {
  const { updateCanaryMetrics } = await caller.ask(
    `mutation($input: UpdateMetricsInput!) { updateCanaryMetrics(input: $input) { ${ANSWER} } }`,
    { input: { deploymentId, ...figures } },
    true,
  );
  return updateCanaryMetrics;
}

async function traded(caller: TestCaller, deploymentId: string, trades: Data[]): Promise<Data> {
  const { recordTrades } = await caller.ask(
    `mutation($input: RecordTradesInput!) { recordTrades(input: $input) {
      success leaseSeconds leaseUntil error { code } refused { index } } }`,
    { input: { deploymentId, side: 'CANARY', trades } },
    true,
  );
  return recordTrades;
}

const STATE = `status endedAt config { capitalLeaseSeconds } allocation { number cause leaseUntil }
  lease { seconds until heartbeatAt expired stoodDown }
  events(types: [LEASE_EXPIRED, LEASE_RESUMED, ALLOCATION_REQUESTED, CANARY_FAILED], first: 20) { nodes { type at actor description payload {
    ... on AllocationRequested { number leaseUntil } ... on LeaseExpired { leaseUntil heartbeatAt stoodDown }
    ... on LeaseResumed { awaySeconds } ... on CanaryFailed { reason } } } }`;

async function look(caller: TestCaller, id: string): Promise<Data> {
  const { deployment } = await caller.ask(`query($id: ID!) { deployment(id: $id) { ${STATE} } }`, { id });
  return deployment;
}

const ofType = (seen: Data, type: string) => seen.events.nodes.filter((event: Data) => event.type === type);

describe.each([60, 600])('at %i times the rate of real time', (timeScale) => {
  let serin: TestSerin;
  let other: TestSerin;
  beforeAll(async () => {
    serin = await startTestSerin({ timeScale });
    other = await startTestSerin({ timeScale, databaseUrl: serin.database.url });
  });
  afterAll(async () => {
    await other.stop();
    await serin.stop();
  });

  /** Lets a lease pass in steps that are no gap: its deadline is checked after each. */
  async function passLease(id: string): Promise<void> {
    for (let passed = 0; passed <= LEASE; passed += LEASE / 6) {
      await serin.advance(LEASE / 6);
      await until(async () => {
        const [row] = await serin.database.sql<{ checked: boolean }[]>`
          select coalesce(deadline_at > serin_now(), true) as checked from deployments where id = ${id}`;
        return row?.checked ?? false;
      });
    }
  }

  test('what is answered on either node prolongs it, and says for how long', async () => {
    const id = await running(serin, { config: CONFIG });
    const started = await look(other, id);
    expect(started).toMatchObject({
      config: { capitalLeaseSeconds: LEASE },
      lease: { seconds: LEASE, expired: false, stoodDown: false },
    });
    const [requested] = ofType(started, 'ALLOCATION_REQUESTED');
    expect(requested.payload.leaseUntil).toBe(started.lease.until);
    expect(started.allocation.leaseUntil).toBe(started.lease.until);

    let before = started.lease.until;
    const asOf = new Date(Date.parse(requested.at) + 1).toISOString();
    const ways = [
      () => beat(other, id, { session: 'run-1' }),
      () => reported(serin, id, { pnlUsd: '1', session: 'run-1', sequence: 2, asOf }),
      () => beat(serin, id),
    ];
    for (const way of ways) {
      const answer = await way();
      expect(answer).toMatchObject({ success: true, stale: false, leaseSeconds: LEASE / timeScale });
      expect(Date.parse(answer.leaseUntil)).toBe(Date.parse(answer.now) + LEASE * 1000);
      const { lease, allocation } = await look(other, id);
      expect(lease).toMatchObject({ until: answer.leaseUntil, heartbeatAt: answer.now });
      expect(allocation.leaseUntil).toBe(answer.leaseUntil);
      expect(Date.parse(lease.until)).toBeGreaterThan(Date.parse(before));
      before = lease.until;
    }

    const nothing = [
      await reported(serin, id, { pnlUsd: '2', session: 'run-1', sequence: 1 }),
      await reported(serin, id, { pnlUsd: '1', session: 'run-1', sequence: 3, asOf }),
      await reported(serin, id, { trades: -1 }),
      await beat(serin, id, { side: 'STABLE' }),
      await beat(serin, id, { session: '\u0007' }),
    ];
    await report(serin, 'Stable', id, { pnlUsd: '1' });
    expect(nothing.map(({ leaseSeconds, leaseUntil }) => [leaseSeconds, leaseUntil])).toEqual(
      nothing.map(() => [null, null]),
    );
    expect(nothing.at(-1).error).toMatchObject({ code: 'INVALID_INPUT', path: ['session'] });
    expect((await look(other, id)).lease.until).toBe(before);

    await command(other, 'acknowledgeAllocation', id, { number: 1, side: 'CANARY', heldUsd: '10000' });
    expect(Date.parse((await look(other, id)).lease.until)).toBeGreaterThan(Date.parse(before));
  });

  test('trades prolong it, and heartbeats of a run that another has replaced do not', async () => {
    const byTrades = await running(serin, { config: CONFIG });
    const { startedAt } = (
      await serin.ask('query($id: ID!) { deployment(id: $id) { startedAt } }', { id: byTrades })
    ).deployment;
    const taken = await traded(serin, byTrades, [{ id: 't1', at: startedAt, pnlUsd: '1' }]);
    expect(taken).toMatchObject({ success: true, leaseSeconds: LEASE / timeScale });
    expect((await look(serin, byTrades)).lease.until).toBe(taken.leaseUntil);
    const bad = await traded(serin, byTrades, [{ id: 't2', at: '2000-01-01T00:00:00Z', pnlUsd: '1' }]);
    expect(bad).toMatchObject({ success: false, leaseSeconds: null });
    expect((await look(serin, byTrades)).lease.until).toBe(taken.leaseUntil);

    const id = await running(serin, { config: CONFIG });
    await reported(serin, id, { pnlUsd: '1', session: 'old' });
    await reported(serin, id, { pnlUsd: '1', session: 'new' });
    const { lease } = await look(serin, id);
    expect(await beat(serin, id, { session: 'old' })).toMatchObject({
      success: true,
      stale: true,
      leaseSeconds: null,
    });
    expect((await look(serin, id)).lease.until).toBe(lease.until);
  });

  test('it runs out at its instant, also in a pause: the deployment fails and the capital goes back', async () => {
    const id = await running(serin, { config: CONFIG });
    const { leaseUntil, now } = await beat(other, id);
    await command(other, 'pauseDeployment', id);
    await passLease(id);
    const seen = await look(other, id);
    expect(seen).toMatchObject({
      status: 'FAILED',
      allocation: { number: 2, cause: 'FAIL', leaseUntil: null },
      lease: { until: leaseUntil, expired: true, stoodDown: false },
    });
    const [expired] = ofType(seen, 'LEASE_EXPIRED');
    expect(expired).toMatchObject({
      actor: 'serin',
      payload: { leaseUntil, heartbeatAt: now, stoodDown: false },
    });
    expect(expired.description).toContain(leaseUntil);
    expect(Date.parse(expired.at)).toBeGreaterThanOrEqual(Date.parse(leaseUntil));
    expect(ofType(seen, 'CANARY_FAILED')[0].payload.reason).toContain(leaseUntil);
    expect(await beat(other, id)).toMatchObject({
      success: false,
      error: { code: 'INVALID_TRANSITION' },
      deployment: { status: 'FAILED' },
    });
  });

  test('a bot that says that it stood down ends it at once; the stable side and a canary without a lease cannot', async () => {
    const id = await running(serin, { config: CONFIG });
    expect(await beat(serin, id, { side: 'STABLE', stoodDown: true })).toMatchObject({
      error: { code: 'INVALID_INPUT', path: ['stoodDown'] },
    });
    expect(await beat(serin, id, { stoodDown: true })).toMatchObject({
      success: true,
      leaseSeconds: null,
      deployment: { status: 'FAILED' },
    });
    expect((await look(other, id)).lease).toMatchObject({ expired: true, stoodDown: true });

    const without = await running(serin);
    expect(await beat(serin, without, { stoodDown: true })).toMatchObject({
      error: { code: 'INVALID_TRANSITION' },
    });
    expect(await beat(serin, without)).toMatchObject({ success: true, leaseSeconds: null });
    expect((await look(serin, without)).lease).toBeNull();
    const { deployment } = await create(serin, { config: CONFIG });
    expect(await beat(serin, deployment.id)).toMatchObject({ error: { code: 'INVALID_TRANSITION' } });
    expect(await beat(serin, 'dep_none')).toMatchObject({ error: { code: 'NOT_FOUND' }, deployment: null });
  });

  test('a run that another one has replaced cannot end it by standing down', async () => {
    const id = await running(serin, { config: CONFIG });
    await reported(serin, id, { pnlUsd: '1', session: 'old' });
    await reported(serin, id, { pnlUsd: '1', session: 'new' });
    const { lease } = await look(serin, id);
    expect(await beat(other, id, { session: 'old', stoodDown: true })).toMatchObject({
      success: true,
      stale: true,
      leaseSeconds: null,
    });
    expect(await look(serin, id)).toMatchObject({ status: 'RUNNING', lease });
    await beat(other, id, { session: 'new', stoodDown: true });
    expect(await look(serin, id)).toMatchObject({ status: 'FAILED', lease: { stoodDown: true } });
  });

  test('while no node ran: a bot that lives keeps it, one that stood down ends it with the instant of its lease', async () => {
    const [alive, gone] = [
      await running(serin, { config: CONFIG }),
      await running(serin, { config: CONFIG }),
    ];
    const { leaseUntil } = await beat(serin, gone);
    await other.restart({}, () => serin.restart({}, () => serin.advance(2 * LEASE)));
    await until(async () => ofType(await look(other, gone), 'LEASE_RESUMED').length === 1);
    expect(await beat(other, alive)).toMatchObject({ success: true, leaseSeconds: LEASE / timeScale });
    expect((await look(other, alive)).status).toBe('RUNNING');
    expect(await beat(other, gone, { stoodDown: true })).toMatchObject({ success: true });
    const seen = await look(serin, gone);
    expect(seen).toMatchObject({
      status: 'FAILED',
      lease: { until: leaseUntil, expired: true, stoodDown: true },
    });
    expect(ofType(seen, 'LEASE_EXPIRED')[0].payload).toMatchObject({ leaseUntil, stoodDown: true });
  });
});
