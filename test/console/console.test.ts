/** The console in a real browser, against a real server: its pages, and what holds on all of them. */
import { AxeBuilder } from '@axe-core/playwright';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';
import { buildConsole, launchBrowser, type Visitor, type VisitorOptions, visit } from './browser.ts';
import { begin, type Desk } from './stage.ts';

const { browser, missing } = await launchBrowser();

describe.skipIf(browser === null)(`the console ${missing ?? ''}`, () => {
  let serin: TestSerin;
  let desk: Desk;
  const visitors: Visitor[] = [];

  async function open(path: string, options: VisitorOptions = {}): Promise<Visitor> {
    if (!browser) throw new Error('no browser');
    const visitor = await visit(browser, `${serin.url}${path}`, options);
    visitors.push(visitor);
    return visitor;
  }

  beforeAll(async () => {
    await buildConsole();
    serin = await startTestSerin();
    desk = await begin(serin, [
      { id: 'dep_momentum', strategyId: 'eth-momentum', chain: 'ethereum' },
      { id: 'dep_grid', strategyId: 'sol-grid', chain: 'solana', deployed: false },
    ]);
    await desk.trade(4, 200);
    // A machine that is busy with other tests builds slowly.
  }, 180_000);
  afterAll(async () => {
    for (const visitor of visitors) await visitor.close();
    await serin?.stop();
  });

  test('the overview leads to a deployment, which can be paused with a reason', async () => {
    const { page, complaints } = await open('/');
    await page.getByText('2 of 2 live deployments shown').waitFor();
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
    await page.getByRole('link', { name: 'eth-momentum' }).click();
    await page.getByRole('button', { name: 'Pause …' }).click();
    await page.getByLabel('Reason').fill('lunch');
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    await page.getByRole('button', { name: 'Resume …' }).waitFor();
    const { deployment } = await serin.ask('{ deployment(id: "dep_momentum") { status summary } }');
    expect(deployment).toMatchObject({ status: 'PAUSED', summary: 'Paused: lunch' });
    expect(complaints).toEqual([]);
  });

  test('files come compressed, with a strict policy, and what has a hash is kept for ever', async () => {
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
});
