/** Listeners of metrics: each hears of what is newer than what it knows. */
import { drizzle } from 'drizzle-orm/postgres-js';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMetricsWatch } from '../../src/feed/metricsWatch.ts';
import { metricsVersions } from '../../src/store/deployments/sideMetrics.ts';
import { report, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

test('one that knows the latest figures takes no news from one that does not', async () => {
  const db = drizzle(serin.database.sql);
  const ended = new AbortController();
  const watch = createMetricsWatch(db, pino({ enabled: false }), ended.signal);
  const [busy, id] = [await running(serin), await running(serin)];
  await report(serin, 'Canary', busy, { pnlUsd: '1', trades: 1 });
  await report(serin, 'Canary', id, { pnlUsd: '1', trades: 1 });
  // From here on the watch looks once a second: what follows falls between two looks.
  const heard = { busy: 0, unknowing: 0, knowing: 0 };
  watch.join(busy, null, () => (heard.busy += 1));
  await until(() => heard.busy > 0);
  watch.join(id, null, () => (heard.unknowing += 1));
  watch.join(id, (await metricsVersions(db, [id])).get(id) ?? null, () => (heard.knowing += 1));
  await until(() => heard.unknowing === 1);
  expect(heard.knowing).toBe(0);
  await report(serin, 'Canary', id, { pnlUsd: '2', trades: 2 });
  await until(() => heard.unknowing === 2 && heard.knowing === 1);
  ended.abort();
});
