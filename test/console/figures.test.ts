/** Figures, times and sentences of the console, as they read. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { report } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { buildConsole } from './browser.ts';
import { begin } from './stage.ts';
import { browser, closeVisitors, missing, open, PATIENCE_MS } from './visitors.ts';

/** A time zone in which the hour after midnight is now. */
function zoneAtMidnight(): string {
  const hour = new Date().getUTCHours();
  return hour <= 12 ? `Etc/GMT+${hour}` : `Etc/GMT-${24 - hour}`;
}

describe.skipIf(browser === null)(`figures of the console ${missing ?? ''}`, { timeout: PATIENCE_MS }, () => {
  let serin: TestSerin;

  beforeAll(async () => {
    await buildConsole();
    serin = await startTestSerin({ timeScale: 1 });
    await begin(serin, [{ id: 'dep_a', strategyId: 'eth-a' }]);
  }, PATIENCE_MS + 60_000);
  closeVisitors();
  afterAll(() => serin?.stop());

  test('what is rounded to zero has no sign', async () => {
    await report(serin, 'Canary', 'dep_a', { pnlUsd: '-0.003', trades: 1 });
    const { page } = await open(serin, '/');
    const canary = page.locator('.card .canary-figure dd');
    await until(async () => (await canary.textContent()) !== '–');
    expect(await canary.textContent()).toMatch(/^0\.00\s%$/);
    await page.goto(`${serin.url}/deployments/dep_a`);
    const row = page.getByRole('row', { name: /Net PnL/ });
    expect(await row.getByRole('cell').first().textContent()).toBe('$0.00');
  });

  test('a short amount has the unit of what is shown', async () => {
    await serin.ask(`mutation { acknowledgeAllocation(input: { deploymentId: "dep_a", number: 1, side: CANARY,
      heldUsd: "999999" }) { success } }`);
    const { page } = await open(serin, '/');
    expect(await page.locator('.card dd[title="$999,999"]').textContent()).toBe('$1M');
  });

  test('the banner of a freeze says for which chains and acts it is', async () => {
    await serin.ask(`mutation { createFreeze(input: { strategies: ["*"], chains: ["base"], blocks: [PROMOTE],
      reason: "rates decision" }) { success } }`);
    const { page } = await open(serin, '/');
    const banner = page.getByRole('region', { name: 'Active freezes' });
    await banner
      .getByText('All strategies on base frozen (promote) until it is lifted: rates decision')
      .waitFor();
  });

  test('the time of a point of a chart after midnight is a time of day', async () => {
    const options = { alone: true, locale: 'en-US', timezone: zoneAtMidnight() };
    const { page } = await open(serin, '/deployments/dep_a', options);
    const legend = page.locator('.chart-legend').first();
    await until(async () => /\d:\d\d/.test((await legend.textContent()) ?? ''));
    expect(await legend.textContent()).toMatch(/, (12|01):\d\d/);
  });
});
