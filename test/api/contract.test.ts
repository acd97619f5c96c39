/** Every row of the contract table, through GraphQL over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CALM,
  command,
  create,
  HOURLY,
  PLAIN,
  passCheck,
  report,
  running,
  statusOf,
} from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

describe('createDeployment', () => {
  test('creates a deployment in PENDING with the defaults of the contract', async () => {
    const { createDeployment } = await serin.ask(`mutation {
      createDeployment(input: { strategyId: "defaults", stableVersionId: "v1", canaryVersionId: "v2" }) {
        success error { code } deployment {
          id status chain totalCapitalUsd startedAt endedAt nextCheckAt comparison { decision }
          config { canaryPercent observationPeriodMinutes autoPromote autoRollback checkIntervalSeconds emitEvents
            onInconclusive earlyPromote metricsProvider evidence { mode alpha minSamples }
            guardrails { maxLossPercent maxStaleSeconds maxLossUsd maxDrawdown maxErrorRate breaches { maxLossUsd } }
            steps { canaryPercent minutes gate }
            promotionCriteria { minPnlRatio maxDrawdownRatio minSharpeRatio minWinRateRatio minTrades maxErrorRate
              requirePositivePnl pnlBasis drawdownFloor } } } } }`);
    expect(createDeployment.success).toBe(true);
    const { deployment } = createDeployment;
    expect(deployment.id).toMatch(/^dep_/);
    expect(deployment).toMatchObject({
      status: 'PENDING',
      chain: 'unknown',
      totalCapitalUsd: '0',
      startedAt: null,
    });
    expect(deployment.config).toEqual({
      canaryPercent: '10',
      observationPeriodMinutes: 60,
      autoPromote: true,
      autoRollback: true,
      checkIntervalSeconds: 60,
      emitEvents: true,
      onInconclusive: 'WAIT',
      earlyPromote: false,
      metricsProvider: null,
      evidence: { mode: 'AUTO', alpha: 0.03, minSamples: 20 },
      guardrails: {
        maxLossPercent: '20',
        maxStaleSeconds: 300,
        maxLossUsd: null,
        maxDrawdown: null,
        maxErrorRate: null,
        breaches: { maxLossUsd: 1 },
      },
      steps: [{ canaryPercent: '10', minutes: 60, gate: 'AUTO' }],
      promotionCriteria: {
        minPnlRatio: '0.9',
        maxDrawdownRatio: '1.2',
        minSharpeRatio: '0.8',
        minWinRateRatio: '0.8',
        minTrades: 5,
        maxErrorRate: '0.1',
        requirePositivePnl: false,
        pnlBasis: 'RETURN_ON_CAPITAL',
        drawdownFloor: '0.01',
      },
    });
  });

  test('takes an id of the caller, so that creating and deploying fit in one document', async () => {
    const data = await serin.ask(`mutation {
      createDeployment(input: { id: "dep_mine", strategyId: "mine", stableVersionId: "v1", canaryVersionId: "v2" }) { success }
      deployCanary(input: { deploymentId: "dep_mine", capitalUsd: "1000" }) { success deployment { status } } }`);
    expect(data.deployCanary).toEqual({ success: true, deployment: { status: 'RUNNING' } });
    const again = await create(serin, { id: 'dep_mine' });
    expect(again).toMatchObject({ success: false, error: { code: 'ALREADY_EXISTS', path: ['id'] } });
  });

  test('takes the current stable version when none is given, and refuses a stale one', async () => {
    const unknown = await create(serin, { strategyId: 'moving', stableVersionId: null });
    expect(unknown.error).toMatchObject({ code: 'INVALID_INPUT', path: ['stableVersionId'] });
    const id = await running(serin, { strategyId: 'moving' });
    expect((await command(serin, 'promoteCanary', id)).success).toBe(true);
    const { strategy } = await serin.ask('{ strategy(id: "moving") { id stableVersionId } }');
    expect(strategy).toEqual({ id: 'moving', stableVersionId: 'v2' });
    const stale = await create(serin, { strategyId: 'moving', stableVersionId: 'v1', canaryVersionId: 'v3' });
    expect(stale.error).toMatchObject({ code: 'STALE_STABLE_VERSION', path: ['stableVersionId'] });
    const next = await create(serin, { strategyId: 'moving', stableVersionId: null, canaryVersionId: 'v3' });
    expect(next.success).toBe(true);
    expect(next.message).toContain('v3 alongside v2');
  });

  test('refuses a second live deployment of a strategy on a chain, and names the first', async () => {
    const id = await running(serin, { strategyId: 'busy' });
    const second = await create(serin, { strategyId: 'busy' });
    expect(second).toMatchObject({ success: false, error: { code: 'STRATEGY_BUSY' }, deployment: { id } });
    const elsewhere = await create(serin, { strategyId: 'busy', chain: 'arbitrum' });
    expect(elsewhere.success).toBe(true);
  });
});

describe('deployCanary', () => {
  test('splits the capital exactly and starts the clock', async () => {
    const created = await create(serin, { config: { ...CALM, canaryPercent: '33.3' } });
    const { deployCanary } = await serin.ask(
      `mutation($input: DeployCanaryInput!) { deployCanary(input: $input) { success canaryCapitalUsd stableCapitalUsd
        deployment { status totalCapitalUsd canaryCapitalUsd stableCapitalUsd startedAt observationDeadline
          observationRemainingSeconds observationComplete nextCheckAt
          canaryMetrics { versionId isCanary capitalAllocatedUsd tradeCount errorCount errorRate measurementStart durationSeconds
            metrics { netPnlUsd totalPnlUsd sharpeRatio winRate maxDrawdown totalTrades totalGasUsd avgTradeSizeUsd
              uptimeSeconds measurementStart measurementEnd } }
          stableMetrics { versionId isCanary capitalAllocatedUsd }
          allocation { number cause canaryUsd stableUsd sides { side requestedUsd heldUsd unansweredSeconds } } } } }`,
      { input: { deploymentId: created.deployment.id, capitalUsd: '1000.000000000000000001' } },
    );
    expect(deployCanary.canaryCapitalUsd).toBe('333');
    expect(deployCanary.stableCapitalUsd).toBe('667.000000000000000001');
    const { deployment } = deployCanary;
    expect(deployment).toMatchObject({
      status: 'RUNNING',
      totalCapitalUsd: '1000.000000000000000001',
      observationRemainingSeconds: 3600,
      observationComplete: false,
      canaryMetrics: {
        versionId: 'v2',
        isCanary: true,
        capitalAllocatedUsd: '333',
        tradeCount: 0,
        errorRate: '0',
      },
      stableMetrics: { versionId: 'v1', isCanary: false, capitalAllocatedUsd: '667.000000000000000001' },
      allocation: { number: 1, cause: 'DEPLOY', canaryUsd: '333' },
    });
    const span = Date.parse(deployment.observationDeadline) - Date.parse(deployment.startedAt);
    expect(span).toBe(60 * 60_000);
  });

  test('refuses capital that is not positive, and a second start', async () => {
    const created = await create(serin);
    const { id } = created.deployment;
    const none = await command(serin, 'deployCanary', id, { capitalUsd: '0' });
    expect(none).toMatchObject({ success: false, error: { code: 'INVALID_INPUT', path: ['capitalUsd'] } });
    expect(none.deployment.status).toBe('PENDING');
    expect((await command(serin, 'deployCanary', id, { capitalUsd: 5 })).success).toBe(true);
    const twice = await command(serin, 'deployCanary', id, { capitalUsd: 5 });
    expect(twice.error).toMatchObject({ code: 'INVALID_TRANSITION' });
    expect(twice.error.message).toContain('RUNNING');
  });
});

describe('metrics and the comparison', () => {
  test('a report changes what it names and leaves the rest', async () => {
    const id = await running(serin);
    await report(serin, 'Canary', id, { pnlUsd: '12.5', trades: 7, winRate: '0.6', sharpeRatio: '-1.25' });
    await report(serin, 'Canary', id, { errors: 2, drawdown: '0.03', totalGasUsd: '1.5' });
    await report(serin, 'Stable', id, { pnlUsd: 100, trades: 70 });
    const { deployment } = await serin.ask(
      `query($id: ID!) { deployment(id: $id) { canaryMetrics { tradeCount errorCount errorRate
        metrics { netPnlUsd winRate sharpeRatio maxDrawdown totalGasUsd totalTrades } }
        comparison { decision decisionReasons pnlRatio drawdownRatio sharpeRatio winRateRatio
          canaryMetrics { tradeCount } stableMetrics { tradeCount }
          gates { name severity outcome measured threshold reason } evidence { verdict pairs estimate interval { low high } } } } }`,
      { id },
    );
    expect(deployment.canaryMetrics).toEqual({
      tradeCount: 7,
      errorCount: 2,
      errorRate: '0.285714285714285714',
      metrics: {
        netPnlUsd: '12.5',
        winRate: '0.6',
        sharpeRatio: '-1.25',
        maxDrawdown: '0.03',
        totalGasUsd: '1.5',
        totalTrades: 7,
      },
    });
    const { comparison } = deployment;
    expect(comparison.decision).toBe('ROLLBACK');
    expect(comparison.decisionReasons[0]).toContain('Error rate');
    // 12.5 of 10,000 against 100 of 90,000: 0.125 % over 0.111 %.
    expect(comparison.pnlRatio).toBe('1.125');
    expect(comparison.gates.map((gate: { name: string }) => gate.name)).toEqual([
      'FINITE',
      'ERROR_RATE',
      'TRADES',
      'POSITIVE_PNL',
      'PNL',
      'DRAWDOWN',
      'SHARPE',
      'WIN_RATE',
      'EVIDENCE',
    ]);
  });

  test('a batch answers each report on its own', async () => {
    const id = await running(serin);
    const pending = (await create(serin)).deployment.id;
    const { reportMetrics } = await serin.ask(
      `mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) { success message error { code }
        results { success deploymentId side error { code path } } } }`,
      {
        input: {
          reports: [
            { deploymentId: id, side: 'CANARY', pnlUsd: '1', trades: 1 },
            { deploymentId: id, side: 'STABLE', pnlUsd: '2', trades: 1 },
            { deploymentId: id, side: 'CANARY', trades: -1 },
            { deploymentId: 'dep_nowhere', side: 'CANARY', trades: 1 },
            { deploymentId: pending, side: 'CANARY', trades: 1 },
            { deploymentId: id, side: 'STABLE' },
          ],
        },
      },
    );
    expect(reportMetrics.success).toBe(false);
    expect(reportMetrics.message).toBe('2 of 6 reports taken');
    const codes = reportMetrics.results.map(
      (result: { error: { code: string } | null }) => result.error?.code,
    );
    expect(codes).toEqual([
      undefined,
      undefined,
      'INVALID_INPUT',
      'NOT_FOUND',
      'INVALID_TRANSITION',
      'INVALID_INPUT',
    ]);
    expect(reportMetrics.results[2].error.path).toEqual(['reports', '2', 'trades']);
  });

  test('a report that breaks a guardrail ends the deployment before it answers', async () => {
    const id = await running(serin);
    const answer = await report(serin, 'Canary', id, { pnlUsd: '-2500', trades: 3 });
    expect(answer).toMatchObject({ success: true, deployment: { status: 'ROLLED_BACK' } });
    const { deployment } = await serin.ask(
      `query($id: ID!) { deployment(id: $id) { canaryCapitalUsd stableCapitalUsd
        decisionHistory { decision automatic cause actor reasons } } }`,
      { id },
    );
    expect(deployment).toMatchObject({ canaryCapitalUsd: '0', stableCapitalUsd: '100000' });
    expect(deployment.decisionHistory).toHaveLength(1);
    expect(deployment.decisionHistory[0]).toMatchObject({
      decision: 'ROLLBACK',
      automatic: true,
      cause: 'GUARDRAIL',
    });
  });

  test('a report that breaks a guardrail does so also before a better one of the same request', async () => {
    const id = await running(serin);
    const { reportMetrics } = await serin.ask(
      `mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) { results { success error { code } } } }`,
      {
        input: {
          reports: ['-2500', '-100'].map((pnlUsd) => ({
            deploymentId: id,
            side: 'CANARY',
            pnlUsd,
            trades: 3,
          })),
        },
      },
    );
    expect(reportMetrics.results).toEqual([
      { success: true, error: null },
      { success: false, error: { code: 'INVALID_TRANSITION' } },
    ]);
    expect(await statusOf(serin, id)).toBe('ROLLED_BACK');
  });
});

describe('promote, rollback, cancel, pause, resume, extend', () => {
  test('promoting moves all capital and the stable version, and records the actor and the reason', async () => {
    const id = await running(serin, { strategyId: 'promoted' });
    await report(serin, 'Canary', id, { pnlUsd: '1', trades: 1 });
    const { data } = await serin.post(
      `mutation($input: PromoteCanaryInput!) { promoteCanary(input: $input) { success decision message
        comparison { decision } deployment { status canaryCapitalUsd stableCapitalUsd
          decisionHistory { decision automatic actor reason reasons configHash comparison { decision } } } } }`,
      { input: { deploymentId: id, reason: 'it is better' } },
      { 'x-serin-actor': 'ada' },
    );
    expect(data.promoteCanary).toMatchObject({
      success: true,
      decision: 'PROMOTE',
      comparison: { decision: 'CONTINUE' },
      deployment: { status: 'PROMOTED', canaryCapitalUsd: '100000', stableCapitalUsd: '0' },
    });
    const [record] = data.promoteCanary.deployment.decisionHistory;
    expect(record).toMatchObject({
      decision: 'PROMOTE',
      automatic: false,
      actor: 'ada',
      reason: 'it is better',
    });
  });

  test('rolling back gives all capital back to stable', async () => {
    const id = await running(serin, { strategyId: 'back' });
    const answer = await command(serin, 'rollbackCanary', id);
    expect(answer).toMatchObject({
      success: true,
      deployment: {
        status: 'ROLLED_BACK',
        canaryCapitalUsd: '0',
        stableCapitalUsd: '100000',
        availableActions: [],
      },
    });
    const { strategy } = await serin.ask('{ strategy(id: "back") { stableVersionId } }');
    expect(strategy.stableVersionId).toBe('v1');
  });

  test('cancelling works before and after deploying', async () => {
    const pending = await create(serin);
    expect(await command(serin, 'cancelDeployment', pending.deployment.id)).toMatchObject({
      success: true,
      deployment: { status: 'CANCELLED', totalCapitalUsd: '0' },
    });
    const id = await running(serin);
    expect(await command(serin, 'cancelDeployment', id)).toMatchObject({
      success: true,
      deployment: { status: 'CANCELLED', stableCapitalUsd: '100000' },
    });
  });

  test('a pause stops the observation clock; resuming moves the deadline', async () => {
    const id = await running(serin);
    const look = () =>
      serin.ask(
        'query($id: ID!) { deployment(id: $id) { status observationDeadline observationRemainingSeconds } }',
        { id },
      );
    const before = (await look()).deployment;
    expect((await command(serin, 'pauseDeployment', id)).deployment.status).toBe('PAUSED');
    const paused = (await look()).deployment.observationRemainingSeconds;
    await serin.advance(7200);
    expect((await look()).deployment).toMatchObject({
      status: 'PAUSED',
      observationRemainingSeconds: paused,
    });
    expect((await command(serin, 'resumeDeployment', id)).deployment.status).toBe('RUNNING');
    const after = (await look()).deployment;
    const moved = Date.parse(after.observationDeadline) - Date.parse(before.observationDeadline);
    expect(moved).toBeGreaterThanOrEqual(7_200_000);
    expect(moved).toBeLessThan(7_200_000 + 600_000);
  });

  test('an undecided observation waits for a person and can be extended', async () => {
    const id = await running(serin, { config: HOURLY });
    await serin.advance(3700);
    await until(async () => (await statusOf(serin, id)) === 'OBSERVATION_COMPLETE');
    const { deployment } = await serin.ask(
      `query($id: ID!) { deployment(id: $id) { observationComplete availableActions canaryCapitalUsd
        decisionHistory { decision automatic } } }`,
      { id },
    );
    expect(deployment).toEqual({
      observationComplete: true,
      availableActions: ['PROMOTE', 'ROLLBACK', 'CANCEL', 'EXTEND', 'UPDATE_CONFIG'],
      canaryCapitalUsd: '10000',
      decisionHistory: [{ decision: 'CONTINUE', automatic: true }],
    });
    const extended = await command(serin, 'extendObservation', id, { minutes: 1 });
    expect(extended.deployment.status).toBe('RUNNING');
    const said = await serin.ask(
      'query($id: ID!) { deployment(id: $id) { events(types: [OBSERVATION_EXTENDED]) { nodes { description } } } }',
      { id },
    );
    expect(said.deployment.events.nodes).toEqual([{ description: 'Observation extended by 1 minute' }]);
  });

  test('an expected revision that has passed is refused', async () => {
    const id = await running(serin);
    const answer = await command(serin, 'pauseDeployment', id, { expectedRevision: 1 });
    expect(answer).toMatchObject({
      success: false,
      error: { code: 'REVISION_CONFLICT', path: ['expectedRevision'] },
      deployment: { status: 'RUNNING', revision: 2 },
    });
    expect((await command(serin, 'pauseDeployment', id, { expectedRevision: 2 })).success).toBe(true);
  });

  test('what is not there is NOT_FOUND, and null in queries', async () => {
    expect((await command(serin, 'promoteCanary', 'dep_nowhere')).error.code).toBe('NOT_FOUND');
    const data = await serin.ask(`{ deployment(id: "dep_nowhere") { id } strategy(id: "nobody") { id }
      node(id: "dep_nowhere") { id } exportDeployment(id: "dep_nowhere") nodes(ids: ["a", "b"]) { id } }`);
    expect(data).toEqual({
      deployment: null,
      strategy: null,
      node: null,
      exportDeployment: null,
      nodes: [null, null],
    });
  });
});

describe('the loop', () => {
  test('promotes automatically when every gate passes at the end', async () => {
    const id = await running(serin, { config: { ...PLAIN, ...HOURLY } });
    await report(serin, 'Canary', id, { pnlUsd: '15', trades: 10, drawdown: '0.001' });
    await report(serin, 'Stable', id, { pnlUsd: '100', trades: 90, drawdown: '0.001' });
    await serin.advance(3700);
    await until(async () => (await statusOf(serin, id)) === 'PROMOTED');
    const { deployment } = await serin.ask(
      `query($id: ID!) { deployment(id: $id) { decisionHistory { decision automatic actor reasons comparison { gates { name outcome } } }
        events(first: 50) { edges { node { no type actor description } } }
        samples(first: 5) { edges { node { check decision canaryMetrics { metrics { netPnlUsd } } } } } } }`,
      { id },
    );
    expect(deployment.decisionHistory[0]).toMatchObject({
      decision: 'PROMOTE',
      automatic: true,
      actor: 'serin',
    });
    const types = deployment.events.edges.map(({ node }: { node: { type: string } }) => node.type);
    expect(types).toEqual(
      expect.arrayContaining(['CANARY_METRICS_UPDATED', 'CANARY_OBSERVATION_COMPLETE', 'CANARY_PROMOTED']),
    );
    const numbers = deployment.events.edges.map(({ node }: { node: { no: number } }) => node.no);
    expect(numbers).toEqual(numbers.map((_: number, index: number) => index + 1));
    expect(deployment.samples.edges[0].node.canaryMetrics.metrics.netPnlUsd).toBe('15');
  });

  test('rolls back automatically when a gate fails at the end', async () => {
    const id = await running(serin, { config: { ...PLAIN, ...HOURLY } });
    await report(serin, 'Canary', id, { pnlUsd: '-50', trades: 10 });
    await report(serin, 'Stable', id, { pnlUsd: '100', trades: 90 });
    await serin.advance(3700);
    await until(async () => (await statusOf(serin, id)) === 'ROLLED_BACK');
  });

  test('leaves the decision to a person when it may not act', async () => {
    const id = await running(serin, { config: { ...PLAIN, ...HOURLY, autoPromote: false } });
    await report(serin, 'Canary', id, { pnlUsd: '15', trades: 10 });
    await report(serin, 'Stable', id, { pnlUsd: '100', trades: 90 });
    await serin.advance(3700);
    await until(async () => (await statusOf(serin, id)) === 'OBSERVATION_COMPLETE');
    const { deployment } = await serin.ask(
      'query($id: ID!) { deployment(id: $id) { decisionHistory { decision } } }',
      { id },
    );
    expect(deployment.decisionHistory).toEqual([{ decision: 'PROMOTE' }]);
  });

  test('gives up on a side that is silent for too long: FAILED, capital back to stable', async () => {
    const id = await running(serin, { config: {} });
    for (let check = 1; check <= 7 && (await statusOf(serin, id)) === 'RUNNING'; check += 1)
      await passCheck(serin, id);
    const { deployment } = await serin.ask(
      'query($id: ID!) { deployment(id: $id) { status stableCapitalUsd nextCheckAt } }',
      { id },
    );
    expect(deployment).toEqual({ status: 'FAILED', stableCapitalUsd: '100000', nextCheckAt: null });
  });

  test('emitEvents false keeps the timeline empty, but decisions are recorded', async () => {
    const id = await running(serin, { config: { emitEvents: false } });
    await command(serin, 'rollbackCanary', id);
    const { deployment } = await serin.ask(
      'query($id: ID!) { deployment(id: $id) { decisionHistory { decision } events(first: 5) { edges { cursor } } } }',
      { id },
    );
    expect(deployment).toEqual({ decisionHistory: [{ decision: 'ROLLBACK' }], events: { edges: [] } });
  });
});

describe('idempotency keys', () => {
  test('the same key with the same input answers as the first time and does nothing twice', async () => {
    const id = await running(serin);
    const first = await command(serin, 'pauseDeployment', id, { idempotencyKey: 'k1', reason: 'lunch' });
    expect(first).toMatchObject({ success: true, replayed: false });
    await command(serin, 'resumeDeployment', id);
    const again = await command(serin, 'pauseDeployment', id, { idempotencyKey: 'k1', reason: 'lunch' });
    expect(again).toEqual({ ...first, replayed: true });
    expect(await statusOf(serin, id)).toBe('RUNNING');
  });

  test('the same key with another input, or another mutation, is refused', async () => {
    const id = await running(serin);
    await command(serin, 'pauseDeployment', id, { idempotencyKey: 'k2' });
    const other = await command(serin, 'pauseDeployment', id, { idempotencyKey: 'k2', reason: 'x' });
    expect(other.error).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED', path: ['idempotencyKey'] });
    const another = await command(serin, 'resumeDeployment', id, { idempotencyKey: 'k2' });
    expect(another.error.code).toBe('IDEMPOTENCY_KEY_REUSED');
  });

  test('a refusal that hung on what was true then is answered the same when it is no longer true', async () => {
    const input = { strategyId: 'late', stableVersionId: null, idempotencyKey: 'late-1' };
    const first = await create(serin, input);
    expect(first).toMatchObject({ error: { code: 'INVALID_INPUT', path: ['stableVersionId'] } });
    expect((await create(serin, { strategyId: 'late', chain: 'elsewhere' })).success).toBe(true);
    expect(await create(serin, input)).toEqual({ ...first, replayed: true });
  });

  test('a refusal is remembered too, and creating twice makes one', async () => {
    const input = { strategyId: 'once', idempotencyKey: 'k3' };
    const [first, second] = await Promise.all([create(serin, input), create(serin, input)]);
    expect(first.deployment.id).toBe(second.deployment.id);
    expect([first.replayed, second.replayed].sort()).toEqual([false, true]);
    const refusedFirst = await command(serin, 'resumeDeployment', first.deployment.id, {
      idempotencyKey: 'k4',
    });
    expect(refusedFirst.error.code).toBe('INVALID_TRANSITION');
    const refusedAgain = await command(serin, 'resumeDeployment', first.deployment.id, {
      idempotencyKey: 'k4',
    });
    expect(refusedAgain).toEqual({ ...refusedFirst, replayed: true });
  });
});

describe('lists and nodes', () => {
  test('pages run forwards and backwards through a filtered list without gap or repeat', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 7; index += 1) {
      ids.push((await create(serin, { chain: 'paged', strategyId: `p${index}` })).deployment.id);
    }
    const newestFirst = [...ids].reverse();
    const page = async (args: string) => {
      const { deployments } = await serin.ask(`{ deployments(filter: { chain: "paged" }, ${args}) {
        totalCount edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`);
      return deployments;
    };
    const seen: string[] = [];
    let cursor = '';
    for (;;) {
      const found = await page(`first: 3${cursor && `, after: "${cursor}"`}`);
      expect(found.totalCount).toBe(7);
      seen.push(...found.edges.map(({ node }: { node: { id: string } }) => node.id));
      if (!found.pageInfo.hasNextPage) break;
      cursor = found.pageInfo.endCursor;
    }
    expect(seen).toEqual(newestFirst);
    const tail = await page('last: 2');
    expect(tail.edges.map(({ node }: { node: { id: string } }) => node.id)).toEqual(newestFirst.slice(5));
    const before = await page(`last: 3, before: "${tail.pageInfo.startCursor}"`);
    expect(before.edges.map(({ node }: { node: { id: string } }) => node.id)).toEqual(
      newestFirst.slice(2, 5),
    );
    const started = await page('orderBy: { field: STARTED_AT, direction: ASC }, first: 10');
    expect(started.edges).toHaveLength(7);
  });

  test('node finds deployments and strategies by their readable ids', async () => {
    const id = await running(serin, { strategyId: 'a-node' });
    const data = await serin.ask(
      `query($id: ID!) { node(id: $id) { id __typename ... on CanaryDeployment { status strategy { id } } }
        nodes(ids: [$id, "a-node", "nothing"]) { id __typename } }`,
      { id },
    );
    expect(data.node).toEqual({
      id,
      __typename: 'CanaryDeployment',
      status: 'RUNNING',
      strategy: { id: 'a-node' },
    });
    expect(data.nodes).toEqual([
      { id, __typename: 'CanaryDeployment' },
      { id: 'a-node', __typename: 'Strategy' },
      null,
    ]);
  });

  test('answers that show simulated time say so', async () => {
    const answer = await serin.post('{ viewer { actor role } }');
    expect(answer.extensions).toEqual({ timeScale: 60 });
  });
});
