/** Figures, times and sentences of the console, as they read. */
import { readFileSync } from 'node:fs';
import { Kind, parse, type SelectionSetNode } from 'graphql';
import type { WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command, create, report, running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { createWebhook, deliveriesOf } from '../webhooks/webhook.ts';
import { begin } from './stage.ts';
import { browser, closeVisitors, missing, open, PATIENCE_MS } from './visitors.ts';

/** A time zone in which the hour after midnight is now. */
function zoneAtMidnight(): string {
  const hour = new Date().getUTCHours();
  return hour <= 12 ? `Etc/GMT+${hour}` : `Etc/GMT-${24 - hour}`;
}

function leaves({ selections }: SelectionSetNode, above = ''): string[] {
  return selections.flatMap((node) => {
    if (node.kind !== Kind.FIELD) return [];
    const path = `${above}${node.name.value}`;
    return node.selectionSet ? [path, ...leaves(node.selectionSet, `${path}.`)] : [path];
  });
}

test('the page of a deployment asks for every setting that its form shows', () => {
  const { definitions } = parse(readFileSync('console/src/api/operations/fragments.graphql', 'utf8'));
  const asked = definitions.flatMap((node) =>
    node.kind === Kind.FRAGMENT_DEFINITION && node.name.value === 'Config' ? leaves(node.selectionSet) : [],
  );
  const [form = ''] = readFileSync('console/src/policy/draft.ts', 'utf8').split('ASSUMPTION_SETTINGS');
  const shown = [...form.matchAll(/ setting\('([\w.]+)'/g)].map(([, path]) => path);
  expect(shown.length).toBeGreaterThan(20);
  expect(asked).toEqual(expect.arrayContaining(shown));
});

describe.skipIf(browser === null)(`figures of the console ${missing ?? ''}`, { timeout: PATIENCE_MS }, () => {
  let serin: TestSerin;

  beforeAll(async () => {
    serin = await startTestSerin({ timeScale: 1, webhookNetworks: ['127.0.0.1'] });
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

  test('what became of a delivery that is sent again is told, also where its answer was lost', async () => {
    const { webhook } = await createWebhook(serin, { url: 'http://127.0.0.1:9/hook' });
    await command(serin, 'pauseDeployment', 'dep_a');
    await command(serin, 'resumeDeployment', 'dep_a');
    await until(async () => (await deliveriesOf(serin, webhook.id)).length === 2);
    // Without its claim: an attempt in flight would make it pending again.
    await serin.database.sql`update webhook_deliveries set status = 'FAILED', settled_at = clock_timestamp(),
      lease_token = null, lease_until = null where webhook_id = ${webhook.id}`;
    const { page } = await open(serin, '/administration/webhooks');
    await page.getByRole('button', { name: 'Deliveries' }).click();
    await page.getByRole('button', { name: 'Send again …' }).first().click();
    await page.route('**/graphql', (route) =>
      /mutation Redeliver/.test(route.request().postData() ?? '') ? route.abort() : route.continue(),
    );
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Send', exact: true }).click();
    await dialog.getByRole('alert').filter({ hasText: 'Whether it was done is not known' }).waitFor();
    await page.unroute('**/graphql');
    await dialog.getByRole('button', { name: 'Send', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    const sent = (await deliveriesOf(serin, webhook.id)).filter(({ status }) => status !== 'FAILED');
    expect(sent).toHaveLength(1);
  });

  test('a command that is lost after its dialog was closed is told', async () => {
    const { page } = await open(serin, '/deployments/dep_a');
    let lose = () => {};
    const closed = new Promise<void>((resolve) => {
      lose = resolve;
    });
    await page.route('**/graphql', async (route) => {
      if (!/mutation Pause/.test(route.request().postData() ?? '')) return route.continue();
      await closed;
      return route.abort();
    });
    await page.getByRole('button', { name: 'Pause …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Pause', exact: true }).click();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    lose();
    await dialog.getByRole('alert').filter({ hasText: 'Whether it was done is not known' }).waitFor();
  });

  test('a short amount has the unit of what is shown', async () => {
    await serin.ask(`mutation { acknowledgeAllocation(input: { deploymentId: "dep_a", number: 1, side: CANARY,
      heldUsd: "999999" }) { success } }`);
    const { page } = await open(serin, '/');
    expect(await page.locator('.card dd[title="$999,999"]').textContent()).toBe('$1M');
  });

  test('what is rounded up to a million is no thousand thousands, and a gain that is rounded to zero has no sign', async () => {
    const { id } = (await create(serin, { strategyId: 'big' })).deployment;
    await command(serin, 'deployCanary', id, { capitalUsd: '9999000' });
    await report(serin, 'Canary', id, { pnlUsd: '0.003', trades: 1 });
    const { page } = await open(serin, '/?q=big');
    await page.locator('.card').getByText('$1M').waitFor();
    await page.goto(`${serin.url}/deployments/${id}`);
    const row = page.getByRole('row', { name: /Net PnL/ });
    await until(async () => (await row.getByRole('cell').first().textContent()) === '$0.00');
  });

  test('a filter shows and can be changed although nothing matches it any more', async () => {
    const { page } = await open(serin, '/?chain=base');
    await page.getByText('Nothing matches').waitFor();
    const chain = page.getByLabel('Chain');
    expect(await chain.inputValue()).toBe('base');
    await chain.selectOption('All');
    await page.locator('.card').first().waitFor();
  });

  test('a secret that the browser cannot copy says so', async () => {
    const { page } = await open(serin, '/administration/keys');
    await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })");
    await page.getByRole('button', { name: 'New key …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('copied');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('button', { name: 'Copy' }).click();
    await page.getByText('The browser did not copy it').waitFor();
  });

  test('a capital that is no number is corrected before anything is created', async () => {
    const query = new URLSearchParams({
      strategy: 'typed',
      canary: 'v2',
      stable: 'v1',
      capital: '1,000,000',
    });
    const { page } = await open(serin, `/new?${query}`);
    const capital = page.getByLabel('Capital of both sides');
    await capital.press('Enter');
    expect(await page.locator('input:invalid').count()).toBe(1);
    await capital.fill('1000000');
    await capital.press('Enter');
    const made = '{ deployments(filter: { strategies: ["typed"] }) { nodes { status } } }';
    // On a busy machine the answer may be lost in the time that it takes.
    const lost = page.getByRole('alert').filter({ hasText: 'press again' });
    await until(async () => {
      if ((await lost.count()) > 0) await capital.press('Enter');
      return (await serin.ask(made)).deployments.nodes[0]?.status === 'RUNNING';
    });
  });

  test('what could not be read is read when it can be', async () => {
    const { page } = await open(serin, '/strategies', { alone: true });
    let refusals = 2;
    await page.route('**/graphql', async (route) => {
      if (refusals === 0 || !route.request().postData()?.includes('query Series')) return route.continue();
      refusals -= 1;
      await route.fulfill({
        json: { errors: [{ message: 'The database is away', extensions: { code: 'UNAVAILABLE' } }] },
      });
    });
    await page.goto(`${serin.url}/deployments/dep_a`);
    await page.locator('.chart').first().waitFor();
    expect(refusals).toBe(0);
  });

  test('what other settings would do is asked anew when the deployment has others', async () => {
    const { page } = await open(serin, '/deployments/dep_a');
    await page.getByRole('button', { name: 'Change settings …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Loss, USD').fill('500');
    await dialog.getByText('guardrails.maxLossUsd from none to 500').waitFor();
    await serin.ask(`mutation { updateConfig(input: { deploymentId: "dep_a",
      config: { guardrails: { maxLossUsd: "400" } } }) { success } }`);
    await dialog.getByText('guardrails.maxLossUsd from 400 to 500').waitFor();
    expect(await dialog.getByLabel('Loss, USD').inputValue()).toBe('500');
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

  test('the bar of a step stands with its clock, and what was another day has its date', async () => {
    const id = await running(serin, { strategyId: 'paused' });
    await command(serin, 'acknowledgeAllocation', id, { number: 1, side: 'CANARY', heldUsd: '10000' });
    await command(serin, 'pauseDeployment', id);
    const over = await running(serin, { strategyId: 'over' });
    await command(serin, 'cancelDeployment', over);
    await serin.advance(2 * 86_400);
    const { page } = await open(serin, `/deployments/${id}`);
    const bar = page.locator('.step-done');
    const width = async () => Number.parseFloat((await bar.getAttribute('style'))?.split(':')[1] ?? '');
    const day = new Date().toLocaleDateString('en-GB', { month: 'short', timeZone: 'Europe/Zurich' });
    await page
      .getByRole('row', { name: /Canary/ })
      .getByText(day)
      .first()
      .waitFor();
    expect(await width()).toBeLessThan(10);
    await page.goto(`${serin.url}/deployments/${over}`);
    await page.locator('.deployment-head').getByText('Cancelled').waitFor();
    expect(await width()).toBeLessThan(10);
  });

  test('a name with a slash, a colon or a plus has its page', async () => {
    await create(serin, { id: 'desk/a:1+b', strategyId: 'ETH/USD@venue' });
    const { page } = await open(serin, '/strategies');
    await page.getByRole('link', { name: 'ETH/USD@venue' }).click();
    await page.getByText('v1 is the stable version since').waitFor();
    await page.getByRole('row').getByRole('link', { name: 'ETH/USD@venue' }).click();
    const names = page.locator('.deployment-names');
    await names.getByText('desk/a:1+b').waitFor();
    await page.reload();
    await names.getByText('desk/a:1+b').waitFor();
    await page.getByRole('link', { name: 'What would another policy have decided?' }).click();
    await page.getByRole('button', { name: 'Replay on desk/a:1+b' }).waitFor();
  });

  test('totals that are not known are no zeros, and a refusal of them is told', async () => {
    const { page } = await open(serin, '/strategies', { alone: true });
    let refuse = () => {};
    await page.routeWebSocket(/graphql/, (socket) => {
      const server = socket.connectToServer();
      socket.onMessage((message) => {
        const { id, payload } = JSON.parse(String(message));
        if (!payload?.query?.includes('overviewUpdated')) return server.send(message);
        const error = { message: 'Too many feeds', extensions: { code: 'LIMIT_REACHED' } };
        refuse = () => socket.send(JSON.stringify({ id, type: 'error', payload: [error] }));
      });
    });
    await page.goto(serin.url);
    await page.locator('.card').first().waitFor();
    const figures = await page.locator('.totals dd').allTextContents();
    expect(figures.slice(1)).toEqual(['–', '–', '–', '–', '–']);
    refuse();
    await page.getByText('Too many feeds').waitFor();
  });

  test('a result of the policy lab says that it is of other settings than those that are shown', async () => {
    const other = 'other settings than those above';
    const { page } = await open(serin, '/policy?market={"runs":"20"}');
    const simulate = page.getByRole('button', { name: 'Simulate' });
    await simulate.click();
    await page.getByRole('region', { name: 'Identical canaries' }).waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    expect(await page.getByText(other).count()).toBe(0);
    await page.getByLabel('Canary’s share, %').fill('20');
    await page.getByText(other).waitFor();
    await simulate.click();
    await page.getByText(other).waitFor({ state: 'detached' });

    await page.goto(`${serin.url}/policy?replay=dep_a`);
    await page.getByRole('button', { name: 'Replay on dep_a' }).click();
    await page.getByText(/^after \d+ checks$/).waitFor();
    await page.getByLabel('Canary’s share, %').fill('20');
    await page.getByText(other).waitFor();
  });

  test('keys of the keyboard leave an open dialog alone', async () => {
    const { page } = await open(serin, '/deployments/dep_a');
    await page.getByRole('button', { name: 'Change settings …' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Back' }).focus();
    await page.keyboard.press('g');
    await page.keyboard.press('o');
    expect(new URL(page.url()).pathname).toBe('/deployments/dep_a');
    await page.keyboard.press('?');
    expect(await page.getByRole('dialog').count()).toBe(1);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('g');
    await page.keyboard.press('o');
    await page.waitForURL(`${serin.url}/`);
  });

  test('lists show what happens while they are open', async () => {
    const id = await running(serin, { strategyId: 'soon-over' });
    const { page: history } = await open(serin, '/history');
    const { page: strategies } = await open(serin, '/strategies');
    const { page: webhooks } = await open(serin, '/administration/webhooks');
    await strategies
      .getByRole('row', { name: /soon-over/ })
      .getByText('Running')
      .waitFor();
    await command(serin, 'cancelDeployment', id);
    const { webhook } = await createWebhook(serin, { url: 'http://127.0.0.1:9/later' });
    await history.getByRole('row', { name: /soon-over/ }).waitFor();
    await strategies
      .getByRole('row', { name: /soon-over/ })
      .getByText('Running')
      .waitFor({ state: 'detached' });
    await webhooks.getByRole('heading', { name: webhook.url }).waitFor();
  });

  test('a halt of others than one that is not complete has a key of its own', async () => {
    const { page } = await open(serin, '/safety');
    const keys: string[] = [];
    await page.route('**/graphql', (route) => {
      const { query, variables } = route.request().postDataJSON();
      if (!query.includes('mutation HaltCanaries')) return route.continue();
      keys.push(variables.input.idempotencyKey);
      const pending = ['dep_slow'];
      const answer = {
        success: true,
        message: 'Halted',
        complete: false,
        pending,
        outcomes: [],
        error: null,
      };
      return route.fulfill({ json: { data: { answer } } });
    });
    for (const strategies of ['eth-*', 'eth-*', 'btc-*']) {
      await page.getByRole('button', { name: 'Halt canaries …' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel(/^Strategies: patterns/).fill(strategies);
      await dialog.getByLabel(/^Reason;/).fill('the venue is down');
      await dialog.getByRole('button', { name: 'Halt', exact: true }).click();
      await dialog.waitFor({ state: 'detached' });
    }
    expect(keys).toEqual([keys[0], keys[0], expect.not.stringMatching(keys[0] ?? '')]);
  });

  test('a comma at the end of patterns is no pattern', async () => {
    const { page } = await open(serin, '/administration/keys');
    await page.getByRole('button', { name: 'New key …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('comma');
    await dialog.getByLabel(/^Strategies: patterns/).fill('eth-*, ');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('row', { name: /^comma bot eth-\* / }).waitFor();
  });

  test('a key whose answer was lost says that its secret is lost, and what to do', async () => {
    const { page } = await open(serin, '/administration/keys');
    await page.route('**/graphql', async (route) => {
      if (!route.request().postDataJSON().query.includes('mutation CreateApiKey')) return route.continue();
      await route.fetch();
      return route.abort();
    });
    await page.getByRole('button', { name: 'New key …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('lost');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.getByRole('alert').filter({ hasText: 'its secret is lost: revoke it' }).waitFor();
    await page.unroute('**/graphql');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.getByText('A key named lost already exists: revoke it').waitFor();
    await dialog.getByRole('button', { name: 'Back' }).click();
    await page.getByRole('row', { name: /^lost / }).waitFor();
  });

  test('values of another day say of which day they are', async () => {
    const { page } = await open(serin, '/strategies', { alone: true });
    await page.clock.install();
    let isAway = false;
    const sockets: WebSocketRoute[] = [];
    await page.routeWebSocket(/graphql/, (socket) => {
      if (isAway) return void socket.close({ code: 1012 });
      socket.connectToServer();
      sockets.push(socket);
    });
    await page.reload();
    await page.locator('.lamp-live').waitFor();
    isAway = true;
    for (const socket of sockets) await socket.close({ code: 1012 });
    const note = page.locator('.stale-note');
    await note.getByText(/since \d\d:\d\d:\d\d\./).waitFor();
    await page.clock.fastForward('30:00:00');
    await note.getByText(/since \d+ \w+, \d\d:\d\d\./).waitFor();
  });

  test('a strategy that is not among the first hundred is known to the form of a new deployment', async () => {
    const { page } = await open(serin, '/strategies');
    await page.route('**/graphql', (route) => {
      if (!route.request().postDataJSON().query.includes('query Strategies')) return route.continue();
      const strategies = { nodes: [], pageInfo: { hasNextPage: true, endCursor: 'more' } };
      return route.fulfill({ json: { data: { strategies } } });
    });
    await page.goto(`${serin.url}/new?strategy=eth-a`);
    await page.getByText('v1 unless given: it is live today.').waitFor();
    await page.getByText('On trial already: v2.').waitFor();
    expect(await page.getByLabel(/^Stable version/).getAttribute('required')).toBe(null);
    await page.getByLabel(/^Strategy/).fill('eth-new');
    await page.getByLabel('Stable version (required)').waitFor();
  });

  test('long names and versions that are a git sha leave a page its columns and its width', async () => {
    const id = await running(serin, {
      id: `dep_${'long'.repeat(15)}`,
      strategyId: `sha-${'0123456789'.repeat(6)}`,
      canaryVersionId: '0123456789abcdef0123456789abcdef01234567',
      stableVersionId: 'fedcba9876543210fedcba9876543210fedcba98',
    });
    const { page } = await open(serin, `/deployments/${id}`, { width: 1280 });
    const edge = async (heading: string) => {
      const panel = page.locator('.panel', {
        has: page.getByRole('heading', { name: heading, exact: true }),
      });
      return (await panel.boundingBox()) ?? { x: 0, width: 0 };
    };
    const { x, width } = await edge('Metrics');
    expect(width).toBeGreaterThan(0);
    expect(x + width).toBeLessThanOrEqual((await edge('Gates')).x);
    await page.setViewportSize({ width: 360, height: 800 });
    for (const path of [`/deployments/${id}`, `/policy?replay=${id}`, '/strategies']) {
      await page.goto(`${serin.url}${path}`);
      await page
        .locator('main')
        .getByText(/^(dep_|sha-)/)
        .first()
        .waitFor();
      expect(await page.evaluate('document.documentElement.scrollWidth'), path).toBeLessThanOrEqual(360);
    }
  });
});
