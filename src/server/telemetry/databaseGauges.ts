/** The gauges of the database in `/metrics`, the same on every node. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';
import { type CanaryGauges, readCanaryGauges } from '../../app/canaryGauges.ts';
import { STATUSES } from '../../core/lifecycle/state.ts';
import { type Gauges, readGauges } from '../../store/deployments/gauges.ts';
import type { Queries } from '../../store/postgres/database.ts';
import { createCanaryGauges } from './canaryGauges.ts';

/** How long a scrape waits for the database before it continues without its gauges. */
const GAUGES_TIMEOUT_MS = 2000;

/** Hex digits of a hash that a double holds exactly. */
const HASH_DIGITS = 12;

interface AllGauges extends Gauges {
  readonly canaries: CanaryGauges;
}

async function readAllGauges(db: Queries): Promise<AllGauges> {
  const [gauges, canaries] = await Promise.all([readGauges(db), readCanaryGauges(db)]);
  return { ...gauges, canaries };
}

/** Null if the database is away or slow; the other metrics are served all the same. */
export function readGaugesInTime(db: Queries): Promise<AllGauges | null> {
  const late = sleep(GAUGES_TIMEOUT_MS, null, { ref: false });
  return Promise.race([readAllGauges(db).catch(() => null), late]);
}

/** Returns a function that sets the gauges of a scrape. Give it null if the database did not respond. */
export function createDatabaseGauges(registry: Registry): (gauges: AllGauges | null) => void {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const up = gauge('serin_database_up', 'Whether the database responded to this scrape.');
  const deployments = gauge('serin_deployments', 'Deployments in the database, by status.', ['status']);
  const lag = gauge(
    'serin_check_lag_seconds',
    "By how much the most overdue check is late, in Serin's seconds.",
  );
  const overdue = gauge(
    'serin_allocations_overdue',
    'Allocations that are overdue, of live and ended deployments.',
  );
  const overdueSeconds = gauge(
    'serin_allocation_overdue_seconds',
    "By how much the most overdue allocation is late, in Serin's seconds; of live and ended deployments.",
  );
  const budgetUse = gauge(
    'serin_loss_budget_used_ratio',
    'The loss in the window of each loss budget, as a part of its maximum.',
    ['budget', 'name'],
  );
  const budgetsTripped = gauge(
    'serin_loss_budgets_tripped',
    'Loss budgets that are tripped: their strategies are frozen.',
  );
  const budgetAge = gauge(
    'serin_loss_budget_age_seconds',
    'Real seconds since the losses of the budgets were last summed; 0 if there is no budget.',
  );
  const connections = gauge(
    'serin_database_connections',
    "Serin's connections to the database, of all nodes, by state.",
    ['state'],
  );
  const backlog = gauge('serin_webhook_backlog', 'Pending deliveries to webhooks.');
  const backlogAge = gauge(
    'serin_webhook_backlog_age_seconds',
    'Age of the oldest pending delivery, in real seconds.',
  );
  const caught = gauge(
    'serin_default_partition_rows',
    'Rows in the default partition of a table, at most 100,000: their deployments arrived in a month without a partition.',
    ['table'],
  );
  const auditBlock = gauge('serin_audit_block', 'Number of the newest block that seals the audit trail.');
  const auditHash = gauge(
    'serin_audit_block_hash',
    'The first 48 bits of the hash of that block, as a number.',
  );
  const auditUnsealed = gauge(
    'serin_audit_unsealed_seconds',
    'Age of the oldest audit record that no block seals, in real seconds.',
  );
  const setCanaries = createCanaryGauges(registry);
  return (gauges) => {
    up.set(gauges ? 1 : 0);
    deployments.reset();
    connections.reset();
    budgetUse.reset();
    if (!gauges) return;
    for (const status of STATUSES) deployments.set({ status }, 0);
    for (const { status, count } of gauges.deployments) deployments.set({ status }, count);
    for (const { state, count } of gauges.connections) connections.set({ state }, count);
    setCanaries(gauges.canaries);
    lag.set(gauges.checkLagSeconds);
    overdue.set(gauges.overdueAllocations.count);
    overdueSeconds.set(gauges.overdueAllocations.seconds);
    const { used, tripped, ageSeconds } = gauges.lossBudgets;
    for (const { id, name, ratio } of used) budgetUse.set({ budget: id, name }, ratio);
    budgetsTripped.set(tripped);
    budgetAge.set(ageSeconds);
    backlog.set(gauges.webhooks.pending);
    backlogAge.set(gauges.webhooks.oldestSeconds);
    for (const { table, rows } of gauges.caughtRows) caught.set({ table }, rows);
    const { head, unsealedSeconds } = gauges.audit;
    auditBlock.set(head?.number ?? 0);
    auditHash.set(Number.parseInt(head?.hash.slice(0, HASH_DIGITS) ?? '0', 16));
    auditUnsealed.set(unsealedSeconds);
  };
}
