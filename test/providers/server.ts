/** A real HTTP server for one test, and the file that points a provider to it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { FetchResult } from '../../src/core/metrics/fetched.ts';
import { loadProviders, type MetricsProvider, type MetricsTarget } from '../../src/providers/providers.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

export interface TestServer {
  readonly url: string;
  /** What was asked, in order. */
  readonly requests: IncomingMessage[];
}

/** Serves until the test is over, and then cuts whatever still hangs. */
export async function serve(handler: Handler): Promise<TestServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    response.on('error', () => undefined);
    handler(request, response, new URL(request.url ?? '/', 'http://test'));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return { url: `http://127.0.0.1:${address.port}`, requests };
}

export const TARGET: MetricsTarget = {
  strategyId: 'eth-momentum',
  versionId: 'v42',
  chain: 'arbitrum',
  side: 'CANARY',
  since: 1_700_000_000_000,
};

/** Writes a configuration file and loads it. */
export async function load(content: unknown, environment: Readonly<Record<string, string>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'serin-providers-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'providers.json');
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return loadProviders(file, environment);
}

/** How a header names a variable of the environment. */
export const env = (name: string) => `\${${name}}`;

interface Asking {
  readonly target?: Partial<MetricsTarget>;
  readonly signal?: AbortSignal;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Loads a file with one provider, `p`. */
export async function make(provider: object, environment?: Asking['environment']): Promise<MetricsProvider> {
  const providers = await load({ providers: { p: provider } }, environment);
  if (!providers.ok) throw new Error(JSON.stringify(providers.violations));
  const made = providers.value.get('p');
  if (!made) throw new Error('the provider is missing');
  return made;
}

/** Makes a provider and asks it once. */
export async function ask(
  provider: object,
  { target, signal, environment }: Asking = {},
): Promise<FetchResult> {
  const made = await make(provider, environment);
  return made.fetch({ ...TARGET, ...target }, signal ?? new AbortController().signal);
}

/** A report with its decimals as text, or the message of the failure. */
export function plain(fetched: FetchResult): Record<string, unknown> | string {
  if (!fetched.ok) return fetched.message;
  return Object.fromEntries(
    Object.entries(fetched.report).map(([name, value]) => [
      name,
      typeof value === 'number' ? value : value.toFixed(),
    ]),
  );
}
