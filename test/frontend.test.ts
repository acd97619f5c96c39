/** The example of a front end: built as its users build it, and driven in a real browser against a real Serin. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { expect, test } from 'vitest';
import { readEnvironment } from '../src/environment/environment.ts';
import { buildTypes, launchBrowser, visit } from './console/browser.ts';
import { CALM, command, report, running } from './harness/deployment.ts';
import { startTestSerin } from './harness/serin.ts';
import { serveFiles } from './harness/staticFiles.ts';

const { browser, missing } = await launchBrowser();

test.skipIf(browser === null)(
  `the front end of one page shows what is live, and rolls back ${missing ?? ''}`,
  { timeout: 180_000 },
  async () => {
    if (!browser) throw new Error('no browser');
    const folder = await mkdtemp(join(tmpdir(), 'serin-frontend-'));
    await buildTypes();
    await build({
      root: 'examples/frontend',
      logLevel: 'error',
      build: { outDir: folder, emptyOutDir: true, target: 'es2022' },
    });
    const pages = await serveFiles(folder);
    const { http } = readEnvironment({});
    const serin = await startTestSerin({ http: { ...http, origins: [pages.url] } });
    try {
      const id = await running(serin, {
        strategyId: 'front',
        config: { ...CALM, guardrails: { ...CALM.guardrails, maxLossPercent: '5' } },
      });
      await running(serin, { strategyId: 'other' });
      const { page, complaints, close } = await visit(browser, `${pages.url}/?serin=${serin.url}`);
      await page.getByText('Live: 2 deployments').waitFor();
      await report(serin, 'Stable', id, { pnlUsd: '450' });
      await report(serin, 'Canary', id, { pnlUsd: '120' });
      const row = page.getByRole('row', { name: /front/ });
      await row.getByText('1.20 %').waitFor();
      await row.getByText('0.50 %').waitFor();
      await row.getByRole('button', { name: 'Roll back' }).click();
      await page.getByText('Live: 1 deployments').waitFor();
      await page.getByText(/Decision ROLLBACK/).waitFor();
      expect(await command(serin, 'rollbackCanary', id)).toMatchObject({ success: false });
      expect(complaints).toEqual([]);
      await close();
    } finally {
      await serin.stop();
      await pages.stop();
      await rm(folder, { recursive: true });
    }
  },
);
