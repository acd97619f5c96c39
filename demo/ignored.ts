/**
 * A canary's bot ignores its last allocation, and everybody who should hear of it does: the feed, a webhook, the metric,
 * and the alert, which Prometheus itself evaluates where promtool is installed. `npm run demo -- --ignored`
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { connectSerin } from '../src/client/index.ts';
import type { Api } from './api.ts';

const ID = 'dep_ignored';
const STRATEGY = 'deaf-bot';
const ALERT = 'SerinAllocationOverdue';
const METRIC = 'serin_allocation_overdue_seconds';
const DEADLINE_SECONDS = 120;
const RULES = fileURLToPath(new URL('../ops/alerts.yml', import.meta.url));
const POLL_MS = 100;

/** What each of those who should hear has heard. */
interface Heard {
  /** The event in the feed. */
  readonly feed: string;
  /** The type of the message that the webhook got. */
  readonly webhook: string;
  /** What `/metrics` said then. */
  readonly metrics: string;
  /** Whether Prometheus fires the alert on that figure; null where promtool is not installed. */
  readonly alert: boolean | null;
}

interface Stage {
  readonly api: Api;
  /** Where Serin is, without a path. It must take webhooks to 127.0.0.1. */
  readonly url: string;
  readonly say: (text: string) => void;
}

/** Runs it until all have heard, and the capital is home after all. */
export async function runIgnored({ api, url, say }: Stage): Promise<Heard> {
  const receiver = await startReceiver();
  const feed = nextOverdue(api);
  try {
    await api.command('createWebhook', 'CreateWebhookInput', {
      url: receiver.url,
      strategyId: STRATEGY,
      eventTypes: ['ALLOCATION_OVERDUE'],
    });
    await api.command('createDeployment', 'CreateDeploymentInput', {
      id: ID,
      strategyId: STRATEGY,
      stableVersionId: 'v1',
      canaryVersionId: 'v2',
      config: { settlement: { deadlineSeconds: DEADLINE_SECONDS }, guardrails: { maxLossUsd: 500 } },
    });
    await api.command('deployCanary', 'DeployCanaryInput', { deploymentId: ID, capitalUsd: '100000' });
    const stable = await connectSerin({ url, actor: 'stable bot' }).side(ID, 'STABLE');
    const obeying = obey(stable);
    const deaf = connectSerin({ url, actor: 'canary bot' });
    await acknowledge(deaf, 1, '10000');
    say('The canary holds $10,000. It loses $600 of them, more than its guardrail allows.');
    await api.command('updateCanaryMetrics', 'UpdateMetricsInput', {
      deploymentId: ID,
      pnlUsd: '-600',
      trades: 12,
    });
    say(
      'Serin has rolled it back and asks for its capital. The stable side obeys; the bot of the canary does not.',
    );
    const [event, message] = await Promise.all([feed, receiver.taken]);
    say(`The feed says: ${event}`);
    say(`The webhook got: ${message}`);
    const metrics = await readMetrics(url);
    const overdue = new RegExp(`^${METRIC} (\\S+)$`, 'm').exec(metrics)?.[1] ?? '0';
    say(`The metric: ${METRIC} ${overdue}`);
    const alert = await fires(overdue);
    say(
      alert === null
        ? `The alert ${ALERT} is in ops/alerts.yml; promtool is not installed here, so that nobody evaluates it.`
        : `Prometheus evaluates ops/alerts.yml: ${ALERT} ${alert ? 'fires' : 'does not fire'}.`,
    );
    await acknowledge(deaf, 2, '0');
    await obeying;
    say('Somebody reached the bot. It holds nothing, and the allocation is settled.');
    return { feed: event, webhook: message, metrics, alert };
  } finally {
    receiver.stop();
  }
}

type Client = ReturnType<typeof connectSerin>;

async function acknowledge(client: Client, number: number, heldUsd: string): Promise<void> {
  const input = { deploymentId: ID, number, side: 'CANARY', heldUsd } as const;
  const { success, message } = await client.command('acknowledgeAllocation', input);
  if (!success) throw new Error(message);
}

async function obey(side: Awaited<ReturnType<Client['side']>>): Promise<void> {
  for await (const { acknowledge: hold } of side.allocations()) await hold();
  await side.close();
}

/** The sentence of the first overdue allocation in the feed. */
async function nextOverdue(api: Api): Promise<string> {
  for await (const { type, description } of api.timeline(STRATEGY)) {
    if (type === 'ALLOCATION_OVERDUE') return description;
  }
  throw new Error('the feed has ended');
}

/** Takes one message of a webhook. */
async function startReceiver() {
  const server = createServer();
  const taken = new Promise<string>((resolve) => {
    server.on('request', async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      response.writeHead(204).end();
      resolve(JSON.parse(body).type);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, taken, stop: () => server.close() };
}

/** Reads `/metrics` as soon as it has the overdue allocation. */
async function readMetrics(url: string): Promise<string> {
  for (;;) {
    const text = await (await fetch(`${url}/metrics`)).text();
    if (new RegExp(`^${METRIC} [1-9]`, 'm').test(text)) return text;
    await sleep(POLL_MS);
  }
}

/** Lets Prometheus evaluate the rules on a series that was 0 and then has this value. */
async function fires(value: string): Promise<boolean | null> {
  const run = promisify(execFile);
  if (!(await run('promtool', ['--version']).catch(() => null))) return null;
  const folder = await mkdtemp(join(tmpdir(), 'serin-alert-'));
  try {
    const file = join(folder, 'test.yml');
    const query = `ALERTS{alertname="${ALERT}",alertstate="firing"}`;
    const test = {
      interval: '1m',
      input_series: [{ series: METRIC, values: `0x5 ${Number(value)}x10` }],
      promql_expr_test: [
        { expr: `count(${query})`, eval_time: '10m', exp_samples: [{ labels: '{}', value: 1 }] },
      ],
    };
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ rule_files: [RULES], tests: [test] }));
    return await run('promtool', ['test', 'rules', file]).then(
      () => true,
      () => false,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
