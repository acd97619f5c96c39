/** Every panel of the service's dashboard shows what its title says: on real `/metrics` of two nodes. */
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALM, command, create, report, running, statusOf } from '../harness/deployment.ts';
import { type Followed, startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { createWebhook } from '../webhooks/webhook.ts';
import { between, drawn, type Labels, readPanels, scrape, total } from './dashboard.ts';
import { parseMetrics, type Sample, type Scrapes } from './promql.ts';
import { providersAt, removeProviders } from './providerFiles.ts';

const panels = readPanels('ops/grafana-dashboard.json');

/** Seconds between the two scrapes, as far as rates are concerned. */
const SECONDS = 60;
const SLOW = { ...CALM, checkIntervalSeconds: 86_400, observationPeriodMinutes: 100_000 };

describe('a panel shows what its title says', () => {
  let one: TestSerin;
  let other: TestSerin;
  let feeds: Followed[] = [];
  let scrapes: Scrapes;
  const provider = createServer((request, response) => {
    response.writeHead(request.url === '/bad' ? 404 : 200).end('{"pnlUsd":"1","trades":3}');
  });

  beforeAll(async () => {
    await new Promise<void>((done) => provider.listen(0, '127.0.0.1', done));
    const address = provider.address();
    const providersFile = await providersAt(address && typeof address === 'object' ? address.port : 0);
    one = await startTestSerin({ providersFile, webhookNetworks: ['127.0.0.0/8'] });
    other = await startTestSerin({
      providersFile,
      webhookNetworks: ['127.0.0.0/8'],
      databaseUrl: one.database.url,
    });
    await inEveryStatus();
    const before = await scrapeBoth();
    await operate(before);
    scrapes = { before, now: await scrapeBoth(), seconds: SECONDS };
  });
  afterAll(async () => {
    for (const feed of feeds) feed.end();
    await other.stop();
    await one.stop();
    provider.close();
    await removeProviders();
  });

  async function scrapeBoth(): Promise<Sample[]> {
    const [first, second] = await Promise.all([scrape(one), scrape(other)]);
    // A program that is scraped by the same Prometheus and is no Serin.
    const stranger = 'process_resident_memory_bytes 1\nnodejs_eventloop_lag_p99_seconds 1\n';
    return [
      ...parseMetrics(first, { instance: 'one' }),
      ...parseMetrics(second, { instance: 'other' }),
      ...parseMetrics(stranger, { instance: 'stranger' }),
    ];
  }

  /** Deployments of every status that people can cause, one whose check is overdue, and one delivery that fails. */
  async function inEveryStatus(): Promise<void> {
    // Nobody listens on this port.
    await createWebhook(one, { url: 'http://127.0.0.1:9/', eventTypes: ['CANARY_CANCELLED'] });
    await create(one, { config: SLOW });
    const overdue = await running(one, { config: SLOW });
    await running(one, { config: SLOW });
    await command(one, 'pauseDeployment', await running(one, { config: SLOW }));
    await command(one, 'rollbackCanary', await running(one, { config: SLOW }));
    await command(one, 'cancelDeployment', await running(one, { config: SLOW }));
    const short = { ...CALM, observationPeriodMinutes: 5, autoPromote: false, autoRollback: false };
    const over = await running(one, { config: { ...short, onInconclusive: 'WAIT' } });
    await until(async () => (await statusOf(one, over)) === 'OBSERVATION_COMPLETE');
    const { sql } = one.database;
    // Another node has the claim on its check, and does nothing.
    await sql`update deployments set next_check_at = serin_now() - interval '500 s', lease_token = 'nobody',
      lease_until = clock_timestamp() + interval '1 hour' where id = ${overdue}`;
    const count = async () =>
      Number((await sql`select count(*) from webhook_deliveries where status = 'PENDING'`)[0]?.count);
    await until(async () => (await count()) === 1);
    feeds = [
      one.follow('subscription { eventAppended { no } }'),
      other.follow('subscription { stateChanged { status } }'),
    ];
    await until(async () => {
      return total(await scrapeBoth(), 'serin_feed_consumers') === 2;
    });
  }

  /** What happens between the two scrapes. */
  async function operate(before: readonly Sample[]): Promise<void> {
    const fetched = { checkIntervalSeconds: 10, guardrails: { maxStaleSeconds: null } };
    for (const metricsProvider of ['good', 'bad']) {
      const config = { ...fetched, observationPeriodMinutes: 100_000, metricsProvider };
      await running(one, { config });
    }
    const losing = await running(one, {
      config: { ...SLOW, guardrails: { maxStaleSeconds: null, maxLossUsd: '10' } },
    });
    await report(one, 'Canary', losing, { pnlUsd: '-50', trades: 5 });
    expect(await statusOf(one, losing)).toBe('ROLLED_BACK');
    await one.post('{ nothing }');
    await one.post('{ deployments(first: -1) { nodes { id } } }');
    await fetch(`${one.url}/graphql`, {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': 'text/plain' },
    });
    const { sql } = one.database;
    await until(async () => {
      // Due again immediately, whatever the pause after the attempt before is.
      await sql`update webhook_deliveries set next_attempt_at = clock_timestamp()`;
      const now = await scrapeBoth();
      const grew = (name: string, labels: Labels = {}) =>
        total(now, name, labels) > total(before, name, labels);
      return (
        grew('serin_provider_fetches_total', { provider: 'good', outcome: 'ok' }) &&
        grew('serin_provider_fetches_total', { provider: 'bad', outcome: 'failed' }) &&
        grew('serin_checks_total') &&
        grew('serin_webhook_attempts_total', { outcome: 'failed' })
      );
    });
  }

  const perSecond = (count: number) => count / SECONDS;
  const SOME = between(1e-9, 1e12);
  const READABLE_LAG = between(0, 60);

  /** What each panel must draw. A panel that is not here fails the test. */
  const PANELS: Readonly<Record<string, unknown>> = {
    'Nodes that answer': { '': 2 },
    // Two that are slow, one overdue, one paused, one whose observation is over, two with a provider.
    'Live canaries': { '': 6 },
    'Waiting for a person': { '': 1 },
    'Most overdue check': { '': between(500, 500 + 60 * 600) },
    'Database reached by every node': { '': 1 },
    'Feeds served': { '': 2 },
    'Deployments by status': {
      PENDING: 1,
      RUNNING: 4,
      PAUSED: 1,
      OBSERVATION_COMPLETE: 1,
      PROMOTED: 0,
      ROLLED_BACK: 2,
      CANCELLED: 1,
      FAILED: 0,
    },
    'Automatic decisions per hour': { CONTINUE: 0, PROMOTE: 0, ROLLBACK: 1, MANUAL_REVIEW: 0 },
    'Checks per second': { applied: SOME, failed: 0 },
    'How late checks are': { 'most overdue': between(500, 500 + 60 * 600) },
    'Share of provider fetches that failed': { good: 0, bad: 1 },
    'Operations per second': {
      // Create and deploy three deployments, report once, ask for a status. The page that cannot be is refused with a code
      // that was not seen before, and such a series has no rate yet.
      mutation: perSecond(7),
      query: perSecond(1),
      subscription: 0,
      unknown: perSecond(1),
    },
    'How long operations take': {
      'mutation median': SOME,
      'mutation 99 %': SOME,
      'query median': SOME,
      'query 99 %': SOME,
      'unknown median': SOME,
      'unknown 99 %': SOME,
    },
    'Errors and refusals per second': {
      // These are counted from the start; alerts need them.
      INTERNAL_SERVER_ERROR: 0,
      UNAVAILABLE: 0,
      INVALID: perSecond(1),
      'HTTP 403': 0,
      'HTTP 413': 0,
      'HTTP 415': perSecond(1),
      'HTTP 429': 0,
    },
    'How far feeds are behind the log': {
      one: READABLE_LAG,
      other: READABLE_LAG,
      'held back by an open transaction': READABLE_LAG,
    },
    'Connections to the database': expect.objectContaining({
      idle: SOME,
      // On a loaded machine a transaction of the nodes' own work may wait for a moment.
      'transactions that wait for a connection': between(0, 1000),
    }),
    'Memory of each node': { one: between(1e7, 1e11), other: between(1e7, 1e11) },
    'Webhook deliveries waiting': { waiting: 1 },
    'Oldest delivery that waits': { oldest: between(0, 600) },
    'Attempts to deliver per second': { delivered: 0, failed: SOME },
    'Event loop delay of each node': { one: between(0, 60), other: between(0, 60) },
    "Steps of the database's clock per hour": { back: 0, forward: 0 },
    'Failed batches per second': { commands: 0, checks: 0, deadlines: 0 },
    'Lag of the read replica': { one: 0, other: 0 },
  };

  test('all panels are known', () => {
    expect(panels.map(({ title }) => title).toSorted()).toEqual(Object.keys(PANELS).toSorted());
  });

  test.each(Object.entries(PANELS))('%s', (title, expected) => {
    expect(drawn(panels, title, scrapes)).toEqual(expected);
  });
});
