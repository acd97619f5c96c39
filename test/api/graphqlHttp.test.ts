/**
 * The quick way for common requests and Yoga's own are one API: every request below is sent to both, and the answers
 * are the same in status, headers and body. A query string in the address is what sends a request the long way.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { running } from '../harness/deployment.ts';
import { startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
let id: string;
beforeAll(async () => {
  serin = await startTestSerin({ timeScale: 1 });
  id = await running(serin);
});
afterAll(() => serin.stop());

interface Sent {
  readonly body: string;
  readonly accept?: string;
  readonly type?: string;
}

const json = (value: unknown, accept?: string): Sent => ({
  body: JSON.stringify(value),
  ...(accept ? { accept } : {}),
});

async function post(path: string, { body, accept = '*/*', type = 'application/json' }: Sent) {
  const response = await fetch(`${serin.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': type, accept },
    body,
  });
  const text = await response.text();
  const headers = Object.fromEntries(response.headers);
  return {
    status: response.status,
    type: headers['content-type'],
    headers: { ...headers, date: null, 'x-request-id': headers['x-request-id']?.length },
    // The id of a masked error is another one every time.
    text: text.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID'),
  };
}

const STATUS = 'query Status($id: ID!) { deployment(id: $id) { id status totalCapitalUsd } }';
const PROMOTE =
  'mutation($input: PromoteCanaryInput!) { promoteCanary(input: $input) { success error { code path } } }';
const GQL = 'application/graphql-response+json';

const CASES: Readonly<Record<string, () => Sent>> = {
  'a query': () => json({ query: '{ __typename }' }),
  'a query with variables': () => json({ query: STATUS, variables: { id } }),
  'a query with null variables and extensions': () =>
    json({ query: '{ __typename }', variables: null, operationName: null, extensions: null }),
  'what is not there': () => json({ query: STATUS, variables: { id: 'nobody' } }),
  'one of two operations': () =>
    json({ query: 'query A { a: __typename } query B { b: __typename }', operationName: 'B' }),
  'two operations and no name': () => json({ query: 'query A { a: __typename } query B { b: __typename }' }),
  'an operation that is not in the document': () =>
    json({ query: 'query A { __typename }', operationName: 'B' }),
  'a mutation that is refused': () =>
    json({ query: PROMOTE, variables: { input: { deploymentId: id, expectedRevision: 999 } } }),
  'a syntax error': () => json({ query: '{ __typename' }),
  'a syntax error, for the newer type': () => json({ query: '{ __typename }}' }, GQL),
  'a field that does not exist': () => json({ query: '{ nothing }' }),
  'a field that does not exist, for the newer type': () => json({ query: '{ nothing }' }, GQL),
  'a variable that is missing': () => json({ query: STATUS, variables: {} }),
  'a variable that is missing, for the newer type': () => json({ query: STATUS, variables: {} }, GQL),
  'a variable of the wrong type': () => json({ query: STATUS, variables: { id: { a: 1 } } }),
  'an error in a resolver': () => json({ query: '{ deployments(first: -1) { nodes { id } } }' }),
  'no query': () => json({ variables: {} }),
  'a query that is no string': () => json({ query: 5 }),
  'a query that is null': () => json({ query: null }),
  'variables that are no object': () => json({ query: '{ __typename }', variables: 'x' }),
  'variables that are a list': () => json({ query: '{ __typename }', variables: [] }),
  'extensions that are no object': () => json({ query: '{ __typename }', extensions: 7 }),
  'a parameter nobody knows': () => json({ query: '{ __typename }', persisted: true }),
  'a batch': () => json([{ query: '{ __typename }' }]),
  'a body that is a string': () => json('{ __typename }'),
  'a body that is null': () => json(null),
  'a body that is not JSON': () => ({ body: '{ query: ' }),
  'an empty body': () => ({ body: '' }),
  'bytes that are not UTF-8 text': () => ({
    body: '{"query":"{ __typename }","operationName":"\u0000\ud800"}',
  }),
  'a long number': () => ({
    body: `{"query":${JSON.stringify(STATUS)},"variables":{"id":123456789012345678901234567890}}`,
  }),
  'JSON asked for': () => json({ query: '{ __typename }' }, 'application/json'),
  'the newer type asked for': () => json({ query: '{ __typename }' }, GQL),
  'both types asked for': () => json({ query: '{ __typename }' }, `${GQL}, application/json`),
  'a type with parameters': () => json({ query: '{ __typename }' }, `${GQL};q=1, application/json;q=0.9`),
  'a type nobody makes': () => json({ query: '{ __typename }' }, 'text/html2'),
  'a charset of the body': () => ({
    ...json({ query: '{ __typename }' }),
    type: 'application/json; charset=utf-8',
  }),
  'a form': () => ({ body: 'query=%7B__typename%7D', type: 'application/x-www-form-urlencoded' }),
  'an upload': () => ({ body: '--x--', type: 'multipart/form-data; boundary=x' }),
  'plain text': () => ({ body: '{"query":"{ __typename }"}', type: 'text/plain' }),
  'a subscription without a stream': () =>
    json({ query: 'subscription { stateChanged { cursor } }' }, 'application/json'),
  'a large body': () => json({ query: `{ __typename } #${'x'.repeat(200_000)}` }),
};

describe('both ways answer the same', () => {
  test.each(Object.entries(CASES))('%s', async (_name, sent) => {
    const quick = await post('/graphql', sent());
    const long = await post('/graphql?way=long', sent());
    expect(quick).toEqual(long);
  });
});

test.each([
  ['cannot be read', '{ __typename'],
  ['asks for what is not there', '{ nothingOfTheKind }'],
])('a document that %s is a bad request, also when it came over a socket first', async (_what, query) => {
  const { errors } = serin.follow(query);
  await until(() => errors.length > 0);
  expect(errors).toMatchObject([[{ message: expect.any(String), extensions: { code: expect.any(String) } }]]);
  expect(JSON.stringify(errors)).not.toContain('http');
  for (const path of ['/graphql', '/graphql?way=long']) {
    expect(await post(path, json({ query }, GQL))).toMatchObject({ status: 400 });
    expect(await post(path, json({ query }))).toMatchObject({ status: 200 });
  }
});

test('a plain answer has its data, its type and status 200', async () => {
  const answer = await post('/graphql', json({ query: STATUS, variables: { id } }));
  expect(answer).toMatchObject({ status: 200, type: 'application/json; charset=utf-8' });
  expect(JSON.parse(answer.text)).toEqual({
    data: { deployment: { id, status: 'RUNNING', totalCapitalUsd: '100000' } },
  });
});

test('a mutation is done once, whichever way it comes', async () => {
  for (const path of ['/graphql', '/graphql?way=long']) {
    const before = await serin.ask('query($id: ID!) { deployment(id: $id) { revision } }', { id });
    const name = path.includes('way') ? 'resumeDeployment' : 'pauseDeployment';
    const type = path.includes('way') ? 'ResumeDeploymentInput' : 'PauseDeploymentInput';
    const query = `mutation($input: ${type}!) { ${name}(input: $input) { success deployment { revision } } }`;
    const answer = await post(path, json({ query, variables: { input: { deploymentId: id } } }));
    expect(JSON.parse(answer.text).data[name]).toEqual({
      success: true,
      deployment: { revision: before.deployment.revision + 1 },
    });
  }
});

test('unknown callers are refused the same way', async () => {
  const closed = await startTestSerin({ access: { keys: true, tokens: null, botsReduceRisk: false } });
  try {
    const answers = await Promise.all(
      ['/graphql', '/graphql?way=long'].map(async (path) => {
        const headers = { 'content-type': 'application/json', authorization: 'Bearer nobody' };
        const body = JSON.stringify({ query: '{ __typename }' });
        const response = await fetch(`${closed.url}${path}`, { method: 'POST', headers, body });
        const asked = response.headers.get('www-authenticate');
        return { status: response.status, asked, text: await response.text() };
      }),
    );
    expect(answers[0]).toMatchObject({ status: 401, asked: 'Bearer realm="serin"' });
    expect(answers[1]).toEqual(answers[0]);
  } finally {
    await closed.stop();
  }
});
