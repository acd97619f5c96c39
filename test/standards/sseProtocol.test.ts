/** GraphQL over Server-Sent Events, distinct connections mode, read by hand and by its own client. */
import { createClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { command, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const EVENT_STREAM = { accept: 'text/event-stream' };

interface Message {
  readonly event: string;
  readonly data: string;
}

/** The named messages of an event stream; comments (pings) are left out. */
function messagesOf(text: string): Message[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('event:'))
    .map((block) => ({
      event: /^event: (.*)$/m.exec(block)?.[1] ?? '',
      data: /^data: ?(.*)$/m.exec(block)?.[1] ?? '',
    }));
}

function post(body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(`${serin.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...EVENT_STREAM },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
}

describe('distinct connections', () => {
  test('a query is one next and one complete, with its empty data', async () => {
    const response = await post({ query: '{ viewer { actor } }' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(response.headers.get('cache-control')).toContain('no-cache');
    const [next, complete, ...rest] = messagesOf(await response.text());
    expect(JSON.parse(next?.data ?? '')).toMatchObject({ data: { viewer: { actor: 'anonymous' } } });
    expect([next?.event, complete, rest]).toEqual(['next', { event: 'complete', data: '' }, []]);
  });

  test.each([
    ['a syntax error', '{'],
    ['a field that does not exist', '{ nothing }'],
  ])('%s comes as next with errors, then complete', async (_what, query) => {
    const messages = messagesOf(await (await post({ query })).text());
    expect(messages.map(({ event }) => event)).toEqual(['next', 'complete']);
    expect(JSON.parse(messages[0]?.data ?? '').errors).toHaveLength(1);
  });

  test('a subscription over GET, as a browser’s EventSource sends it', async () => {
    const id = await running(serin);
    const leave = new AbortController();
    const query = `subscription($id: ID!) { stateChanged(deploymentId: $id, after: "0") { status } }`;
    const search = new URLSearchParams({ query, variables: JSON.stringify({ id }) });
    const response = await fetch(`${serin.url}/graphql?${search}`, {
      headers: EVENT_STREAM,
      signal: leave.signal,
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    await until(async () => {
      text += (await reader?.read())?.value ?? '';
      return messagesOf(text).length > 0;
    });
    expect(JSON.parse(messagesOf(text)[0]?.data ?? '')).toMatchObject({
      data: { stateChanged: { status: 'RUNNING' } },
    });
    leave.abort();
  });

  test('closing the connection ends the subscription on the server', async () => {
    const consumers = async () => {
      const text = await (await fetch(`${serin.url}/metrics`)).text();
      return Number(/^serin_feed_consumers (\d+)/m.exec(text)?.[1]);
    };
    await until(async () => (await consumers()) === 0);
    const leave = new AbortController();
    await post({ query: 'subscription { stateChanged { status } }' }, leave.signal);
    await until(async () => (await consumers()) === 1);
    leave.abort();
    await until(async () => (await consumers()) === 0);
  });
});

describe('the client of graphql-sse, unmodified', () => {
  test('iterates over a feed and leaves it', async () => {
    const id = await running(serin);
    await command(serin, 'pauseDeployment', id);
    const client = createClient({ url: `${serin.url}/graphql` });
    const statuses: string[] = [];
    const feed = client.iterate<Data>({
      query: `subscription { stateChanged(deploymentId: "${id}", after: "0") { status } }`,
    });
    for await (const { data } of feed) {
      statuses.push(data?.stateChanged.status);
      if (statuses.length === 2) break;
    }
    expect(statuses).toEqual(['RUNNING', 'PAUSED']);
    client.dispose();
  });

  test('asks and commands', async () => {
    const id = await running(serin);
    const client = createClient({ url: `${serin.url}/graphql` });
    const answers: Data[] = [];
    const asked = client.iterate<Data>({
      query: 'mutation($input: CancelDeploymentInput!) { cancelDeployment(input: $input) { success } }',
      variables: { input: { deploymentId: id } },
    });
    for await (const { data } of asked) answers.push(data);
    expect(answers).toEqual([{ cancelDeployment: { success: true } }]);
    client.dispose();
  });
});
