/** The five feeds, over an unmodified graphql-ws client, an unmodified graphql-sse client, and raw SSE. */

import { GraphQLClient } from 'graphql-request';
import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { CALM, command, create, HOURLY, PLAIN, report, running, statusOf } from '../harness/deployment.ts';
import { type Data, startTestSerin, type TestSerin, until } from '../harness/serin.ts';

let serin: TestSerin;
beforeAll(async () => {
  serin = await startTestSerin();
});
afterAll(() => serin.stop());

const STATES = `subscription($id: ID, $strategy: ID, $after: String) {
  stateChanged(deploymentId: $id, strategyId: $strategy, after: $after) {
    cursor previousStatus status at actor reason deployment { id status } } }`;
const EVENTS = `subscription($id: ID, $strategy: ID, $after: String, $types: [CanaryEventType!]) {
  eventAppended(deploymentId: $id, strategyId: $strategy, after: $after, types: $types) { cursor id no type description } }`;

describe('feeds with a cursor', () => {
  test('stateChanged replays from the beginning and continues live', async () => {
    const id = await running(serin);
    const feed = serin.follow(STATES, { id, after: '0' });
    expect(await feed.take(1)).toMatchObject([
      { previousStatus: 'PENDING', status: 'RUNNING', actor: 'anonymous' },
    ]);
    await command(serin, 'pauseDeployment', id, { reason: 'lunch' });
    await command(serin, 'resumeDeployment', id);
    await command(serin, 'rollbackCanary', id, { reason: 'enough' });
    const changes = await feed.take(4);
    expect(changes.map(({ status, reason }) => [status, reason])).toEqual([
      ['RUNNING', null],
      ['PAUSED', 'lunch'],
      ['RUNNING', null],
      ['ROLLED_BACK', 'enough'],
    ]);
    feed.end();
  });

  test('without a cursor the feed starts now', async () => {
    const id = await running(serin, { strategyId: 'from-now' });
    const feed = serin.follow(STATES, { strategy: 'from-now' });
    // Nobody is told when it has begun.
    await until(async () => {
      await command(serin, 'pauseDeployment', id);
      await command(serin, 'resumeDeployment', id);
      return feed.received.length > 0;
    });
    expect(feed.received.map(({ previousStatus }) => previousStatus)).not.toContain('PENDING');
    feed.end();
  });

  test('resuming from any cursor gives every later event once, in order', async () => {
    const id = await running(serin);
    for (let round = 0; round < 5; round += 1) {
      await command(serin, 'pauseDeployment', id);
      await command(serin, 'resumeDeployment', id);
    }
    const all = serin.follow(EVENTS, { id, after: '0' });
    const events = await all.take(13);
    expect(events.map(({ no }) => no)).toEqual(events.map((_, index) => index + 1));
    for (const at of [0, 4, 11]) {
      const resumed = serin.follow(EVENTS, { id, after: events[at].cursor });
      expect((await resumed.take(12 - at)).map(({ no }) => no)).toEqual(
        events.slice(at + 1).map(({ no }) => no),
      );
      resumed.end();
    }
    all.end();
  });

  test('a cursor of the events query is good for a feed', async () => {
    const id = await running(serin, { strategyId: 'cursors' });
    const { events } = await serin.ask(
      '{ events(filter: { strategyId: "cursors" }, first: 2) { edges { node { type } } pageInfo { endCursor } } }',
    );
    const feed = serin.follow(EVENTS, { strategy: 'cursors', after: events.pageInfo.endCursor });
    expect(await command(serin, 'cancelDeployment', id)).toMatchObject({ success: true });
    expect((await feed.take(3)).map(({ type }) => type)).toEqual([
      'ALLOCATION_REQUESTED',
      'CANARY_CANCELLED',
      'ALLOCATION_REQUESTED',
    ]);
    feed.end();
  });

  test('the events query shows what was written before it, also while a transaction elsewhere is open', async () => {
    const id = await running(serin, { strategyId: 'held-back' });
    const other = serin.database.sql.begin(async (sql) => {
      await sql`select pg_current_xact_id()`;
      await command(serin, 'pauseDeployment', id);
      const look = serin.ask('{ events(filter: { strategyId: "held-back" }) { edges { node { type } } } }');
      await sql`select pg_sleep(0.1)`;
      return { look };
    });
    const { events } = await (await other).look;
    expect(events.edges.map(({ node }: Data) => node.type)).toContain('CANARY_PAUSED');
  });

  test('a clock of the machine that is set back lets the events query wait no longer', async () => {
    const id = await running(serin, { strategyId: 'set-back' });
    const other = serin.database.sql.begin(async (sql) => {
      await sql`select pg_current_xact_id()`;
      await command(serin, 'pauseDeployment', id);
      const asked = serin.post('{ events(filter: { strategyId: "set-back" }) { heldBackSeconds } }');
      await sql`select pg_sleep(0.2)`;
      const now = Date.now;
      const setBack = vi.spyOn(Date, 'now').mockImplementation(() => now.call(Date) - 3_600_000);
      const { data, errors } = await asked.finally(() => setBack.mockRestore());
      return { data, errors };
    });
    const { data, errors } = await other;
    expect(errors).toBeUndefined();
    expect(data.events.heldBackSeconds).toBeGreaterThanOrEqual(0);
  });

  test('decisionMade delivers automatic decisions with their comparison, also where emitEvents is false', async () => {
    const id = await running(serin, { config: { ...PLAIN, ...HOURLY, emitEvents: false } });
    const feed = serin.follow(
      `subscription($id: ID) { decisionMade(deploymentId: $id, after: "0") {
        cursor decision reasons automatic at actor comparison { decision gates { name } } deployment { id } } }`,
      { id },
    );
    const timeline = serin.follow(EVENTS, { id, after: '0' });
    await report(serin, 'Canary', id, { pnlUsd: '-500', trades: 10 });
    await report(serin, 'Stable', id, { pnlUsd: '100', trades: 90 });
    await serin.advance(3700);
    const [decision] = await feed.take(1);
    expect(decision).toMatchObject({
      decision: 'ROLLBACK',
      automatic: true,
      actor: 'serin',
      deployment: { id },
    });
    expect(decision.comparison.decision).toBe('ROLLBACK');
    expect(timeline.received).toEqual([]);
    feed.end();
    timeline.end();
  });

  test('types narrow the timeline', async () => {
    const id = await running(serin);
    await command(serin, 'rollbackCanary', id);
    const feed = serin.follow(EVENTS, { id, after: '0', types: ['ALLOCATION_REQUESTED'] });
    expect((await feed.take(2)).map(({ type }) => type)).toEqual([
      'ALLOCATION_REQUESTED',
      'ALLOCATION_REQUESTED',
    ]);
    feed.end();
  });

  test('a cursor that is none is refused with its field', async () => {
    const feed = serin.follow(EVENTS, { after: 'not a cursor' });
    await until(() => feed.errors.length > 0);
    expect(JSON.stringify(feed.errors)).toContain('BAD_USER_INPUT');
    expect(JSON.stringify(feed.errors)).toContain('after');
  });

  test('concurrent writers lose nothing: a feed of everything sees every event of every deployment once', async () => {
    const before = await serin.ask('{ events(first: 200) { pageInfo { endCursor hasNextPage } } }');
    let after = before.events.pageInfo.endCursor;
    for (let more = before.events.pageInfo.hasNextPage; more; ) {
      const page = await serin.ask(
        'query($after: String) { events(first: 200, after: $after) { pageInfo { endCursor hasNextPage } } }',
        { after },
      );
      after = page.events.pageInfo.endCursor ?? after;
      more = page.events.pageInfo.hasNextPage;
    }
    const feed = serin.follow(EVENTS, { after });
    const ids = await Promise.all(
      Array.from({ length: 12 }, async () => {
        // No check comes in between, however busy the machine is.
        const id = await running(serin, { config: { ...CALM, checkIntervalSeconds: 3600 } });
        await command(serin, 'pauseDeployment', id);
        await command(serin, 'resumeDeployment', id);
        await command(serin, 'rollbackCanary', id);
        return id;
      }),
    );
    const numbersOf = (id: string): number[] =>
      feed.received.filter((event) => event.id.startsWith(`${id}:`)).map(({ no }) => no);
    await until(() => ids.every((id) => numbersOf(id).length >= 8));
    for (const id of ids) {
      const mine = numbersOf(id);
      expect(mine).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }
    feed.end();
  });
});

describe('feeds of state', () => {
  test('deploymentUpdated gives the deployment now, then after every change', async () => {
    const created = await create(serin);
    const { id } = created.deployment;
    const feed = serin.follow(
      'subscription($id: ID!) { deploymentUpdated(deploymentId: $id) { id status revision } }',
      { id },
    );
    expect((await feed.take(1))[0]).toMatchObject({ id, status: 'PENDING' });
    await command(serin, 'deployCanary', id, { capitalUsd: '10' });
    await until(() => feed.received.at(-1)?.status === 'RUNNING');
    await command(serin, 'cancelDeployment', id);
    await until(() => feed.received.at(-1)?.status === 'CANCELLED');
    feed.end();
  });

  test('metricsUpdated gives both sides and the comparison when they were reported', async () => {
    const id = await running(serin);
    const feed = serin.follow(
      `subscription($id: ID!) { metricsUpdated(deploymentId: $id) { canaryMetrics { tradeCount metrics { netPnlUsd } }
        stableMetrics { tradeCount } comparison { decision } } }`,
      { id },
    );
    await feed.take(1);
    await report(serin, 'Canary', id, { pnlUsd: '7', trades: 3 });
    await until(() => feed.received.at(-1)?.canaryMetrics.metrics.netPnlUsd === '7');
    feed.end();
  });

  test('a deployment that is not there is refused', async () => {
    const feed = serin.follow('subscription { deploymentUpdated(deploymentId: "dep_nowhere") { id } }');
    await until(() => feed.errors.length > 0);
    expect(JSON.stringify(feed.errors)).toContain('dep_nowhere');
  });
});

describe('other transports and clients', () => {
  test('an unmodified graphql-sse client follows from a cursor', async () => {
    const id = await running(serin);
    const client = createSseClient({ url: `${serin.url}/graphql` });
    const received: Data[] = [];
    const stop = client.subscribe<Data>(
      { query: STATES, variables: { id, after: '0' } },
      { next: ({ data }) => received.push(data?.stateChanged), error: () => {}, complete: () => {} },
    );
    await until(() => received.length === 1);
    await command(serin, 'rollbackCanary', id);
    await until(() => received.length === 2);
    expect(received.map(({ status }) => status)).toEqual(['RUNNING', 'ROLLED_BACK']);
    stop();
    client.dispose();
  });

  test('a subscription over plain SSE needs nothing but an HTTP client', async () => {
    const id = await running(serin);
    const leave = new AbortController();
    const response = await fetch(`${serin.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query: STATES, variables: { id, after: '0' } }),
      signal: leave.signal,
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    await until(async () => {
      text += (await reader?.read())?.value ?? '';
      return text.includes('"RUNNING"');
    });
    expect(text).toContain('event: next');
    leave.abort();
  });

  test('an unmodified graphql-request client asks and commands', async () => {
    const client = new GraphQLClient(`${serin.url}/graphql`);
    const id = await running(serin);
    const data: Data = await client.request(
      'mutation($input: PromoteCanaryInput!) { promoteCanary(input: $input) { success deployment { status } } }',
      { input: { deploymentId: id } },
    );
    expect(data.promoteCanary).toEqual({ success: true, deployment: { status: 'PROMOTED' } });
    expect(await statusOf(serin, id)).toBe('PROMOTED');
  });

  test('queries and mutations work over WebSocket as well', async () => {
    const id = await running(serin);
    const answer = await new Promise<Data>((resolve, reject) => {
      serin.socket().subscribe(
        {
          query: 'mutation($input: PauseDeploymentInput!) { pauseDeployment(input: $input) { success } }',
          variables: { input: { deploymentId: id } },
        },
        { next: ({ data }) => resolve(data), error: reject, complete: () => {} },
      );
    });
    expect(answer).toEqual({ pauseDeployment: { success: true } });
  });

  test('queries over GET work, mutations over GET do not', async () => {
    const ask = (query: string) =>
      fetch(`${serin.url}/graphql?query=${encodeURIComponent(query)}`, {
        headers: { accept: 'application/json' },
      });
    const good = await ask('{ viewer { actor } }');
    expect(await good.json()).toMatchObject({ data: { viewer: { actor: 'anonymous' } } });
    const bad = await ask('mutation { cancelDeployment(input: { deploymentId: "x" }) { success } }');
    expect(bad.status).toBe(405);
  });

  test('a consumer that leaves is forgotten at once', async () => {
    const metric = async () => {
      const text = await (await fetch(`${serin.url}/metrics`)).text();
      return Number(/serin_feed_consumers (\d+)/.exec(text)?.[1]);
    };
    const before = await metric();
    const feeds = [serin.follow(STATES, {}), serin.follow(EVENTS, { after: '0' })];
    await until(async () => (await metric()) === before + 2);
    for (const feed of feeds) feed.end();
    await until(async () => (await metric()) === before);
  });
});
