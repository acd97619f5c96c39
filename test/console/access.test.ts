/** The console of a server with keys: signing in, what a role is offered, and what takes two people. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { administrator, makeKey, personsKey, WITH_KEYS } from '../harness/keys.ts';
import { type Data, startTestSerin, type TestCaller, type TestSerin } from '../harness/serin.ts';
import type { Visitor, VisitorOptions } from './browser.ts';
import { begin } from './stage.ts';
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

describe.skipIf(browser === null)(
  `the console of a server with keys ${missing ?? ''}`,
  { timeout: PATIENCE_MS },
  () => {
    let serin: TestSerin;
    let root: TestCaller;

    beforeAll(async () => {
      serin = await startTestSerin({ access: WITH_KEYS, timeScale: 1 });
      root = await administrator(serin);
      await begin(root, [
        { id: 'dep_two', strategyId: 'eth-two', config: { requireApproval: true } },
        { id: 'dep_settings', strategyId: 'sol-settings', config: { requireApproval: true } },
        { id: 'dep_other', strategyId: 'btc-other' },
      ]);
    }, PATIENCE_MS);
    closeVisitors();
    afterAll(() => serin?.stop());

    async function signIn(key: string, path = '/', options: VisitorOptions = {}): Promise<Visitor> {
      const visitor = await open(serin, path, options);
      await visitor.page.getByLabel('Key or token').fill(key);
      await visitor.page.getByRole('button', { name: 'Sign in' }).click();
      return visitor;
    }

    test('asks for a key, says why one is not accepted, and forgets it on request', async () => {
      const { page } = await signIn('serin_000000000000_nothing');
      await page.getByRole('alert').filter({ hasText: /key/i }).waitFor();
      await expectAccessible(page);
      await page.getByLabel('Key or token').fill('serin_a…b');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').filter({ hasText: 'Character 8 of it is not one of a key' }).waitFor();
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
      expect(await page.getByRole('button', { name: /Promote|Request|Pause|Roll back/ }).count()).toBe(0);
      await page.goto(`${serin.url}/deployments/dep_other`);
      await page.getByText('This deployment is not there').waitFor();
      await page.goto(`${serin.url}/administration`);
      await page.getByText('This is for administrators').waitFor();
      expect(complaints).toEqual([]);
    });

    test('a promotion of two people: one asks, cannot approve, another does', async () => {
      const ada = await signIn(await personsKey(serin, 'ada'), '/deployments/dep_two');
      const bob = await signIn(await personsKey(serin, 'bob'), '/deployments/dep_two', { alone: true });
      await bob.page.getByRole('button', { name: 'Request promotion …' }).waitFor();
      await act(ada.page, 'Request promotion', { 'Reason, for the record': 'looks good' });
      await ada.page.getByText('You requested this promotion: another person must approve it.').waitFor();
      expect(await ada.page.getByRole('button', { name: 'Approve promotion' }).isDisabled()).toBe(true);
      await bob.page.getByText('ada requested promotion at').waitFor();
      await act(bob.page, 'Approve promotion', { 'Reason, for the record': 'agreed' });
      await ada.page.getByText('it is the stable version now: agreed').first().waitFor();
      expect(await deploymentOf(root, 'dep_two')).toMatchObject({ status: 'PROMOTED' });
    });

    test('settings: what is safer and looser is shown, the one takes effect immediately, the other after two people', async () => {
      const ada = await signIn(await personsKey(serin, 'ida'), '/deployments/dep_settings');
      const bob = await signIn(await personsKey(serin, 'tom'), '/deployments/dep_settings', {
        alone: true,
      });
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
      await ada.page.getByText('requested other settings at').waitFor();
      expect(await ada.page.getByRole('button', { name: 'Approve settings …' }).count()).toBe(0);
      await bob.page.getByRole('button', { name: 'Approve settings …' }).click();
      await bob.page.getByRole('button', { name: 'Approve settings', exact: true }).click();
      await bob.page.getByText('Configuration of dep_settings changed').waitFor();
      await bob.page.locator('.event', { hasText: 'Config updated' }).waitFor();
      await ada.page.getByText('requested other settings at').waitFor({ state: 'detached' });
    });

    test.each([
      [
        'revoked',
        (id: string) =>
          root.ask('mutation($id: ID!) { revokeApiKey(input: { id: $id }) { success } }', { id }),
      ],
      [
        'expired',
        (id: string) => serin.database.sql`update api_keys set expires_at = now() where id = ${id}`,
      ],
    ])('a key that is %s during a session ends it with the reason', async (reason, end) => {
      const key = await makeKey(root, 'OPERATOR', { name: `leaving-${reason}` });
      const { page } = await signIn(key);
      await page.getByText(/live deployments shown/).waitFor();
      const { apiKeys } = await root.ask('{ apiKeys(first: 50) { nodes { id name } } }');
      const { id } = apiKeys.nodes.find(({ name }: Data) => name === `leaving-${reason}`);
      await end(id);
      await page.getByRole('heading', { name: 'Sign in to Serin' }).waitFor();
      await page
        .getByRole('alert')
        .filter({ hasText: new RegExp(reason, 'i') })
        .waitFor();
    });
  },
);
