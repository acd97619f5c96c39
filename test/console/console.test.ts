/**
 * The console in a real browser, against a real server and database: every page, every action, and what holds on all of
 * them.
 */
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, report, running } from '../harness/deployment.ts';
import { administrator, makeKey, personsKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin, until } from '../harness/serin.ts';
import { buildConsole, launchBrowser, type Visitor, type VisitorOptions, visit } from './browser.ts';
import { begin, DESK, type Desk } from './stage.ts';

/** A browser beside other tests on a small machine is slow: nothing fails for that. */
const PATIENCE_MS = 180_000;
/** Seconds of Serin's time in a real one while the desk trades. */
const FAST = 100;

const { browser, missing } = await launchBrowser();
const visitors: Visitor[] = [];

/** No guardrail trips and no check is due during a test. */
const NOBODY_ELSE_ACTS = {
  guardrails: { ...CALM.guardrails, maxLossPercent: null },
  checkIntervalSeconds: 3600,
  observationPeriodMinutes: 2880,
};

async function open(serin: TestSerin, path: string, options: VisitorOptions = {}): Promise<Visitor> {
  if (!browser) throw new Error('no browser');
  const visitor = await visit(browser, `${serin.url}${path}`, options);
  visitors.push(visitor);
  return visitor;
}

async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([]);
}

const deploymentOf = async (caller: TestCaller, id: string): Promise<Data> =>
  (
    await caller.ask(
      'query($id: ID!) { deployment(id: $id) { status revision summary decisionHistory { actor reason } } }',
      { id },
    )
  ).deployment;

const widthOf = (page: Page): Promise<number> => page.evaluate('document.documentElement.scrollWidth');

/** Gives a command through its dialog. */
async function act(page: Page, action: string, fields: Record<string, string> = {}): Promise<void> {
  await page.getByRole('button', { name: `${action} …` }).click();
  const dialog = page.getByRole('dialog');
  for (const [label, text] of Object.entries(fields)) await dialog.getByLabel(label).fill(text);
  await dialog.getByRole('button', { name: action, exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
}

describe.skipIf(browser === null)(`the console ${missing ?? ''}`, { timeout: PATIENCE_MS }, () => {
  let serin: TestSerin;
  let desk: Desk;

  beforeAll(async () => {
    await buildConsole();
    serin = await startTestSerin({ timeScale: FAST });
    desk = await begin(serin, DESK);
    await desk.trade(60, 1000 / (FAST / 10));
    const { deployment } = await serin.ask('{ deployment(id: "dep_momentum") { step { number } } }');
    if (deployment.step.number === 1) await command(serin, 'advanceStep', 'dep_momentum');
    // From here on the clock of a test is that of its viewer.
    await serin.restart({ timeScale: 1 });
    await desk.report();
    // A machine that is busy with other tests builds slowly.
  }, PATIENCE_MS + 60_000);
  afterEach(async () => {
    for (const { close } of visitors.splice(0)) await close();
  });
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
    await page.getByText('9 of 9 live deployments shown').waitFor();
    await page.getByRole('heading', { name: 'Waits for a person' }).waitFor();
    const waiting = page.getByRole('region', { name: /Waits for a person/ });
    await waiting.getByRole('link', { name: 'op-grid' }).waitFor();
    expect(await page.locator('.card').first().getAttribute('class')).toContain('card-waits');
    await page.locator('.sparkline').first().waitFor();
    await expectAccessible(page);

    await page.keyboard.press('/');
    await page.keyboard.type('eth-*');
    await page.getByText('2 of 9 live deployments shown').waitFor();
    await page.getByLabel('Chain').selectOption('ethereum');
    await page.getByLabel('Sort by').selectOption('Strategy');
    const { page: shared } = await open(serin, new URL(page.url()).pathname + new URL(page.url()).search);
    await shared.getByText('2 of 9 live deployments shown').waitFor();
    expect((await shared.locator('.card-link').allInnerTexts()).sort()).toEqual([
      'eth-carry',
      'eth-momentum',
    ]);

    await page.getByRole('button', { name: 'Table' }).click();
    await page.getByRole('columnheader', { name: 'Attention' }).waitFor();
    await expectAccessible(page);
    expect(complaints).toEqual([]);
  });

  test('a card changes as soon as its deployment does', async () => {
    const { page } = await open(serin, '/');
    const card = page.locator('.card', { hasText: 'link-pairs' });
    await card.getByText('Running').waitFor();
    const pause = 'mutation($id: ID!) { pauseDeployment(input: { deploymentId: $id }) { success } }';
    await serin.ask(pause, { id: 'dep_pairs' });
    await card.getByText('Paused').first().waitFor();
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
    await page.getByText('Loses at most, in 19 of 20 cases').waitFor();
  });

  test('a deployment is created with its capital from a form that checks as one types', async () => {
    const { page, complaints } = await open(serin, '/');
    await page.getByRole('link', { name: 'New deployment' }).click();
    await page.getByLabel(/^Strategy/).fill('doge-grid');
    await page.getByLabel(/^Canary version/).fill('v2');
    await page.getByLabel(/^Stable version/).fill('v1');
    await page.getByLabel('Canary’s share, %').fill('80');
    await page.getByText(/canaryPercent must be between 1 and 50/).waitFor();
    expect(await page.getByRole('button', { name: 'Create', exact: true }).isDisabled()).toBe(true);
    await page.getByLabel('Canary’s share, %').fill('20');
    await page.getByLabel(/^Capital of both sides/).fill('50000');
    await page.getByText(/v2 is asked to hold 20 % \(\$10,000\)/).waitFor();
    expect(page.url()).toContain('policy=');
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Create and deploy' }).click();
    // Sixty checks tell little: the page warns of it, and leads to the deployment.
    await page.getByText(/can only tell differences of/).waitFor({ timeout: PATIENCE_MS });
    await page.getByRole('link', { name: /^Go to dep_/ }).click();
    await page.getByRole('heading', { name: 'doge-grid' }).waitFor();
    await page.getByText('Canary started with 20 % of $50,000').first().waitFor();

    await page.goto(`${serin.url}/new?strategy=doge-grid&canary=v3`);
    await page.getByText('On trial already: v2').waitFor();
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: 'doge-grid' }).waitFor();
    const { strategy } = await serin.ask(
      '{ strategy(id: "doge-grid") { liveDeployments { id config { canaryPercent } } } }',
    );
    expect(strategy.liveDeployments).toMatchObject([{ config: { canaryPercent: '20' } }]);
    const [{ id }] = strategy.liveDeployments;
    await serin.ask('mutation($id: ID!) { cancelDeployment(input: { deploymentId: $id }) { success } }', {
      id,
    });
    expect(complaints).toEqual([]);
  });

  test('every action is done with its reason, and shows at once', async () => {
    const { page, complaints } = await open(serin, '/deployments/dep_liquidity');
    await act(page, 'Deploy', {
      'Capital of both sides together, USD': '50000',
      'Reason, for the record': 'go',
    });
    await page.getByText('Canary v48 runs alongside v47').waitFor();
    await act(page, 'Pause', { 'Reason, for the record': 'lunch' });
    await act(page, 'Resume');
    expect((await deploymentOf(serin, 'dep_liquidity')).summary).toMatch(/^Resumed/);
    await act(page, 'Cancel', { 'Reason, for the record': 'enough' });
    await page.getByText('Cancelled: enough').first().waitFor();

    await page.goto(`${serin.url}/deployments/dep_grid`);
    await act(page, 'Extend', { 'Minutes from now': '30' });
    await page.getByText('Observation extended by 30 minutes').waitFor();

    await page.goto(`${serin.url}/deployments/dep_basis`);
    await act(page, 'Promote', { 'Reason, for the record': 'better' });
    await page.getByText('v47 promoted; it is the stable version now: better').first().waitFor();

    await page.goto(`${serin.url}/deployments/dep_trend`);
    await page.getByRole('button', { name: 'Roll back …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('The canary gives back what it holds ($10,000)').waitFor();
    await expectAccessible(page);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await act(page, 'Roll back', { 'Reason, for the record': 'worse' });
    expect(await deploymentOf(serin, 'dep_trend')).toMatchObject({
      status: 'ROLLED_BACK',
      decisionHistory: expect.arrayContaining([expect.objectContaining({ reason: 'worse' })]),
    });
    expect(complaints).toEqual([]);
  });

  test('an action on what has changed meanwhile is held until the viewer has seen it; a refusal stands in the dialog', async () => {
    const { page } = await open(serin, '/deployments/dep_carry');
    await page.getByRole('button', { name: 'Roll back …' }).click();
    const pause = 'mutation { pauseDeployment(input: { deploymentId: "dep_carry" }) { success } }';
    await serin.ask(pause);
    const dialog = page.getByRole('dialog');
    await dialog.getByText('The deployment has changed since you opened this').waitFor();
    expect(await dialog.getByRole('button', { name: 'Roll back', exact: true }).isDisabled()).toBe(true);
    await dialog.getByRole('button', { name: 'I have seen it as it is now' }).click();
    await dialog.getByRole('button', { name: 'Back', exact: true }).click();

    await page.getByRole('button', { name: 'Resume …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resume', exact: true }).click();
    await page.getByRole('button', { name: 'Pause …' }).waitFor();
    await page.goto(`${serin.url}/deployments/dep_nowhere`);
    await page.getByText('This deployment is not there').waitFor();
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
    await page.getByLabel('Trials of each kind').fill('20');
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

  test('keys and webhooks are made and ended, and the audit tells of it', async () => {
    const { page, complaints } = await open(serin, '/administration/keys');
    await page.getByRole('button', { name: 'New key …' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('night-desk');
    await expectAccessible(page);
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
    await page.getByText(/^serin_[0-9a-f]{12}_/).waitFor();
    await page.getByRole('button', { name: 'Revoke …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('Revoked').waitFor();
    await page.getByRole('link', { name: 'Audit' }).click();
    await page.getByText('Api key revoked').waitFor();
    await expectAccessible(page);

    await page.getByRole('link', { name: 'Webhooks' }).click();
    await page.getByRole('button', { name: 'New webhook …' }).click();
    await page.getByRole('dialog').getByLabel('Address').fill('https://alerts.example.com/serin');
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
    const refused = page.getByRole('dialog').getByRole('alert');
    const listed = page.getByRole('heading', { name: 'https://alerts.example.com/serin' });
    await refused.or(listed).first().waitFor();
    if (await listed.isVisible()) {
      await page.getByRole('button', { name: 'Deliveries' }).click();
      await page.getByText('Nothing was sent yet').waitFor();
      await expectAccessible(page);
      await page.getByRole('button', { name: 'Delete …' }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await page.getByText('There is no webhook').waitFor();
    }
    expect(complaints).toEqual([]);
  });

  test('a freeze shows everywhere, blocks a promotion until an administrator overrides it, and is lifted; a halt', async () => {
    const { page, complaints } = await open(serin, '/safety');
    await page.getByText('There is no freeze').waitFor();
    await page.getByRole('button', { name: 'New freeze …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Strategies, patterns').fill('base-*');
    await dialog.getByLabel('Why').fill('listing day');
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Freeze', exact: true }).click();
    await page.getByRole('row', { name: /Active base-\*/ }).waitFor();
    await expectAccessible(page);

    await page.getByRole('link', { name: 'Overview', exact: true }).click();
    await page.getByRole('region', { name: 'Active freezes' }).getByText('listing day').waitFor();
    await page.goto(`${serin.url}/deployments/dep_maker`);
    await page.getByText(/Frozen until it is lifted/).waitFor();
    await page.getByRole('button', { name: 'Promote …' }).click();
    expect(await dialog.getByRole('button', { name: 'Promote', exact: true }).isDisabled()).toBe(true);
    await dialog.getByLabel('Do it although a freeze blocks it').check();
    await expectAccessible(page);
    await dialog.getByLabel('Reason, for the record').fill('the listing is off');
    await dialog.getByRole('button', { name: 'Promote', exact: true }).click();
    await page
      .getByText(/promoted.*; it is the stable version now: the listing is off/)
      .first()
      .waitFor();

    await page.goto(`${serin.url}/safety`);
    await page.getByRole('button', { name: 'Lift …' }).click();
    await dialog.getByRole('button', { name: 'Lift', exact: true }).click();
    await page.getByRole('row', { name: /Lifted base-\*/ }).waitFor();

    await page.getByRole('button', { name: 'Halt canaries …' }).click();
    await dialog.getByLabel('Strategies, patterns').fill('link-*');
    await dialog.getByLabel('What to do').selectOption('PAUSE');
    await dialog.getByLabel('Freeze them too').uncheck();
    await dialog.getByLabel('Why').fill('the venue is down');
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Halt', exact: true }).click();
    await page.getByRole('link', { name: 'dep_pairs' }).waitFor();
    expect(await deploymentOf(serin, 'dep_pairs')).toMatchObject({ status: 'PAUSED' });
    expect(complaints).toEqual([]);
  });

  test('a loss budget shows how much is used, acts when it is broken, is armed again and deleted', async () => {
    const id = await running(serin, { strategyId: 'lab-budget', config: NOBODY_ELSE_ACTS });
    const { page, complaints } = await open(serin, '/safety');
    await page.getByText('There is no loss budget').waitFor();
    await page.getByRole('button', { name: 'New loss budget …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('lab desk');
    await dialog.getByLabel('Strategies, patterns').fill('lab-*');
    await dialog.getByLabel('USD together').fill('1000');
    await dialog.getByLabel('In so many hours').fill('1000');
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Create', exact: true }).click();
    await dialog.getByRole('alert').getByText('windowHours').waitFor();
    await dialog.getByLabel('In so many hours').fill('24');
    await dialog.getByRole('button', { name: 'Create', exact: true }).click();
    const budgets = page.getByRole('region', { name: 'Loss budgets' });
    const row = budgets.getByRole('row', { name: /lab desk/ });
    await row.getByText('Armed').waitFor();
    await report(serin, 'Canary', id, { pnlUsd: '-800' });
    await row.getByRole('meter', { name: 'lab desk: $800 of $1,000 in 24 h (80' }).waitFor();
    await expectAccessible(page);
    await report(serin, 'Canary', id, { pnlUsd: '-1000' });
    await row.getByText('Broken').waitFor();
    await page.getByRole('row', { name: /Active lab-\*.*loss budget lab desk is broken/ }).waitFor();
    await until(async () => (await deploymentOf(serin, id)).status === 'ROLLED_BACK');
    await row.getByRole('button', { name: 'Arm again …' }).click();
    await dialog.getByLabel('Reason, for the record').fill('found the cause');
    await dialog.getByRole('button', { name: 'Arm again', exact: true }).click();
    await row.getByText('Armed').waitFor();
    await row.getByRole('button', { name: 'Delete …' }).click();
    await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('There is no loss budget').waitFor();
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
    await page.keyboard.press('g');
    await page.keyboard.press('s');
    await page.getByRole('heading', { name: 'Strategies' }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByLabel('Use these keys').uncheck();
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await page.keyboard.press('g');
    await page.keyboard.press('h');
    await page.getByRole('heading', { name: 'Strategies' }).waitFor();
  });

  test('a lost connection shows, values are marked stale, and all returns automatically', async () => {
    const { page, context } = await open(serin, '/');
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
    await serin.ask('mutation { resumeDeployment(input: { deploymentId: "dep_pairs" }) { success } }');
    await card.getByText('Running').waitFor();
  });
});

describe.skipIf(browser === null)(
  `the console of a server with keys ${missing ?? ''}`,
  { timeout: PATIENCE_MS },
  () => {
    let serin: TestSerin;
    let root: TestCaller;

    beforeAll(async () => {
      await buildConsole();
      serin = await startTestSerin({ access: WITH_KEYS });
      root = await administrator(serin);
      await begin(root, [
        { id: 'dep_two', strategyId: 'eth-two', config: { requireApproval: true } },
        { id: 'dep_settings', strategyId: 'sol-settings', config: { requireApproval: true } },
        { id: 'dep_other', strategyId: 'btc-other' },
      ]);
    }, PATIENCE_MS);
    afterEach(async () => {
      for (const { close } of visitors.splice(0)) await close();
    });
    afterAll(() => serin?.stop());

    async function signIn(key: string, path = '/'): Promise<Visitor> {
      const visitor = await open(serin, path);
      await visitor.page.getByLabel('Key or token').fill(key);
      await visitor.page.getByRole('button', { name: 'Sign in' }).click();
      return visitor;
    }

    test('asks for a key, says why one is not accepted, and forgets it on request', async () => {
      const { page } = await signIn('serin_000000000000_nothing');
      await page.getByRole('alert').filter({ hasText: /key/i }).waitFor();
      await expectAccessible(page);
      await page.getByLabel('Key or token').fill(await makeKey(root, 'OPERATOR'));
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('3 of 3 live deployments shown').waitFor();
      await page.reload();
      await page.getByText('3 of 3 live deployments shown').waitFor();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByRole('heading', { name: 'Sign in to Serin' }).waitFor();
    });

    test('offers what the role may do, on the strategies of the key, and nothing else', async () => {
      const { page, complaints } = await signIn(await makeKey(root, 'VIEWER', { strategies: ['eth-*'] }));
      await page.getByText('1 of 1 live deployments shown').waitFor();
      expect(await page.getByRole('link', { name: /^Administration|^New deployment/ }).count()).toBe(0);
      await page.goto(`${serin.url}/new`);
      await page.getByText('This is for operators').waitFor();
      await page.goto(`${serin.url}/deployments/dep_two`);
      await page.getByRole('heading', { name: 'Gates' }).waitFor();
      expect(await page.getByRole('button', { name: /Promote|Ask|Pause|Roll back/ }).count()).toBe(0);
      await page.goto(`${serin.url}/deployments/dep_other`);
      await page.getByText('This deployment is not there').waitFor();
      await page.goto(`${serin.url}/administration`);
      await page.getByText('This is for administrators').waitFor();
      expect(complaints).toEqual([]);
    });

    test('a promotion of two people: one asks, cannot approve, another does', async () => {
      const ada = await signIn(await personsKey(serin, 'ada'), '/deployments/dep_two');
      const bob = await signIn(await personsKey(serin, 'bob'), '/deployments/dep_two');
      await bob.page.getByRole('button', { name: 'Ask for promotion …' }).waitFor();
      await act(ada.page, 'Ask for promotion', { 'Reason, for the record': 'looks good' });
      await ada.page.getByText('You asked for this promotion: another person must approve it.').waitFor();
      expect(await ada.page.getByRole('button', { name: 'Approve promotion' }).isDisabled()).toBe(true);
      await bob.page.getByText('ada asked for promotion at').waitFor();
      await act(bob.page, 'Approve promotion', { 'Reason, for the record': 'agreed' });
      await ada.page.getByText('it is the stable version now: agreed').first().waitFor();
      expect(await deploymentOf(root, 'dep_two')).toMatchObject({ status: 'PROMOTED' });
    });

    test('settings: what is safer and looser is shown, the one is done at once, the other by two people', async () => {
      const ada = await signIn(await personsKey(serin, 'ida'), '/deployments/dep_settings');
      const bob = await signIn(await personsKey(serin, 'tom'), '/deployments/dep_settings');
      await ada.page.getByRole('button', { name: 'Change settings …' }).click();
      const dialog = ada.page.getByRole('dialog');
      await dialog.getByLabel('Loss, USD').fill('500');
      await dialog.getByText('▼ safer: guardrails.maxLossUsd from none to 500').waitFor();
      await expectAccessible(ada.page);
      await dialog.getByLabel('Loss of its capital, %').fill('none');
      await dialog.getByText('▲ looser: guardrails.maxLossPercent from 20 to none').waitFor();
      await dialog.getByText('another person must approve it within a day').waitFor();
      await dialog.getByLabel('Reason, for the record').fill('less noise');
      await dialog.getByRole('button', { name: 'Change', exact: true }).click();
      await ada.page.getByText('asked for other settings at').waitFor();
      expect(await ada.page.getByRole('button', { name: 'Approve settings …' }).count()).toBe(0);
      await bob.page.getByRole('button', { name: 'Approve settings …' }).click();
      await bob.page.getByRole('button', { name: 'Approve settings', exact: true }).click();
      await bob.page.getByText('Configuration of dep_settings changed').waitFor();
      await ada.page.getByText('asked for other settings at').waitFor({ state: 'detached' });
    });

    test('a key that is revoked during a session ends it with the reason', async () => {
      const key = await makeKey(root, 'OPERATOR', { name: 'leaving' });
      const { page } = await signIn(key);
      await page.getByText(/live deployments shown/).waitFor();
      const { apiKeys } = await root.ask('{ apiKeys(first: 50) { nodes { id name } } }');
      const { id } = apiKeys.nodes.find(({ name }: Data) => name === 'leaving');
      await root.ask('mutation($id: ID!) { revokeApiKey(input: { id: $id }) { success } }', { id });
      await page.getByRole('heading', { name: 'Sign in to Serin' }).waitFor();
      await page
        .getByRole('alert')
        .filter({ hasText: /revoked/i })
        .waitFor();
    });
  },
);

describe.skipIf(browser === null)(`a desk of two hundred ${missing ?? ''}`, { timeout: PATIENCE_MS }, () => {
  test('shows every canary, and each that changes', async () => {
    await buildConsole();
    const serin = await startTestSerin({ timeScale: 1 });
    try {
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
      for (const { close } of visitors.splice(0)) await close();
    } finally {
      await serin.stop();
    }
  });
});
