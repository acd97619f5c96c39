/** What operators are given (dashboard, alerts, image) names what is really there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { readEnvironment } from '../../src/environment/environment.ts';
import { LIMITS } from '../../src/environment/limits.ts';
import { command, create, running } from '../harness/deployment.ts';
import { WITH_KEYS } from '../harness/keys.ts';
import { POOL_SIZE, startTestSerin, type TestSerin, until } from '../harness/serin.ts';
import { DASHBOARDS, readPanels } from './dashboard.ts';
import { parseDockerfile } from './dockerfile.ts';

let serin: TestSerin;
/** What `/metrics` tells of a server on which nothing has happened. */
let told: string;
beforeAll(async () => {
  serin = await startTestSerin();
  told = await (await fetch(`${serin.url}/metrics`)).text();
});
afterAll(() => serin.stop());

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const panels = DASHBOARDS.flatMap(readPanels);
const alerts: { groups: { rules: Rule[] }[] } = parseYaml(readFileSync('ops/alerts.yml', 'utf8'));
const rules = alerts.groups.flatMap((group) => group.rules);
const expressions: [string, string][] = [
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }): [string, string] => [title, expr])),
  ...rules.map(({ alert, expr }): [string, string] => [alert, expr]),
];

/** The metrics and the labels that a PromQL expression names. */
function namesIn(expression: string): { metrics: string[]; labels: string[] } {
  const metrics: string[] = [];
  const labels: string[] = [];
  parser.parse(expression).iterate({
    enter({ type, from, to }) {
      const text = expression.slice(from, to);
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expression}`);
      if (type.name === 'Identifier') metrics.push(text);
      if (type.name === 'LabelName') labels.push(text);
    },
  });
  return { metrics, labels };
}

const TELEMETRY = 'src/server/telemetry';
/** Labels and names that Prometheus itself adds. */
const OF_PROMETHEUS = ['up', 'job', 'instance', 'le'];

test.each(expressions)('%s asks for what /metrics tells', (_title, expression) => {
  const { metrics, labels } = namesIn(expression);
  const names = new Set(
    [...told.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name, type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    ),
  );
  expect(metrics.length).toBeGreaterThan(0);
  expect(metrics.filter((name) => !names.has(name) && !OF_PROMETHEUS.includes(name))).toEqual([]);
  const source = readdirSync(TELEMETRY)
    .map((file) => readFileSync(`${TELEMETRY}/${file}`, 'utf8'))
    .join('\n');
  for (const label of labels.filter((name) => !OF_PROMETHEUS.includes(name)))
    expect(source).toContain(`'${label}'`);
});

test('every alert says what is wrong, what to do, and how bad it is', () => {
  for (const { alert, labels, annotations } of rules) {
    expect(labels.severity, alert).toMatch(/^(critical|warning|info)$/);
    expect(annotations.summary, alert).toMatch(/\w/);
    expect(annotations.description, alert).toMatch(/\.$/);
  }
});

describe('/metrics', () => {
  test('counts deployments by status, operations by outcome, and refusals', async () => {
    const id = await running(serin);
    await command(serin, 'rollbackCanary', id);
    await running(serin);
    await serin.post('{ nothing }');
    await serin.post('{ deployments(first: -1) { nodes { id } } }');
    await fetch(`${serin.url}/graphql`, {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': 'text/plain' },
    });
    const now = await (await fetch(`${serin.url}/metrics`)).text();
    expect(now).toContain('serin_deployments{status="RUNNING"} 1');
    expect(now).toContain('serin_deployments{status="ROLLED_BACK"} 1');
    expect(now).toContain('serin_deployments{status="FAILED"} 0');
    expect(now).toContain('serin_database_up 1');
    expect(now).toMatch(/serin_operation_seconds_count\{type="mutation",outcome="OK"\} 5/);
    expect(now).toMatch(/serin_operation_seconds_count\{type="unknown",outcome="INVALID"\} 1/);
    expect(now).toMatch(/serin_operation_seconds_count\{type="query",outcome="BAD_USER_INPUT"\} 1/);
    expect(now).toMatch(/serin_requests_refused_total\{status="415"\} 1/);
    expect(now).toMatch(/serin_database_connections\{state="\w+"\} [1-9]/);
  });
});

test('every metric of Serin is in the docs, and every one in the docs exists', () => {
  const docs = readFileSync('docs/observability.md', 'utf8');
  const rows = docs.split('\n').filter((line) => line.startsWith('| `serin_'));
  const documented = rows.flatMap((row) => row.split('|')[1]?.match(/serin_\w+/g) ?? []);
  const real = [...told.matchAll(/^# TYPE (serin_\w+) /gm)].map(([, name]) => name);
  expect(documented.sort()).toEqual(real.sort());
});

test('/metrics shows the pool: connections in use, and statements that wait for one', async () => {
  const strategyId = 'held';
  await create(serin, { strategyId });
  const figure = async (name: string) => {
    const told = await (await fetch(`${serin.url}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(told)?.[1]);
  };
  expect(await figure('serin_pool_connections')).toBeGreaterThan(0);
  const holder = await serin.database.sql.reserve();
  await holder`begin`;
  await holder`select 1 from strategies where id = ${strategyId} for update`;
  const creations = Array.from({ length: 24 }, () => create(serin, { strategyId }).catch(() => null));
  try {
    // The figures come from the process, but the deployments beside them from the pool, which is taken: 2 s at most.
    // One that has just begun waits for a moment too: all have connections first.
    await until(async () => (await figure('serin_pool_transactions_running')) === POOL_SIZE);
    await until(async () => (await figure('serin_pool_transactions_waiting')) > 0);
  } finally {
    await holder`rollback`;
    holder.release();
  }
  await Promise.all(creations);
  // The loop has transactions of its own, each of which waits for a moment: it is the level that goes down.
  await until(async () => (await figure('serin_pool_transactions_running')) === 0);
  await until(async () => (await figure('serin_pool_transactions_waiting')) === 0);
});

describe('/metrics with authentication', () => {
  const token = 'a-secret-of-prometheus';

  test.each([
    ['nothing', {}, {}],
    ['another token', { SERIN_METRICS_TOKEN: token }, { authorization: 'Bearer a-secret-of-others' }],
    ['a token where none is set', {}, { authorization: `Bearer ${token}` }],
    ['"null" where none is set', {}, { authorization: 'Bearer null' }],
  ])('tells nothing to who brings %s', async (_what, variables, headers) => {
    const keyed = await startTestSerin({ access: WITH_KEYS, http: readEnvironment(variables).http });
    try {
      const response = await fetch(`${keyed.url}/metrics`, { headers });
      expect(response.status).toBe(401);
      expect(await response.text()).not.toContain('serin_deployments');
    } finally {
      await keyed.stop();
    }
  });

  test('tells Prometheus, which brings the token, and a bad one stops the start unseen', async () => {
    const http = readEnvironment({ SERIN_METRICS_TOKEN: token }).http;
    const keyed = await startTestSerin({ access: WITH_KEYS, http });
    try {
      const headers = { authorization: `Bearer ${token}` };
      expect(await (await fetch(`${keyed.url}/metrics`, { headers })).text()).toContain('serin_deployments');
      expect((await fetch(`${keyed.url}/ready`)).status).toBe(200);
    } finally {
      await keyed.stop();
    }
    expect(() => readEnvironment({ SERIN_METRICS_TOKEN: 'short' })).toThrow(
      /^SERIN_METRICS_TOKEN .*(?<!short)$/,
    );
  });
});

test('/ready says what is missing: the tables of this version', async () => {
  const ready = async () => (await fetch(`${serin.url}/ready`)).json();
  expect(await ready()).toMatchObject({ status: 'ready' });
  const { sql } = serin.database;
  const [last] = await sql`select * from drizzle.__drizzle_migrations order by created_at desc limit 1`;
  await sql`delete from drizzle.__drizzle_migrations where id = ${last?.id}`;
  expect((await ready()).missing).toContain('tables of the database are missing or older');
  await sql`alter schema drizzle rename to gone`;
  expect((await ready()).missing).toContain('tables of the database are missing or older');
  await sql`alter schema gone rename to drizzle`;
  await sql`insert into drizzle.__drizzle_migrations ${sql(last ?? {})}`;
  expect(await ready()).toMatchObject({ status: 'ready' });
});

describe('the image', () => {
  const steps = parseDockerfile(readFileSync('Dockerfile', 'utf8'));
  const said = (instruction: string) =>
    steps.filter((step) => step.instruction === instruction).map(({ value }) => value);

  test('is built of what is there, and of nothing else', () => {
    const allowed = readFileSync('.dockerignore', 'utf8').split('\n');
    const sources = said('COPY')
      .filter((value) => !value.startsWith('--from='))
      .flatMap((value) => value.split(' ').slice(0, -1));
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      expect(existsSync(source), source).toBe(true);
      expect(allowed).toContain(`!${source}`);
    }
    expect(allowed[0]).toBe('*');
  });

  test('runs as an unprivileged user, in production, without the embedded database, and has a health check', () => {
    expect(said('USER')).toEqual(['node']);
    expect(said('ENV').join(' ')).toContain('NODE_ENV=production');
    expect(said('RUN').at(-1)).toMatch(/npm ci --omit=dev --omit=optional/);
    expect(said('HEALTHCHECK')[0]).toContain('/ready');
    expect(said('CMD')).toEqual(['["node", "dist/main.js"]']);
  });

  test('is what two nodes in the compose file run, with one PostgreSQL', () => {
    const { services } = parseYaml(readFileSync('ops/docker-compose.yml', 'utf8'), { merge: true });
    expect(Object.keys(services)).toEqual(['postgres', 'serin-1', 'serin-2']);
    expect(services['serin-2'].environment).toEqual(services['serin-1'].environment);
    expect(services['serin-1'].ports).not.toEqual(services['serin-2'].ports);
  });
});

describe('the service files', () => {
  const unit = readFileSync('ops/serin.service', 'utf8');
  const [deployment] = parseAllDocuments(readFileSync('ops/kubernetes.yml', 'utf8')).map((one) => one.toJS());
  const { spec } = deployment.spec.template;
  const [container] = spec.containers;
  const environment = ['environment', 'http', 'access', 'limits']
    .map((name) => readFileSync(`src/environment/${name}.ts`, 'utf8'))
    .join('');

  test('name variables that Serin reads', () => {
    const named = [
      ...container.env.map(({ name }: { name: string }) => name),
      ...[...unit.matchAll(/\b(SERIN_\w+|HOST|PORT|NODE_ENV)=/g)].map(([, name]) => name ?? ''),
    ];
    expect(named).toContain('SERIN_POOL_SIZE');
    for (const name of named) expect(environment).toContain(name);
  });

  test('start a node again for as long as its database is away', () => {
    // systemd gives up after five starts in ten seconds; one without a database takes less than two.
    expect(unit.split('[Service]')[0]).toContain('\nStartLimitIntervalSec=0\n');
    expect(unit).toContain('\nRestart=always\n');
  });

  test('let through every body that a node takes', () => {
    const [, megabytes] = /client_max_body_size (\d+)m;/.exec(readFileSync('ops/nginx.conf', 'utf8')) ?? [];
    expect(Number(megabytes) * 1024 * 1024).toBeGreaterThanOrEqual(LIMITS.bodyBytes.defaultValue);
  });

  test('give a node the 10 seconds that it drains in, and ask it at its own endpoints', () => {
    // The pause before SIGTERM counts as part of the grace period.
    const [program, seconds] = container.lifecycle.preStop.exec.command;
    expect(program).toBe('sleep');
    expect(Number(seconds)).toBeGreaterThanOrEqual(3);
    expect(spec.terminationGracePeriodSeconds - Number(seconds)).toBeGreaterThan(10);
    expect(Number(/TimeoutStopSec=(\d+)/.exec(unit)?.[1])).toBeGreaterThan(10);
    expect(container.readinessProbe.httpGet.path).toBe('/ready');
    expect(container.livenessProbe.httpGet.path).toBe('/health');
    expect(deployment.spec.strategy.rollingUpdate.maxUnavailable).toBe(0);
    expect(container.image).toBe(`serin:${JSON.parse(readFileSync('package.json', 'utf8')).version}`);
  });
});
