import { describe, expect, test } from 'vitest';
import { describeViolations } from '../../src/core/values/violation.ts';
import { loadProviders } from '../../src/providers/providers.ts';
import { env, load } from './server.ts';

const QUERIES = { pnlUsd: 'sum(pnl)', trades: 'sum(trades)' };
const prometheus = (over: object = {}) => ({
  providers: { prom: { type: 'prometheus', url: 'http://prom:9090', queries: QUERIES, ...over } },
});
const http = (over: object = {}) => ({
  providers: { desk: { type: 'http', url: 'http://desk/metrics', ...over } },
});

async function wrongWith(content: unknown, environment: Record<string, string> = {}): Promise<string> {
  const loaded = await load(content, environment);
  return loaded.ok ? 'nothing' : describeViolations(loaded.violations);
}

describe('the file', () => {
  test('is optional: without one there are no providers', async () => {
    const loaded = await loadProviders(null);
    expect(loaded.ok && loaded.value.size).toBe(0);
  });

  test('gives its providers by name', async () => {
    const loaded = await load({ providers: { ...prometheus().providers, ...http().providers } });
    expect(loaded.ok && [...loaded.value.values()].map(({ name }) => name)).toEqual(['prom', 'desk']);
  });

  test('that is not there is named', async () => {
    const loaded = await loadProviders('/nowhere/providers.json');
    expect(loaded.ok || describeViolations(loaded.violations)).toContain(
      'The providers file /nowhere/providers.json cannot be read (ENOENT)',
    );
  });

  test('that is not JSON is refused with the position', async () => {
    expect(await wrongWith('{ "providers": ')).toMatch(/providers.json is not JSON: .* at position 15/);
  });

  test('that names a provider twice is refused', async () => {
    expect(await wrongWith('{ "providers": { "a": 1, "a": 2 } }')).toContain("Duplicate key 'a'");
  });
});

describe('a mistake is named by its path', () => {
  const metrics =
    'use pnlUsd, totalPnlUsd, drawdown, sharpeRatio, winRate, totalGasUsd, avgTradeSizeUsd, trades,';
  test.each([
    ['no providers', {}, 'providers is required'],
    ['a list', [], 'must be an object'],
    [
      'an unknown type',
      { providers: { a: { type: 'csv' } } },
      'providers.a.type must be "prometheus" or "http"',
    ],
    ['no type', { providers: { a: {} } }, 'providers.a.type must be "prometheus" or "http"'],
    [
      'a bad name',
      { providers: { 'a b': http().providers.desk } },
      'providers.a b is not a name: use letters',
    ],
    ['an unknown setting', http({ timeout: 5 }), 'providers.desk.timeout is not a setting'],
    [
      'an unknown metric',
      prometheus({ queries: { ...QUERIES, pnl: 'x' } }),
      `providers.prom.queries.pnl is not a metric: ${metrics}`,
    ],
    [
      'an unknown field',
      http({ fields: { pnlUsd: 'a', trades: 'b', pnl: 'x' } }),
      'providers.desk.fields.pnl is not a metric',
    ],
    [
      'no query for a required metric',
      prometheus({ queries: { pnlUsd: 'x' } }),
      'providers.prom.queries.trades is required',
    ],
    [
      'no field for a required metric',
      http({ fields: { trades: 'x' } }),
      'providers.desk.fields.pnlUsd is required',
    ],
    ['no queries', prometheus({ queries: undefined }), 'providers.prom.queries is required'],
    [
      'an empty query',
      prometheus({ queries: { ...QUERIES, errors: ' ' } }),
      'providers.prom.queries.errors must not be empty',
    ],
    [
      'an empty name in a field path',
      http({ fields: { pnlUsd: 'a..b', trades: 'b' } }),
      'providers.desk.fields.pnlUsd must be names with points between',
    ],
    [
      'a number for a query',
      prometheus({ queries: { ...QUERIES, errors: 0 } }),
      'providers.prom.queries.errors must be a string',
    ],
    ['a timeout that is too short', http({ timeoutMs: 1 }), 'providers.desk.timeoutMs must be at least 10'],
    [
      'a timeout that is too long',
      http({ timeoutMs: 60_001 }),
      'providers.desk.timeoutMs must be at most 60000',
    ],
    ['too many retries', http({ retries: 6 }), 'providers.desk.retries must be at most 5'],
    ['half a retry', http({ retries: 0.5 }), 'providers.desk.retries must be a whole number'],
    [
      'another protocol',
      http({ url: 'ftp://desk/' }),
      'providers.desk.url must be a URL that starts with http:// or https://',
    ],
    ['no host', http({ url: 'http:///metrics' }), 'providers.desk.url must be a URL'],
    [
      'a variable in the host',
      http({ url: 'http://{{chain}}.desk/' }),
      'providers.desk.url must not have variables before the path',
    ],
    [
      'a secret in the URL',
      http({ url: `http://desk/?key=${env('KEY')}` }),
      'providers.desk.url must not name environment variables',
    ],
    [
      'an unknown variable',
      http({ url: 'http://desk/{{strat}}' }),
      'providers.desk.url has the unknown variable {{strat}}: use strategy, version, chain, side, since, elapsed',
    ],
    [
      'a bad header name',
      http({ headers: { 'a b': 'c' } }),
      'providers.desk.headers.a b is not a header name',
    ],
    [
      'an environment variable that is not set',
      http({ headers: { Authorization: `Bearer ${env('TOKEN')}` } }),
      'providers.desk.headers.Authorization needs TOKEN in the environment, which is not set or is empty',
    ],
  ])('%s', async (_, content, message) => {
    expect(await wrongWith(content)).toContain(message);
  });

  test('and all mistakes are named at once', async () => {
    const wrong = await wrongWith({
      providers: { ...http({ retries: -1, url: 'x' }).providers, ...prometheus({ queries: {} }).providers },
    });
    for (const path of ['desk.retries', 'desk.url', 'prom.queries.pnlUsd', 'prom.queries.trades']) {
      expect(wrong).toContain(`providers.${path} `);
    }
  });

  test.each([
    ['a header', http({ headers: { 'X-Key': 'hunter2\n\u0001', Authorization: env('TOKEN') } })],
    ['the URL', http({ url: 'http://user:hunter2%zz@desk/' })],
    ['the host', http({ url: 'http://user:hunter2@/x' })],
  ])('without the secret in %s', async (_, content) => {
    const wrong = await wrongWith(content, { TOKEN: 'hunter2\n\u0001' });
    expect(wrong).toContain('providers.desk.');
    expect(wrong).not.toContain('hunter2');
  });
});

describe('a query with variables', () => {
  const wrongQuery = (query: string) => wrongWith(prometheus({ queries: { ...QUERIES, errors: query } }));

  test.each([
    ['outside of a string', 'pnl_{{strategy}}', 'has {{strategy}} outside of a "quoted" string'],
    ['after a string', 'pnl{a="b"} + {{chain}}', 'has {{chain}} outside of a "quoted" string'],
    ['in backticks', 'pnl{version=`{{version}}`}', 'has {{version}} outside of a "quoted" string'],
    ['in a comment', 'pnl # "\n + 1 # "{{version}}"', 'has {{version}} outside of a "quoted" string'],
    ['after a backslash', 'pnl{version="\\{{version}}"}', 'has a backslash before {{version}}'],
    ['with a string that does not end', 'pnl{version="{{version}}}', 'has a string without its closing "'],
  ])('%s is refused', async (_, query, message) => {
    expect(await wrongQuery(query)).toContain(`providers.prom.queries.errors ${message}`);
  });

  test.each([
    ['in a string', 'pnl{version="{{version}}"}'],
    ['in a single-quoted string', "pnl{version='{{ version }}'}"],
    ['after an escaped quote', 'pnl{version="\\"{{version}}"}'],
    ['after an escaped backslash', 'pnl{version="\\\\{{version}}"}'],
    [
      'of which no value can be harmful, anywhere',
      'increase(errors{side="{{side}}"}[{{elapsed}}s]) @ {{since}}',
    ],
  ])('%s is accepted', async (_, query) => {
    expect(await wrongQuery(query)).toBe('nothing');
  });
});
