/** For each alert, the series that make it fire. */
import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import type { Labels } from './dashboard.ts';

export interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
}

export const rules: Rule[] = parseYaml(readFileSync('ops/alerts.yml', 'utf8')).groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
);

/** A series and its value at the second of two scrapes that are a minute apart. */
export type Series = readonly [name: string, labels: Labels, value: number];

const slow = (le: string): Series => [
  'serin_operation_seconds_bucket',
  { type: 'mutation', outcome: 'OK', le },
  5,
];
const slowlySafe = (le: string): Series => ['serin_breach_to_safe_seconds_bucket', { le }, 5];

export const FIRES: Readonly<Record<string, readonly Series[]>> = {
  SerinDown: [['up', { job: 'serin' }, 0]],
  SerinDatabaseAway: [['serin_database_up', {}, 0]],
  SerinChecksLate: [['serin_check_lag_seconds', {}, 61]],
  SerinChecksFail: [['serin_checks_failed_total', {}, 1]],
  SerinBatchesFail: [['serin_batch_failures_total', { kind: 'checks' }, 1]],
  SerinProviderFails: [['serin_provider_fetches_total', { provider: 'good', outcome: 'failed' }, 1]],
  SerinDeploymentsFail: [['serin_deployments', { status: 'FAILED' }, 1]],
  SerinWaitsForPerson: [['serin_decision_waiting_seconds', {}, 14_401]],
  SerinCanaryRolledBack: [['serin_canaries_ended_total', { status: 'ROLLED_BACK', cause: 'GUARDRAIL' }, 1]],
  SerinGuardrailTripped: [['serin_guardrail_trips_total', { guardrail: 'maxLossUsd' }, 1]],
  SerinLeaseExpired: [['serin_leases_expired_total', {}, 1]],
  SerinBotSilent: [['serin_silent_sides', { side: 'CANARY' }, 1]],
  SerinCanariesHalted: [['serin_halts_total', { action: 'ROLLBACK' }, 1]],
  SerinHaltUnfinished: [['serin_halt_unfinished_seconds', {}, 61]],
  SerinFrozen: [['serin_freezes_active', { block: 'DEPLOY' }, 1]],
  SerinCanaryHeld: [['serin_canaries_held', { block: 'PROMOTE' }, 1]],
  SerinSlowToSafety: ['1800', '3600', '14400', '86400', '+Inf'].map(slowlySafe),
  SerinAuditUnsealed: [['serin_audit_unsealed_seconds', {}, 61]],
  SerinAllocationOverdue: [['serin_allocation_overdue_seconds', {}, 1]],
  SerinLossBudgetTripped: [['serin_loss_budgets_tripped', {}, 1]],
  SerinLossBudgetNearlyUsed: [['serin_loss_budget_used_ratio', { name: 'desk' }, 0.81]],
  SerinLossBudgetsLate: [['serin_loss_budget_age_seconds', {}, 11]],
  SerinFeedHeld: [['serin_feed_held_seconds', {}, 11]],
  SerinFeedBehind: [['serin_feed_lag_seconds', {}, 11]],
  SerinClockStepped: [['serin_clock_steps_total', { direction: 'back' }, 1]],
  SerinPartitionMissing: [['serin_default_partition_rows', { table: 'events' }, 1]],
  SerinReplicaBehind: [['serin_replica_lag_seconds', {}, 61]],
  SerinPoolExhausted: [['serin_pool_transactions_waiting', {}, 1]],
  SerinErrors: [['serin_operation_seconds_count', { type: 'query', outcome: 'INTERNAL_SERVER_ERROR' }, 1]],
  SerinSlow: ['2.5', '5', '10', '+Inf'].map(slow),
  SerinWebhooksBehind: [['serin_webhook_backlog_age_seconds', {}, 901]],
  SerinRefuses: [['serin_requests_refused_total', { status: '429' }, 61]],
};
