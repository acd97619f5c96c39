/** The visitors of a test file: opened with a path, and closed after each test. */
import type { Page } from 'playwright-core';
import { afterEach, expect } from 'vitest';
import type { Data, TestCaller } from '../harness/serin.ts';
import { launchBrowser, type Visitor, type VisitorOptions, violationsOf, visit } from './browser.ts';

/** A browser beside other tests on a small machine is slow: nothing fails for that. */
export const PATIENCE_MS = 180_000;

export const { browser, missing } = await launchBrowser();

const visitors: Visitor[] = [];

/** Closes the visitors of each test of the calling block after it. */
export const closeVisitors = (): void =>
  afterEach(async () => {
    for (const { close } of visitors.splice(0)) await close();
  });

export async function open(
  serin: { readonly url: string },
  path: string,
  options: VisitorOptions = {},
): Promise<Visitor> {
  if (!browser) throw new Error('no browser');
  const visitor = await visit(browser, `${serin.url}${path}`, options);
  visitors.push(visitor);
  return visitor;
}

/** The whole page is accessible; with a dialog over it, the dialog is. */
export async function expectAccessible(page: Page): Promise<void> {
  const isOver = (await page.getByRole('dialog').count()) > 0;
  expect(await violationsOf(page, isOver ? '[role=dialog]' : undefined)).toEqual([]);
}

/** Gives a command through its dialog. */
export async function act(page: Page, action: string, fields: Record<string, string> = {}): Promise<void> {
  await page.getByRole('button', { name: `${action} …` }).click();
  const dialog = page.getByRole('dialog');
  for (const [label, text] of Object.entries(fields)) await dialog.getByLabel(label).fill(text);
  await dialog.getByRole('button', { name: action, exact: true }).click();
  await dialog.waitFor({ state: 'detached' });
}

export const deploymentOf = async (caller: TestCaller, id: string): Promise<Data> =>
  (
    await caller.ask(
      'query($id: ID!) { deployment(id: $id) { status revision summary decisionHistory { actor reason } } }',
      { id },
    )
  ).deployment;
