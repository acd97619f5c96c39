/**
 * A real browser for the tests of the console: the one that `SERIN_TEST_BROWSER` names, else the Chromium that the
 * package `@sparticuz/chromium` carries (x86-64 Linux). Where neither can be started the tests are skipped and say so.
 */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AxeBuilder } from '@axe-core/playwright';
import sparticuz from '@sparticuz/chromium';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
// The pages that a server of a test hands out are built.
import '../harness/program.ts';

export type Launched =
  | { readonly browser: Browser; readonly missing: null }
  | { readonly browser: null; readonly missing: string };

let launched: Promise<Launched> | null = null;

/** Starts the browser once for all tests of this process. */
export function launchBrowser(): Promise<Launched> {
  launched ??= launch();
  return launched;
}

async function launch(): Promise<Launched> {
  const own = process.env.SERIN_TEST_BROWSER;
  try {
    const executablePath = own ?? (await sparticuz.executablePath());
    // What a server of its own needs not: everything else that the package proposes is for other places than tests.
    const args = ['--no-sandbox', '--disable-dev-shm-usage', '--font-render-hinting=none', '--disable-gpu'];
    return { browser: await chromium.launch({ executablePath, args }), missing: null };
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    const missing = `The console is not tested: no browser starts here (${why}). Name one in SERIN_TEST_BROWSER.`;
    process.stderr.write(`${missing}\n`);
    return { browser: null, missing };
  }
}

/** A visitor of the console: a tab of a browser. What one stores is cleared when it leaves. */
export interface Visitor {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the page wrote to its console as an error or warning, and what it threw. */
  readonly complaints: string[];
  close(): Promise<void>;
}

export interface VisitorOptions {
  readonly theme?: 'light' | 'dark';
  readonly width?: number;
  readonly height?: number;
  readonly timezone?: string;
  readonly locale?: string;
  /** A profile that no other visitor shares: for a test that changes it. */
  readonly alone?: boolean;
}

/** Profiles that visitors share: one for each set of options, so that only the first of a server loads its files. */
const profiles = new Map<string, Promise<BrowserContext>>();

function sharedProfile(browser: Browser, options: VisitorOptions): Promise<BrowserContext> {
  const key = JSON.stringify(options);
  const known = profiles.get(key);
  if (known) return known;
  const made = newProfile(browser, options);
  profiles.set(key, made);
  return made;
}

async function newProfile(browser: Browser, options: VisitorOptions): Promise<BrowserContext> {
  const {
    theme = 'dark',
    width = 1440,
    height = 900,
    timezone = 'Europe/Zurich',
    locale = 'en-GB',
  } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale,
    timezoneId: timezone,
    reducedMotion: 'reduce',
  });
  // Sooner than a test gives up, so that the message names the step.
  context.setDefaultTimeout(50_000);
  return context;
}

/** Opens a page in the profile of these options: with the cache of earlier visitors, without what they stored. */
export async function visit(browser: Browser, url: string, options: VisitorOptions = {}): Promise<Visitor> {
  const { alone = false } = options;
  const context = await (alone ? newProfile(browser, options) : sharedProfile(browser, options));
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // A browser writes down every answer that is no success; a visitor who is not signed in yet gets one.
    if (/status of 401/.test(message.text())) return;
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  const close = async () => {
    if (alone) return context.close();
    await page.evaluate('localStorage.clear()');
    await page.close();
  };
  return { context, page, complaints, close };
}

/**
 * What axe finds wrong on the page, or only inside `within`: one line per rule with the markup it is about. Run in the page
 * itself (there are no frames) and for violations alone, which takes a fraction of the time of a full report.
 */
export async function violationsOf(page: Page, within?: string): Promise<string[]> {
  const axe = new AxeBuilder({ page }).setLegacyMode().options({ resultTypes: ['violations'] });
  const { violations } = await (within === undefined ? axe : axe.include(within)).analyze();
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

/** Makes the types of the operations of front ends where they are missing or older than the schema. */
export async function buildTypes(): Promise<void> {
  const made = await newest('examples/frontend/generated', true);
  if (made > (await newest('examples/frontend')) && made > (await newest('schema.graphql'))) return;
  await promisify(execFile)('npm', ['run', 'console:types', '--silent']);
}

/** When the youngest file of a folder was written, epoch ms; 0 where there is none. What is generated counts only if it is asked for. */
async function newest(path: string, generated = false): Promise<number> {
  const files = (await stat(path).catch(() => null))?.isDirectory()
    ? (await readdir(path, { recursive: true })).map((name) => join(path, name))
    : [path];
  const times = files
    .filter((file) => generated || !file.includes('generated'))
    .map(async (file) => (await stat(file).catch(() => null))?.mtimeMs ?? 0);
  return Math.max(0, ...(await Promise.all(times)));
}
