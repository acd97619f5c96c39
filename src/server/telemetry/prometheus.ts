/** The metrics of `/metrics`: counters of this node, and gauges of the database that are the same on every node. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { BATCH_KINDS, type BatchKind } from '../../app/execution/executionContext.ts';
import type { CanaryEvent } from '../../core/lifecycle/events.ts';
import type { BlockedBy } from '../../feed/tail.ts';
import type { Queries } from '../../store/postgres/database.ts';
import type { PoolStats } from '../../store/postgres/poolStats.ts';
import { HALT_ACTIONS, type HaltAction } from '../../store/safety/halts.ts';
import { BUDGET_ACTIONS, type BudgetAction } from '../../store/safety/lossBudgets.ts';
import { createDatabaseGauges, readGaugesInTime } from './databaseGauges.ts';
import { createEventCounters } from './eventCounters.ts';

/** HTTP statuses of requests that are refused at admission. */
const REFUSAL_STATUSES = [403, 413, 415, 429];
/** Outcomes of operations that an operator is alerted on. */
const SERVER_ERRORS = ['INTERNAL_SERVER_ERROR', 'UNAVAILABLE'];

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  /** A check was applied: counts it and its events. */
  countCheck(events: readonly CanaryEvent[]): void;
  /** Events that this node has committed: what reports, deadlines, and commands of people and bots led to. */
  countEvents(events: readonly CanaryEvent[]): void;
  /** A check could not be made. */
  countFailedCheck(): void;
  /** A batch of commands or checks failed, and its items ran alone. */
  countBatchFailure(kind: BatchKind): void;
  /** Metrics of one side were fetched from a provider. */
  countFetch(provider: string, ok: boolean): void;
  /** Serin's clock was set, by these seconds of its time; negative where it was set back. */
  countClockStep(seconds: number): void;
  /** A query that the replica may answer was answered. */
  countReplicaRead(served: 'replica' | 'primary'): void;
  /** A loss budget tripped, and this node saw it. */
  countBudgetTrip(action: BudgetAction): void;
  /** Somebody began a halt on this node. */
  countHalt(action: HaltAction): void;
  /** A delivery to a webhook was attempted. */
  countAttempt(outcome: 'delivered' | 'failed'): void;
  /** @param outcome `OK`, or the code of the first error */
  countOperation(type: string, outcome: string, seconds: number): void;
  /** A request was refused at admission, with its HTTP status. */
  countRefused(status: number): void;
}

export interface MetricsParts {
  readonly db: Queries;
  readonly pool: PoolStats;
  /** Names of the metrics providers. */
  readonly providerNames: Iterable<string>;
  readonly feed: {
    readonly lagMs: () => number;
    readonly held: () => BlockedBy | null;
    readonly consumers: () => number;
  };
  /** Null without a read replica. */
  readonly replica: { readonly lagMs: () => number } | null;
}

export function createMetrics({ db, pool, providerNames, feed, replica }: MetricsParts): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const count = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers });
  const checks = count('serin_checks_total', 'Checks applied by this node.');
  const failedChecks = count(
    'serin_checks_failed_total',
    'Checks that failed on this node; they are retried.',
  );
  const batchFailures = count(
    'serin_batch_failures_total',
    'Batches of this node that failed as a whole; each of their items then ran in its own transaction.',
    ['kind'],
  );
  for (const kind of BATCH_KINDS) batchFailures.inc({ kind }, 0);
  const fetches = count('serin_provider_fetches_total', 'Fetches of one side’s metrics from a provider.', [
    'provider',
    'outcome',
  ]);
  const clockSteps = count(
    'serin_clock_steps_total',
    "Steps of the database's clock that this node noticed.",
    ['direction'],
  );
  const lastClockStep = new Gauge({
    name: 'serin_clock_step_seconds',
    help: "The latest step of the database's clock, negative where it was set back; 0 before the first.",
    registers,
  });
  const budgetTrips = count(
    'serin_loss_budget_trips_total',
    'Loss budgets that tripped, as seen by this node.',
    ['action'],
  );
  const halts = count('serin_halts_total', 'Halts of many canaries that people or bots began on this node.', [
    'action',
  ]);
  const attempts = count('serin_webhook_attempts_total', 'Attempts of this node to deliver to a webhook.', [
    'outcome',
  ]);
  const refused = count('serin_requests_refused_total', 'Requests refused at admission.', ['status']);
  const operations = new Histogram({
    name: 'serin_operation_seconds',
    help: 'Duration of operations by type and outcome: OK, or the code of the error. For a subscription, until it began.',
    labelNames: ['type', 'outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  // A series begins at 0: Prometheus computes no rate for the first event of a series that begins with it.
  for (const provider of providerNames)
    for (const outcome of ['ok', 'failed']) fetches.inc({ provider, outcome }, 0);
  for (const direction of ['back', 'forward']) clockSteps.inc({ direction }, 0);
  for (const action of BUDGET_ACTIONS) budgetTrips.inc({ action }, 0);
  for (const action of HALT_ACTIONS) halts.inc({ action }, 0);
  for (const outcome of ['delivered', 'failed']) attempts.inc({ outcome }, 0);
  for (const status of REFUSAL_STATUSES) refused.inc({ status }, 0);
  for (const type of ['query', 'mutation', 'subscription'])
    for (const outcome of ['OK', ...SERVER_ERRORS]) operations.zero({ type, outcome });
  operations.zero({ type: 'unknown', outcome: 'INVALID' });
  const measure = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  measure('serin_pool_connections', "This node's connections to the database.", () => pool.connections);
  measure(
    'serin_pool_transactions_running',
    'Transactions of this node that hold a connection.',
    () => pool.running,
  );
  measure(
    'serin_pool_transactions_waiting',
    'Transactions of this node that wait for a connection.',
    () => pool.waiting,
  );
  measure(
    'serin_feed_consumers',
    'Feeds that this node serves. Subscribers over WebSocket with the same subscription and rights share one.',
    feed.consumers,
  );
  measure(
    'serin_feed_lag_seconds',
    'Seconds since this node last saw the end of the log.',
    () => feed.lagMs() / 1000,
  );
  measure(
    'serin_feed_held_seconds',
    'Seconds for which an open transaction, anywhere in this PostgreSQL, has held the feeds back.',
    () => (feed.held()?.ms ?? 0) / 1000,
  );
  const replicaReads = count(
    'serin_replica_reads_total',
    'Queries that the read replica may answer, by the server that did.',
    ['server'],
  );
  for (const server of ['replica', 'primary']) replicaReads.inc({ server }, 0);
  measure(
    'serin_replica_lag_seconds',
    'By how many seconds the read replica lags at most, and how long it has been away; 0 without a replica.',
    () => (replica?.lagMs() ?? 0) / 1000,
  );
  const countEvents = createEventCounters(registry);
  const setGauges = createDatabaseGauges(registry);
  let counting: ReturnType<typeof readGaugesInTime> | null = null;

  return {
    contentType: registry.contentType,
    async text() {
      // Concurrent scrapes share one query.
      counting ??= readGaugesInTime(db).finally(() => {
        counting = null;
      });
      setGauges(await counting);
      return registry.metrics();
    },
    countCheck(events) {
      checks.inc();
      countEvents(events);
    },
    countEvents,
    countFailedCheck: () => failedChecks.inc(),
    countBatchFailure: (kind) => batchFailures.inc({ kind }),
    countFetch: (provider, ok) => fetches.inc({ provider, outcome: ok ? 'ok' : 'failed' }),
    countClockStep(seconds) {
      clockSteps.inc({ direction: seconds < 0 ? 'back' : 'forward' });
      lastClockStep.set(seconds);
    },
    countReplicaRead: (server) => replicaReads.inc({ server }),
    countBudgetTrip: (action) => budgetTrips.inc({ action }),
    countHalt: (action) => halts.inc({ action }),
    countAttempt: (outcome) => attempts.inc({ outcome }),
    countOperation: (type, outcome, seconds) => operations.observe({ type, outcome }, seconds),
    countRefused: (status) => refused.inc({ status }),
  };
}
