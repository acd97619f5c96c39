/** Every alert fires when it should, and not before: on real `/metrics`. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { createBudget } from '../harness/lossBudget.ts';
import { startTestSerin } from '../harness/serin.ts';
import { isOf, scrape } from './dashboard.ts';
import { FIRES, rules } from './firing.ts';
import { evaluate, parseMetrics, type Sample } from './promql.ts';
import { providersAt, removeProviders } from './providerFiles.ts';

/** Seconds between the two scrapes, as far as rates are concerned. */
const SECONDS = 60;

describe('an alert fires when it should, and not before', () => {
  let calm: readonly Sample[];
  beforeAll(async () => {
    const serin = await startTestSerin({ providersFile: await providersAt(0) });
    await createBudget(serin, {});
    calm = parseMetrics(`${await scrape(serin)}up{job="serin"} 1`);
    await serin.stop();
    await removeProviders();
  });

  const firing = (alert: string, now: readonly Sample[]) =>
    evaluate(rules.find((rule) => rule.alert === alert)?.expr ?? '', { before: calm, now, seconds: SECONDS });

  test('all alerts are known', () => {
    expect(rules.map(({ alert }) => alert).toSorted()).toEqual(Object.keys(FIRES).toSorted());
  });

  test.each(Object.entries(FIRES))('%s', (alert, series) => {
    expect(firing(alert, calm)).toEqual([]);
    let now = calm;
    for (const [name, labels, value] of series) {
      expect(calm.filter((sample) => isOf(sample, name, labels))).toHaveLength(1);
      now = now.map((sample) => (isOf(sample, name, labels) ? { ...sample, value } : sample));
    }
    expect(firing(alert, now)).toHaveLength(1);
  });

  test('every figure that docs/operations.md names is in an alert', () => {
    const figures = readFileSync('docs/operations.md', 'utf8').match(/serin_[a-z_]+(?=`)/g) ?? [];
    expect(figures.length).toBeGreaterThan(0);
    const expressions = rules.map(({ expr }) => expr).join('\n');
    for (const figure of figures) expect(expressions).toContain(figure);
  });
});
