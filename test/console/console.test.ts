/** The pages of the console in a real browser, against a real server and database: what each shows, and what holds on all. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { begin, DESK, type Desk } from './stage.ts';
import { browser, closeVisitors, expectAccessible, missing, open, PATIENCE_MS } from './visitors.ts';

/** Seconds of Serin's time in a real one while the desk trades. */
const FAST = 100;

/** A row for each table of the safety page, and a key. */
const SAFETY = `mutation {
  createFreeze(input: { strategies: ["doge-*"], until: "2099-01-01T00:00:00Z", reason: "listing day" }) { success }
  createLossBudget(input: { name: "majors", strategies: ["doge-*"], windowHours: 24, maxLossUsd: "40000", action: FREEZE }) { success }
  createApiKey(input: { name: "night-desk", role: OPERATOR }) { success }
}`;

const checksOf = async (serin: TestSerin, id: string): Promise<number> => {
  const { deployment } = await serin.ask(
    'query($id: ID!) { deployment(id: $id) { series(points: 2) { points { check } } } }',
    { id },
  );
  return deployment.series.points.at(-1)?.check ?? 0;
};

const widthOf = (page: Page): Promise<number> => page.evaluate('document.documentElement.scrollWidth');

describe.skipIf(browser === null)(`the console ${missing ?? ''}`, { timeout: PATIENCE_MS }, () => {
  let serin: TestSerin;
  let desk: Desk;

  beforeAll(async () => {
    serin = await startTestSerin({ timeScale: FAST });
    desk = await begin(serin, DESK);
    // More events than a page of the timeline has.
    while ((await checksOf(serin, 'dep_momentum')) < 55) await desk.trade(5, 1000 / (FAST / 10));
    await until(async () => {
      const { overview } = await serin.ask('{ overview { waitingForPerson } }');
      return overview.waitingForPerson > 0;
    });
    // From here on the clock of a test is that of its viewer.
    await serin.restart({ timeScale: 1 });
    await command(serin, 'advanceStep', 'dep_momentum');
    await command(serin, 'promoteCanary', 'dep_basis', { reason: 'better' });
    await command(serin, 'rollbackCanary', 'dep_trend', { reason: 'worse' });
    await serin.ask(SAFETY);
    await desk.report();
    // A machine that is busy with other tests builds slowly.
  }, PATIENCE_MS + 60_000);
  closeVisitors();
  afterAll(() => serin?.stop());

  test('files are compressed, have a strict policy, and are cached indefinitely when their name has a hash', async () => {
    const page = await fetch(serin.url, { headers: { 'accept-encoding': 'gzip' } });
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'; style-src 'self'");
    expect(page.headers.get('cache-control')).toBe('no-cache');
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1];
    const asset = await fetch(`${serin.url}${script}`, { headers: { 'accept-encoding': 'gzip, br' } });
    expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(asset.headers.get('content-encoding')).toBe('br');
    const again = await fetch(`${serin.url}${script}`, {
      headers: { 'if-none-match': asset.headers.get('etag') ?? '' },
    });
    expect(again.status).toBe(304);
    expect((await fetch(`${serin.url}/assets/nothing.js`)).status).toBe(404);
    expect((await fetch(`${serin.url}/deployments/some/where`)).status).toBe(200);
    expect((await fetch(serin.url, { method: 'POST' })).status).toBe(405);
  });

  test('the overview shows what waits first, searches, filters and sorts, and its address can be shared', async () => {
    const { page, complaints } = await open(serin, '/');
    await page.getByText('7 of 7 live deployments shown').waitFor();
    await page.getByRole('heading', { name: 'Waits for a person' }).waitFor();
    const waiting = page.getByRole('region', { name: /Waits for a person/ });
    await waiting.getByRole('link', { name: 'op-grid' }).waitFor();
    expect(await page.locator('.card').first().getAttribute('class')).toContain('card-waits');
    await page.locator('.sparkline').first().waitFor();
    await expectAccessible(page);

    await page.keyboard.press('/');
    await page.keyboard.type('eth-*');
    await page.getByText('2 of 7 live deployments shown').waitFor();
    await page.getByLabel('Chain').selectOption('ethereum');
    await page.getByLabel('Sort by').selectOption('Strategy');
    const { page: shared } = await open(serin, new URL(page.url()).pathname + new URL(page.url()).search);
    await shared.getByText('2 of 7 live deployments shown').waitFor();
    expect((await shared.locator('.card-link').allInnerTexts()).sort()).toEqual([
      'eth-carry',
      'eth-momentum',
    ]);

    await page.getByRole('button', { name: 'Table' }).click();
    await page.getByRole('columnheader', { name: 'Attention' }).waitFor();
    await expectAccessible(page);
    expect(complaints).toEqual([]);
  });

  test('the page of a deployment says why: course, evidence, gates, guardrails, capital, decisions, timeline', async () => {
    const { page, complaints } = await open(serin, '/deployments/dep_momentum');
    await page.getByRole('heading', { name: 'eth-momentum' }).waitFor();
    await page.getByRole('img', { name: /^Return on capital/ }).waitFor();
    await page.getByRole('img', { name: /^Evidence, check by check/ }).waitFor();
    for (const heading of [
      'Gates',
      'Evidence',
      'Guardrails',
      'Capital',
      'Metrics',
      'Decisions',
      'Timeline',
    ]) {
      await page.getByRole('heading', { name: heading, exact: true }).waitFor();
    }
    await page.getByText('Step 2 started: 25 % for 240 minutes').waitFor();
    await page.getByText(/^the canary side is to hold \$25,000/).waitFor();
    // Instants are in the viewer's zone everywhere, also within sentences of Serin.
    expect(await page.locator('main').textContent()).not.toMatch(/\dT\d\d:/);
    await expectAccessible(page);

    const checks = page.getByText(/^Canary metrics updated/);
    expect(await checks.count()).toBe(0);
    await page.getByLabel('Show every check').check();
    await checks.first().waitFor();
    const shown = await page.locator('.event').count();
    await page.getByRole('button', { name: 'Show earlier' }).click();
    await until(async () => (await page.locator('.event').count()) > shown);

    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export as JSON' }).click();
    expect((await saved).suggestedFilename()).toBe('dep_momentum.json');
    expect(complaints).toEqual([]);
  });

  test('the page says how far the test is from deciding, and what is at risk until the deadline', async () => {
    const { page } = await open(serin, '/deployments/dep_carry');
    await page.getByRole('heading', { name: 'Until the deadline' }).waitFor();
    await page
      .getByText(
        /^(\d[\d,]* more checks? to decide|Too few pairs|The test will not decide|The test has decided)/,
      )
      .waitFor();
    await page.getByText('Loss at risk until the deadline (95 %)').waitFor();
  });

  test('history, strategies and a strategy over time', async () => {
    const { page, complaints } = await open(serin, '/history');
    await page.getByRole('row', { name: /btc-basis/ }).waitFor();
    await expectAccessible(page);
    await page.getByLabel('Ended as').selectOption('ROLLED_BACK');
    await page.getByRole('row', { name: /btc-trend/ }).waitFor();
    await until(async () => (await page.getByRole('row', { name: /btc-basis/ }).count()) === 0);

    await page.getByRole('link', { name: 'Strategies' }).click();
    await page.getByRole('row', { name: /btc-basis v47/ }).waitFor();
    await expectAccessible(page);
    await page.getByRole('link', { name: 'btc-basis' }).click();
    await page.getByText('v47 since').waitFor();
    await page.getByText('v46 since').waitFor();
    await expectAccessible(page);
    expect(complaints).toEqual([]);
  });

  test('the policy lab checks as one types, simulates with progress, compares, and replays on a record', async () => {
    const { page, complaints } = await open(serin, '/policy');
    const policy = page.getByRole('region', { name: 'Policy', exact: true });
    await policy.getByLabel('Canary’s share, %').fill('80');
    await policy.getByText(/canaryPercent must be between 1 and 50/).waitFor();
    expect(await policy.getByRole('button', { name: 'Simulate' }).isDisabled()).toBe(true);
    await policy.getByLabel('Canary’s share, %').fill('20');
    await page.getByText('Assumptions about the market').click();
    await page.getByLabel('Runs of each kind').fill('20');
    await policy.getByRole('button', { name: 'Simulate' }).click();
    await policy.getByRole('region', { name: 'Identical canaries' }).waitFor();
    await policy.getByRole('img', { name: /^Power curve/ }).waitFor();
    await policy.getByRole('button', { name: 'Stop' }).click();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Compare with a second policy' }).click();
    const second = page.getByRole('region', { name: 'Policy B' });
    expect(await second.getByLabel('Canary’s share, %').inputValue()).toBe('20');

    await page.goto(`${serin.url}/policy?replay=dep_trend`);
    await page.getByRole('button', { name: 'Replay on dep_trend' }).click();
    await page.getByText(/^after \d+ checks$/).waitFor();
    expect(complaints).toEqual([]);
  });

  test('on a phone no page is wider than the screen, and the way to the halt is in sight', async () => {
    const { page } = await open(serin, '/', { width: 390, height: 844 });
    await page.getByText(/live deployments shown/).waitFor();
    expect(await widthOf(page)).toBeLessThanOrEqual(390);
    const { x, width } = (await page.getByRole('link', { name: 'Safety' }).first().boundingBox()) ?? {
      x: 0,
      width: 999,
    };
    expect(x + width).toBeLessThanOrEqual(390);
    for (const path of [
      '/safety',
      '/administration/keys',
      '/history',
      '/strategies',
      '/deployments/dep_carry',
    ]) {
      await page.goto(`${serin.url}${path}`);
      await page.locator('tbody').first().waitFor({ state: 'attached' });
      expect(await widthOf(page), path).toBeLessThanOrEqual(390);
    }
  });

  test('keys of the keyboard lead everywhere, and can be switched off', async () => {
    const { page } = await open(serin, '/');
    await page.locator('.card').first().waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Gates' }).waitFor();
    // The second key of a pair must follow in time, which a slow machine may miss.
    await until(async () => {
      await page.keyboard.press('g');
      await page.keyboard.press('s');
      return page.getByRole('heading', { name: 'Strategies' }).isVisible();
    });
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByLabel('Use these keys').uncheck();
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await page.keyboard.press('g');
    await page.keyboard.press('h');
    await page.getByRole('heading', { name: 'Strategies' }).waitFor();
  });

  test('a lost connection shows, values are marked stale, and all returns automatically', async () => {
    const { page, context } = await open(serin, '/', { alone: true });
    await page.getByText('Live', { exact: true }).first().waitFor();
    const server = new URL(serin.url);
    await serin.restart({ timeScale: 1, port: Number(server.port), host: '127.0.0.1' });
    await page.getByText(/live deployments shown/).waitFor();
    await context.setOffline(true);
    await page.getByText('Not connected since').waitFor();
    await page.getByText('Stale since').waitFor();
    await context.setOffline(false);
    await page.locator('.lamp-live').waitFor();
    await until(async () => (await page.getByText('Not connected since').count()) === 0);
    const card = page.locator('.card', { hasText: 'link-pairs' });
    await command(serin, 'pauseDeployment', 'dep_pairs');
    await card.getByText('Paused').first().waitFor();
  });
});
