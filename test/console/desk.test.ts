/** The console of a desk with two hundred live deployments. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { begin } from './stage.ts';
import { browser, closeVisitors, missing, open, PATIENCE_MS } from './visitors.ts';

describe.skipIf(browser === null)(`a desk of two hundred ${missing ?? ''}`, { timeout: PATIENCE_MS }, () => {
  let serin: TestSerin;

  beforeAll(async () => {
    serin = await startTestSerin({ timeScale: 1 });
  }, PATIENCE_MS);
  closeVisitors();
  afterAll(() => serin?.stop());

  test('shows every canary, and each that changes', async () => {
    const plans = Array.from({ length: 200 }, (_, index) => ({
      id: `dep_${index}`,
      strategyId: `desk-${String(index).padStart(3, '0')}`,
      // The figures move, the checks of a slow machine stay out of the way.
      config: { checkIntervalSeconds: 600 },
    }));
    const desk = await begin(serin, plans);
    const { page, complaints } = await open(serin, '/');
    await page.getByText('200 of 200 live deployments shown').waitFor();
    await desk.report();
    await until(
      async () => !(await page.locator('.card-returns').first().textContent())?.includes('–'),
      PATIENCE_MS,
    );
    await serin.ask('mutation { rollbackCanary(input: { deploymentId: "dep_7" }) { success } }');
    await page.getByText('199 of 199 live deployments shown').waitFor({ timeout: PATIENCE_MS });
    expect(complaints).toEqual([]);
  });
});
