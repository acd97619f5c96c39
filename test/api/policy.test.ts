/** Policies tried through the API: simulated with progress, bounded, and warned of at creation. */
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { askPolicy } from '../../src/app/policyTrials.ts';
import { CANARY_KINDS } from '../../src/core/policy/simulation.ts';
import { createSimulator, finished, SimulationTooLong } from '../../src/simulation/simulator.ts';
import { createPolicyWarnings } from '../../src/simulation/warnings.ts';
import { CALM, passCheck, report, running, statusOf } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

// Simulations share the machine with whatever else runs on it.
vi.setConfig({ testTimeout: 120_000 });

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
  // The simulator's thread starts with the first question; on a busy machine that alone takes seconds.
  await serin.post('query { simulatePolicy(assumptions: { runs: 1 }) { completedRuns } }');
}, 120_000);
afterAll(() => serin.stop());

const SIMULATION = `complete completedRuns plannedChecks assumptions { runs seed volatility }
  config { observationPeriodMinutes evidence { mode } }
  canaries { kind promoted { value standardError } rolledBack { value standardError } review { value }
    medianSecondsToDecide lossBeforeRollback { value standardError } lossOfWaiting { value }
    outcomes { decision because share } }`;
const ASK = `query($config: CanaryConfigInput, $assumptions: PolicyAssumptionsInput) {
  simulatePolicy(config: $config, assumptions: $assumptions) { ${SIMULATION} } }`;

/** Asks until it is answered: on a busy machine the time of a query is soon over. */
async function simulated(question: Record<string, unknown>): Promise<Data> {
  let answer: Data = null;
  await until(async () => {
    const { data, errors } = await serin.post(ASK, question);
    if (errors) expect(errors[0]?.extensions.code).toBe('TOO_COMPLEX');
    answer = data?.simulatePolicy;
    return !errors;
  }, 100_000);
  return answer;
}

test('a policy is simulated on canaries of known worth, and the same question has the same answer', async () => {
  const question = { config: { observationPeriodMinutes: 30 }, assumptions: { runs: 60, seed: 4 } };
  const answer = await simulated(question);
  expect(answer).toMatchObject({
    complete: true,
    completedRuns: 60,
    plannedChecks: 30,
    assumptions: { runs: 60, seed: 4, volatility: 0.001 },
    config: { observationPeriodMinutes: 30, evidence: { mode: 'AUTO' } },
  });
  const [identical, better, worse] = answer.canaries;
  expect([identical.kind, better.kind, worse.kind]).toEqual(['IDENTICAL', 'BETTER', 'WORSE']);
  expect(better.promoted.value).toBeGreaterThan(worse.promoted.value);
  expect(worse.rolledBack.value).toBeGreaterThan(identical.rolledBack.value);
  const { value, standardError } = identical.promoted;
  expect(standardError).toBeCloseTo(Math.sqrt((value * (1 - value)) / 60), 12);
  expect(await simulated(question)).toEqual(answer);
});

test('what is out of bounds is refused with the field, before any work is done', async () => {
  const refused = async (variables: Record<string, unknown>) => {
    const { errors } = await serin.post(ASK, variables);
    return errors?.[0]?.extensions;
  };
  expect(await refused({ assumptions: { correlation: 2 } })).toMatchObject({
    code: 'BAD_USER_INPUT',
    path: ['assumptions', 'correlation'],
  });
  expect(await refused({ config: { observationPeriodMinutes: 1 } })).toMatchObject({
    code: 'BAD_USER_INPUT',
    path: ['config', 'observationPeriodMinutes'],
  });
  const { errors } = await serin.post(ASK, {
    config: { observationPeriodMinutes: 1440 },
    assumptions: { runs: 50_000 },
  });
  expect(errors?.[0]?.extensions.path).toEqual(['assumptions', 'runs']);
  expect(errors?.[0]?.message).toMatch(/must be at most \d+ for a policy of up to 1441 checks, got 50000/);
});

test('a subscription shows the progress, ends with the answer of the query, and gives up when it is left', async () => {
  const question = { assumptions: { runs: 60, seed: 2 } };
  const feed = `subscription($assumptions: PolicyAssumptionsInput) {
    policySimulation(assumptions: $assumptions) { ${SIMULATION} } }`;
  const followed = serin.follow(feed, question);
  await until(() => followed.received.at(-1)?.complete === true || followed.errors.length > 0, 60_000);
  expect(followed.errors).toEqual([]);
  const runs = followed.received.map(({ completedRuns }) => completedRuns);
  expect(runs).toEqual(runs.toSorted((a, b) => a - b));
  expect(followed.received.at(-1)).toEqual(await simulated(question));

  // As many as a caller may have, all left at once: there is room again.
  const long = { assumptions: { runs: 100_000 } };
  const left = Array.from({ length: 2 }, () => serin.follow(feed, long));
  await until(() => left.every(({ received }) => received.length > 0), 60_000);
  const busy = await serin.post(ASK, { assumptions: { runs: 1 } });
  expect(busy.errors?.[0]?.extensions.code).toBe('RATE_LIMITED');
  for (const { end } of left) end();
  await until(async () => !(await serin.post(ASK, { assumptions: { runs: 1 } })).errors, 60_000);
});

test('what is not done in time says how far it came and what to do, and is given up', async () => {
  const log = pino({ level: 'silent' });
  const simulator = createSimulator(log);
  const asked = askPolicy({ config: {}, assumptions: { runs: 100_000 } });
  if (!asked.ok) throw new Error('the question is refused');
  const job = { ...asked.value, kinds: CANARY_KINDS };
  const reports = simulator.run({ ...job, caller: 'test' }, AbortSignal.timeout(1500));
  const late = await finished(reports).catch((error: unknown) => error);
  expect(late).toBeInstanceOf(SimulationTooLong);
  expect(String(late)).toMatch(/only \d+ runs were done in time\. Ask for fewer, or follow it/);
  await simulator.stop();
});

test('creating a deployment warns of a policy that rolls back identical versions, and not of the default', async () => {
  const warned = async (config: unknown, key: string) => {
    const input = {
      strategyId: key,
      stableVersionId: 'v1',
      canaryVersionId: 'v2',
      config,
      idempotencyKey: key,
    };
    const { createDeployment } = await serin.ask(
      `mutation($input: CreateDeploymentInput!) { createDeployment(input: $input) {
        success replayed warnings { message path } } }`,
      { input },
    );
    return createDeployment;
  };
  const daily = { checkIntervalSeconds: 86_400, guardrails: { maxLossPercent: null } };
  const fine = { ...daily, observationPeriodMinutes: 40 * 1440 };
  expect(await warned(fine, 'fine')).toEqual({ success: true, replayed: false, warnings: [] });
  const strict = { evidence: { mode: 'OFF' }, promotionCriteria: { minPnlRatio: '1' } };
  const first = await warned(strict, 'strict');
  expect(first.success).toBe(true);
  expect(first.warnings).toHaveLength(1);
  expect(first.warnings[0].path).toEqual(['config', 'promotionCriteria', 'minPnlRatio']);
  expect(first.warnings[0].message).toMatch(/roll back about \d+ % of canaries that are identical/);
  expect(await warned(strict, 'strict')).toEqual({ ...first, replayed: true });
  const endless = { observationPeriodMinutes: 500_000, checkIntervalSeconds: 10 };
  expect((await warned(endless, 'endless')).warnings).toBeNull();

  // The default hour can only tell large differences, and a step of ten checks none.
  const hour = (await warned({}, 'hour')).warnings;
  expect(hour).toHaveLength(1);
  expect(hour[0].path).toEqual(['config', 'observationPeriodMinutes']);
  const [, percent] =
    /differences of (\d+) % of capital a day and more in 60 checks/.exec(hour[0].message) ?? [];
  const guide = readFileSync('docs/policy.md', 'utf8').replace(/\s+/g, ' ');
  expect(guide).toContain(`the default hour can tell ${percent} %`);
  const short = [
    { canaryPercent: '5', minutes: 10 },
    { canaryPercent: '10', minutes: 60 },
  ];
  const [first10] = (await warned({ steps: short }, 'short')).warnings;
  expect(first10.path).toEqual(['config', 'steps', '0', 'minutes']);
  expect(first10.message).toContain(
    'ends after at most 10 checks, and the evidence needs 20 effective pairs',
  );
});

test('what a policy cannot tell needs no simulation: it is warned of also where that takes too long', async () => {
  const log = pino({ level: 'silent' });
  const simulator = createSimulator(log);
  const asked = askPolicy({ config: {}, assumptions: {} });
  if (!asked.ok) throw new Error('the question is refused');
  const warnings = await createPolicyWarnings(simulator, log, 0).about(asked.value.config);
  expect(warnings?.map(({ path }) => path)).toEqual([['config', 'observationPeriodMinutes']]);
  await simulator.stop();
});

test('a deployment is replayed: under its own policy it decides as it did, under a stricter one earlier', async () => {
  const config = {
    ...CALM,
    checkIntervalSeconds: 3600,
    observationPeriodMinutes: 3600,
    evidence: { minSamples: 10 },
  };
  const id = await running(serin, { config });
  const rows = await livesThrough(id);
  const REPLAY = `query($id: ID!, $config: CanaryConfigInput) { replayPolicy(deploymentId: $id, config: $config) {
    outcome decidedAt checks recordedUntil notes config { checkIntervalSeconds }
    decisions { at check decision cause because reasons } } }`;
  const { replayPolicy: own } = await serin.ask(REPLAY, { id, config });
  const last = rows.at(-1);
  expect(own).toMatchObject({ outcome: 'ROLLED_BACK', decidedAt: last.at, notes: [] });
  expect(own.decisions.map(({ at, decision, reasons }: Data) => ({ at, decision, reasons }))).toEqual(rows);
  const strict = { ...config, guardrails: { maxStaleSeconds: null, maxLossPercent: '0.3' } };
  const { replayPolicy: stricter } = await serin.ask(REPLAY, { id, config: strict });
  expect(stricter).toMatchObject({ outcome: 'ROLLED_BACK', decisions: [{ because: 'maxLossPercent' }] });
  expect(Date.parse(stricter.decidedAt)).toBeLessThan(Date.parse(own.decidedAt));
  const longer = { ...config, observationPeriodMinutes: 36_000, evidence: { mode: 'OFF' } };
  const { replayPolicy: open } = await serin.ask(REPLAY, { id, config: longer });
  expect(open).toMatchObject({ outcome: 'UNDECIDED', decidedAt: null, decisions: [] });
  expect(open.notes[0]).toContain('the deployment was ROLLED_BACK then');
  expect((await serin.ask(REPLAY, { id: 'dep_nowhere', config })).replayPolicy).toBeNull();
  const OWN = `query($id: ID!, $config: CanaryConfigInput) {
    replayPolicy(deploymentId: $id, useOwnConfig: true, config: $config) { outcome decidedAt
      config { hash } } deployment(id: $id) { config { hash } } }`;
  const itself = await serin.ask(OWN, { id });
  expect(itself.replayPolicy).toMatchObject({ outcome: 'ROLLED_BACK', decidedAt: last.at });
  expect(itself.replayPolicy.config.hash).toBe(itself.deployment.config.hash);
  const both = await serin.post(OWN, { id, config: {} });
  expect(both.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', path: ['config'] });
  const unrealized = await serin.ask(REPLAY, { id, config: { ...config, requireUnrealized: true } });
  expect(unrealized.replayPolicy.notes).toEqual([
    'Samples have no unrealizedPnlUsd, which this policy requires: they stay without it',
  ]);
  const { errors } = await serin.post(REPLAY, { id, config: { checkIntervalSeconds: 1 } });
  expect(errors?.[0]?.extensions).toMatchObject({
    code: 'BAD_USER_INPUT',
    path: ['config', 'checkIntervalSeconds'],
  });
});

test('a simulation takes what a deployment has measured for its assumptions', async () => {
  const LIKE = `query($id: ID!, $config: CanaryConfigInput, $assumptions: PolicyAssumptionsInput) {
    simulatePolicy(deploymentId: $id, config: $config, assumptions: $assumptions) {
      assumptions { volatility correlation autocorrelation tradesPerCheck runs } } }`;
  const config = {
    ...CALM,
    checkIntervalSeconds: 3600,
    observationPeriodMinutes: 24 * 60,
    evidence: { mode: 'OFF' },
  };
  const id = await running(serin, { config });
  await livesThrough(id);
  const asked = { runs: 5 };
  const { simulatePolicy: like } = await serin.ask(LIKE, { id, config, assumptions: asked });
  // A trade a check; returns of a few hundredths of a percent that move against each other.
  expect(like.assumptions).toMatchObject({ runs: 5, tradesPerCheck: 1 });
  expect(like.assumptions.volatility).toBeGreaterThan(0.00005);
  expect(like.assumptions.volatility).toBeLessThan(0.001);
  const longerChecks = { ...config, checkIntervalSeconds: 4 * 3600 };
  const { simulatePolicy: slow } = await serin.ask(LIKE, { id, config: longerChecks, assumptions: asked });
  expect(slow.assumptions.volatility).toBeCloseTo(2 * like.assumptions.volatility, 9);
  expect(slow.assumptions.tradesPerCheck).toBe(4);
  const given = { ...asked, correlation: 0.3 };
  const { simulatePolicy: own3 } = await serin.ask(LIKE, { id, config, assumptions: given });
  expect(own3.assumptions).toEqual({ ...like.assumptions, correlation: 0.3 });
  const nowhere = await serin.post(LIKE, { id: 'dep_nowhere' });
  expect(nowhere.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', path: ['deploymentId'] });
  const young = await running(serin, { config });
  expect((await serin.post(LIKE, { id: young })).errors?.[0]?.message).toContain('fewer than 20 pairs');
});

/** A canary that loses a little more each check while the stable side earns; answers the decisions that were made. */
async function livesThrough(id: string): Promise<Data[]> {
  for (let check = 1; check <= 40; check += 1) {
    const wobble = check % 3;
    await report(serin, 'Canary', id, { pnlUsd: String(-8 * check - wobble), trades: check });
    await report(serin, 'Stable', id, { pnlUsd: String(90 * check + wobble), trades: check });
    await passCheck(serin, id);
    if ((await statusOf(serin, id)) !== 'RUNNING') break;
  }
  const { deployment } = await serin.ask(
    'query($id: ID!) { deployment(id: $id) { decisionHistory { at decision reasons } } }',
    { id },
  );
  return deployment.decisionHistory;
}
