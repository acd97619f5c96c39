/**
 * Pictures of every page for people to look at, in both themes and on a phone; and the one that README shows. They are
 * taken by `npm run pictures` alone, so that a run of the tests changes no file.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { command } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';
import { buildConsole, launchBrowser, visit } from './browser.ts';
import { begin, DESK, type Desk } from './stage.ts';

const wanted = process.env.SERIN_PICTURES === '1';
const { browser } = wanted ? await launchBrowser() : { browser: null };

const FOLDER = fileURLToPath(new URL('./pictures/', import.meta.url));
const README_PICTURE = fileURLToPath(new URL('../../docs/pictures/console.png', import.meta.url));
const PATIENCE_MS = 600_000;
const FAST = 100;

const LOOKS = [
  ['dark', { theme: 'dark' }],
  ['light', { theme: 'light' }],
  ['phone', { theme: 'light', width: 390, height: 844 }],
] as const;

/** A market of few trials: the pictures need no exact figures. */
const POLICY = '/policy?market=%7B%22runs%22%3A%22100%22%7D';

const PAGES = [
  ['overview', '/', '.sparkline'],
  ['deployment', '/deployments/dep_momentum', '.event'],
  ['history', '/history', 'tbody'],
  ['strategy', '/strategies/btc-basis', '.versions'],
  ['policy', POLICY, '.policy'],
  ['administration', '/administration/keys', 'tbody'],
] as const;

describe.runIf(browser !== null)('pictures of the console', () => {
  let serin: TestSerin;
  let desk: Desk;

  beforeAll(async () => {
    mkdirSync(FOLDER, { recursive: true });
    await buildConsole();
    serin = await startTestSerin({ timeScale: FAST });
    desk = await begin(serin, DESK);
    await desk.trade(70, 1000 / (FAST / 10));
    await command(serin, 'advanceStep', 'dep_momentum');
    await command(serin, 'promoteCanary', 'dep_basis', { reason: 'better in every session' });
    await command(serin, 'rollbackCanary', 'dep_trend', { reason: 'worse beyond chance' });
    await command(serin, 'pauseDeployment', 'dep_pairs', { reason: 'maintenance of the venue' });
    await serin.ask('mutation { createApiKey(input: { name: "night-desk", role: OPERATOR }) { success } }');
    await serin.restart({ timeScale: 1 });
  }, PATIENCE_MS);
  afterAll(() => serin?.stop());

  test.each(LOOKS)('%s', { timeout: PATIENCE_MS }, async (look, options) => {
    if (!browser) throw new Error('no browser');
    const { page, close } = await visit(browser, serin.url, options);
    for (const [name, path, ready] of PAGES) {
      await desk.report();
      await page.goto(`${serin.url}${path}`);
      await page.locator(ready).first().waitFor();
      if (name === 'policy') await simulate(page);
      await page.waitForTimeout(2000);
      if (name === 'overview' && look === 'dark') await page.screenshot({ path: README_PICTURE });
      const fullPage = name === 'deployment' || name === 'policy';
      await page.screenshot({ path: `${FOLDER}${name}-${look}.png`, fullPage });
    }
    await close();
  });
});

/** Simulates the policy of the lab until its power curve is whole. */
async function simulate(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Simulate' }).click();
  await page.getByRole('button', { name: 'Stop' }).waitFor({ state: 'detached', timeout: PATIENCE_MS });
}
