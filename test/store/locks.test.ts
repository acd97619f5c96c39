/** Locks of deployments, and the order of the log that follows from them. */
import { sql as sqlText } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockDeployment, lockFreeDeployments } from '../../src/store/deployments/deployments.ts';
import { readLog } from '../../src/store/log/eventLog.ts';
import { LOG_START } from '../../src/store/log/position.ts';
import { openDatabase } from '../../src/store/postgres/database.ts';
import { CALM, command, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let database: ReturnType<typeof openDatabase>;
beforeAll(async () => {
  serin = await startTestSerin();
  database = openDatabase({ url: serin.database.url });
});
afterAll(async () => {
  await database.close();
  await serin.stop();
});

/** A deployment that the node leaves alone: its checks are a day apart. */
const calm = () =>
  running(serin, { config: { ...CALM, observationPeriodMinutes: 100_000, checkIntervalSeconds: 86_400 } });

test('a deployment whose row or advisory lock another transaction holds is skipped', async () => {
  const [free, row, name] = [await calm(), await calm(), await calm()];
  await database.db.transaction(async (tx) => {
    await serin.database.sql.begin(async (other) => {
      await other`select 1 from deployments where id = ${row} for update`;
      await other`select pg_advisory_xact_lock(5371004, hashtext(${name}))`;
      const found = await lockFreeDeployments(tx, [row, name, free, 'nowhere']);
      expect([...found.free.keys()]).toEqual([free]);
      expect(found.free.get(free)?.state.status).toBe('RUNNING');
      expect(found.skipped).toEqual(new Set([row, name]));
    });
  });
  await database.db.transaction(async (tx) => {
    const found = await lockFreeDeployments(tx, [row, name, free]);
    expect([...found.free.keys()].toSorted()).toEqual([free, row, name].toSorted());
    expect(found.skipped.size).toBe(0);
  });
});

test('a transaction that waits for a deployment has no transaction id yet, so that none can overtake it', async () => {
  const id = await calm();
  const { sql } = serin.database;
  const waiters = Array.from({ length: 5 }, () => openDatabase({ url: serin.database.url, poolSize: 1 }));
  /** The sessions of the waiters: the node's own checks may wait too. */
  const pids: number[] = [];
  const waitersWaiting = async () => {
    const [row] = await sql<{ waiting: number; named: number }[]>`
      select count(*)::int as waiting, count(a.backend_xid)::int as named
      from pg_locks l join pg_stat_activity a using (pid)
      where a.pid = any(${pids}) and not l.granted`;
    return row;
  };
  const waiting: Promise<void>[] = [];
  const seen: { readonly waiting?: number; readonly named?: number }[] = [];
  await sql.begin(async (holder) => {
    await holder`select pg_advisory_xact_lock(5371004, hashtext(${id}))`;
    await holder`update deployments set revision = revision where id = ${id}`;
    for (const { db } of waiters) {
      waiting.push(
        db.transaction(async (tx) => {
          const [session] = await tx.execute<{ pid: number }>(sqlText`select pg_backend_pid() as pid`);
          pids.push(session?.pid ?? 0);
          await lockDeployment(tx, id);
          await tx.execute(sqlText`update deployments set revision = revision where id = ${id}`);
          seen.push((await waitersWaiting()) ?? {});
        }),
      );
    }
    await until(async () => (await waitersWaiting())?.waiting === waiters.length);
  });
  await Promise.all(waiting);
  expect(seen.map(({ waiting }) => waiting)).toEqual([4, 3, 2, 1, 0]);
  expect(seen.map(({ named }) => named)).toEqual([0, 0, 0, 0, 0]);
  for (const waiter of waiters) await waiter.close();
});

test('transaction ids of more digits come later', async () => {
  const deploymentId = await calm();
  for (const name of ['pauseDeployment', 'resumeDeployment']) await command(serin, name, deploymentId);
  await serin.database.sql`
    update events set xid = (7 + no)::text::xid8 where deployment_id = ${deploymentId}`;
  const { entries } = await readLog(database.db, LOG_START, 10, { deploymentId, scope: null });
  expect(entries.map(({ position }) => position.xid)).toEqual(
    Array.from({ length: entries.length }, (_, index) => BigInt(8 + index)),
  );
  expect(entries.length).toBeGreaterThan(3);
});
