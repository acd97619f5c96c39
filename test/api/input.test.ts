/** Bad input: each is refused with its code and its field, and changes nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { create, report, running, statusOf } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const config = (value: Record<string, unknown>) => ({ config: value });

describe('INVALID_INPUT names the field', () => {
  const cases: [string, Record<string, unknown>, string[]][] = [
    ['percent below 1', config({ canaryPercent: '0.5' }), ['config', 'canaryPercent']],
    ['percent above 50', config({ canaryPercent: 51 }), ['config', 'canaryPercent']],
    [
      'observation under 5 minutes',
      config({ observationPeriodMinutes: 4 }),
      ['config', 'observationPeriodMinutes'],
    ],
    ['interval under 10 s', config({ checkIntervalSeconds: 9 }), ['config', 'checkIntervalSeconds']],
    [
      'negative ratio',
      config({ promotionCriteria: { minPnlRatio: '-1' } }),
      ['config', 'promotionCriteria', 'minPnlRatio'],
    ],
    [
      'negative trades',
      config({ promotionCriteria: { minTrades: -1 } }),
      ['config', 'promotionCriteria', 'minTrades'],
    ],
    ['alpha out of range', config({ evidence: { alpha: 0.9 } }), ['config', 'evidence', 'alpha']],
    [
      'guardrail of zero',
      config({ guardrails: { maxLossUsd: '0' } }),
      ['config', 'guardrails', 'maxLossUsd'],
    ],
    [
      'breaches of zero',
      config({ guardrails: { breaches: { maxLossUsd: 0 } } }),
      ['config', 'guardrails', 'breaches', 'maxLossUsd'],
    ],
    [
      'falling ramp',
      config({
        steps: [
          { canaryPercent: 20, minutes: 5 },
          { canaryPercent: 10, minutes: 5 },
        ],
      }),
      ['config', 'steps', '1', 'canaryPercent'],
    ],
    ['ramp of no steps', config({ steps: [] }), ['config', 'steps']],
    ['unknown provider', config({ metricsProvider: 'nobody' }), ['config', 'metricsProvider']],
    ['empty strategy', { strategyId: '' }, ['strategyId']],
    ['strange version', { canaryVersionId: 'v 2\n' }, ['canaryVersionId']],
    ['canary equal to stable', { canaryVersionId: 'v1' }, ['canaryVersionId']],
    ['long chain', { chain: 'x'.repeat(300) }, ['chain']],
  ];
  test.each(cases)('%s', async (_name, input, path) => {
    const answer = await create(serin, input);
    expect(answer).toMatchObject({
      success: false,
      deployment: null,
      error: { code: 'INVALID_INPUT', path },
    });
    expect(answer.error.message).toContain(path.at(-1));
  });

  test('all violations are returned together', async () => {
    const answer = await create(serin, config({ canaryPercent: 99, checkIntervalSeconds: 1 }));
    expect(answer.error.message).toContain('config.canaryPercent must be between 1 and 50, got 99');
    expect(answer.error.message).toContain('config.checkIntervalSeconds must be between 10 and 86400, got 1');
  });

  const figures: [Record<string, unknown>, string][] = [
    [{ trades: -1 }, 'trades'],
    [{ errors: -5 }, 'errors'],
    [{ drawdown: '-0.1' }, 'drawdown'],
    [{ winRate: '1.01' }, 'winRate'],
    [{ totalGasUsd: '-1' }, 'totalGasUsd'],
    [{ uptimeSeconds: -1 }, 'uptimeSeconds'],
  ];
  test.each(figures)('metrics %j', async (report_, field) => {
    const id = await running(serin);
    const answer = await report(serin, 'Canary', id, report_);
    expect(answer).toMatchObject({ success: false, error: { code: 'INVALID_INPUT', path: [field] } });
  });

  test('a refused creation creates no strategy', async () => {
    await create(serin, { strategyId: 'never-made', ...config({ canaryPercent: 99 }) });
    const { strategy } = await serin.ask('{ strategy(id: "never-made") { id } }');
    expect(strategy).toBeNull();
  });
});

describe('values that cannot be read', () => {
  const deploy = 'mutation($input: DeployCanaryInput!) { deployCanary(input: $input) { success } }';
  const unreadable = [
    'NaN',
    'Infinity',
    '1e999',
    'abc',
    '',
    '1.0000000000000000001',
    '123456789012345678901',
    true,
    null,
    [1],
  ];
  test.each(unreadable)('capitalUsd %j as a variable is refused with its path', async (capitalUsd) => {
    const { data, errors } = await serin.post(deploy, { input: { deploymentId: 'dep_x', capitalUsd } });
    expect(data).toBeUndefined();
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', path: ['input', 'capitalUsd'] });
  });

  test('as a literal too', async () => {
    const { errors } = await serin.post(
      'mutation { deployCanary(input: { deploymentId: "x", capitalUsd: "lots" }) { success } }',
    );
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', path: ['input', 'capitalUsd'] });
    expect(errors?.[0]?.message).toContain('input.capitalUsd');
  });

  test('a number in JSON is taken as written, however many digits it has', async () => {
    const created = await create(serin);
    const body = `{"query": ${JSON.stringify('mutation($i: DeployCanaryInput!) { deployCanary(input: $i) { deployment { totalCapitalUsd } } }')},
      "variables": {"i": {"deploymentId": "${created.deployment.id}", "capitalUsd": 12345678901234567890.123456789012345678}}}`;
    const response = await fetch(`${serin.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const answer = await response.json();
    expect(answer.data.deployCanary.deployment.totalCapitalUsd).toBe(
      '12345678901234567890.123456789012345678',
    );
  });

  test('a wrong type says where it stands', async () => {
    const { errors } = await serin.post(
      'mutation($input: CreateDeploymentInput!) { createDeployment(input: $input) { success } }',
      {
        input: {
          strategyId: 's',
          canaryVersionId: 'v',
          config: { steps: [{ canaryPercent: 5, minutes: 'ten' }] },
        },
      },
    );
    expect(errors?.[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      path: ['input', 'config', 'steps', '0', 'minutes'],
    });
  });

  test.each([['first: 1000'], ['first: -1'], ['first: 1, last: 1'], ['after: "zzz!"']])(
    'paging %s',
    async (args) => {
      const { errors } = await serin.post(`{ deployments(${args}) { nodes { id } } }`);
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
    },
  );

  const cursor = (...values: unknown[]) => Buffer.from(JSON.stringify(values)).toString('base64url');
  test.each([
    ['a time before all times', 'deployments', cursor('CREATED_AT', -9007199254740991, 'x')],
    ['a time after all times', 'deployments', cursor('CREATED_AT', 8_640_000_000_000_000, 'x')],
    ['a part of a millisecond', 'deployments', cursor('CREATED_AT', 0.5, 'x')],
    ['a NUL in the id', 'deployments', cursor('CREATED_AT', 1, '\0')],
    ['another order', 'deployments', cursor('ENDED_AT', 1, 'x')],
    ['a NUL in the name', 'apiKeys', cursor('\0', 'x')],
    ['a NUL in the id of a key', 'apiKeys', cursor('x', '\0')],
    ['a time before all times', 'webhooks', cursor(-8_640_000_000_000_000, 'wh_x')],
    ['a NUL in the id of a webhook', 'webhooks', cursor(1, '\0')],
  ])('a cursor with %s: %s', async (_what, list, after) => {
    const { errors } = await serin.post(`query($after: String) { ${list}(after: $after) { nodes { id } } }`, {
      after,
    });
    expect(errors?.map(({ extensions }) => extensions)).toMatchObject([
      { code: 'BAD_USER_INPUT', path: ['after'] },
    ]);
  });

  test.each([
    ['a time before all times', cursor(-8_640_000_000_000_000, 'x')],
    ['a part of a millisecond', cursor(0.5, 'x')],
    ['a NUL in the id', cursor(1, '\0')],
  ])('a cursor of trades with %s', async (_what, after) => {
    const id = await running(serin);
    const { errors } = await serin.post(
      'query($id: ID!, $after: String) { deployment(id: $id) { trades(side: CANARY, after: $after) { nodes { id } } } }',
      { id, after },
    );
    expect(errors?.map(({ extensions }) => extensions)).toMatchObject([
      { code: 'BAD_USER_INPUT', path: ['after'] },
    ]);
  });

  function postBody(body: Blob | ReadableStream): Promise<Response> {
    const streamed = { duplex: 'half' };
    return fetch(`${serin.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      ...streamed,
    });
  }

  test.each([
    ['that says its length', (bytes: Blob) => bytes],
    ['in chunks', (bytes: Blob) => bytes.stream()],
  ])('a body %s that is no UTF-8 is refused, not mended', async (_how, send) => {
    const { deployment } = await create(serin);
    const query = 'mutation($i: CancelDeploymentInput!) { cancelDeployment(input: $i) { success } }';
    const variables = { i: { deploymentId: deployment.id, reason: 'REASON' } };
    const [before = '', after = ''] = JSON.stringify({ query, variables }).split('REASON');
    const body = send(new Blob([before, Uint8Array.of(0xc0, 0xff), after]));
    const response = await postBody(body);
    expect(response.status).toBe(400);
    expect((await response.json()).errors[0].message).toContain('not UTF-8');
    expect(await statusOf(serin, deployment.id)).toBe('PENDING');
  });

  test.each([
    ['that says its length', (bytes: Blob) => bytes],
    ['in chunks', (bytes: Blob) => bytes.stream()],
  ])('a body %s may begin with a byte order mark', async (_how, send) => {
    const body = send(new Blob([Uint8Array.of(0xef, 0xbb, 0xbf), '{"query":"{ __typename }"}']));
    const response = await postBody(body);
    expect(await response.json()).toMatchObject({ data: { __typename: 'Query' } });
  });

  test('a body that is no JSON is a clear 400', async () => {
    const response = await fetch(`${serin.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":',
    });
    expect(response.status).toBe(400);
  });

  test.each(['9999-12-31T23:59:59.999-23:59', '0000-06-01T00:00:00Z', '2026-02-30', 'now'])(
    'a DateTime %s is refused with its path',
    async (startedFrom) => {
      const { errors } = await serin.post(
        'query($filter: DeploymentFilter) { deployments(filter: $filter) { nodes { id } } }',
        { filter: { startedFrom } },
      );
      expect(errors?.[0]?.extensions).toMatchObject({
        code: 'BAD_USER_INPUT',
        path: ['filter', 'startedFrom'],
      });
    },
  );

  test.each(['a\u0000b', 'half a \ud83d pair'])(
    'text that no database takes (%j) is refused with its path',
    async (reason) => {
      const given = { input: { deploymentId: 'x', reason } };
      const { errors } = await serin.post(
        'mutation($input: PauseDeploymentInput!) { pauseDeployment(input: $input) { success } }',
        given,
      );
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', path: ['input', 'reason'] });
      const literal = await serin.post(
        `mutation { pauseDeployment(input: { deploymentId: "x", reason: "a\\u0000" }) { success } }`,
      );
      expect(literal.errors?.[0]?.extensions).toMatchObject({
        code: 'BAD_USER_INPUT',
        path: ['input', 'reason'],
      });
    },
  );

  test('an address that is nothing says where the API is', async () => {
    const response = await fetch(`${serin.url}/nothing`);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('/graphql');
  });
});
