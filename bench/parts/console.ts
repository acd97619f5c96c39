/**
 * The console in a real browser, held against its budgets: the first view of 200 live deployments, the size of its code,
 * how soon a change is on the screen, and what a desk that changes every second costs the browser and the node. Then the
 * node alone with fifty open consoles.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { parse, print, separateOperations } from 'graphql';
import type { Browser, CDPSession, Page } from 'playwright-core';
import type { Side } from '../../src/core/values/side.ts';
import { launchBrowser } from '../../test/console/browser.ts';
import { startChild } from '../harness/child.ts';
import { judge, median, type Row } from '../harness/measure.ts';
import { processorSeconds } from '../harness/processor.ts';
import { seedRunning } from '../harness/seed.ts';
import { ask, openStage, type Stage } from '../harness/stage.ts';
import type { Await, Connect } from '../harness/subscribers.ts';
import type { Options } from '../registry.ts';

const DEPLOYMENTS = 200;
const VIEW_MS = 1500;
const CODE_KIB = 300;
const CHANGE_MS = 100;
const HALF_A_CORE = 0.5;
const LOOKS_AT_MEMORY = 60;
/** How much the page may hold at the end compared with its beginning. */
const GROWTH_OF_MEMORY = 1.1;

const CONSOLES = 50;
/** The checks of a desk, with nothing decided while it is measured. */
const CHECKED = { checkIntervalSeconds: 60, autoPromote: false, autoRollback: false };
/** Checks that each deployment has behind it. */
const CHECKS_BEFORE = 60;
/** Reports are spread over their second in so many parts. */
const PARTS_OF_A_SECOND = 20;

/** Open consoles are measured for this long at most; only the growth of memory needs longer. */
const SHARED_SECONDS = 60;

const WARM_UP_SECONDS = 5;
/** Metrics of a deployment reach a list at most once a second: this share of them must have come, or the figure says nothing. */
const DELIVERED_AT_LEAST = 0.8;

const ALL_SHOWN = `${DEPLOYMENTS} of ${DEPLOYMENTS} live deployments shown`;

export async function console({ rounds, seconds }: Options): Promise<Row[]> {
  const { browser, missing } = await launchBrowser();
  if (!browser) throw new Error(missing ?? 'no browser');
  const stage = await openStage();
  try {
    const { url, pid } = await stage.node();
    const ids = await seedRunning(url, DEPLOYMENTS, 'bench', CHECKED);
    await giveHistory(stage, url, ids);
    const row = (work: string, unit: string, ours: number, theirs: number) =>
      judge({ part: 'console', work, against: 'its budget', unit, bound: { atMost: 1 } }, [{ ours, theirs }]);

    const views: number[] = [];
    for (let round = 0; round < rounds; round += 1) views.push(await firstView(browser, url));
    const page = await open(browser, url);
    const changes: number[] = [];
    for (let round = 0; round < Math.max(5, rounds); round += 1) {
      changes.push(await change(page, url, ids[round] ?? ''));
    }
    const length = Math.max(10, seconds);
    const sharedLength = Math.min(length, SHARED_SECONDS);
    const load = await underLoad(page, url, ids, length, pid);
    await page.context().close();
    const shared = await withConsoles(url, sharedLength, () => nodeUnderReports(url, ids, sharedLength, pid));
    return [
      row(`first view of ${DEPLOYMENTS} live deployments`, 'ms', median(views), VIEW_MS),
      row('JavaScript of the overview, gzipped', 'KiB', await codeKiB(url), CODE_KIB),
      row('a change on the screen after its delivery', 'ms', median(changes), CHANGE_MS),
      row(`${DEPLOYMENTS} cards that change every second: the browser`, 'cores', load.browser, HALF_A_CORE),
      row(`the same: memory at the end over its beginning`, 'times', load.growth, GROWTH_OF_MEMORY),
      row(`the same: the node, with the reports`, 'cores', load.node, 1),
      row(`${CONSOLES} open consoles, a report a second of each deployment: the node`, 'cores', shared, 1),
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
  await page
    .locator('.card')
    .nth(DEPLOYMENTS - 1)
    .waitFor({ state: 'attached' });
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
  /** Memory of the page's code in the last fifth of the time over that in the first: medians, after garbage was collected. */
  readonly growth: number;
  /** Processor time of the node, in cores. */
  readonly node: number;
}

/** A desk in the middle of its work: the cards show all that they ever show, and their curves have their length. */
async function giveHistory(stage: Stage, url: string, ids: readonly string[]): Promise<void> {
  for (let check = 1; check <= CHECKS_BEFORE; check += 1) {
    await Promise.all(ids.map((id) => report(url, id, check - CHECKS_BEFORE)));
    await stage.sql`update deployments set next_check_at = serin_now() where id in ${stage.sql([...ids])}`;
    const done = async () => {
      const [row] = await stage.sql<{ count: number }[]>`select count(*)::int as count from samples`;
      return row?.count === check * ids.length;
    };
    while (!(await done())) await sleep(20);
  }
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
  // What the browser compiles while the first changes come is no growth.
  await nodeUnderReports(url, ids, WARM_UP_SECONDS, pid);
  const before = await figures(session);
  const begun = performance.now();
  // The memory rises and falls within minutes: two single looks would compare two moments of that.
  const bytes: number[] = [];
  let over = false;
  const looking = (async () => {
    while (!over) {
      await sleep((seconds * 1000) / LOOKS_AT_MEMORY);
      bytes.push((await figures(session)).bytes);
    }
  })();
  const node = await nodeUnderReports(url, ids, seconds, pid);
  over = true;
  await looking;
  const took = (performance.now() - begun) / 1000;
  const after = await figures(session);
  const fifth = Math.ceil(bytes.length / 5);
  const growth = median(bytes.slice(-fifth)) / median(bytes.slice(0, fifth));
  return { browser: (after.seconds - before.seconds) / took, growth, node };
}

/** Processor time of the node, in cores, while every deployment reports once a second in a request of its own. */
async function nodeUnderReports(
  url: string,
  ids: readonly string[],
  seconds: number,
  pid: number,
): Promise<number> {
  const before = await processorSeconds(pid);
  const begun = performance.now();
  for (let second = 1; second <= seconds; second += 1) {
    await reportOnce(url, ids, second, begun + (second - 1) * 1000);
    await sleep(Math.max(0, begun + second * 1000 - performance.now()));
  }
  const took = (performance.now() - begun) / 1000;
  return ((await processorSeconds(pid)) - before) / took;
}

/** Does the work while the given number of clients follow what an open overview follows, and waits for what it causes. */
async function withConsoles<Result>(
  url: string,
  seconds: number,
  work: () => Promise<Result>,
): Promise<Result> {
  const consoles = await startChild('harness/subscribers.ts');
  try {
    for (const operation of ['LiveDeployments', 'Overview']) {
      const order: Connect = {
        url: `${url.replace('http', 'ws')}/graphql`,
        count: CONSOLES,
        subscribe: JSON.stringify({
          id: '1',
          type: 'subscribe',
          payload: { query: await consoleOperation(operation) },
        }),
      };
      const connected = once(consoles.process, 'message');
      consoles.process.send(order);
      await connected;
    }
    const result = await work();
    const changes = DEPLOYMENTS * seconds * DELIVERED_AT_LEAST;
    const arrived = once(consoles.process, 'message', { signal: AbortSignal.timeout(10_000) });
    const expected: Await = { deliveries: Math.floor(CONSOLES * (DEPLOYMENTS + changes)) };
    consoles.process.send(expected);
    await arrived;
    return result;
  } finally {
    await consoles.stop();
  }
}

/** An operation of the console's overview, with its fragments. */
async function consoleOperation(name: string): Promise<string> {
  const file = new URL('../../console/src/api/operations/', import.meta.url);
  const texts = ['overview', 'fragments', 'safety'].map((part) =>
    readFile(new URL(`${part}.graphql`, file), 'utf8'),
  );
  const document = separateOperations(parse((await Promise.all(texts)).join('\n')))[name];
  if (!document) throw new Error(`the console has no operation ${name}`);
  return print(document);
}

async function figures(session: CDPSession): Promise<{ readonly seconds: number; readonly bytes: number }> {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  const figure = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN;
  return { seconds: figure('TaskDuration'), bytes: figure('JSHeapUsedSize') };
}

/** Both sides of every deployment report, in one request for each deployment, spread over a second from `from` on. */
async function reportOnce(url: string, ids: readonly string[], round: number, from = 0): Promise<void> {
  const size = Math.ceil(ids.length / PARTS_OF_A_SECOND);
  const sent: Promise<unknown>[] = [];
  for (let part = 0; part < PARTS_OF_A_SECOND; part += 1) {
    await sleep(Math.max(0, from + (part * 1000) / PARTS_OF_A_SECOND - performance.now()));
    for (const id of ids.slice(part * size, (part + 1) * size)) sent.push(report(url, id, round));
  }
  await Promise.all(sent);
}

/** Of the capital that a seeded side has; neither side is better in the long run. */
function pnlOf(deploymentId: string, side: Side, round: number): number {
  const [capital, period] = side === 'CANARY' ? [100_000, 7] : [900_000, 5];
  return capital * 2e-4 * Math.sin(round / period + Number(deploymentId.replace(/\D/g, '')));
}

async function report(url: string, deploymentId: string, round: number): Promise<void> {
  const reports = (['CANARY', 'STABLE'] as const).map((side) => ({
    deploymentId,
    side,
    pnlUsd: pnlOf(deploymentId, side, round).toFixed(2),
    trades: 200 + round,
    drawdown: '0.01',
  }));
  await ask(url, 'mutation($input: ReportMetricsInput!) { reportMetrics(input: $input) { success } }', {
    input: { reports },
  });
}
