/** Every panel of the dashboard shows what its title says, and every alert fires when it should: on real `/metrics`. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { CALM, command, create, report, running, statusOf } from '../harness/deployment.ts';
import { createBudget } from '../harness/lossBudget.ts';
import { type Followed, startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { createWebhook } from '../webhooks/webhook.ts';
import { evaluate, parseMetrics, type Sample, type Scrapes } from './promql.ts';

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}
interface Rule {
  readonly alert: string;
  readonly expr: string;
}
const dashboard: { panels: Panel[] } = JSON.parse(readFileSync('ops/grafana-dashboard.json', 'utf8'));
const alerts: { groups: { rules: Rule[] }[] } = parseYaml(readFileSync('ops/alerts.yml', 'utf8'));
const rules = alerts.groups.flatMap((group) => group.rules);

/** Seconds between the two scrapes, as far as rates are concerned. */
const SECONDS = 60;
const SLOW = { ...CALM, checkIntervalSeconds: 86_400, observationPeriodMinutes: 100_000 };

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

/** A configuration of two providers on a port of this machine: `good` responds with metrics, `bad` with 404. */
async function providersAt(port: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'serin-dashboard-'));
  folders.push(folder);
  const of = (name: string) => ({ type: 'http', url: `http://127.0.0.1:${port}/${name}`, retries: 0 });
  const file = join(folder, 'providers.json');
  await writeFile(file, JSON.stringify({ providers: { good: of('good'), bad: of('bad') } }));
  return file;
}

const scrape = async (node: TestSerin) => (await fetch(`${node.url}/metrics`)).text();

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

  const total = (samples: readonly Sample[], name: string, labels: Labels = {}): number =>
    samples
      .filter(({ labels: all }) => all.__name__ === name)
      .filter(({ labels: all }) => Object.entries(labels).every(([label, value]) => all[label] === value))
      .reduce((sum, { value }) => sum + value, 0);

  /** What a panel draws: the value of each of its lines, by legend. */
  function drawn(title: string): Record<string, number> {
    const panel = dashboard.panels.find((one) => one.title === title);
    const lines = (panel?.targets ?? []).flatMap(({ expr, legendFormat }) =>
      evaluate(expr, scrapes).map(({ labels, value }): [string, number] => {
        const legend = legendFormat.replace(/\{\{(\w+)\}\}/g, (_all, label: string) => labels[label] ?? '');
        return [legend, value];
      }),
    );
    return Object.fromEntries(lines);
  }

  const perSecond = (count: number) => count / SECONDS;
  const between = (low: number, high: number) => ({
    asymmetricMatch: (value: unknown) => typeof value === 'number' && value >= low && value <= high,
  });
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
  };

  test('all panels are known', () => {
    expect(dashboard.panels.map(({ title }) => title).toSorted()).toEqual(Object.keys(PANELS).toSorted());
  });

  test.each(Object.entries(PANELS))('%s', (title, expected) => {
    expect(drawn(title)).toEqual(expected);
  });
});

type Labels = Readonly<Record<string, string>>;
/** A series and its value at the second scrape. */
type Series = readonly [name: string, labels: Labels, value: number];

const slow = (le: string): Series => [
  'serin_operation_seconds_bucket',
  { type: 'mutation', outcome: 'OK', le },
  5,
];

/** The series that make an alert fire. An alert that is not here fails the test. */
const FIRES: Readonly<Record<string, readonly Series[]>> = {
  SerinDown: [['up', { job: 'serin' }, 0]],
  SerinDatabaseAway: [['serin_database_up', {}, 0]],
  SerinChecksLate: [['serin_check_lag_seconds', {}, 61]],
  SerinChecksFail: [['serin_checks_failed_total', {}, 1]],
  SerinBatchesFail: [['serin_batch_failures_total', { kind: 'checks' }, 1]],
  SerinProviderFails: [['serin_provider_fetches_total', { provider: 'good', outcome: 'failed' }, 1]],
  SerinDeploymentsFail: [['serin_deployments', { status: 'FAILED' }, 1]],
  SerinWaitsForPerson: [['serin_deployments_waiting', {}, 1]],
  SerinAuditUnsealed: [['serin_audit_unsealed_seconds', {}, 61]],
  SerinAllocationOverdue: [['serin_allocation_overdue_seconds', {}, 1]],
  SerinLossBudgetTripped: [['serin_loss_budgets_tripped', {}, 1]],
  SerinLossBudgetNearlyUsed: [['serin_loss_budget_used_ratio', { name: 'desk' }, 0.81]],
  SerinLossBudgetsLate: [['serin_loss_budget_age_seconds', {}, 11]],
  SerinFeedHeld: [['serin_feed_held_seconds', {}, 11]],
  SerinFeedBehind: [['serin_feed_lag_seconds', {}, 11]],
  SerinClockStepped: [['serin_clock_steps_total', { direction: 'back' }, 1]],
  SerinPoolExhausted: [['serin_pool_transactions_waiting', {}, 1]],
  SerinErrors: [['serin_operation_seconds_count', { type: 'query', outcome: 'INTERNAL_SERVER_ERROR' }, 1]],
  SerinSlow: ['2.5', '5', '10', '+Inf'].map(slow),
  SerinWebhooksBehind: [['serin_webhook_backlog_age_seconds', {}, 901]],
  SerinRefuses: [['serin_requests_refused_total', { status: '429' }, 61]],
};

describe('an alert fires when it should, and not before', () => {
  let calm: readonly Sample[];
  beforeAll(async () => {
    const serin = await startTestSerin({ providersFile: await providersAt(0) });
    await createBudget(serin, {});
    calm = parseMetrics(`${await scrape(serin)}up{job="serin"} 1`);
    await serin.stop();
  });

  const isOf = ({ labels: all }: Sample, name: string, labels: Labels) =>
    all.__name__ === name && Object.entries(labels).every(([label, value]) => all[label] === value);

  const firing = (alert: string, now: readonly Sample[]) =>
    evaluate(rules.find((rule) => rule.alert === alert)?.expr ?? '', { before: calm, now, seconds: SECONDS });

  test('all alerts are known', () => {
    expect(rules.map(({ alert }) => alert).toSorted()).toEqual(Object.keys(FIRES).toSorted());
  });

  test.each(Object.entries(FIRES))('%s', (alert, series) => {
    expect(firing(alert, calm)).toEqual([]);
    let now = calm;
    for (const [name, labels, value] of series) {
      expect(calm.filter((sample) => isOf(sample, name, labels))).toHaveLength(1);
      now = now.map((sample) => (isOf(sample, name, labels) ? { ...sample, value } : sample));
    }
    expect(firing(alert, now)).toHaveLength(1);
  });

  test('every figure that docs/operations.md names is in an alert', () => {
    const figures = readFileSync('docs/operations.md', 'utf8').match(/serin_[a-z_]+(?=`)/g) ?? [];
    expect(figures.length).toBeGreaterThan(0);
    const expressions = rules.map(({ expr }) => expr).join('\n');
    for (const figure of figures) expect(expressions).toContain(figure);
  });
});
