/** The clients that front ends and bots use, each as its package ships it: asking, commanding, following. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ApolloClient, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from '@urql/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pipe, subscribe } from 'wonka';
import { command, create, running } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const QUERY = 'query Deployment($id: ID!) { deployment(id: $id) { id status totalCapitalUsd } }';
const DEPLOY = `mutation Deploy($input: DeployCanaryInput!) {
  deployCanary(input: $input) { success deployment { id status totalCapitalUsd } } }`;
const UPDATES =
  'subscription Updates($id: ID!) { deploymentUpdated(deploymentId: $id) { id status revision } }';

describe('Apollo Client', () => {
  test('asks, commands, and its cache follows the id', async () => {
    const { deployment } = await create(serin);
    const client = new ApolloClient({
      link: new HttpLink({ uri: `${serin.url}/graphql` }),
      cache: new InMemoryCache(),
    });
    const variables = { id: deployment.id };
    const before = await client.query<Data>({ query: gql(QUERY), variables });
    expect(before.data?.deployment.status).toBe('PENDING');
    await client.mutate({
      mutation: gql(DEPLOY),
      variables: { input: { deploymentId: deployment.id, capitalUsd: '1000.50' } },
    });
    // The answer of the mutation has moved the cached object: no second request.
    expect(client.readQuery<Data>({ query: gql(QUERY), variables })?.deployment).toMatchObject({
      status: 'RUNNING',
      totalCapitalUsd: '1000.5',
    });
    client.stop();
  });

  test('follows over WebSocket', async () => {
    const id = await running(serin);
    const client = new ApolloClient({
      link: new GraphQLWsLink(serin.socket()),
      cache: new InMemoryCache(),
    });
    const statuses: string[] = [];
    const following = client
      .subscribe<Data>({ query: gql(UPDATES), variables: { id } })
      .subscribe(({ data }) => statuses.push(data?.deploymentUpdated.status));
    await until(() => statuses.length >= 1);
    await command(serin, 'pauseDeployment', id);
    await until(() => statuses.at(-1) === 'PAUSED');
    following.unsubscribe();
    client.stop();
  });
});

describe('urql', () => {
  test('asks, commands, and follows', async () => {
    const { deployment } = await create(serin);
    const socket = serin.socket();
    const client = new Client({
      url: `${serin.url}/graphql`,
      preferGetMethod: false,
      exchanges: [
        cacheExchange,
        fetchExchange,
        subscriptionExchange({
          forwardSubscription: (request) => ({
            subscribe: (sink) => ({
              unsubscribe: socket.subscribe(
                { ...request, query: request.query ?? '' },
                {
                  ...sink,
                  next: ({ data = null, errors }) => sink.next({ data, ...(errors && { errors }) }),
                },
              ),
            }),
          }),
        }),
      ],
    });
    const { id } = deployment;
    const statuses: string[] = [];
    const following = pipe(
      client.subscription<Data>(UPDATES, { id }),
      subscribe(({ data }) => statuses.push(data?.deploymentUpdated.status)),
    );
    await until(() => statuses.length >= 1);
    const before = await client.query<Data>(QUERY, { id });
    expect(before.data?.deployment.status).toBe('PENDING');
    await client.mutation<Data>(DEPLOY, { input: { deploymentId: id, capitalUsd: '10' } });
    const after = await client.query<Data>(QUERY, { id });
    expect(after.data?.deployment.status).toBe('RUNNING');
    await until(() => statuses.at(-1) === 'RUNNING');
    following.unsubscribe();
  });

  test('asks over GET too', async () => {
    const client = new Client({
      url: `${serin.url}/graphql`,
      preferGetMethod: 'force',
      exchanges: [fetchExchange],
    });
    const { data } = await client.query<Data>('{ viewer { actor } }', {});
    expect(data?.viewer.actor).toBe('anonymous');
  });
});

test('Python’s standard library creates, deploys, reports, and follows over SSE', async () => {
  const client = spawn('python3', ['test/standards/client.py', `${serin.url}/graphql`]);
  let said = '';
  client.stdout.on('data', (text) => {
    said += text;
  });
  client.stderr.on('data', (text) => {
    said += text;
  });
  // Not `exit`, after which there may still be something to read.
  const [code] = await once(client, 'close');
  expect(said).toContain('followed: RUNNING PAUSED ROLLED_BACK');
  expect(code).toBe(0);
});
