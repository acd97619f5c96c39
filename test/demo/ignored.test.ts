/** The demo of a bot that ignores its allocation: everybody who should hear of it does. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../demo/api.ts';
import { runIgnored } from '../../demo/ignored.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';
import { rules } from '../ops/firing.ts';
import { evaluate, parseMetrics } from '../ops/promql.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin({ webhookNetworks: ['127.0.0.0/8'] });
});
afterAll(() => serin.stop());

test('the feed, a webhook, the metric and the alert say so; then the capital is home', async () => {
  const api = connect(serin.url);
  const heard = await runIgnored({ api, url: serin.url, say: () => {} });
  await api.close();
  expect(heard.feed).toContain('overdue');
  expect(heard.webhook).toBe('ALLOCATION_OVERDUE');
  // Null where Prometheus is not installed.
  expect(heard.alert).not.toBe(false);
  const now = parseMetrics(heard.metrics);
  const firing = (alert: string) =>
    evaluate(rules.find((rule) => rule.alert === alert)?.expr ?? '', { before: now, now, seconds: 60 });
  expect(firing('SerinAllocationOverdue')).toHaveLength(1);
  const { deployment } = await serin.ask(
    '{ deployment(id: "dep_ignored") { status settlement { status } } }',
  );
  expect(deployment).toEqual({ status: 'ROLLED_BACK', settlement: { status: 'SETTLED' } });
});
