/** Outages of PostgreSQL: connections cut, refused, or silent. Serin answers UNAVAILABLE, stays up, and catches up. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { startProxy, type TcpProxy } from '../faults/proxy.ts';
import { freshDatabase, type TestDatabase } from '../harness/database.ts';
import { CALM, command, running, statusOf } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let database: TestDatabase;
let proxy: TcpProxy;
beforeAll(async () => {
  database = await freshDatabase();
  proxy = await startProxy(() => Number(new URL(database.url).port));
});
afterAll(async () => {
  await proxy.close();
  await database.drop();
});

function throughProxy(url: string): string {
  const through = new URL(url);
  through.port = String(proxy.port);
  return through.href;
}

describe('the driver', () => {
  test('a connection that is cut inside a transaction fails that transaction only', async () => {
    const { db, close } = openDatabase({ url: throughProxy(database.url), poolSize: 4 });
    let cuts = 0;
    const work = async () => {
      for (let round = 0; round < 8; round += 1) {
        try {
          await db.transaction(async (tx) => {
            await tx.execute(sql`select 1`);
            await Promise.all([tx.execute(sql`select pg_sleep(0.01)`), tx.execute(sql`select 2`)]);
            await tx.execute(sql`select 3`);
          });
        } catch {
          cuts += 1;
        }
      }
    };
    const workers = Array.from({ length: 8 }, work);
    const all = Promise.all(workers).then(() => true);
    while (!(await Promise.race([all, sleep(60, false)]))) proxy.cut();
    expect(cuts).toBeGreaterThan(0);
    // The pool may still hold connections of the last cut: a query that is written to one of those fails too.
    const answer = () => db.execute<{ answer: number }>(sql`select 42 as answer`).catch(() => undefined);
    await until(async () => (await answer())?.[0]?.answer === 42);
    await close();
  });
});

describe('an outage', () => {
  let serin: TestSerin;
  beforeAll(async () => {
    serin = await startTestSerin({ databaseUrl: throughProxy(database.url) });
  });
  afterAll(() => serin.stop());

  const ready = async () => (await fetch(`${serin.url}/ready`)).status;
  const pause = (id: string) =>
    serin.post(
      'mutation($input: PauseDeploymentInput!) { pauseDeployment(input: $input) { success message } }',
      {
        input: { deploymentId: id },
      },
    );

  for (const kind of ['refuse', 'swallow'] as const) {
    test(`${kind}: mutations answer UNAVAILABLE, /ready says no, feeds and the loop go on afterwards`, async () => {
      const id = await running(serin);
      const checked = await running(serin, {
        config: { ...CALM, checkIntervalSeconds: 10, observationPeriodMinutes: 5 },
      });
      const feed = serin.follow(
        'subscription($id: ID) { stateChanged(deploymentId: $id, after: "0") { status } }',
        { id },
      );
      await feed.take(1);
      proxy[kind]();
      const answers = await Promise.all(Array.from({ length: 40 }, () => pause(id)));
      for (const { errors } of answers) expect(errors?.[0]?.extensions.code).toBe('UNAVAILABLE');
      expect(await ready()).toBe(503);
      expect((await fetch(`${serin.url}/health`)).status).toBe(200);
      proxy.pass();
      await until(async () => (await ready()) === 200);
      expect(await command(serin, 'rollbackCanary', id)).toMatchObject({ success: true });
      await until(() => feed.received.at(-1)?.status === 'ROLLED_BACK');
      expect(feed.errors).toEqual([]);
      feed.end();
      // A check that the outage interrupted is claimed again when its lease has expired: now.
      await database.sql`update deployments set lease_until = clock_timestamp()`;
      await database.sql`update clock set epoch = epoch + interval '1 hour'`;
      await until(async () => (await statusOf(serin, checked)) === 'OBSERVATION_COMPLETE');
    });
  }
});
