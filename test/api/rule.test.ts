/**
 * What an automatic decision stands on, through the API on a real server: too few pairs decide nothing, correlated
 * returns are no proof, a canary that turns bad is caught, every step of a ramp earns its own evidence, and a side that
 * holds nothing is no comparison. An hour passes between two checks, so no machine is too slow for the clock.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { command, passCheck, report, running, statusOf } from '../harness/deployment.ts';
import { type Pair, pairedReturns } from '../harness/pairedReturns.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const HOUR = 3600;
const GUARDRAILS = { maxStaleSeconds: null, maxLossPercent: null };

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

interface Scenario {
  readonly config: Record<string, unknown>;
  readonly pairs: readonly Pair[];
  /** The bot of the stable side starts again at this check, its totals at zero; its reports name a session or none. */
  readonly stableRestart?: { readonly check: number; readonly session: boolean };
}

const hours = (count: number) => ({ checkIntervalSeconds: HOUR, observationPeriodMinutes: count * 60 });
const scenario = (config: Record<string, unknown>, pairs: readonly Pair[]): Scenario => ({
  config: { guardrails: GUARDRAILS, ...config },
  pairs,
});

/** Seeds on which the first version of the rule rolled the identical canary back. */
const CORRELATED_03 = [43, 47, 58];
const CORRELATED_06 = [7, 88, 91];
/** Seeds on which it saw nothing of a canary that turns bad at half time. */
const TURNS = [5, 10, 12];
/** As good as the stable side for three quarters of 288 checks, then worse by half a standard deviation. */
const LATE_TURNS = [4, 5, 14];
/** In a market that rises the canary earns less than the stable side. */
const STABLE_RESTARTS = pairedReturns(2, 60, { shift: () => -0.3 }).map(
  ([canary, stable]): Pair => [canary + 0.001, stable + 0.001],
);
/** Three steps of a ramp, and the last with all the capital. */
const RAMP = [1, 10, 50, 100].map((canaryPercent) => ({
  canaryPercent: String(canaryPercent),
  minutes: 40 * 60,
}));

const SCENARIOS: Record<string, Scenario> = {
  few: scenario(hours(12), pairedReturns(1, 12)),
  ...Object.fromEntries(
    CORRELATED_03.map((seed) => [`ar3-${seed}`, scenario(hours(60), pairedReturns(seed, 60, { phi: 0.3 }))]),
  ),
  ...Object.fromEntries(
    CORRELATED_06.map((seed) => [`ar6-${seed}`, scenario(hours(60), pairedReturns(seed, 60, { phi: 0.6 }))]),
  ),
  ...Object.fromEntries(
    TURNS.map((seed) => {
      const shift = (check: number) => (check < 48 ? 0.3 : -1);
      return [`turns-${seed}`, scenario(hours(96), pairedReturns(seed, 96, { shift }))];
    }),
  ),
  ...Object.fromEntries(
    LATE_TURNS.map((seed) => {
      const shift = (check: number) => (check < 216 ? 0 : -0.5);
      return [`late-${seed}`, scenario(hours(288), pairedReturns(seed, 288, { shift }))];
    }),
  ),
  // Half way the bot of the stable side restarts.
  ...Object.fromEntries(
    [true, false].map((session) => [
      session ? 'restart-session' : 'restart-bare',
      { ...scenario(hours(60), STABLE_RESTARTS), stableRestart: { check: 30, session } },
    ]),
  ),
  ramp: scenario(
    { checkIntervalSeconds: HOUR, steps: RAMP, earlyPromote: true },
    pairedReturns(3, 100, { shift: () => 1 }),
  ),
  last: scenario(
    {
      checkIntervalSeconds: HOUR,
      steps: [
        { canaryPercent: '50', minutes: 45 * 60 },
        { canaryPercent: '100', minutes: 40 * 60 },
      ],
    },
    // Two identical versions, and the market falls once the canary holds everything.
    pairedReturns(1, 85).map(([, stable], check): Pair => {
      const earned = stable + (check < 45 ? 0.0005 : -0.001);
      return [earned, earned];
    }),
  ),
};

const LOOK = `query($ids: [ID!]!) { nodes(ids: $ids) { ... on CanaryDeployment { deploymentId: id status
  allocation { canaryUsd stableUsd } } } }`;
const END = `query($id: ID!) { deployment(id: $id) { status step { number }
  canaryMetrics { metrics { netPnlUsd } } stableMetrics { session tradeCount metrics { netPnlUsd } }
  comparison { decision evidence { verdict by pairs effectivePairs serialCorrelation } }
  decisionHistory { decision cause reasons comparison { evidence { verdict by pairs } } }
  events(first: 200, types: [STEP_STARTED, CANARY_METRICS_UPDATED, CANARY_PROMOTED]) { edges { node { type } } } } }`;

/** Lives through all scenarios at once, check by check. */
async function liveThrough(scenarios: Record<string, Scenario>): Promise<Record<string, Data>> {
  const ids = new Map<string, string>();
  for (const [name, { config }] of Object.entries(scenarios)) {
    ids.set(name, await running(serin, { id: `dep_rule-${name}`, strategyId: `rule-${name}`, config }));
  }
  const pnl = new Map([...ids.keys()].map((name) => [name, { CANARY: 0, STABLE: 0 }]));
  const longest = Math.max(...Object.values(scenarios).map(({ pairs }) => pairs.length));
  for (let check = 0; check < longest; check += 1) {
    const live = (await serin.ask(LOOK, { ids: [...ids.values()] })).nodes.filter(
      ({ status }: Data) => status === 'RUNNING',
    );
    if (live.length === 0) break;
    const reports = live.flatMap(({ deploymentId, allocation }: Data) => {
      const name = deploymentId.replace('dep_rule-', '');
      const { pairs, stableRestart } = scenarios[name] ?? { pairs: [] };
      const [canary, stable] = pairs[check] ?? [0, 0];
      const sums = pnl.get(name) ?? { CANARY: 0, STABLE: 0 };
      if (check === stableRestart?.check) sums.STABLE = 0;
      sums.CANARY += canary * Number(allocation.canaryUsd);
      sums.STABLE += stable * Number(allocation.stableUsd);
      const restarted = stableRestart && check >= stableRestart.check ? stableRestart.check : 0;
      const session = stableRestart?.session ? { session: `from-${restarted}` } : {};
      return [
        { deploymentId, side: 'CANARY', pnlUsd: sums.CANARY.toFixed(8), trades: check + 1 },
        {
          deploymentId,
          side: 'STABLE',
          pnlUsd: sums.STABLE.toFixed(8),
          trades: check + 1 - restarted,
          ...session,
        },
      ];
    });
    const { reportMetrics } = await serin.ask(
      'mutation($r: ReportMetricsInput!) { reportMetrics(input: $r) { success results { success error { code message path } } } }',
      { r: { reports } },
    );
    // The end of a step may come between the query and the reports: then the deployment has ended. A counter that falls
    // without a session is refused.
    for (const [index, { success, error }] of reportMetrics.results.entries()) {
      const { deploymentId, side, trades } = reports[index];
      const behind =
        deploymentId === 'dep_rule-restart-bare' && side === 'STABLE' && check >= 30 && trades < 30;
      if (behind) expect(error).toMatchObject({ code: 'COUNTER_RESET' });
      else if (!success) expect(error.code).toBe('INVALID_TRANSITION');
    }
    await passCheck(serin, ...live.map(({ deploymentId }: Data) => deploymentId));
  }
  const ends: Record<string, Data> = {};
  for (const [name, id] of ids) ends[name] = (await serin.ask(END, { id })).deployment;
  return ends;
}

describe('lived through check by check', () => {
  let ends: Record<string, Data>;
  beforeAll(async () => {
    ends = await liveThrough(SCENARIOS);
  });
  const lastDecision = (name: string) => ends[name].decisionHistory.at(-1);

  test('fewer than 20 pairs decide nothing: a person must decide', () => {
    expect(ends.few.status).toBe('OBSERVATION_COMPLETE');
    expect(lastDecision('few')).toMatchObject({ decision: 'MANUAL_REVIEW' });
    expect(lastDecision('few').reasons[0]).toMatch(/too early to say: \d+ of 20 effective pairs$/);
  });

  test.each([...CORRELATED_03.map((seed) => `ar3-${seed}`), ...CORRELATED_06.map((seed) => `ar6-${seed}`)])(
    'identical versions with autocorrelated returns are not rolled back (%s)',
    (name) => {
      expect(['PROMOTED', 'OBSERVATION_COMPLETE']).toContain(ends[name].status);
      const { evidence } = ends[name].comparison;
      expect(evidence).toMatchObject({ verdict: 'OPEN', pairs: 60 });
      expect(evidence.serialCorrelation).toBeGreaterThan(1.2);
      expect(evidence.effectivePairs).toBeCloseTo(60 / evidence.serialCorrelation, 0);
    },
  );

  const turned = [...TURNS.map((seed) => `turns-${seed}`), ...LATE_TURNS.map((seed) => `late-${seed}`)];
  test.each(turned)('a canary that turns bad is caught (%s)', (name) => {
    expect(ends[name].status).toBe('ROLLED_BACK');
    expect(lastDecision(name)).toMatchObject({
      decision: 'ROLLBACK',
      cause: 'EVIDENCE',
      comparison: { evidence: { verdict: 'WORSE', by: 'DRIFT' } },
    });
    expect(lastDecision(name).reasons[0]).toContain('it has turned worse, beyond chance');
  });

  test('a worse canary is not promoted because the stable bot restarted: refused without a session', () => {
    const { status, stableMetrics, decisionHistory } = ends['restart-bare'];
    // Its counters have caught up by the last check, so its totals are taken again, without what it had earned before.
    expect(stableMetrics).toMatchObject({ session: null, tradeCount: 30 });
    expect(status).toBe('OBSERVATION_COMPLETE');
    expect(decisionHistory.at(-1)).toMatchObject({ decision: 'MANUAL_REVIEW' });
    expect(decisionHistory.at(-1).reasons.join('; ')).toContain('the counters of the stable side fell');
  });

  test('and carried over with one: the same figures as if it had not restarted', () => {
    const { status, stableMetrics, comparison } = ends['restart-session'];
    expect(stableMetrics).toMatchObject({ session: 'from-30', tradeCount: 60 });
    const earned = STABLE_RESTARTS.reduce((sum, [, stable]) => sum + stable * 90_000, 0);
    expect(Number(stableMetrics.metrics.netPnlUsd)).toBeCloseTo(earned, 3);
    expect(comparison.evidence.pairs).toBe(60);
    expect(status).toBe('OBSERVATION_COMPLETE');
    expect(comparison.decision).toBe('MANUAL_REVIEW');
  });

  test('every step of a ramp earns its own evidence before earlyPromote ends it', () => {
    expect(ends.ramp.status).toBe('PROMOTED');
    const types = ends.ramp.events.edges.map(({ node }: Data) => node.type);
    const checksAtStep: number[] = [];
    let checks = 0;
    for (const type of types) {
      if (type === 'CANARY_METRICS_UPDATED') checks += 1;
      else checksAtStep.push(checks);
    }
    const [second = 0, third = 0, fourth = 0, promoted = 0] = checksAtStep;
    expect(second).toBeGreaterThanOrEqual(20);
    expect(third - second).toBeGreaterThanOrEqual(20);
    expect(fourth - third).toBeGreaterThanOrEqual(20);
    // While the stable side holds nothing there is no pair to earn: the last step takes its time.
    expect(promoted - fourth).toBeGreaterThanOrEqual(40);
  });

  test('identical versions in a falling market, the last step with all the capital: no side is worse', () => {
    expect(ends.last.step.number).toBe(2);
    expect(ends.last.status).toBe('PROMOTED');
    const { evidence } = ends.last.comparison;
    expect(evidence).toMatchObject({ pairs: 45 });
  });
});

test('1 trade and 500 errors are a rollback', async () => {
  const id = await running(serin, { config: { ...hours(12), guardrails: GUARDRAILS } });
  await report(serin, 'Stable', id, { pnlUsd: '1', trades: 50 });
  await report(serin, 'Canary', id, { pnlUsd: '1', trades: 1, errors: 500 });
  const { deployment } = await serin.ask(
    'query($id: ID!) { deployment(id: $id) { comparison { decision decisionReasons gates { name } } } }',
    { id },
  );
  expect(deployment.comparison.decision).toBe('ROLLBACK');
  expect(deployment.comparison.decisionReasons[0]).toMatch(
    /^Error rate: canary 500 errors in 1 trades \(99\.80 %\)/,
  );
  const guarded = { ...GUARDRAILS, maxErrorRate: '0.5' };
  const tripping = await running(serin, { config: { ...hours(12), guardrails: guarded } });
  const { deployment: after } = await report(serin, 'Canary', tripping, { trades: 4, errors: 500 });
  await until(async () => {
    const { deployment: now } = await serin.ask('query($id: ID!) { deployment(id: $id) { status } }', {
      id: tripping,
    });
    return now.status === 'ROLLED_BACK';
  });
  expect(after).toBeDefined();
});

test('a loss is the return on what was held: 8 % stays 8 % when the canary holds less', async () => {
  const config = { ...hours(12), canaryPercent: '50', guardrails: { maxStaleSeconds: null } };
  const statusOf = async (id: string) =>
    (await serin.ask('query($id: ID!) { deployment(id: $id) { status summary } }', { id })).deployment;
  const id = await running(serin, { config });
  await report(serin, 'Canary', id, { pnlUsd: '-4000', trades: 9 });
  await command(serin, 'acknowledgeAllocation', id, { number: 1, side: 'CANARY', heldUsd: '15000' });
  await report(serin, 'Canary', id, { pnlUsd: '-4001', trades: 10 });
  expect((await statusOf(id)).status).toBe('RUNNING');
  await report(serin, 'Canary', id, { pnlUsd: '-5801', trades: 11 });
  await until(async () => (await statusOf(id)).status === 'ROLLED_BACK');
  // The reverse hides nothing: 19 % of a small position and 1 % of a large one are 20 %.
  const steps = [
    { canaryPercent: '1', minutes: 60 },
    { canaryPercent: '50', minutes: 60 },
  ];
  const grown = await running(serin, {
    config: { ...config, canaryPercent: undefined, observationPeriodMinutes: undefined, steps },
  });
  await report(serin, 'Canary', grown, { pnlUsd: '-190', trades: 9 });
  await command(serin, 'advanceStep', grown);
  await report(serin, 'Canary', grown, { pnlUsd: '-640', trades: 10 });
  expect((await statusOf(grown)).status).toBe('RUNNING');
  await report(serin, 'Canary', grown, { pnlUsd: '-691', trades: 11 });
  await until(async () => (await statusOf(grown)).status === 'ROLLED_BACK');
});

test('a guardrail that asks for two breaches in a row counts those of reports, over transactions', async () => {
  const guardrails = { maxStaleSeconds: null, maxLossUsd: '100', breaches: { maxLossUsd: 2 } };
  const id = await running(serin, { config: { checkIntervalSeconds: 3600, guardrails } });
  await report(serin, 'Canary', id, { pnlUsd: '-101', trades: 1 });
  expect(await statusOf(serin, id)).toBe('RUNNING');
  await report(serin, 'Canary', id, { pnlUsd: '-102', trades: 2 });
  await until(async () => (await statusOf(serin, id)) === 'ROLLED_BACK');
});
