/**
 * The console in a real browser, held against its budgets: the first view of 200 live deployments, the size of its code,
 * how soon a change is on the screen, and what a desk that changes every second costs the browser and the node.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Browser, CDPSession, Page } from 'playwright-core';
import { launchBrowser } from '../../test/console/browser.ts';
import { judge, median, type Row } from '../harness/measure.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage } from '../harness/stage.ts';
import type { Options } from '../registry.ts';

const DEPLOYMENTS = 200;
const VIEW_MS = 1500;
const CODE_KIB = 300;
const CHANGE_MS = 100;
const HALF_A_CORE = 0.5;
/** How much the page may hold at the end compared with its beginning. */
const GROWTH_OF_MEMORY = 1.1;

const ALL_SHOWN = `${DEPLOYMENTS} of ${DEPLOYMENTS} live deployments shown`;

export async function console({ rounds, seconds }: Options): Promise<Row[]> {
  const { browser, missing } = await launchBrowser();
  if (!browser) throw new Error(missing ?? 'no browser');
  const stage = await openStage();
  try {
    const { url, pid } = await stage.node();
    const ids = await seedRunning(url, DEPLOYMENTS);
    await reportAll(url, ids, 0);
    const row = (work: string, unit: string, ours: number, theirs: number) =>
      judge({ part: 'console', work, against: 'its budget', unit, bound: { atMost: 1 } }, [{ ours, theirs }]);

    const views: number[] = [];
    for (let round = 0; round < rounds; round += 1) views.push(await firstView(browser, url));
    const page = await open(browser, url);
    const changes: number[] = [];
    for (let round = 0; round < Math.max(5, rounds); round += 1) {
      changes.push(await change(page, url, ids[round] ?? ''));
    }
    const load = await underLoad(page, url, ids, Math.max(10, seconds), pid);
    return [
      row(`first view of ${DEPLOYMENTS} live deployments`, 'ms', median(views), VIEW_MS),
      row('JavaScript of the overview, gzipped', 'KiB', await codeKiB(url), CODE_KIB),
      row('a change on the screen after its delivery', 'ms', median(changes), CHANGE_MS),
      row(`${DEPLOYMENTS} cards that change every second: the browser`, 'cores', load.browser, HALF_A_CORE),
      row(`the same: memory at the end over its beginning`, 'times', load.growth, GROWTH_OF_MEMORY),
      row(`the same: the node, with the reports`, 'cores', load.node, 1),
    ];
  } finally {
    await browser.close();
    await stage.close();
  }
}

async function open(browser: Browser, url: string): Promise<Page> {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  await page.addInitScript(noteDeliveries);
  await page.goto(url);
  await page.getByText(ALL_SHOWN).waitFor();
  return page;
}

/** From the address to all cards, in a profile that has nothing of the console yet, ms. */
async function firstView(browser: Browser, url: string): Promise<number> {
  const begun = performance.now();
  const page = await open(browser, url);
  const took = performance.now() - begun;
  await page.context().close();
  return took;
}

/** Runs in the page: notes when the latest message that tells of a pause came. */
function noteDeliveries(): void {
  const Plain = WebSocket;
  // Without a name: what names a class is not in the page.
  globalThis.WebSocket = class extends Plain {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      this.addEventListener('message', ({ data }) => {
        if (String(data).includes('"status":"PAUSED"'))
          Object.assign(globalThis, { pausedAt: performance.now() });
      });
    }
  };
}

/**
 * From the delivery of a change to the frame that shows it, ms: measured in the page, because a browser that is asked
 * from outside whether it shows the change spends longer on the answer.
 */
async function change(page: Page, url: string, id: string): Promise<number> {
  const shown = page.evaluate(
    (href) =>
      new Promise<number>((resolve) => {
        const card = document.querySelector(`a[href="${href}"]`)?.closest('.card');
        const watch = new MutationObserver(() => {
          if (!card?.textContent?.includes('Paused')) return;
          watch.disconnect();
          requestAnimationFrame(() => {
            const at: unknown = Reflect.get(globalThis, 'pausedAt');
            resolve(performance.now() - Number(at));
          });
        });
        watch.observe(document.body, { subtree: true, childList: true, characterData: true });
      }),
    `/deployments/${id}`,
  );
  await ask(url, 'mutation($id: ID!) { pauseDeployment(input: { deploymentId: $id }) { success } }', { id });
  return shown;
}

/** All JavaScript that the overview's page loads immediately. */
async function codeKiB(url: string): Promise<number> {
  const html = await (await fetch(url)).text();
  const scripts = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+\.js)"/g)].map(([, path]) => path);
  const sizes = scripts.map(
    async (path) => gzipSync(Buffer.from(await (await fetch(url + path)).arrayBuffer())).length,
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0) / 1024;
}

interface Load {
  /** Processor time of the page's thread, in cores. */
  readonly browser: number;
  /** Memory of the page's code at the end over that at the beginning, after garbage was collected. */
  readonly growth: number;
  /** Processor time of the node, in cores. */
  readonly node: number;
}

/** Every deployment reports once a second. */
async function underLoad(
  page: Page,
  url: string,
  ids: readonly string[],
  seconds: number,
  pid: number,
): Promise<Load> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const before = await figures(session);
  const nodeBefore = await processorSeconds(pid);
  const begun = performance.now();
  for (let second = 1; second <= seconds; second += 1) {
    await reportAll(url, ids, second);
    await sleep(Math.max(0, begun + second * 1000 - performance.now()));
  }
  const took = (performance.now() - begun) / 1000;
  const after = await figures(session);
  return {
    browser: (after.seconds - before.seconds) / took,
    growth: after.bytes / before.bytes,
    node: ((await processorSeconds(pid)) - nodeBefore) / took,
  };
}

async function figures(session: CDPSession): Promise<{ readonly seconds: number; readonly bytes: number }> {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  const figure = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN;
  return { seconds: figure('TaskDuration'), bytes: figure('JSHeapUsedSize') };
}

/** Processor time of a process so far (Linux; 100 ticks a second). */
async function processorSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function reportAll(url: string, ids: readonly string[], round: number): Promise<void> {
  const reports = ids.flatMap((deploymentId, index) =>
    (['CANARY', 'STABLE'] as const).map((side) => ({
      deploymentId,
      side,
      pnlUsd: (Math.sin(round / 7 + index) * 20).toFixed(2),
      trades: 10 + round,
      drawdown: '0.01',
    })),
  );
  await ask(url, 'mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) { success } }', {
    input: { reports },
  });
}
