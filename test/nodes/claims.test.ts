/** Claims: only the node that holds one may write the check, and only during its lease. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Checks, createChecks } from '../../src/app/checks.ts';
import type { App } from '../../src/app/context.ts';
import { createCommandQuota } from '../../src/app/execution/commandQuota.ts';
import { createDeploymentQueue } from '../../src/app/execution/deploymentQueue.ts';
import { createFairShare } from '../../src/app/execution/fairShare.ts';
import { createHeavyReads } from '../../src/app/execution/heavyReads.ts';
import { createRefusalAudit } from '../../src/app/execution/refusalAudit.ts';
import { createRefusalQuota } from '../../src/app/execution/refusalQuota.ts';
import { FORM } from '../../src/core/lifecycle/forms.ts';
import { createSimulator } from '../../src/simulation/simulator.ts';
import { createPolicyWarnings } from '../../src/simulation/warnings.ts';
import { type Claim, claimDue, returnClaim } from '../../src/store/deployments/leases.ts';
import { type Database, openDatabase } from '../../src/store/postgres/database.ts';
import { createNotifier } from '../../src/store/postgres/notifier.ts';
import { freshDatabase, type TestDatabase } from '../harness/database.ts';
import { CALM, command, running, statusOf } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

/** Checks a day apart, so that the server's own loop does not claim the test's deployments. */
const RARELY = { ...CALM, observationPeriodMinutes: 100_000, checkIntervalSeconds: 86_400 };

describe('a claim', () => {
  let serin: TestSerin;
  let database: Database;
  let simulator: ReturnType<typeof createSimulator>;
  let app: App;
  let checks: Checks;
  beforeAll(async () => {
    serin = await startTestSerin();
    database = openDatabase({ url: serin.database.url });
    const { db, client } = database;
    const log = pino({ level: 'silent' });
    simulator = createSimulator(log);
    const policyWarnings = createPolicyWarnings(simulator, log);
    const notifier = createNotifier(client);
    const refuseTarget = async () => null;
    const inDeploymentOrder = createDeploymentQueue();
    app = {
      db,
      notifier,
      inDeploymentOrder,
      form: () => FORM,
      onEvents: () => {},
      onBatchFailure: () => {},
      onHalt: () => {},
      providerNames: new Set(),
      refuseTarget,
      log,
      simulator,
      policyWarnings,
      approvals: { callersKnown: false, strategies: [] },
      heavyReads: createHeavyReads(),
      fairShare: createFairShare(),
      refusalQuota: createRefusalQuota(),
      commandQuota: createCommandQuota(),
      refusalAudit: createRefusalAudit(),
    };
    checks = createChecks(app);
  });
  afterAll(async () => {
    await simulator.stop();
    await database.close();
    await serin.stop();
  });

  /** A due deployment with a claim of the test, as if it were another node. */
  async function claimed(): Promise<Claim> {
    const id = await running(serin, { config: RARELY });
    const { sql } = serin.database;
    const [row] = await sql`
      update deployments set next_check_at = serin_now(), lease_until = clock_timestamp() + interval '1 hour',
        lease_token = 'mine' where id = ${id} returning id`;
    expect(row?.id).toBe(id);
    return { deploymentId: id, token: 'mine', provider: null };
  }
  const events = async (id: string) =>
    Number((await serin.database.sql`select count(*) from events where deployment_id = ${id}`)[0]?.count);

  test('permits one write', async () => {
    const claim = await claimed();
    expect((await checks.apply(claim, null))?.map(({ type }) => type)).toContain('CANARY_METRICS_UPDATED');
    expect(await checks.apply(claim, null)).toBeNull();
  });

  test('that has expired permits no write, even if no other node has claimed the row', async () => {
    const claim = await claimed();
    const before = await events(claim.deploymentId);
    await serin.database.sql`
      update deployments set lease_until = clock_timestamp() - interval '1 second', next_check_at = next_check_at + interval '1 day'
      where id = ${claim.deploymentId}`;
    expect(await checks.apply(claim, null)).toBeNull();
    expect(await events(claim.deploymentId)).toBe(before);
  });

  test('of the same node fences its older claim', async () => {
    const { deploymentId } = await claimed();
    const take = async () => {
      await serin.database
        .sql`update deployments set lease_until = clock_timestamp() - interval '1 second' where id = ${deploymentId}`;
      let mine: Claim | undefined;
      await until(async () => {
        const claims = await claimDue(app.db, {
          kind: 'ALL',
          limit: 16,
          leaseSeconds: 3600,
          slots: { each: 16, left: new Map() },
        });
        mine = claims.find((claim) => claim.deploymentId === deploymentId);
        if (mine) return true;
        // The server's own loop was faster: schedule it again.
        await serin.database.sql`
          update deployments set next_check_at = serin_now(), lease_until = clock_timestamp() - interval '1 second' where id = ${deploymentId}`;
        return false;
      });
      return mine as Claim;
    };
    const older = await take();
    const newer = await take();
    expect(newer.token).not.toBe(older.token);
    const before = await events(deploymentId);
    expect(await checks.apply(older, null)).toBeNull();
    expect(await events(deploymentId)).toBe(before);
    expect(await checks.apply(newer, null)).not.toBeNull();
  });

  test('permits a check in a batch, and a faulty check of the batch does not undo it', async () => {
    const checks = createChecks(app);
    const [good, lost, broken, other] = [await claimed(), await claimed(), await claimed(), await claimed()];
    const { sql } = serin.database;
    await sql`update deployments set lease_token = 'theirs' where id = ${lost.deploymentId}`;
    await sql`update deployments set detail = '{}' where id = ${broken.deploymentId}`;
    const outcomes = await Promise.allSettled(
      [good, lost, broken, other].map((claim) => checks.apply(claim, null)),
    );
    const said = outcomes.map((each) =>
      each.status === 'rejected' ? 'failed' : (each.value?.length ?? 0) > 0,
    );
    expect(said).toEqual([true, false, 'failed', true]);
    expect(await events(good.deploymentId)).toBe(await events(other.deploymentId));
    expect(await events(lost.deploymentId)).toBe(await events(broken.deploymentId));
    expect(await events(good.deploymentId)).toBeGreaterThan(await events(lost.deploymentId));
  });

  test('of several deployments permits one batch in one transaction', async () => {
    const checks = createChecks(app);
    const claims = [await claimed(), await claimed(), await claimed()];
    const results = await Promise.all(claims.map((claim) => checks.apply(claim, null)));
    for (const result of results) expect(result?.map(({ type }) => type)).toContain('CANARY_METRICS_UPDATED');
    const writers = await serin.database.sql`
      select distinct xid from events where type = 'CANARY_METRICS_UPDATED'
      and deployment_id in ${serin.database.sql(claims.map(({ deploymentId }) => deploymentId))}`;
    expect(writers).toHaveLength(1);
  });

  test('on a locked deployment waits for the lock, and does not delay other checks', async () => {
    const checks = createChecks(app);
    const held = await claimed();
    let late: Promise<unknown> = Promise.resolve();
    await serin.database.sql.begin(async (tx) => {
      await tx`select 1 from deployments where id = ${held.deploymentId} for update`;
      late = checks.apply(held, null);
      for (let turn = 0; turn < 4; turn += 1) {
        const others = [await claimed(), await claimed()];
        const results = await Promise.all(others.map((claim) => checks.apply(claim, null)));
        expect(results.map((events) => events?.length)).toEqual([1, 1]);
      }
    });
    expect(await late).toHaveLength(1);
  });

  test('that is released can be claimed immediately', async () => {
    const claim = await claimed();
    await returnClaim(app.db, claim);
    await until(async () => {
      const [row] = await serin.database.sql`
        select next_check_at > serin_now() as looked from deployments where id = ${claim.deploymentId}`;
      return row?.looked === true;
    });
  });

  test('on a deployment that has ended writes nothing', async () => {
    const claim = await claimed();
    await command(serin, 'rollbackCanary', claim.deploymentId);
    expect(await checks.apply(claim, null)).toBeNull();
    expect(await statusOf(serin, claim.deploymentId)).toBe('ROLLED_BACK');
  });
});

describe('deployments whose bots report', () => {
  let serin: TestSerin;
  beforeAll(async () => {
    serin = await startTestSerin();
  });
  afterAll(() => serin.stop());

  const some = (count: number) =>
    Promise.all(Array.from({ length: count }, () => running(serin, { config: RARELY })));
  const makeDue = (ids: readonly string[]) => serin.database.sql`
    update deployments set next_check_at = serin_now() where id in ${serin.database.sql([...ids])}`;
  /** Those that were checked. */
  const checked = async (ids: readonly string[]) => {
    const rows = await serin.database.sql<{ id: string }[]>`
      select distinct deployment_id as id from samples where deployment_id in ${serin.database.sql([...ids])}`;
    return rows.map(({ id }) => id).sort();
  };

  test('are checked together in one transaction, and left without a claim', async () => {
    const ids = await some(5);
    await makeDue(ids);
    await until(async () => (await checked(ids)).length === 5);
    const { sql } = serin.database;
    const writers = await sql`
      select distinct xid from events where type = 'CANARY_METRICS_UPDATED' and deployment_id in ${sql(ids)}`;
    expect(writers).toHaveLength(1);
    const rows = await sql`
      select 1 from deployments where id in ${sql(ids)} and lease_token is null and next_check_at > serin_now()`;
    expect(rows).toHaveLength(5);
  });

  test('are passed over while another transaction holds them, or a node of the version before has claimed them', async () => {
    const [free = '', held = '', claimed = ''] = await some(3);
    const { sql } = serin.database;
    await sql`update deployments set lease_until = clock_timestamp() + interval '1 hour', lease_token = 'theirs'
      where id = ${claimed}`;
    await sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(5371004, hashtext(${held}))`;
      await makeDue([free, held, claimed]);
      await until(async () => (await checked([free])).length === 1);
      // A second round, so that the one that took the first could have taken the others.
      const [next = ''] = await some(1);
      await makeDue([next]);
      await until(async () => (await checked([next])).length === 1);
      expect(await checked([held, claimed])).toEqual([]);
    });
    await until(async () => (await checked([held])).length === 1);
    expect(await checked([claimed])).toEqual([]);
    await sql`update deployments set lease_until = clock_timestamp() - interval '1 second' where id = ${claimed}`;
    await until(async () => (await checked([claimed])).length === 1);
  });

  test('are not held up by one that cannot be read: it is claimed, so that it is tried again only after its lease', async () => {
    const [broken = '', ...good] = await some(4);
    const { sql } = serin.database;
    await sql`update deployments set detail = '{}' where id = ${broken}`;
    await makeDue([broken, ...good]);
    await until(async () => (await checked(good)).length === 3);
    await until(async () => {
      const [row] =
        await sql`select lease_until > clock_timestamp() as claimed from deployments where id = ${broken}`;
      return row?.claimed === true;
    });
    expect(await checked([broken])).toEqual([]);
  });

  test('of which one cannot be decided are checked one by one', async () => {
    const [broken = '', ...good] = await some(4);
    const { sql } = serin.database;
    // Its event cannot be written: its number is taken.
    await sql`insert into events (deployment_id, strategy_id, no, type, at, actor, revision, timeline, payload, born)
      select id, strategy_id, event_count + 1, 'CANARY_PAUSED', clock_timestamp(), 'test', 1, false,
        '{"no": 4, "at": "2026-01-01T00:00:00.000Z", "type": "CANARY_PAUSED", "actor": "test", "reason": null, "revision": 1}', born
      from deployments where id = ${broken}`;
    await makeDue([broken, ...good]);
    await until(async () => (await checked(good)).length === 3);
    expect(await checked([broken])).toEqual([]);
  });
});

describe('a provider that does not answer', () => {
  let folder: string;
  let silent: Server;
  let database: TestDatabase;
  const waiting = new Set<ServerResponse>();
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'serin-claims-'));
    silent = createServer((_request, response) => {
      waiting.add(response);
      // Serin gives up after 60 s, and asks again.
      response.once('close', () => waiting.delete(response));
    });
    await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening));
    database = await freshDatabase();
    const { port } = silent.address() as AddressInfo;
    await writeFile(
      join(folder, 'providers.json'),
      JSON.stringify({
        providers: {
          silent: {
            type: 'http',
            url: `http://127.0.0.1:${port}/{{version}}`,
            timeoutMs: 60_000,
            fields: { pnlUsd: 'pnl', trades: 'trades' },
          },
        },
      }),
    );
  });
  afterAll(async () => {
    silent.closeAllConnections();
    await new Promise((closed) => silent.close(closed));
    await database.drop();
    await rm(folder, { recursive: true });
  });

  test('delays only its own deployments, and a stopping node releases their claims', async () => {
    const serin = await startTestSerin({
      databaseUrl: database.url,
      providersFile: join(folder, 'providers.json'),
    });
    const advance = (seconds: number) =>
      database.sql`update clock set epoch = epoch + make_interval(secs => ${seconds})`;
    const config = { ...CALM, checkIntervalSeconds: 10, observationPeriodMinutes: 5 };
    const slow = await Promise.all(
      Array.from({ length: 40 }, () => running(serin, { config: { ...config, metricsProvider: 'silent' } })),
    );
    await advance(600);
    await until(() => waiting.size > 0);
    const quick = await running(serin, { config });
    await advance(600);
    await until(async () => (await statusOf(serin, quick)) === 'OBSERVATION_COMPLETE');
    const { sql } = database;
    const events = async () => Number((await sql`select count(*) from events`)[0]?.count);
    const held = async () =>
      Number((await sql`select count(*) from deployments where lease_token is not null`)[0]?.count);
    // The concurrency limit of a provider, for both sides of each; the other deployments are left for other nodes.
    await until(async () => (await held()) === 16 && waiting.size === 32);
    expect(slow.length).toBeGreaterThan(16);
    // Three attempts of a minute each, the pauses between them, and the check itself: no other node asks meanwhile.
    const [lease] = await sql`
      select min(date_part('epoch', lease_until - clock_timestamp())) as seconds from deployments
      where lease_token is not null`;
    expect(lease?.seconds).toBeGreaterThan(150);
    const before = await events();
    await serin.stop();
    expect(await held()).toBe(0);
    expect(await events()).toBe(before);
  });
});
