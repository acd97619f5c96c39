/** What events recorded, as typed payloads: every member of the union in one document, against a deployment's whole life. */
import { getNamedType, isLeafType, isUnionType } from 'graphql';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { schema } from '../../src/graphql/schema.ts';
import { command, create, PLAIN, report } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

/** A fragment on every member, with all its plain fields. */
function everyMember(): string {
  const payload = schema.getType('CanaryEventPayload');
  if (!isUnionType(payload)) throw new Error('CanaryEventPayload is not a union');
  return payload
    .getTypes()
    .map((member) => {
      const plain = Object.values(member.getFields()).filter(({ type }) => isLeafType(getNamedType(type)));
      return `... on ${member.name} { ${plain.map(({ name }) => name).join(' ')} }`;
    })
    .join(' ');
}

test('every event of a life has a payload of its own type, with what it recorded', async () => {
  const { deployment } = await create(serin, {
    strategyId: 'typed',
    config: {
      ...PLAIN,
      autoPromote: false,
      steps: [
        { canaryPercent: '10', minutes: 60 },
        { canaryPercent: '25', minutes: 60 },
      ],
    },
  });
  const { id } = deployment;
  await command(serin, 'deployCanary', id, { capitalUsd: '100000', reason: 'a first try' });
  await command(serin, 'acknowledgeAllocation', id, { number: 1, side: 'CANARY', heldUsd: '9999.99' });
  await report(serin, 'Canary', id, { pnlUsd: '12.5', trades: 3 });
  await report(serin, 'Stable', id, { pnlUsd: '80', trades: 30 });
  await command(serin, 'pauseDeployment', id, { reason: 'lunch' });
  await command(serin, 'resumeDeployment', id);
  await command(serin, 'advanceStep', id);
  await command(serin, 'rollbackCanary', id, { reason: 'enough' });

  const document = `query($id: ID!) { deployment(id: $id) { events(last: 100) { nodes {
    type payload { __typename ${everyMember()}
      ... on DecisionMade { record { eventNo comparison { decision canaryMetrics { versionId } } } }
      ... on DeploymentCreated { config { checkIntervalSeconds } } } } } } }`;
  const events: Data[] = (await serin.ask(document, { id })).deployment.events.nodes;
  const payload = (type: string): Data => events.find((event) => event.type === type)?.payload;
  for (const { type, payload } of events) {
    expect(payload.__typename.toUpperCase()).toBe(type.replaceAll('_', ''));
  }
  expect(payload('DEPLOYMENT_CREATED')).toMatchObject({
    strategyId: 'typed',
    canaryVersionId: 'v2',
    config: { checkIntervalSeconds: 60 },
  });
  expect(payload('CANARY_STARTED')).toMatchObject({
    capitalUsd: '100000',
    canaryPercent: '10',
    reason: 'a first try',
  });
  expect(payload('ALLOCATION_REQUESTED')).toMatchObject({ number: 1, cause: 'DEPLOY', canaryUsd: '10000' });
  expect(payload('ALLOCATION_ACKNOWLEDGED')).toMatchObject({ number: 1, side: 'CANARY', heldUsd: '9999.99' });
  expect(payload('CANARY_PAUSED')).toMatchObject({ reason: 'lunch' });
  expect(payload('CANARY_RESUMED')).toMatchObject({ pausedSeconds: expect.any(Number), reason: null });
  expect(payload('STEP_STARTED')).toMatchObject({ step: 2, canaryNetPnlUsd: '12.5', stableNetPnlUsd: '80' });
  expect(payload('DECISION_MADE')).toMatchObject({
    decision: 'ROLLBACK',
    automatic: false,
    decisionCause: 'COMMAND',
    record: { comparison: { canaryMetrics: { versionId: 'v2' } } },
  });
  expect(payload('CANARY_ROLLED_BACK')).toMatchObject({
    stableVersionId: 'v1',
    rolledBackVersionId: 'v2',
    reason: 'enough',
  });
});

test('a check and a guardrail that tripped say their numbers, live over the timeline', async () => {
  const { deployment } = await create(serin, {
    strategyId: 'typed-live',
    config: {
      ...PLAIN,
      checkIntervalSeconds: 10,
      guardrails: { maxLossPercent: '5', maxStaleSeconds: null },
    },
  });
  const { id } = deployment;
  const feed = serin.follow(
    `subscription($id: ID!) { eventAppended(deploymentId: $id, types: [CANARY_METRICS_UPDATED, GUARDRAIL_TRIPPED]) {
      payload { ... on CanaryMetricsUpdated { check canaryNetPnlUsd stableNetPnlUsd unwatchedSeconds }
        ... on GuardrailTripped { guardrail side measured limit message } } } }`,
    { id },
  );
  await command(serin, 'deployCanary', id, { capitalUsd: '100000' });
  await report(serin, 'Stable', id, { pnlUsd: '0' });
  await report(serin, 'Canary', id, { pnlUsd: '-10' });
  const payloads = () => feed.received.map(({ payload }) => payload);
  await until(() => payloads().some(({ canaryNetPnlUsd }) => canaryNetPnlUsd === '-10'));
  await report(serin, 'Canary', id, { pnlUsd: '-700' });
  await until(() => payloads().some(({ guardrail }) => guardrail));
  expect(payloads().find(({ guardrail }) => guardrail)).toMatchObject({
    guardrail: 'maxLossPercent',
    side: 'CANARY',
    limit: '5',
  });
  feed.end();
});
