/**
 * Pictures of every page for people to look at, in both themes and on a phone; the one that README shows; and `serin get
 * -w` in terminals of two widths. They are taken by `npm run pictures` alone, so that a run of the tests changes no file.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { spawn } from '@lydell/node-pty';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { terminalPicture } from '../../scripts/terminalPicture.ts';
import { command } from '../harness/deployment.ts';
import { PROGRAM } from '../harness/program.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { launchBrowser, visit } from './browser.ts';
import { begin, DESK, type Desk } from './stage.ts';

const wanted = process.env.SERIN_PICTURES === '1';
const { browser } = wanted ? await launchBrowser() : { browser: null };

const FOLDER = fileURLToPath(new URL('./pictures/', import.meta.url));
const README_PICTURE = fileURLToPath(new URL('../../docs/pictures/console.png', import.meta.url));
const WATCH_PICTURES = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const WATCH_TITLE =
  'serin get -w in a terminal: a canary in the second step of its ramp, both sides with return, capital and trades, their curves on one scale, the interval of the evidence, gates, capital asked and held.';
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
  ['safety', '/safety', 'tbody'],
  ['settings', '/deployments/dep_carry', '.event'],
  ['new', '/new?strategy=eth-carry&canary=v9', 'form'],
] as const;

describe.runIf(browser !== null)('pictures of the console', () => {
  let serin: TestSerin;
  let desk: Desk;

  beforeAll(async () => {
    mkdirSync(FOLDER, { recursive: true });
    serin = await startTestSerin({ timeScale: FAST });
    desk = await begin(serin, DESK);
    await desk.trade(70, 1000 / (FAST / 10));
    await command(serin, 'advanceStep', 'dep_momentum');
    await command(serin, 'promoteCanary', 'dep_basis', { reason: 'better in every session' });
    await command(serin, 'rollbackCanary', 'dep_trend', { reason: 'worse beyond chance' });
    await command(serin, 'pauseDeployment', 'dep_pairs', { reason: 'maintenance of the venue' });
    await serin.ask('mutation { createApiKey(input: { name: "night-desk", role: OPERATOR }) { success } }');
    const safety = `mutation {
      createFreeze(input: { strategies: ["sol-*"], until: "2099-01-01T00:00:00Z", reason: "validators are upgraded" }) { success }
      week: createFreeze(input: { strategies: ["eth-*", "btc-*"], blocks: [PROMOTE, STEP_UP], reason: "jobs report",
        recurrence: { rule: "15 8 * * FRI#1", timeZone: "America/New_York", durationMinutes: 90 } }) { success }
      createLossBudget(input: { name: "majors", strategies: ["eth-*", "btc-*"], windowHours: 24, maxLossUsd: "40000", action: ROLLBACK_LOSERS }) { success }
      whole: createLossBudget(input: { name: "the whole desk", windowHours: 168, maxLossUsd: "250000", action: FREEZE }) { success }
    }`;
    await serin.ask(safety);
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
      if (name === 'settings') await changeSettings(page);
      await page.waitForTimeout(2000);
      if (name === 'overview' && look === 'dark') await page.screenshot({ path: README_PICTURE });
      // The header stays at the top of the window: a picture of a whole page begins there.
      await page.evaluate(() => window.scrollTo(0, 0));
      const fullPage = name === 'deployment' || name === 'policy' || name === 'safety';
      await page.screenshot({ path: `${FOLDER}${name}-${look}.png`, fullPage });
    }
    await close();
  });

  test.each([80, 120])('serin get -w at %i columns', { timeout: PATIENCE_MS }, async (cols) => {
    await desk.report();
    const pty = spawn(process.execPath, [PROGRAM, 'get', 'dep_momentum', '-w'], {
      cols,
      rows: 45,
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', SERIN_URL: serin.url },
    });
    let written = '';
    pty.onData((data) => {
      written += data;
      if (data.includes('live, as of')) pty.write('q');
    });
    let left = false;
    pty.onExit(() => {
      left = true;
    });
    await until(() => left, PATIENCE_MS);
    // What stays below the prompt.
    const lines = (written.split(LEAVES_SCREEN).at(-1) ?? '').trimEnd().split(/\r?\n/);
    writeFileSync(`${WATCH_PICTURES}watch-${cols}.svg`, terminalPicture(lines, cols, WATCH_TITLE));
  });
});

/** Back from the alternate screen. */
const LEAVES_SCREEN = '\x1b[?1049l';

/** Simulates the policy of the lab until its power curve is whole. */
async function simulate(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Simulate' }).click();
  await page.getByRole('button', { name: 'Stop' }).waitFor({ state: 'detached', timeout: PATIENCE_MS });
}

/** Opens the dialog of settings and makes one safer and one looser. */
async function changeSettings(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Change settings …' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Loss, USD').fill('500');
  await dialog.getByLabel('Loss of its capital, %').fill('none');
  await dialog.getByText('▲ looser').waitFor();
}
