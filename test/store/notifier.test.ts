/** The notifier: when a commit notifies readers, and when notifications are coalesced. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/store/postgres/database.ts';
import { createNotifier, type Notifier } from '../../src/store/postgres/notifier.ts';
import { freshDatabase, type TestDatabase } from '../harness/database.ts';
import { until } from '../harness/serin.ts';

let fresh: TestDatabase;
let database: Database;
let notifier: Notifier;
let received = 0;
/** Sent by the test itself: what was sent before a marker has arrived when the marker does. */
const MARKER = 'marker';
let markers = 0;
let stop: () => Promise<void>;
beforeAll(async () => {
  fresh = await freshDatabase();
  // On one connection what is sent first arrives first.
  database = openDatabase({ url: fresh.url, poolSize: 1 });
  notifier = createNotifier(database.client);
  // Not `notifier.listen`: that one notifies itself now and then.
  const { unlisten } = await database.client.listen('serin_log', (payload) => {
    if (payload === MARKER) markers += 1;
    else received += 1;
  });
  stop = unlisten;
});
afterAll(async () => {
  await stop();
  await database.close();
  await fresh.drop();
});
/** Longer than the cooldown between two notifications. */
const idlePeriod = () => sleep(50);
beforeEach(async () => {
  await idlePeriod();
  const before = markers;
  await database.client.notify('serin_log', MARKER);
  await until(() => markers > before);
  received = 0;
});

test('after an idle period the commit notifies, once and not before', async () => {
  const notification = notifier.notification();
  await database.db.transaction(async (tx) => {
    await notification.onAppend(tx);
    await notification.onAppend(tx);
    await idlePeriod();
    expect(received).toBe(0);
  });
  await until(async () => received === 1);
  notification.afterCommit();
  await idlePeriod();
  expect(received).toBe(1);
});

test('a transaction that is rolled back does not notify', async () => {
  const undone = database.db.transaction(async (tx) => {
    await notifier.notification().onAppend(tx);
    throw new Error('undone');
  });
  await expect(undone).rejects.toThrow('undone');
  await idlePeriod();
  expect(received).toBe(0);
});

test('under load the notifications after the first are coalesced into one, after their commits', async () => {
  const notifications = Array.from({ length: 8 }, () => notifier.notification());
  await database.db.transaction((tx) => Promise.all(notifications.map((each) => each.onAppend(tx))));
  for (const each of notifications) each.afterCommit();
  await until(async () => received >= 2);
  await idlePeriod();
  // If the cooldown ended before the commit, the first of the others notifies too.
  expect(received).toBeLessThanOrEqual(3);
});

test('a commit that appends nothing does not notify', async () => {
  const notification = notifier.notification();
  await database.db.transaction(async () => {});
  notification.afterCommit();
  await idlePeriod();
  expect(received).toBe(0);
});
