/** GraphiQL in a real browser, under a policy that admits no inline script: finding 18. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { launchBrowser, visit } from '../console/browser.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

const { browser } = await launchBrowser();

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

test('its files are scripts and styles of this server, compressed and cached', async () => {
  const page = await (await fetch(`${serin.url}/graphql`, { headers: { accept: 'text/html' } })).text();
  expect(page).not.toMatch(/<style|<script>|<script(?![^>]* src=)|javascript:/);
  const addresses = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1] ?? '');
  expect(addresses).toContain('/graphql/graphiql.js');
  for (const address of addresses) {
    const file = await fetch(`${serin.url}${address}`, { headers: { 'accept-encoding': 'br' } });
    expect(file.status, address).toBe(200);
    expect(file.headers.get('content-encoding'), address).toBe('br');
    await file.arrayBuffer();
    const again = await fetch(`${serin.url}${address}`, {
      headers: { 'if-none-match': file.headers.get('etag') ?? '' },
    });
    expect(again.status, address).toBe(304);
  }
  expect((await fetch(`${serin.url}/graphql/elsewhere.js`)).status).toBe(404);
});

describe.runIf(browser)('in a browser', () => {
  const open = async () => {
    if (!browser) throw new Error('there is no browser');
    return visit(browser, `${serin.url}/graphql`);
  };

  test.each([
    ['a query', 'query { viewer { role } }', '"ADMIN"'],
    ['a subscription', 'subscription { overviewUpdated { waitingForPerson } }', '"waitingForPerson"'],
  ])('it runs %s, and the browser refuses nothing', async (_what, query, expected) => {
    const { page, complaints, close } = await open();
    const editor = page.locator('.view-lines').first();
    // What is typed before the editor is ready is lost.
    await until(async () => {
      await editor.click();
      await page.keyboard.press('Control+A');
      await page.keyboard.insertText(query);
      const written = (await editor.textContent()) ?? '';
      return written.includes(query.split(/\W+/)[1] ?? '') && !written.includes('Deployments');
    });
    // GraphiQL reads what was typed a moment later; until then it would still ask for the operation of the first text.
    const tab = page.locator('.graphiql-tabs');
    await expect.poll(() => tab.textContent(), { timeout: 30_000 }).not.toContain('Deployments');
    await page.getByRole('button', { name: /execute query/i }).click();
    const result = page.locator('.result-window');
    await expect.poll(() => result.textContent(), { timeout: 30_000 }).toContain(expected);
    expect(complaints).toEqual([]);
    await close();
  });

  test('an inline script does not run in its page', async () => {
    const { page, close } = await open();
    const ran = await page.evaluate(async () => {
      const script = document.createElement('script');
      script.textContent = 'window.ran = true';
      document.head.append(script);
      const element = document.createElement('div');
      element.innerHTML = '<img src="data:," onerror="window.ran = true">';
      document.body.append(element);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return 'ran' in window;
    });
    expect(ran).toBe(false);
    await close();
  });
});
