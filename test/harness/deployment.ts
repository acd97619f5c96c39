/** What most tests need first: a deployment in some status, created over HTTP. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { TestDatabase } from './database.ts';
import { type Data, type TestCaller, type TestSerin, until } from './serin.ts';

/** A configuration for tests that take their time: no deployment fails because its sides are silent. */
export const CALM = { guardrails: { maxStaleSeconds: 30_000_000 } };

/** As {@link CALM}, with so few checks that a test may let an hour pass in one step of the clock. */
export const HOURLY = { ...CALM, checkIntervalSeconds: 3600 };

/** The same, decided by the gates alone: for sides that report their totals once. */
export const PLAIN = { ...CALM, evidence: { mode: 'OFF' } };

export const RESULT = `success replayed message error { code message path }
  deployment { id status revision totalCapitalUsd canaryCapitalUsd stableCapitalUsd endedAt availableActions }`;

export async function create(serin: TestCaller, input: Record<string, unknown> = {}): Promise<Data> {
  const { createDeployment } = await serin.ask(
    `mutation($input: CreateDeploymentInput!) { createDeployment(input: $input) { ${RESULT} } }`,
    {
      input: {
        strategyId: `s-${randomBytes(4).toString('hex')}`,
        stableVersionId: 'v1',
        canaryVersionId: 'v2',
        config: CALM,
        idempotencyKey: randomUUID(),
        ...input,
      },
    },
  );
  return createDeployment;
}

/** Any lifecycle mutation on a deployment. */
export async function command(
  serin: TestCaller,
  name: string,
  deploymentId: string,
  more: Record<string, unknown> = {},
): Promise<Data> {
  const inputType = `${name[0]?.toUpperCase()}${name.slice(1)}Input`;
  const data = await serin.ask(`mutation($input: ${inputType}!) { ${name}(input: $input) { ${RESULT} } }`, {
    input: { deploymentId, idempotencyKey: randomUUID(), ...more },
  });
  return data[name];
}

/** Creates a deployment in RUNNING. Returns its id. */
export async function running(serin: TestCaller, input: Record<string, unknown> = {}): Promise<string> {
  const created = await create(serin, input);
  const deployed = await command(serin, 'deployCanary', created.deployment.id, { capitalUsd: '100000' });
  if (!deployed.success) throw new Error(deployed.message);
  return created.deployment.id;
}

export async function report(
  serin: TestCaller,
  side: 'Canary' | 'Stable',
  deploymentId: string,
  figures: Record<string, unknown>,
): Promise<Data> {
  const data = await serin.ask(
    `mutation($input: UpdateMetricsInput!) { update${side}Metrics(input: $input) {
      success message error { code message path } deployment { status } } }`,
    { input: { deploymentId, ...figures } },
    // Totals may be sent again.
    true,
  );
  return data[`update${side}Metrics`];
}

export async function statusOf(serin: TestCaller, id: string): Promise<string> {
  const { deployment } = await serin.ask('query($id: ID!) { deployment(id: $id) { status } }', { id });
  return deployment.status;
}

/**
 * Moves Serin's clock to the next check of these deployments, and waits until each was made: a clock that runs ahead of
 * the checks makes every interval a gap, which is not watched.
 */
export async function passCheck(
  serin: Pick<TestSerin, 'advance'> & { readonly database: Pick<TestDatabase, 'sql'> },
  ...ids: readonly string[]
): Promise<void> {
  const { sql } = serin.database;
  const look = () => sql<{ id: string; planned: Date | null; seconds: number }[]>`
    select id, next_check_at as planned, date_part('epoch', next_check_at - serin_now()) as seconds
    from deployments where id = any(${[...ids]}) and next_check_at is not null`;
  const before = await look();
  await serin.advance(Math.max(0, ...before.map(({ seconds }) => seconds)));
  await until(async () => {
    const now = new Map((await look()).map(({ id, planned }) => [id, planned?.getTime()]));
    return before.every(({ id, planned }) => now.get(id) !== planned?.getTime());
  });
}
