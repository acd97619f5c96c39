/**
 * An import is an act of a person and forges no history: who imported is shown, decisions are made again from their
 * records, nothing in it is of the future, and it moves no stable version unless asked.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, HOURLY, PLAIN, report, running, statusOf } from '../harness/deployment.ts';
import { administrator, makeKey, personsKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let root: TestCaller;
beforeAll(async () => {
  serin = await startTestSerin({ access: WITH_KEYS });
  root = await administrator(serin);
});
afterAll(() => serin.stop());

const IMPORT = `mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) {
  success message error { code path } deployment { id status importedBy importedAt } } }`;

const exported = async (id: string): Promise<Data> =>
  (await root.ask('query($id: ID!) { exportDeployment(id: $id) }', { id })).exportDeployment;

let copies = 0;
/** The document under another id and strategy, so that it can be imported beside the original. */
function copyOf(document: Data, strategyId = `copy-${copies + 1}`): Data {
  copies += 1;
  const { id, strategyId: original } = document.deployment;
  const text = JSON.stringify(document).replaceAll(id, `dep-copy-${copies}`);
  return JSON.parse(text.replaceAll(`"${original}"`, `"${strategyId}"`));
}

const importing = async (document: Data, more: Record<string, unknown> = {}, by = root): Promise<Data> =>
  (await by.ask(IMPORT, { input: { document, ...more } })).importDeployment;

/** A deployment that Serin has promoted by itself, with its decision in the log. */
async function promoted(): Promise<Data> {
  const id = await running(root, { config: { ...HOURLY, ...PLAIN } });
  await report(root, 'Canary', id, { pnlUsd: '15', trades: 10 });
  await report(root, 'Stable', id, { pnlUsd: '100', trades: 90 });
  await serin.advance(3700);
  await until(async () => (await statusOf(root, id)) === 'PROMOTED');
  return exported(id);
}

test('a document that is imported twice at once is there once, and the other is told so', async () => {
  const id = await running(root, { config: HOURLY });
  await command(root, 'cancelDeployment', id);
  const ended = await exported(id);
  for (let round = 0; round < 5; round += 1) {
    const document = copyOf(ended);
    const answers = await Promise.all([importing(document), importing(document), importing(document)]);
    expect(answers.filter(({ success }) => success)).toHaveLength(1);
    for (const { success, error } of answers) {
      if (!success) expect(error).toEqual({ code: 'ALREADY_EXISTS', path: ['document', 'deployment', 'id'] });
    }
  }
});

test('the importer and the hash of the document are in the log, the deployment and the audit trail', async () => {
  const admin = serin.as(await makeKey(root, 'ADMIN', { name: 'importer' }));
  const id = await running(root, { config: HOURLY });
  const { deployment } = await importing(copyOf(await exported(id)), {}, admin);
  expect(deployment.importedBy).toBe('importer');
  expect(Date.parse(deployment.importedAt)).toBeGreaterThan(0);
  const again = await exported(deployment.id);
  expect(again.events.at(-1)).toMatchObject({ type: 'DEPLOYMENT_IMPORTED', actor: 'importer', from: 3 });
  const { auditRecords } = await root.ask(
    '{ auditRecords(filter: { actions: [DEPLOYMENT_IMPORTED] }, first: 1) { nodes { actor action subject details } } }',
  );
  expect(auditRecords.nodes[0]).toMatchObject({
    actor: 'importer',
    action: 'DEPLOYMENT_IMPORTED',
    subject: deployment.id,
    details: { documentHash: again.events.at(-1).documentHash },
  });
});

describe('a forged document', () => {
  const FORGERIES: readonly [string, (copy: Data, decision: Data) => void, string][] = [
    [
      'another decision',
      (_copy, decision) => Object.assign(decision.record, { decision: 'ROLLBACK' }),
      'decision',
    ],
    [
      'another comparison',
      (_copy, decision) => Object.assign(decision.record.comparison, { decision: 'ROLLBACK' }),
      'comparison',
    ],
    [
      'better returns',
      (_copy, decision) => Object.assign(decision.record.returns, { CANARY: '0.5' }),
      'returns',
    ],
    [
      'another policy',
      (_copy, decision) => Object.assign(decision.record, { configHash: '0'.repeat(16) }),
      'configHash',
    ],
    [
      'an event of 2031',
      (copy) => Object.assign(copy.events.at(-1), { at: '2131-01-01T00:00:00.000Z' }),
      'at',
    ],
  ];
  test.each(FORGERIES)('with %s is refused with the place', async (_what, forge, field) => {
    const copy = copyOf(await promoted());
    forge(
      copy,
      copy.events.find(({ type }: Data) => type === 'DECISION_MADE'),
    );
    const { success, error } = await importing(copy);
    expect(success).toBe(false);
    expect(error.code).toBe('INVALID_INPUT');
    expect(error.path.at(-1)).toBe(field);
  });

  /** The first allocation of a copy, its start, and what the canary side said that it holds. */
  const CAPITAL: readonly [string, string, Data, string][] = [
    [
      'less than nothing for the canary',
      'ALLOCATION_REQUESTED',
      { canaryUsd: '-1', stableUsd: '100001' },
      'canaryUsd',
    ],
    [
      'more for the canary than its share',
      'ALLOCATION_REQUESTED',
      { canaryUsd: '90000', stableUsd: '10000' },
      'canaryUsd',
    ],
    ['another total', 'ALLOCATION_REQUESTED', { totalUsd: '10', canaryUsd: '1', stableUsd: '9' }, 'totalUsd'],
    ['a share above all', 'ALLOCATION_REQUESTED', { canaryPercent: '500' }, 'canaryPercent'],
    ['an allocation out of turn', 'ALLOCATION_REQUESTED', { number: 9 }, 'number'],
    ['no capital', 'CANARY_STARTED', { capitalUsd: '0' }, 'capitalUsd'],
    ['less than nothing held', 'ALLOCATION_ACKNOWLEDGED', { heldUsd: '-1' }, 'heldUsd'],
    ['more held than can be stored', 'ALLOCATION_ACKNOWLEDGED', { heldUsd: `1${'0'.repeat(30)}` }, 'heldUsd'],
  ];
  test('with capital that was never given is refused with the place', async () => {
    const id = await running(root, { config: HOURLY });
    await root.ask(
      `mutation($id: ID!) { acknowledgeAllocation(input: { deploymentId: $id, number: 1, side: CANARY,
      heldUsd: "9000" }) { success } }`,
      { id },
    );
    const document = await exported(id);
    expect((await importing(copyOf(document))).success).toBe(true);
    for (const [what, type, change, field] of CAPITAL) {
      const copy = copyOf(document);
      const index = copy.events.findIndex((event: Data) => event.type === type);
      Object.assign(copy.events[index], change);
      const { success, error } = await importing(copy);
      expect(success, what).toBe(false);
      expect(error, what).toEqual({
        code: 'INVALID_INPUT',
        path: ['document', 'events', String(index), field],
      });
    }
  });

  test('of a faster clock says so', async () => {
    const copy = copyOf(await exported(await running(root)));
    Object.assign(copy, { clockRate: 60 });
    copy.events.at(-1).at = '2131-01-01T00:00:00.000Z';
    expect((await importing(copy)).message).toContain('60 times real time');
  });

  test('with metrics of the future is refused', async () => {
    const id = await running(root);
    await report(root, 'Canary', id, { pnlUsd: '15', trades: 10 });
    const copy = copyOf(await exported(id));
    copy.metrics.CANARY.reportedAt = '2131-01-01T00:00:00.000Z';
    expect((await importing(copy)).error.path).toEqual(['document', 'metrics', 'CANARY', 'reportedAt']);
  });
});

describe('the stable version', () => {
  const stableOf = async (id: string): Promise<string> =>
    (await root.ask('query($id: ID!) { strategy(id: $id) { stableVersionId } }', { id })).strategy
      .stableVersionId;

  const historyOf = async (id: string): Promise<[string, string | null][]> => {
    const { strategy } = await root.ask(
      'query($id: ID!) { strategy(id: $id) { stableVersions { versionId since until deploymentId } } }',
      { id },
    );
    const versions: Data[] = strategy.stableVersions;
    for (const [index, { until: end }] of versions.entries()) {
      expect(end).toBe(versions[index + 1]?.since ?? null);
    }
    return versions.map(({ versionId, deploymentId }) => [versionId, deploymentId]);
  };

  test('stays where it is unless the import asks', async () => {
    const document = await promoted();
    await command(root, 'cancelDeployment', await running(root, { strategyId: 'steady', config: CALM }));
    expect((await importing(copyOf(document, 'steady'))).success).toBe(true);
    expect(await stableOf('steady')).toBe('v1');
    expect(await historyOf('steady')).toEqual([['v1', null]]);
    const moved = await importing(copyOf(document, 'steady'), { moveStableVersion: true });
    expect(moved.success).toBe(true);
    expect(await stableOf('steady')).toBe('v2');
    expect(await historyOf('steady')).toEqual([
      ['v1', null],
      ['v2', moved.deployment.id],
    ]);
  });

  test('is not moved by one person where two must promote', async () => {
    const document = await promoted();
    const ada = serin.as(await personsKey(serin, 'ada', 'ADMIN'));
    await command(
      ada,
      'cancelDeployment',
      await running(ada, { strategyId: 'held', config: { ...CALM, requireApproval: true } }),
    );
    const { error } = await importing(copyOf(document, 'held'), { moveStableVersion: true }, ada);
    expect(error).toEqual({ code: 'INVALID_INPUT', path: ['moveStableVersion'] });
    expect(await stableOf('held')).toBe('v1');
  });
});

test('figures that came with a document promote nothing: a live import is old until both sides have reported', async () => {
  const id = await running(root, {
    config: { ...HOURLY, ...PLAIN, guardrails: { maxStaleSeconds: 30_000_000 } },
  });
  await report(root, 'Canary', id, { pnlUsd: '15', trades: 10 });
  await report(root, 'Stable', id, { pnlUsd: '100', trades: 90 });
  const { deployment } = await importing(copyOf(await exported(id)));
  await serin.advance(3700);
  await until(async () => (await statusOf(root, id)) === 'PROMOTED');
  expect(await statusOf(root, deployment.id)).toBe('RUNNING');
  await report(root, 'Canary', deployment.id, { pnlUsd: '16', trades: 10 });
  await report(root, 'Stable', deployment.id, { pnlUsd: '101', trades: 90 });
  await serin.advance(3700);
  await until(async () => (await statusOf(root, deployment.id)) === 'PROMOTED');
});
