import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MetricsTarget } from '../../src/providers/providers.ts';
import { ask, make, plain, serve, TARGET } from './server.ts';

const SETTINGS = { type: 'prometheus', timeoutMs: 5000, retries: 0 };

const scalar = (value: string) => ({ resultType: 'scalar', result: [1700000000.5, value] });
const vector = (...values: string[]) => ({
  resultType: 'vector',
  result: values.map((value) => ({ metric: { version: 'v42' }, value: [1700000000.5, value] })),
});

/** A server that knows the data for some queries, and finds nothing for the others. */
const prometheus = (data: Readonly<Record<string, unknown>>) =>
  serve((_, response, url) => {
    const query = url.searchParams.get('query') ?? '';
    response.end(JSON.stringify({ status: 'success', data: data[query] ?? vector() }));
  });

/** What a provider makes of these answers to the queries `pnlUsd`, `trades`, and those of the same names. */
async function answered(data: Readonly<Record<string, unknown>>) {
  const all: Readonly<Record<string, unknown>> = { pnlUsd: vector('1'), trades: vector('1'), ...data };
  const server = await prometheus(all);
  const queries = Object.fromEntries(Object.keys(all).map((metric) => [metric, metric]));
  const told = plain(await ask({ ...SETTINGS, url: server.url, queries }));
  return typeof told === 'string' ? told.replace(`${server.url}/api/v1/query`, 'it') : told;
}

describe('an answer', () => {
  test('to each query is a figure of the report', async () => {
    const report = await answered({
      pnlUsd: vector('-120.75'),
      totalPnlUsd: scalar('1e+06'),
      drawdown: vector('1.2345e-05'),
      sharpeRatio: vector('1.1'),
      winRate: vector('0.5'),
      trades: vector('40'),
      errors: scalar('2'),
      totalGasUsd: vector('0.30000000000000004'),
      avgTradeSizeUsd: vector('1.2345678901234567e-05'),
      uptimeSeconds: vector('3600'),
    });
    expect(report).toEqual({
      pnlUsd: '-120.75',
      totalPnlUsd: '1000000',
      drawdown: '0.000012345',
      sharpeRatio: '1.1',
      winRate: '0.5',
      trades: 40,
      errors: 2,
      totalGasUsd: '0.30000000000000004',
      avgTradeSizeUsd: '0.000012345678901235',
      uptimeSeconds: 3600,
    });
  });

  test('to the query asOf is when the figures were taken; a target that is gone is a failure', async () => {
    expect(await answered({ asOf: vector('1.77237e+09') })).toEqual({
      pnlUsd: '1',
      trades: 1,
      asOf: 1_772_370_000_000,
    });
    expect(await answered({ asOf: vector() })).toContain('asOf has no value: the provider returned none');
  });

  test('that is empty leaves an optional metric out', async () => {
    expect(await answered({ drawdown: vector(), errors: vector() })).toEqual({ pnlUsd: '1', trades: 1 });
  });

  test.each(['NaN', '+Inf', '-Inf'])(
    'of %s means no value yet for the ratios that start without one',
    async (text) => {
      const report = await answered({ sharpeRatio: vector(text), winRate: scalar(text) });
      expect(report).toEqual({ pnlUsd: '1', trades: 1 });
    },
  );

  test.each([
    ['41.9999999', 42],
    ['42.0000001', 42],
    ['-1e-09', 0],
  ])('of %s is counted as %i', async (text, count) => {
    expect(await answered({ trades: vector(text) })).toMatchObject({ trades: count });
  });
});

describe('an answer that cannot be used', () => {
  test.each([
    [
      'nothing for a required metric',
      { pnlUsd: vector() },
      'pnlUsd has no value: the provider returned none',
    ],
    ['NaN', { pnlUsd: vector('NaN') }, 'pnlUsd is not a number, got "NaN"'],
    ['infinity', { drawdown: scalar('+Inf') }, 'drawdown is not a number, got "+Inf"'],
    ['NaN trades', { trades: vector('NaN') }, 'trades is not a number, got "NaN"'],
    [
      'trades that were extrapolated',
      { trades: vector('41.37') },
      'trades must be a whole number, got "41.37": round it where it is made',
    ],
    ['half a second', { uptimeSeconds: vector('1.5') }, 'uptimeSeconds must be a whole number, got "1.5"'],
    ['garbage', { pnlUsd: vector('garbage') }, 'pnlUsd is not a number, got "garbage"'],
    ['out of bounds', { winRate: vector('1.01') }, 'winRate must be between 0 and 1, got 1.01'],
    [
      'many series',
      { trades: vector('1', '2', '3') },
      'trades could not be fetched: it answered 3 series: the query must give one, for example by sum(...)',
    ],
    [
      'a matrix',
      { trades: { resultType: 'matrix', result: [] } },
      'trades could not be fetched: it answered a matrix: the query must give one number',
    ],
    [
      'a string',
      { trades: { resultType: 'string', result: [1, 'a'] } },
      'trades could not be fetched: it answered a string',
    ],
    [
      'a histogram',
      { trades: { resultType: 'vector', result: [{ metric: {}, histogram: [1, {}] }] } },
      'trades could not be fetched: it answered a histogram',
    ],
    [
      'another shape',
      { trades: { resultType: 'vector', result: 5 } },
      'trades could not be fetched: it answered HTTP 200 with JSON that is not a query response: is it the address of a Prometheus?',
    ],
  ])('%s', async (_, data, message) => {
    expect(await answered(data)).toContain(`Provider p: ${message}`);
  });

  test('names the kind of an error; what Prometheus said is for the log', async () => {
    const error = 'invalid parameter "query": 1:5: parse error: unexpected <by>';
    const server = await serve((_, response) =>
      response.writeHead(400).end(JSON.stringify({ status: 'error', errorType: 'bad_data', error })),
    );
    const fetched = await ask({ ...SETTINGS, url: server.url, queries: { pnlUsd: 'a', trades: 'b' } });
    expect(plain(fetched)).toBe(
      `Provider p: pnlUsd could not be fetched: ${server.url}/api/v1/query answered HTTP 400, bad_data`,
    );
    expect(fetched).toMatchObject({ words: error });
  });

  test('with warnings is a failure, because data may be missing; the log quotes them', async () => {
    const fetchWith = async (more: Readonly<Record<string, unknown>>) => {
      const body = { status: 'success', data: vector('1'), ...more };
      const server = await serve((_, response) => response.end(JSON.stringify(body)));
      return ask({ ...SETTINGS, url: server.url, queries: { pnlUsd: 'a', trades: 'b' } });
    };
    const failed = await fetchWith({ warnings: ['store 10.0.0.7 did not respond'] });
    expect(plain(failed)).toMatch(
      /^Provider p: pnlUsd could not be fetched: .* answered with warnings, so data may be missing$/,
    );
    expect(failed).toMatchObject({ words: 'store 10.0.0.7 did not respond' });
    expect(await fetchWith({ warnings: ['a', 'b', 'c', 'd', 'e'] })).toMatchObject({
      words: 'a; b; c; and 2 more',
    });
    const whole = { pnlUsd: '1', trades: 1 };
    expect(plain(await fetchWith({ warnings: [] }))).toEqual(whole);
    expect(plain(await fetchWith({ warnings: null, infos: ['metric might not be a counter'] }))).toEqual(
      whole,
    );
  });

  test.each([
    [200, '<html>hello</html>'],
    [404, '404 page not found'],
  ])('with HTTP %i and no JSON names the address as a likely cause', async (status, body) => {
    const server = await serve((_, response) => response.writeHead(status).end(body));
    const fetched = await ask({ ...SETTINGS, url: server.url, queries: { pnlUsd: 'a', trades: 'b' } });
    expect(plain(fetched)).toContain(
      `answered HTTP ${status} with something that is not JSON: is it the address of a Prometheus?`,
    );
  });

  test.each([
    [401, 'Unauthorized'],
    [502, '<html>'],
    [500, JSON.stringify({ status: 'success', data: scalar('1') })],
  ])('with HTTP %i is a failure whatever it says', async (status, body) => {
    const server = await serve((_, response) => response.writeHead(status).end(body));
    const fetched = await ask({ ...SETTINGS, url: server.url, queries: { pnlUsd: 'a', trades: 'b' } });
    expect(plain(fetched)).toMatch(new RegExp(`answered HTTP ${status}$`));
  });

  test('of a Prometheus that hangs ends once for all queries', async () => {
    const server = await serve(() => undefined);
    const queries = { pnlUsd: 'a', trades: 'b', errors: 'c', drawdown: 'd', winRate: 'e', sharpeRatio: 'f' };
    const begun = performance.now();
    const fetched = await ask({ ...SETTINGS, timeoutMs: 100, retries: 1, url: server.url, queries });
    expect(plain(fetched)).toMatch(
      /^Provider p: \w+ could not be fetched: .* did not answer in full within \d+ ms/,
    );
    expect(performance.now() - begun).toBeLessThan(4000);
    expect(server.requests.length).toBeLessThanOrEqual(8);
  });
});

describe('a query', () => {
  const QUERIES = { pnlUsd: 'pnl{version="{{version}}"}', trades: 'scalar(1)' };

  /** The query for pnlUsd as the server got it. */
  async function asked(pnlUsd: string, target: Partial<MetricsTarget> = {}): Promise<string> {
    const server = await prometheus({});
    await ask({ ...SETTINGS, url: server.url, queries: { ...QUERIES, pnlUsd } }, { target });
    const queries = server.requests.map(({ url }) =>
      new URL(url ?? '', server.url).searchParams.get('query'),
    );
    return queries.find((query) => query !== QUERIES.trades) ?? 'nothing';
  }

  test('is sent under the path of the URL, with a timeout', async () => {
    const server = await prometheus({ [QUERIES.trades]: scalar('1') });
    await ask({ ...SETTINGS, url: `${server.url}/prom/?tenant=a`, queries: QUERIES });
    const url = new URL(server.requests[0]?.url ?? '', server.url);
    expect(url.pathname).toBe('/prom/api/v1/query');
    expect(Object.fromEntries(url.searchParams)).toMatchObject({ tenant: 'a', timeout: '5000ms' });
  });

  test('has its variables put in', async () => {
    const query = 'x{s="{{strategy}}",v=\'{{version}}\',c="{{chain}}",side="{{side}}"} - x @ {{since}}';
    expect(await asked(query)).toBe(
      'x{s="eth-momentum",v=\'v42\',c="arbitrum",side="CANARY"} - x @ 1700000000',
    );
    const since = Date.now() - 60_000;
    const elapsed = Number(
      /^increase\(x\[(\d+)s\]\)$/.exec(await asked('increase(x[{{elapsed}}s])', { since }))?.[1],
    );
    expect(elapsed).toBeGreaterThanOrEqual(60);
    expect(elapsed).toBeLessThanOrEqual(Math.ceil((Date.now() - since) / 1000));
  });

  test.each([
    ['a quote', 'x="{{version}}"', 'v"} or vector(1e9) #', 'x="v\\"} or vector(1e9) #"'],
    ['a single quote', "x='{{version}}'", `a'"`, `x='a\\'"'`],
    ['a backslash', 'x="{{version}}"', 'a\\', 'x="a\\\\"'],
    ['control characters', 'x="{{version}}"', 'a\n\r\t\u0000', 'x="a\\n\\r\\t\\u0000"'],
    ['another variable', 'x="{{version}}"', '{{strategy}}', 'x="{{strategy}}"'],
    ['a replacement pattern', 'x="{{version}}"', "$&$'", `x="$&$'"`],
    ['a pattern where one is expected', 'x=~"{{version}}"', 'v1.2|.*', 'x=~"v1\\\\.2\\\\|\\\\.\\\\*"'],
    ['a pattern behind a space', 'x!~ "a|{{version}}"', '.', 'x!~ "a|\\\\."'],
    ['a pattern where none is expected', 'x="{{version}}"', '.*', 'x=".*"'],
  ])('cannot be changed by an id with %s', async (_, template, versionId, query) => {
    expect(await asked(template, { versionId })).toBe(query);
  });

  test.each(['"', "'"])(
    'gives back every id from its %s-quoted string, as Prometheus reads it',
    async (quote) => {
      const server = await prometheus({});
      const pnlUsd = `f(${quote}{{version}}${quote})`;
      const provider = await make({ ...SETTINGS, url: server.url, queries: { ...QUERIES, pnlUsd } });
      const { signal } = new AbortController();
      await fc.assert(
        fc.asyncProperty(hostileId, async (versionId) => {
          server.requests.length = 0;
          await provider.fetch({ ...TARGET, versionId }, signal);
          const queries = server.requests.map(({ url }) =>
            new URL(url ?? '', server.url).searchParams.get('query'),
          );
          expect(unquote(queries.find((query) => query?.startsWith('f(')) ?? '')).toBe(versionId);
        }),
        { numRuns: 100 },
      );
    },
  );
});

/** Ids made of what has a meaning in PromQL, among other characters. */
const hostileId = fc.string({
  unit: fc.oneof(
    fc.constantFrom('"', "'", '`', '\\', '\n', '{', '}', '#', '\0'),
    fc.string({ minLength: 1, maxLength: 1 }),
  ),
});

/** Reads `f("…")`: the one string from its opening quote to the first quote that no backslash precedes. */
function unquote(query: string): string {
  const match = /^f\((["'])((?:\\[^\n]|[^\\\n])*?)\1\)$/.exec(query);
  if (!match) return `not one string: ${query}`;
  const [, quote, inner = ''] = match;
  const named: Readonly<Record<string, string>> = {
    n: '\n',
    r: '\r',
    t: '\t',
    '\\': '\\',
    [quote ?? '']: quote ?? '',
  };
  return inner.replace(/\\(?:u([0-9a-f]{4})|(.))/g, (all, hex: string | undefined, char: string) =>
    hex === undefined ? (named[char] ?? `bad escape ${all}`) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
