import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MetricsTarget } from '../../src/providers/providers.ts';
import { ask, make, plain, serve, TARGET } from './server.ts';

const SETTINGS = { type: 'http', timeoutMs: 5000, retries: 0 };

/** What a provider makes of this body. */
async function answered(body: string, settings: object = {}) {
  const server = await serve((_, response) => response.end(body));
  const told = plain(await ask({ ...SETTINGS, url: server.url, ...settings }));
  return typeof told === 'string' ? told.replace(`Provider p: ${server.url}/`, 'It') : told;
}

describe('an answer', () => {
  test('with all metrics under their own names is a report', async () => {
    const document = {
      pnlUsd: -120.75,
      totalPnlUsd: '100',
      drawdown: 0.05,
      sharpeRatio: 1.2,
      winRate: 0.55,
      trades: 40,
      errors: 0,
      totalGasUsd: '1.23e1',
      avgTradeSizeUsd: 250,
      uptimeSeconds: 3600,
      somethingElse: [],
    };
    expect(await answered(JSON.stringify(document))).toEqual({
      ...document,
      pnlUsd: '-120.75',
      drawdown: '0.05',
      sharpeRatio: '1.2',
      winRate: '0.55',
      totalGasUsd: '12.3',
      avgTradeSizeUsd: '250',
      somethingElse: undefined,
    });
  });

  test('keeps every digit that a float would lose', async () => {
    expect(
      await answered('{"pnlUsd": 12345678901234567890.123456789012345678, "trades": 9007199254740991}'),
    ).toEqual({
      pnlUsd: '12345678901234567890.123456789012345678',
      trades: 9007199254740991,
    });
  });

  test('with more decimals than are stored is rounded', async () => {
    const report = await answered('{"pnlUsd": 0.12345678901234567850001, "trades": 1, "drawdown": "1e-30"}');
    expect(report).toEqual({ pnlUsd: '0.123456789012345679', trades: 1, drawdown: '0' });
  });

  test('may leave out or null what is optional', async () => {
    expect(await answered('{"pnlUsd": 1, "trades": 0, "sharpeRatio": null}')).toEqual({
      pnlUsd: '1',
      trades: 0,
    });
  });

  test('may have its metrics at paths, and then no others are read', async () => {
    const fields = { pnlUsd: 'pnl.net', trades: 'sides.1.count' };
    const body = '{"pnl": {"net": "7.5"}, "sides": [0, {"count": 3}], "errors": 99}';
    expect(await answered(body, { fields })).toEqual({ pnlUsd: '7.5', trades: 3 });
  });

  test('says when its figures were taken, in any usual form', async () => {
    const at = Date.parse('2026-03-01T12:00:00Z');
    const answers = [
      '"2026-03-01T12:00:00Z"',
      '"2026-03-01T13:00:00+01:00"',
      `${at / 1000}`,
      `${at}`,
      `"${at / 1000}.25"`,
    ];
    const read = await Promise.all(
      answers.map((asOf) => answered(`{"pnlUsd": 1, "trades": 1, "asOf": ${asOf}}`)),
    );
    expect(read).toEqual([at, at, at, at, at + 250].map((asOf) => ({ pnlUsd: '1', trades: 1, asOf })));
    const fields = { pnlUsd: 'pnl', trades: 'n', asOf: 'taken.at' };
    expect(await answered(`{"pnl": 1, "n": 1, "taken": {"at": ${at}}}`, { fields })).toMatchObject({
      asOf: at,
    });
    expect(await answered('{"pnl": 1, "n": 1, "asOf": 5}', { fields })).toBe(
      'Provider p: asOf has no value: the provider returned none',
    );
    expect(await answered('{"pnlUsd": 1, "trades": 1, "asOf": "noon"}')).toContain(
      'asOf must be a Date, epoch milliseconds or an RFC 3339 string, got "noon"',
    );
    // A date that does not exist is not shifted, and microseconds are no time of the year 57886.
    for (const asOf of ['"2026-02-30T12:00:00Z"', '1772409600000000', '9000000000000000']) {
      const answer = await answered(`{"pnlUsd": 1, "trades": 1, "asOf": ${asOf}}`);
      expect(answer, asOf).toContain('asOf must be a Date, epoch milliseconds or an RFC 3339 string');
    }
    expect(await answered('{"pnlUsd": 1, "trades": 1, "asOf": true}')).toContain(
      'answered true for asOf, which must be an instant',
    );
  });

  test('takes a count that differs from a whole number by a millionth', async () => {
    expect(await answered('{"pnlUsd": 0, "trades": 41.9999995, "errors": -0.0000001}')).toEqual({
      pnlUsd: '0',
      trades: 42,
      errors: 0,
    });
  });
});

describe('an answer that cannot be used', () => {
  test.each([
    ['not JSON', '<html>', 'It answered something that is not JSON'],
    ['empty', '', 'It answered something that is not JSON'],
    ['bare NaN', '{"pnlUsd": NaN, "trades": 1}', 'It answered something that is not JSON'],
    ['nested without end', '['.repeat(500_000), 'It answered something that is not JSON'],
    ['a list', '[]', 'Provider p: pnlUsd has no value: the provider returned none; trades has no value'],
    ['a number', '5', 'Provider p: pnlUsd has no value'],
    ['inherited names', '{"__proto__": {"pnlUsd": 1, "trades": 1}}', 'Provider p: pnlUsd has no value'],
    ['without a required metric', '{"pnlUsd": 1}', 'Provider p: trades has no value'],
    ['with null for a required metric', '{"pnlUsd": null, "trades": 1}', 'Provider p: pnlUsd has no value'],
    ['with words', '{"pnlUsd": "lots", "trades": 1}', 'Provider p: pnlUsd is not a number, got "lots"'],
    [
      'with NaN in a string',
      '{"pnlUsd": "NaN", "trades": 1}',
      'Provider p: pnlUsd is not a number, got "NaN"',
    ],
    ['with hex', '{"pnlUsd": "0x10", "trades": 1}', 'Provider p: pnlUsd is not a number, got "0x10"'],
    ['with true', '{"pnlUsd": true, "trades": 1}', 'It answered true for pnlUsd, which must be a number'],
    ['with an object', '{"pnlUsd": {"value": 1}, "trades": 1}', 'It answered an object for pnlUsd'],
    ['with a list', '{"pnlUsd": [1], "trades": 1}', 'It answered a list for pnlUsd'],
    [
      'with half a trade',
      '{"pnlUsd": 1, "trades": 2.5}',
      'Provider p: trades must be a whole number, got "2.5": round it where it is made',
    ],
    [
      'with too large an amount',
      '{"pnlUsd": 1e20, "trades": 1}',
      'Provider p: pnlUsd has more than 20 digits before the point, got "1e20"',
    ],
    [
      'with an endless exponent',
      '{"pnlUsd": 1e999999999, "trades": 1}',
      'Provider p: pnlUsd is not a number',
    ],
    [
      'with too many trades',
      '{"pnlUsd": 1, "trades": 1e16}',
      'Provider p: trades is too large to be counted',
    ],
    [
      'with a negative count',
      '{"pnlUsd": 1, "trades": -1}',
      'Provider p: trades must be a whole number, 0 or more, got -1',
    ],
    [
      'with an impossible win rate',
      '{"pnlUsd": 1, "trades": 1, "winRate": 55}',
      'Provider p: winRate must be between 0 and 1, got 55',
    ],
    [
      'with a negative drawdown',
      '{"pnlUsd": 1, "trades": 1, "drawdown": -0.1}',
      'Provider p: drawdown must not be negative, got -0.1',
    ],
    [
      'that contradicts itself',
      '{"pnlUsd": 1, "trades": 1, "pnlUsd": 2}',
      'It answered something that is not JSON',
    ],
  ])('%s', async (_, body, message) => {
    expect(await answered(body)).toContain(message);
  });

  test('whatever it is, is a failure and no exception', async () => {
    let body = '';
    const server = await serve((_, response) => response.end(body));
    const provider = await make({ ...SETTINGS, url: server.url });
    const { signal } = new AbortController();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.json(),
          fc.record({ pnlUsd: fc.jsonValue(), trades: fc.jsonValue() }).map((value) => JSON.stringify(value)),
        ),
        async (text) => {
          body = text;
          const fetched = await provider.fetch(TARGET, signal);
          expect(fetched.ok || fetched.message.startsWith('Provider p: ')).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('the URL', () => {
  /** What was asked for a target, as the server reads it. */
  async function asked(template: string, target: Partial<MetricsTarget>): Promise<string> {
    const server = await serve((_, response) => response.end('{"pnlUsd": 1, "trades": 1}'));
    const fetched = await ask({ ...SETTINGS, url: server.url + template }, { target });
    return fetched.ok ? (server.requests[0]?.url ?? 'nothing') : fetched.message;
  }

  test('has its variables put in', async () => {
    const template = '/m/{{strategy}}/{{ version }}?chain={{chain}}&side={{side}}&since={{since}}';
    expect(await asked(template, {})).toBe('/m/eth-momentum/v42?chain=arbitrum&side=CANARY&since=1700000000');
  });

  test('has the seconds since the start', async () => {
    const since = Date.now() - 90_000;
    const elapsed = Number((await asked('/{{elapsed}}', { since })).slice(1));
    expect(elapsed).toBeGreaterThanOrEqual(90);
    expect(elapsed).toBeLessThanOrEqual(Math.ceil((Date.now() - since) / 1000));
    expect(await asked('/{{elapsed}}', { since: Date.now() + 600_000 })).toBe('/1');
  });

  test('has values encoded, so that none can lead elsewhere', async () => {
    const target = {
      strategyId: '../../admin?x=1#',
      versionId: 'a/b%2e{{chain}}',
      chain: 'x&side=STABLE é \ud800',
    };
    expect(await asked('/m/{{strategy}}/{{version}}?chain={{chain}}', target)).toBe(
      '/m/..%2F..%2Fadmin%3Fx%3D1%23/a%2Fb%252e%7B%7Bchain%7D%7D?chain=x%26side%3DSTABLE%20%C3%A9%20%EF%BF%BD',
    );
  });

  test.each(['.', '..'])(
    'is not asked for a version named %s, which would be a step up',
    async (versionId) => {
      expect(await asked('/m/{{version}}/x', { versionId })).toContain(
        'was not requested: an id that is "." or ".." cannot stand in a URL',
      );
      expect(await asked('/m?v={{version}}', { versionId })).toBe(`/m?v=${versionId}`);
    },
  );
});
