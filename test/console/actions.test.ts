/** Every action of the console in a real browser, on deployments of a real server. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create, report, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { begin, DESK } from './stage.ts';
import {
  act,
  browser,
  closeVisitors,
  deploymentOf,
  expectAccessible,
  missing,
  open,
  PATIENCE_MS,
} from './visitors.ts';

/** No guardrail trips and no check is due during a test. */
const NOBODY_ELSE_ACTS = {
  guardrails: { ...CALM.guardrails, maxLossPercent: null },
  checkIntervalSeconds: 3600,
  observationPeriodMinutes: 2880,
};

/** Seconds of Serin's time in a real one until the observation of one deployment is over. */
const FAST = 100;

describe.skipIf(browser === null)(`actions in the console ${missing ?? ''}`, { timeout: PATIENCE_MS }, () => {
  let serin: TestSerin;

  beforeAll(async () => {
    serin = await startTestSerin({ timeScale: FAST });
    await begin(serin, DESK);
    await until(async () => (await deploymentOf(serin, 'dep_grid')).status === 'OBSERVATION_COMPLETE');
    // From here on nothing happens but what a test does.
    await serin.restart({ timeScale: 1 });
  }, PATIENCE_MS + 60_000);
  closeVisitors();
  afterAll(() => serin?.stop());

  test('a card changes as soon as its deployment does', async () => {
    const { page } = await open(serin, '/');
    const card = page.locator('.card', { hasText: 'link-pairs' });
    await card.getByText('Running').waitFor();
    await command(serin, 'pauseDeployment', 'dep_pairs');
    await card.getByText('Paused').first().waitFor();
    await command(serin, 'resumeDeployment', 'dep_pairs');
    await card.getByText('Running').waitFor();
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
    await dialog.getByText('The canary returns the capital it holds ($10,000)').waitFor();
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

  test('a command follows another at once, although the live feed has told of neither', async () => {
    const { page, complaints } = await open(serin, '/');
    let holds = false;
    await page.routeWebSocket(/graphql/, (socket) => {
      const server = socket.connectToServer();
      server.onMessage((message) => {
        if (!(holds && String(message).includes('"type":"next"'))) socket.send(message);
      });
    });
    await page.goto(`${serin.url}/deployments/dep_carry`);
    await page.getByRole('button', { name: 'Pause …' }).waitFor();
    holds = true;
    await act(page, 'Pause');
    await page.getByText('Paused').first().waitFor();
    await page.getByRole('button', { name: 'Change settings …' }).click();
    await page.getByRole('dialog').getByLabel('Loss, USD').fill('500');
    await page.getByRole('dialog').getByRole('button', { name: 'Change', exact: true }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await act(page, 'Resume');
    await page.getByRole('button', { name: 'Pause …' }).waitFor();
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
    await dialog.getByRole('button', { name: 'Continue with the current state' }).click();
    await dialog.getByRole('button', { name: 'Back', exact: true }).click();

    await page.getByRole('button', { name: 'Resume …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resume', exact: true }).click();
    await page.getByRole('button', { name: 'Pause …' }).waitFor();
    await page.goto(`${serin.url}/deployments/dep_nowhere`);
    await page.getByText('This deployment is not there').waitFor();
  });

  /** Carries out every mutation of the page, and loses the first answer to this one. Tells what was sent. */
  async function loseAnswer(page: Page, mutation: string): Promise<Record<string, unknown>[]> {
    const sent: Record<string, unknown>[] = [];
    await page.route('**/graphql', async (route) => {
      const { query, variables } = route.request().postDataJSON();
      if (!query.includes(`${mutation}(`)) return route.continue();
      sent.push(variables.input);
      const response = await route.fetch();
      return sent.length === 1 ? route.abort() : route.fulfill({ response });
    });
    return sent;
  }

  test('a command whose answer was lost is sent again as it was, although the page shows that it was done', async () => {
    const share = (canaryPercent: string) => ({ canaryPercent, minutes: 2880 });
    const { observationPeriodMinutes: _, ...calm } = NOBODY_ELSE_ACTS;
    const id = await running(serin, {
      strategyId: 'lab-retry',
      config: { ...calm, steps: ['10', '20', '30'].map(share) },
    });
    const { page } = await open(serin, `/deployments/${id}`);
    const sent = await loseAnswer(page, 'advanceStep');
    await page.getByRole('button', { name: 'Next step …' }).click();
    const dialog = page.getByRole('dialog');
    const again = dialog.getByRole('button', { name: 'Next step', exact: true });
    await dialog.getByLabel('Reason, for the record').fill('so far so good');
    await again.click();
    await dialog.getByText('press again, it is done once at most').waitFor();
    await page.getByRole('img', { name: /^Step 2 of 3/, includeHidden: true }).waitFor();
    expect(await again.isEnabled()).toBe(true);
    expect(await dialog.getByRole('button', { name: 'Continue with the current state' }).count()).toBe(0);
    expect(await dialog.getByLabel('Reason, for the record').isDisabled()).toBe(true);
    await expectAccessible(page);
    // Closed and opened again it is the same request.
    await dialog.getByRole('button', { name: 'Back', exact: true }).click();
    await page.getByRole('button', { name: 'Next step …' }).click();
    await again.click();
    await dialog.waitFor({ state: 'hidden' });
    await page.getByRole('status').filter({ hasText: 'advanced to the next step' }).waitFor();
    expect(sent).toEqual([sent[0], sent[0]]);
    const steps = await serin.ask('query($id: ID!) { deployment(id: $id) { step { number } } }', { id });
    expect(steps.deployment.step.number).toBe(2);
  });

  test('the dialog of a lost answer stays where the deployment offers its action no more', async () => {
    const id = await running(serin, { strategyId: 'lab-lost', config: NOBODY_ELSE_ACTS });
    const { page } = await open(serin, `/deployments/${id}`);
    await loseAnswer(page, 'pauseDeployment');
    await page.getByRole('button', { name: 'Pause …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Pause', exact: true }).click();
    await dialog.getByText('press again, it is done once at most').waitFor();
    await page.getByRole('button', { name: 'Resume …', includeHidden: true }).waitFor();
    // Meanwhile another person goes on: the answer is that of the lost request, and nothing is paused again.
    await command(serin, 'resumeDeployment', id);
    await page.getByRole('button', { name: 'Resume …', includeHidden: true }).waitFor({ state: 'detached' });
    await dialog.getByRole('button', { name: 'Pause', exact: true }).click();
    await dialog.waitFor({ state: 'hidden' });
    expect(await deploymentOf(serin, id)).toMatchObject({ status: 'RUNNING' });
  });

  test('settings whose answer was lost are sent again as they were, and changed once', async () => {
    const id = await running(serin, { strategyId: 'lab-settings', config: NOBODY_ELSE_ACTS });
    const { page } = await open(serin, `/deployments/${id}`);
    const sent = await loseAnswer(page, 'updateConfig');
    await page.getByRole('button', { name: 'Change settings …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Loss, USD').fill('500');
    await dialog.getByRole('button', { name: 'Change', exact: true }).click();
    await dialog.getByText('press again, it is done once at most').waitFor();
    const { revision } = await deploymentOf(serin, id);
    // The page has heard of the change.
    await dialog.locator('input[placeholder="500"]').waitFor();
    await dialog.getByRole('button', { name: 'Change', exact: true }).click();
    await dialog.waitFor({ state: 'hidden' });
    expect(sent).toEqual([sent[0], sent[0]]);
    expect(await deploymentOf(serin, id)).toMatchObject({ revision });
  });

  test('a refused command that is pressed again is another request', async () => {
    const { deployment } = await create(serin, { strategyId: 'lab-refused' });
    const { page } = await open(serin, `/deployments/${deployment.id}`);
    await page.getByRole('button', { name: 'Deploy …' }).click();
    const dialog = page.getByRole('dialog');
    const keys: unknown[] = [];
    page.on('request', (request) => {
      const { query, variables } = request.postDataJSON() ?? {};
      if (query?.includes('deployCanary(')) keys.push(variables.input.idempotencyKey);
    });
    await dialog.getByLabel(/^Capital of both sides/).fill('0');
    await dialog.getByRole('button', { name: 'Deploy', exact: true }).click();
    await dialog.getByRole('alert').waitFor();
    await dialog.getByRole('button', { name: 'Deploy', exact: true }).click();
    await until(async () => keys.length === 2);
    expect(new Set(keys).size).toBe(2);
  });

  test('the page keeps the highest position that it was told, in whatever order answers come', async () => {
    const { page } = await open(serin, '/');
    await page.getByText(/live deployments shown/).waitFor();
    const sent: (string | undefined)[] = [];
    await page.route('**/graphql', async (route) => {
      const known = sent.includes('7/20');
      sent.push(route.request().headers()['serin-position']);
      const response = await route.fetch();
      // The higher one first; from when the page has it on, a lower one.
      const headers = { ...response.headers(), 'serin-position': known ? '7/10' : '7/20' };
      await route.fulfill({ response, headers });
    });
    const visit = async (name: string) => {
      await page.getByRole('link', { name, exact: true }).click();
      await page.getByRole('heading', { level: 1, name }).waitFor();
    };
    await until(async () => {
      await visit('Strategies');
      await visit('Safety');
      return sent.filter((position) => position !== undefined).length > 5;
    });
    expect(sent.filter((position) => position !== undefined)).not.toContain('7/10');
  });

  test('keys and webhooks are made and ended, and the audit tells of it', async () => {
    const { page, complaints } = await open(serin, '/administration/keys');
    await page.getByRole('button', { name: 'New key …' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('night-desk');
    await page.getByRole('dialog').getByLabel('Person').fill('ada@example.org');
    await page.getByRole('dialog').getByLabel('Reports and acknowledges for').selectOption('the canary side');
    await expectAccessible(page);
    await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click();
    await page.getByText(/^serin_[0-9a-f]{12}_/).waitFor();
    await page.getByRole('row', { name: /night-desk of ada@example.org bot for canary all/ }).waitFor();
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
    await dialog.getByLabel(/^Strategies: patterns/).fill('base-*');
    await dialog.getByLabel(/^Reason;/).fill('listing day');
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
    await dialog.getByLabel('Override the freeze').check();
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
    await dialog.getByLabel(/^Strategies: patterns/).fill('link-*');
    await dialog.getByLabel('What to do').selectOption('PAUSE');
    await dialog.getByLabel('Freeze them too').uncheck();
    await dialog.getByLabel(/^Reason;/).fill('the venue is down');
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
    await dialog.getByLabel(/^Strategies: patterns/).fill('lab-*');
    await dialog.getByLabel(/^Loss limit/).fill('1000');
    await dialog.getByLabel('Window, hours').fill('1000');
    await expectAccessible(page);
    await dialog.getByRole('button', { name: 'Create', exact: true }).click();
    await dialog.getByRole('alert').getByText('windowHours').waitFor();
    await dialog.getByLabel('Window, hours').fill('24');
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
});
