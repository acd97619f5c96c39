/**
 * The metrics providers of a server, by name, made from its configuration file. A deployment names one in its
 * configuration; without one its bots report.
 */
import { readFile } from 'node:fs/promises';
import { parse } from 'lossless-json';
import type { Parsed } from '../core/values/violation.ts';
import { type ProviderSettings, readConfiguration } from './configuration.ts';
import type { Environment } from './credentials.ts';
import { failedFetch } from './fetched.ts';
import { fromHttp } from './http.ts';
import { fromPrometheus } from './prometheus.ts';
import type { MetricsProvider } from './provider.ts';
import { longestMs } from './request.ts';
import { createRedactor } from './secrets.ts';

export type { MetricsProvider, MetricsTarget } from './provider.ts';

/** By name. */
export type Providers = ReadonlyMap<string, MetricsProvider>;

/**
 * Reads the configuration file (see docs/providers.md) and makes its providers. Sends no request.
 * @param file the path, or null for a server without providers
 * @param environment where the secrets of headers are looked up
 * @returns the providers by name, or all violations of the file; never a secret
 */
export async function loadProviders(
  file: string | null,
  environment: Environment = process.env,
): Promise<Parsed<Providers>> {
  if (file === null) return { ok: true, value: new Map() };
  const content = await readJson(file);
  if (!content.ok) return content;
  const settings = readConfiguration(content.value, environment);
  if (!settings.ok) return settings;
  const providers = Object.entries(settings.value).map(([name, each]) => createProvider(name, each));
  return { ok: true, value: new Map(providers.map((provider) => [provider.name, provider])) };
}

function createProvider(name: string, settings: ProviderSettings): MetricsProvider {
  const fetchMetrics = settings.type === 'prometheus' ? fromPrometheus(settings) : fromHttp(settings);
  const redact = createRedactor(settings.secrets);
  return {
    name,
    longestMs: longestMs(settings.endpoint),
    async fetch(target, signal) {
      const fetched = await fetchMetrics(target, signal);
      if (fetched.ok) return fetched;
      const { message, words } = fetched;
      return failedFetch(
        `Provider ${name}: ${redact(message)}`,
        words === undefined ? undefined : redact(words),
      );
    },
  };
}

/** Parses with lossless-json, which refuses duplicate names. */
async function readJson(file: string): Promise<Parsed<unknown>> {
  const refuse = (message: string): Parsed<unknown> => ({ ok: false, violations: [{ path: [], message }] });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return refuse(
      `The providers file ${file} cannot be read (${reason}): correct the path, or make it readable`,
    );
  }
  try {
    return { ok: true, value: parse(text, null, Number) };
  } catch (error) {
    return refuse(
      `The providers file ${file} is not JSON: ${error instanceof Error ? error.message : error}`,
    );
  }
}
