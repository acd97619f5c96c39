/** A restart in every status, a deadline that passes while Serin is away, and a deployment that moves as a document. */
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
import { alignClocks, imported } from '../harness/imports.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const EXPORT = 'query($id: ID!) { exportDeployment(id: $id) }';
const IMPORT = `mutation($input: ImportDeploymentInput!) { importDeployment(input: $input) {
  success message error { code path } deployment { id status revision } } }`;

/** A deployment in each status. */
async function oneOfEach(): Promise<Record<string, string>> {
  const pending = (await create(serin)).deployment.id;
  const paused = await running(serin);
  await command(serin, 'pauseDeployment', paused, { reason: 'a pause' });
  const failing = await running(serin, {
    config: { checkIntervalSeconds: 10, observationPeriodMinutes: 1000 },
  });
  // Before the others are created: however often the clock must move, none of their observations ends.
  while ((await statusOf(serin, failing)) === 'RUNNING') await passCheck(serin, failing);
  const waiting = await running(serin, { config: HOURLY });
  await report(serin, 'Canary', waiting, { pnlUsd: '1.000000000000000001', trades: 2, sharpeRatio: '0.3' });
  await serin.advance(3700);
  await until(async () => (await statusOf(serin, waiting)) === 'OBSERVATION_COMPLETE');
  const live = await running(serin, { config: { ...CALM, observationPeriodMinutes: 10_000 } });
  await report(serin, 'Canary', live, { pnlUsd: '5', trades: 2 });
  await report(serin, 'Stable', live, { pnlUsd: '7', trades: 3 });
  const promoted = await running(serin);
  await command(serin, 'promoteCanary', promoted, { reason: 'by hand' });
  const rolledBack = await running(serin);
  await command(serin, 'rollbackCanary', rolledBack);
  const cancelled = await running(serin);
  await command(serin, 'cancelDeployment', cancelled);
  return {
    PENDING: pending,
    RUNNING: live,
    PAUSED: paused,
    OBSERVATION_COMPLETE: waiting,
    PROMOTED: promoted,
    ROLLED_BACK: rolledBack,
    CANCELLED: cancelled,
    FAILED: failing,
  };
}

describe('restart', () => {
  test('every status survives, with every fact', async () => {
    const ids = await oneOfEach();
    const look = async (id: string): Promise<Data> => {
      const { exportDeployment } = await serin.ask(EXPORT, { id });
      return exportDeployment;
    };
    const before: Record<string, Data> = {};
    for (const [status, id] of Object.entries(ids)) {
      before[status] = await look(id);
      expect(before[status].deployment.status).toBe(status);
    }
    await serin.restart();
    for (const [status, id] of Object.entries(ids)) {
      const after = await look(id);
      const known = before[status];
      expect(after.events.slice(0, known.events.length)).toEqual(known.events);
      expect(after.deployment.status).toBe(status);
      expect(after.metrics).toEqual(known.metrics);
    }
  });

  test('an outage ends nothing: the step is longer by it, and waits for new figures of both sides', async () => {
    // Without the guardrail on silence, figures older than five checks promote nothing.
    const guardrails = { maxStaleSeconds: null };
    const hour = 3600;
    const config = { ...PLAIN, guardrails, checkIntervalSeconds: hour, observationPeriodMinutes: 240 };
    const id = await running(serin, { config });
    const { sql } = serin.database;
    const now = async () =>
      (
        await serin.ask(
          `query($id: ID!) { deployment(id: $id) { status observationRemainingSeconds warnings { message }
            samples(last: 1) { edges { node { check } } }
            events(first: 9, types: [WATCH_RESUMED]) { edges { node { description } } } } }`,
          { id },
        )
      ).deployment;
    const earn = (side: 'Canary' | 'Stable', pnlUsd: string, trades: number) =>
      report(serin, side, id, { pnlUsd, trades });
    await earn('Canary', '15', 10);
    await earn('Stable', '100', 90);
    await passCheck(serin, id);
    // Nobody checks for 78 intervals, and the bots are silent.
    await sql`update deployments set lease_until = clock_timestamp() + interval '1 hour' where id = ${id}`;
    await serin.advance(78 * hour);
    await sql`update deployments set lease_until = null where id = ${id}`;
    await serin.restart();
    await until(async () => (await now()).events.edges.length === 1);
    const { status, observationRemainingSeconds, events } = await now();
    expect(status).toBe('RUNNING');
    expect(observationRemainingSeconds).toBeGreaterThan(hour);
    expect(events.edges[0].node.description).toContain('s without checks');
    await passCheck(serin, id);
    await passCheck(serin, id);
    const waits = async () =>
      (await now()).warnings.some(({ message }: Data) =>
        message.includes('no promotion is made on old figures'),
      );
    await until(waits);
    await earn('Canary', '16', 11);
    await passCheck(serin, id);
    expect(await waits()).toBe(true);
    expect(await statusOf(serin, id)).toBe('RUNNING');
    await earn('Canary', '17', 12);
    await earn('Stable', '101', 91);
    await serin.advance(hour);
    await until(async () => (await statusOf(serin, id)) === 'PROMOTED');
  });

  test('the clock continues from where it was', async () => {
    const time = async () =>
      Number((await serin.database.sql`select extract(epoch from serin_now()) as now`)[0]?.now);
    const before = await time();
    await serin.restart();
    expect(await time()).toBeGreaterThanOrEqual(before);
  });
});

describe('export and import', () => {
  test('a round trip into another Serin loses nothing, in every status', async () => {
    const other = await startTestSerin();
    try {
      const ids = await oneOfEach();
      for (const [status, id] of Object.entries(ids)) {
        const { exportDeployment: document } = await serin.ask(EXPORT, { id });
        await alignClocks(serin, other);
        const { importDeployment } = await other.ask(IMPORT, { input: { document } });
        expect(importDeployment, status).toMatchObject({
          success: true,
          error: null,
          deployment: { id, status },
        });
        const { exportDeployment: again } = await other.ask(EXPORT, { id });
        const { samples, events, ...summary } = again;
        expect(events.slice(0, document.events.length)).toEqual(document.events);
        expect(samples.slice(0, document.samples.length)).toEqual(document.samples);
        if (status !== 'RUNNING') expect({ samples, events, ...summary }).toEqual(imported(document));
        const twice = await other.ask(IMPORT, { input: { document } });
        expect(twice.importDeployment.error).toMatchObject({ code: 'ALREADY_EXISTS' });
      }
    } finally {
      await other.stop();
    }
  });

  test('an imported deployment continues: it can be decided', async () => {
    const other = await startTestSerin();
    try {
      const id = await running(serin);
      const { exportDeployment: document } = await serin.ask(EXPORT, { id });
      await alignClocks(serin, other);
      await other.ask(IMPORT, { input: { document } });
      expect((await command(other, 'promoteCanary', id)).deployment.status).toBe('PROMOTED');
    } finally {
      await other.stop();
    }
  });

  test('a document that was tampered with is refused with the place, and nothing is written', async () => {
    const id = await running(serin);
    const { exportDeployment: document } = await serin.ask(EXPORT, { id });
    const tamper = (change: (copy: Data) => void) => {
      const copy = structuredClone(document);
      copy.deployment.id = 'dep_copy';
      copy.events[0].id = 'dep_copy';
      change(copy);
      return serin.ask(IMPORT, { input: { document: copy } });
    };
    const cases: [(copy: Data) => void, string][] = [
      [(copy) => copy.events.splice(1, 1), 'events'],
      [(copy) => (copy.deployment.status = 'PROMOTED'), 'status'],
      [(copy) => (copy.events[0].config.canaryPercent = '80'), 'canaryPercent'],
      [(copy) => (copy.version = 99), 'version'],
      [(copy) => delete copy.metrics, 'metrics'],
      [(copy) => (copy.events[1].capitalUsd = 'lots'), 'capitalUsd'],
    ];
    for (const [change, field] of cases) {
      const { importDeployment } = await tamper(change);
      expect(importDeployment.success).toBe(false);
      expect(importDeployment.error.code).toBe('INVALID_INPUT');
      expect(importDeployment.error.path.join('.')).toContain(field);
    }
    for (const document of [null, 5, 'text', [], {}]) {
      const { data, errors } = await serin.post(IMPORT, { input: { document } });
      expect(errors?.[0]?.extensions.code ?? data.importDeployment.error.code).toMatch(
        /BAD_USER_INPUT|INVALID_INPUT/,
      );
    }
    const { deployment } = await serin.ask('{ deployment(id: "dep_copy") { id } }');
    expect(deployment).toBeNull();
  });
});
