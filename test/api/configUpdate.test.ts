/** `updateConfig` over HTTP: a live deployment's configuration made safer at once, and looser by two people. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CALM, command, create, report, running } from '../harness/deployment.ts';
import { alignClocks } from '../harness/imports.ts';
import { administrator, personsKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
let ada: TestCaller;
let grace: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
  ada = serin.as(await personsKey(serin, 'ada'));
  grace = serin.as(await personsKey(serin, 'grace'));
});
afterAll(() => serin.stop());

const CHANGES = 'changes { field before after effect }';
const DEPLOYMENT = `query($id: ID!, $config: CanaryConfigInput!) { deployment(id: $id) {
  revision availableActions observationDeadline approvalRule
  config { hash autoPromote guardrails { maxLossUsd maxLossPercent maxStaleSeconds } }
  configRequest { by config { hash } ${CHANGES} }
  configPreview(config: $config) { approvalRequired error { code path } ${CHANGES} } } }`;
const read = async (id: string, config: Record<string, unknown> = {}): Promise<Data> =>
  (await root.ask(DEPLOYMENT, { id, config })).deployment;

const update = (
  by: TestCaller,
  id: string,
  config: Record<string, unknown>,
  more: Record<string, unknown> = {},
) => command(by, 'updateConfig', id, { config, ...more });

test('what makes it safer is done at once, seen in the event, the audit trail, the preview and an export', async () => {
  const id = await running(ada);
  const before = await read(id, { guardrails: { maxLossUsd: 500 }, evidence: { alpha: 0.05 } });
  expect(before.availableActions).toContain('UPDATE_CONFIG');
  expect(before.configPreview).toMatchObject({
    error: { code: 'INVALID_INPUT', path: ['config', 'evidence', 'alpha'] },
  });
  const config = { guardrails: { maxLossUsd: 500 }, autoPromote: false, observationPeriodMinutes: 120 };
  const answer = await update(ada, id, config, { reason: 'news ahead', idempotencyKey: 'tighten' });
  expect(answer).toMatchObject({ success: true });
  expect(await update(ada, id, config, { reason: 'news ahead', idempotencyKey: 'tighten' })).toMatchObject({
    replayed: true,
  });

  const after = await read(id, { guardrails: { maxLossUsd: null } });
  expect(after.config).toMatchObject({
    autoPromote: false,
    guardrails: { maxLossUsd: '500', maxLossPercent: '20', maxStaleSeconds: CALM.guardrails.maxStaleSeconds },
  });
  // Time that nobody watched, on a busy machine, moves it further.
  const later = Date.parse(after.observationDeadline) - Date.parse(before.observationDeadline);
  expect(later).toBeGreaterThanOrEqual(3_600_000);
  expect(after.configPreview).toEqual({
    approvalRequired: false,
    error: null,
    changes: [{ field: 'guardrails.maxLossUsd', before: '500', after: null, effect: 'LOOSER' }],
  });

  const { events } = await root.ask(
    `query($id: ID!) { events(filter: { deploymentId: $id, types: [CONFIG_UPDATED] }, first: 5) { nodes {
      actor description payload { ... on ConfigUpdated { before after reason requestedBy config { hash } ${CHANGES} } } } } }`,
    { id },
  );
  expect(events.nodes).toHaveLength(1);
  const [{ actor, payload }] = events.nodes;
  expect({ actor, ...payload }).toMatchObject({
    actor: 'ada',
    before: before.config.hash,
    after: after.config.hash,
    config: { hash: after.config.hash },
    reason: 'news ahead',
    requestedBy: null,
  });
  expect(payload.changes).toContainEqual({
    field: 'steps.0.minutes',
    before: '60',
    after: '120',
    effect: 'SAFER',
  });

  const { auditRecords } = await root.ask(
    'query($id: ID!) { auditRecords(filter: { subject: $id, actions: [UPDATE_CONFIG] }, first: 5) { nodes { actor reason outcome } } }',
    { id },
  );
  expect(auditRecords.nodes).toEqual([{ actor: 'ada', reason: 'news ahead', outcome: 'DONE' }]);

  await command(ada, 'rollbackCanary', id);
  const { exportDeployment } = await root.ask('query($id: ID!) { exportDeployment(id: $id) }', { id });
  const other = await startTestSerin({ access: WITH_KEYS });
  try {
    await alignClocks(serin, other);
    const there = await administrator(other);
    const { importDeployment } = await there.ask(
      'mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) { success message deployment { config { hash } } } }',
      { input: { document: exportDeployment } },
    );
    expect(importDeployment).toMatchObject({
      success: true,
      deployment: { config: { hash: after.config.hash } },
    });
  } finally {
    await other.stop();
  }
});

test('what loosens it needs the second person; safer settings do not wait with it', async () => {
  const id = await running(ada, { config: { ...CALM, requireApproval: true } });
  const config = { guardrails: { maxLossPercent: null } };
  expect((await read(id, config)).configPreview).toMatchObject({ approvalRequired: true, error: null });
  const asked = await update(ada, id, config);
  expect(asked).toMatchObject({ success: true });
  const waiting = await read(id);
  expect(waiting.config.guardrails.maxLossPercent).toBe('20');
  expect(waiting.configRequest).toMatchObject({
    by: 'ada',
    changes: [{ field: 'guardrails.maxLossPercent', before: '20', after: null, effect: 'LOOSER' }],
  });
  expect(await update(ada, id, config)).toMatchObject({
    success: false,
    error: { code: 'INVALID_TRANSITION' },
  });
  expect(await update(grace, id, config)).toMatchObject({ success: true });
  const done = await read(id);
  expect(done).toMatchObject({ configRequest: null, config: { guardrails: { maxLossPercent: null } } });
  // Turned off by two people; the rule of the strategy stays.
  await update(ada, id, { requireApproval: false });
  expect(await update(grace, id, { requireApproval: false })).toMatchObject({ success: true });
  expect((await read(id)).approvalRule).toBe('STRATEGY');
});

test('requireApproval turned on is the rule of the strategy, and a canary beyond a new limit is rolled back', async () => {
  const id = await running(ada);
  expect(await update(ada, id, { requireApproval: true })).toMatchObject({ success: true });
  expect((await read(id)).approvalRule).not.toBeNull();
  await report(ada, 'Canary', id, { pnlUsd: '-700', trades: 3 });
  const answer = await update(ada, id, { guardrails: { maxLossUsd: 500 } });
  expect(answer).toMatchObject({ success: true, deployment: { status: 'ROLLED_BACK' } });
  expect(await update(ada, id, { autoPromote: false })).toMatchObject({
    success: false,
    error: { code: 'INVALID_TRANSITION' },
  });
  // The strategy keeps the rule.
  const next = await running(ada, { strategyId: await strategyOf(id) });
  expect((await read(next)).approvalRule).toBe('STRATEGY');
});

const strategyOf = async (id: string): Promise<string> =>
  (await root.ask('query($id: ID!) { deployment(id: $id) { strategyId } }', { id })).deployment.strategyId;

test('bad input names the field, and a viewer may not', async () => {
  const pending = (await create(ada)).deployment.id;
  for (const [config, path] of [
    [{ guardrails: { maxLossUsd: '-1' } }, 'config.guardrails.maxLossUsd'],
    [{ observationPeriodMinutes: 1 }, 'config.observationPeriodMinutes'],
    [{ canaryPercent: '80' }, 'config.canaryPercent'],
    [{ metricsProvider: 'nowhere' }, 'config.metricsProvider'],
    [{ evidence: { minSamples: 3 } }, 'config.evidence.minSamples'],
  ] as const) {
    expect(await update(ada, pending, config)).toMatchObject({
      success: false,
      error: { code: 'INVALID_INPUT', path: path.split('.') },
    });
  }
  expect(await update(ada, pending, { evidence: { alpha: 0.05 } })).toMatchObject({ success: true });
  const viewer = serin.as(await personsKey(serin, 'vera', 'VIEWER'));
  await expect(update(viewer, pending, { autoPromote: false })).rejects.toThrow(/OPERATOR/);
});
