/**
 * A real browser for the tests of the console: the one that `SERIN_TEST_BROWSER` names, else the Chromium that the
 * package `@sparticuz/chromium` carries (x86-64 Linux). Where neither can be started the tests are skipped and say so.
 */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sparticuz from '@sparticuz/chromium';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

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

/** A visitor of the console: a page in a browser profile of its own. */
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
}

export async function visit(browser: Browser, url: string, options: VisitorOptions = {}): Promise<Visitor> {
  const { theme = 'dark', width = 1440, height = 900, timezone = 'Europe/Zurich' } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: theme,
    locale: 'en-GB',
    timezoneId: timezone,
    reducedMotion: 'reduce',
  });
  // Sooner than a test gives up, so that the message names the step.
  context.setDefaultTimeout(50_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    // A browser writes down every answer that is no success; who is not signed in yet gets one.
    if (/status of 401/.test(message.text())) return;
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  return { context, page, complaints, close: () => context.close() };
}

/** Builds the console anew where its sources are younger than what was built. */
export async function buildConsole(): Promise<void> {
  const built = await newest('dist/console');
  if (built > (await newest('console')) && built > (await newest('schema.graphql'))) return;
  await promisify(execFile)('npm', ['run', 'build:console', '--silent']);
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
