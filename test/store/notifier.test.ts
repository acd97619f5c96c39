/** The doorbell: who hears of a commit, and when. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/store/postgres/database.ts';
import { createNotifier, type Notifier } from '../../src/store/postgres/notifier.ts';
import { freshDatabase, type TestDatabase } from '../harness/database.ts';
import { until } from '../harness/serin.ts';

let fresh: TestDatabase;
let database: Database;
let doorbell: Notifier;
let heard = 0;
let stop: () => Promise<void>;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = openDatabase({ url: fresh.url });
  doorbell = createNotifier(database.client);
  // The doorbell's own way of listening rings by itself now and then.
  const { unlisten } = await database.client.listen('serin_log', () => {
    heard += 1;
  });
  stop = unlisten;
});
afterAll(async () => {
  await stop();
  await database.close();
  await fresh.drop();
});
/** Longer than the doorbell keeps quiet. */
const silence = () => sleep(50);
beforeEach(async () => {
  await silence();
  heard = 0;
});

test('the first ring goes out with the commit and not before, and once', async () => {
  const ring = doorbell.notification();
  await database.db.transaction(async (tx) => {
    await ring.onAppend(tx);
    await ring.onAppend(tx);
    await silence();
    expect(heard).toBe(0);
  });
  await until(async () => heard === 1);
  ring.afterCommit();
  await silence();
  expect(heard).toBe(1);
});

test('what is rolled back is not rung for', async () => {
  const undone = database.db.transaction(async (tx) => {
    await doorbell.notification().onAppend(tx);
    throw new Error('undone');
  });
  await expect(undone).rejects.toThrow('undone');
  await silence();
  expect(heard).toBe(0);
});

test('of many at the same moment the later ones share one more ring, behind their commits', async () => {
  const rings = Array.from({ length: 8 }, () => doorbell.notification());
  await database.db.transaction((tx) => Promise.all(rings.map((ring) => ring.onAppend(tx))));
  for (const ring of rings) ring.afterCommit();
  await until(async () => heard >= 2);
  await silence();
  // Where the silence was over before the commit, the first of the others rings by itself.
  expect(heard).toBeLessThanOrEqual(3);
});

test('a commit that appends nothing rings for nothing', async () => {
  const ring = doorbell.notification();
  await database.db.transaction(async () => {});
  ring.afterCommit();
  await silence();
  expect(heard).toBe(0);
});
