/**
 * The tables. What a deployment is stands in its log (`events`); `deployments` is the state the log leads to, in
 * columns that queries and claims need. The database keeps the rules that must hold whatever the code does.
 */
import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  boolean,
  check,
  customType,
  foreignKey,
  index,
  integer,
  jsonb,
  numeric,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import { LIVE_STATUSES, STATUSES } from '../../core/lifecycle/state.ts';
import { METRICS_SOURCES, type MetricsSource } from '../../core/metrics/sideMetrics.ts';
import type { Side } from '../../core/values/side.ts';

const money = (name: string) => numeric(name, { precision: 38, scale: 18 });
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' });

/** The 64-bit id of the transaction that wrote a row; sent as text. */
export const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' });

const list = (values: readonly string[]) => sql.raw(values.map((value) => `'${value}'`).join(', '));

/** One row: the clock that every node of this database reads, see `serin_now()`. */
export const clock = pgTable(
  'clock',
  {
    id: integer('id').primaryKey().default(1),
    /** What Serin's clock showed when it was set, … */
    epoch: timestamp('epoch', { withTimezone: true, mode: 'string' }).notNull(),
    /** … the real time of that moment, … */
    anchoredAt: timestamp('anchored_at', { withTimezone: true, mode: 'string' }).notNull(),
    /** … and how many of its seconds pass in a real one. */
    rate: numeric('rate').notNull(),
  },
  (table) => [check('clock_one_row', sql`${table.id} = 1`), check('clock_rate', sql`${table.rate} >= 1`)],
);

export const strategies = pgTable('strategies', {
  id: text('id').primaryKey(),
  stableVersionId: text('stable_version_id').notNull(),
  createdAt: instant('created_at').notNull(),
  updatedAt: instant('updated_at').notNull(),
});

export const deployments = pgTable(
  'deployments',
  {
    id: text('id').primaryKey(),
    strategyId: text('strategy_id')
      .notNull()
      .references(() => strategies.id),
    chain: text('chain').notNull(),
    stableVersionId: text('stable_version_id').notNull(),
    canaryVersionId: text('canary_version_id').notNull(),
    status: text('status').$type<(typeof STATUSES)[number]>().notNull(),
    revision: integer('revision').notNull(),
    eventCount: integer('event_count').notNull(),
    createdAt: instant('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** When its row came to this database: later than its creation where it was imported. */
    arrivedAt: instant('arrived_at').notNull().default(sql`serin_now()`),
    startedAt: instant('started_at'),
    endedAt: instant('ended_at'),
    observationDeadline: instant('observation_deadline'),
    canaryPercent: numeric('canary_percent').notNull(),
    totalCapitalUsd: money('total_capital_usd'),
    canaryCapitalUsd: money('canary_capital_usd'),
    stableCapitalUsd: money('stable_capital_usd'),
    config: jsonb('config').notNull(),
    /** The parts of the state that no query looks into: observation, allocation, and what its status adds. */
    detail: jsonb('detail').notNull(),
    /** Looks in a row that saw each guardrail broken. */
    breaches: jsonb('breaches').notNull(),
    /** When the loop should look again, on Serin's clock; null when nothing is to be watched. */
    nextCheckAt: instant('next_check_at'),
    /** Who is looking now, until when on the real clock, and since which claim. */
    leaseUntil: timestamp('lease_until', { withTimezone: true, mode: 'string' }),
    leaseToken: text('lease_token'),
  },
  (table) => [
    uniqueIndex('deployments_one_live')
      .on(table.strategyId, table.chain)
      .where(sql`${table.status} in (${list(LIVE_STATUSES)})`),
    index('deployments_due').on(table.nextCheckAt).where(sql`${table.nextCheckAt} is not null`),
    index('deployments_created').on(table.createdAt, table.id),
    index('deployments_strategy').on(table.strategyId, table.createdAt, table.id),
    index('deployments_status').on(table.status, table.createdAt, table.id),
    check('deployments_status_known', sql`${table.status} in (${list(STATUSES)})`),
    check('deployments_percent', sql`${table.canaryPercent} between 0 and 100`),
    check(
      'deployments_capital',
      sql`${table.canaryCapitalUsd} + ${table.stableCapitalUsd} = ${table.totalCapitalUsd}
        and ${table.canaryCapitalUsd} >= 0 and ${table.stableCapitalUsd} >= 0`,
    ),
    check('deployments_revision', sql`${table.revision} >= 1 and ${table.eventCount} >= 1`),
    check(
      'deployments_ended',
      sql`(${table.endedAt} is null) = (${table.status} in (${list(LIVE_STATUSES)}))`,
    ),
    check('deployments_watched', sql`${table.nextCheckAt} is null or ${table.endedAt} is null`),
  ],
);

/** The log. Its order is (`xid`, `id`), read only below the oldest transaction still running: see `feed`. */
export const events = pgTable(
  'events',
  {
    id: bigserial('id', { mode: 'bigint' }).primaryKey(),
    xid: xid8('xid').notNull().default(sql`pg_current_xact_id()`),
    deploymentId: text('deployment_id')
      .notNull()
      .references(() => deployments.id),
    strategyId: text('strategy_id').notNull(),
    no: integer('no').notNull(),
    type: text('type').notNull(),
    at: instant('at').notNull(),
    actor: text('actor').notNull(),
    revision: integer('revision').notNull(),
    /** Whether it belongs to the timeline: `emitEvents` of its deployment. */
    timeline: boolean('timeline').notNull(),
    /** The statuses around it, where it changed the status. */
    previousStatus: text('previous_status').$type<(typeof STATUSES)[number]>(),
    status: text('status').$type<(typeof STATUSES)[number]>(),
    payload: jsonb('payload').notNull(),
  },
  (table) => [
    uniqueIndex('events_number').on(table.deploymentId, table.no),
    index('events_order').on(table.xid, table.id),
    index('events_strategy').on(table.strategyId, table.xid, table.id),
    index('events_decisions').on(table.deploymentId, table.no).where(sql`${table.type} = 'DECISION_MADE'`),
    uniqueIndex('events_one_terminal')
      .on(table.deploymentId)
      .where(
        sql`${table.type} in ('CANARY_PROMOTED', 'CANARY_ROLLED_BACK', 'CANARY_CANCELLED', 'CANARY_FAILED')`,
      ),
    check('events_no', sql`${table.no} >= 1`),
    check('events_status_change', sql`(${table.previousStatus} is null) = (${table.status} is null)`),
  ],
);

/** The latest metrics of each side, apart from the lifecycle row so that bots and operators do not wait for each other. */
export const sideMetrics = pgTable(
  'side_metrics',
  {
    deploymentId: text('deployment_id')
      .notNull()
      .references(() => deployments.id),
    side: text('side').$type<Side>().notNull(),
    /** Null where no report has named the figure yet: a report leaves out what it does not know. */
    netPnlUsd: money('net_pnl_usd'),
    totalPnlUsd: money('total_pnl_usd'),
    maxDrawdown: money('max_drawdown'),
    sharpeRatio: money('sharpe_ratio'),
    winRate: money('win_rate'),
    trades: bigint('trades', { mode: 'number' }),
    errors: bigint('errors', { mode: 'number' }),
    totalGasUsd: money('total_gas_usd'),
    avgTradeSizeUsd: money('avg_trade_size_usd'),
    uptimeSeconds: bigint('uptime_seconds', { mode: 'number' }),
    reportedAt: instant('reported_at').notNull(),
    /** Counts reports, so that watchers see a change. */
    version: bigint('version', { mode: 'number' }).notNull(),
    /** A side is measured one way: by totals that a bot or provider tells, or by its trades. */
    source: text('source').$type<MetricsSource>().notNull().default('TOTALS'),
  },
  (table) => [
    primaryKey({ columns: [table.deploymentId, table.side] }),
    check('side_metrics_side', sql`${table.side} in ('CANARY', 'STABLE')`),
    check('side_metrics_counts', sql`${table.trades} >= 0 and ${table.errors} >= 0`),
    check('side_metrics_source', sql`${table.source} in (${list(METRICS_SOURCES)})`),
  ],
);

/** Closed trades as their owners told them. What they add up to is in `trade_books`. */
export const trades = pgTable(
  'trades',
  {
    deploymentId: text('deployment_id').notNull(),
    side: text('side').$type<Side>().notNull(),
    id: text('id').notNull(),
    at: instant('at').notNull(),
    pnlUsd: money('pnl_usd'),
    feesUsd: money('fees_usd').notNull(),
    gasUsd: money('gas_usd').notNull(),
    notionalUsd: money('notional_usd'),
    /** Why there was no trade. */
    error: text('error'),
    /** What the side worked with when it was closed. */
    capitalUsd: money('capital_usd').notNull(),
    recordedAt: instant('recorded_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.deploymentId, table.side, table.id] }),
    foreignKey({
      name: 'trades_book',
      columns: [table.deploymentId, table.side],
      foreignColumns: [tradeBooks.deploymentId, tradeBooks.side],
    }).onDelete('cascade'),
    // Without the id: before the first statistics PostgreSQL would take it for lookups by id, and read a whole side.
    index('trades_time').on(table.deploymentId, table.side, table.at),
    check('trades_kind', sql`(${table.error} is null) = (${table.pnlUsd} is not null)`),
    check('trades_capital', sql`${table.capitalUsd} > 0`),
  ],
);

/** The running sums and the equity curve of a side's trades. Deleting a book deletes its trades and checkpoints. */
export const tradeBooks = pgTable(
  'trade_books',
  {
    deploymentId: text('deployment_id')
      .notNull()
      .references(() => deployments.id),
    side: text('side').$type<Side>().notNull(),
    /** In the engine's JSON, decimals as strings. */
    book: jsonb('book').notNull(),
  },
  (table) => [primaryKey({ columns: [table.deploymentId, table.side] })],
);

/** The equity curve at earlier instants: where it is folded on from when a trade comes late. */
export const tradeCheckpoints = pgTable(
  'trade_checkpoints',
  {
    deploymentId: text('deployment_id').notNull(),
    side: text('side').$type<Side>().notNull(),
    at: instant('at').notNull(),
    curve: jsonb('curve').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.deploymentId, table.side, table.at] }),
    foreignKey({
      name: 'trade_checkpoints_book',
      columns: [table.deploymentId, table.side],
      foreignColumns: [tradeBooks.deploymentId, tradeBooks.side],
    }).onDelete('cascade'),
  ],
);

/** What each check saw: the history of metrics. */
export const samples = pgTable(
  'samples',
  {
    deploymentId: text('deployment_id')
      .notNull()
      .references(() => deployments.id),
    check: integer('check').notNull(),
    at: instant('at').notNull(),
    decision: text('decision').notNull(),
    /** Both sides' metrics in the engine's JSON, decimals as strings. */
    metrics: jsonb('metrics').notNull(),
  },
  (table) => [primaryKey({ columns: [table.deploymentId, table.check] })],
);

/** Answers by idempotency key, for as long as a retry may come. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    actor: text('actor').notNull(),
    key: text('key').notNull(),
    /** Which mutation with which input: a hash. */
    request: text('request').notNull(),
    answer: jsonb('answer').notNull(),
    /** Real time: keys are kept for at least a day of the caller's life, not of the simulated clock. */
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' })
      .notNull()
      .default(sql`clock_timestamp()`),
  },
  (table) => [
    primaryKey({ columns: [table.actor, table.key] }),
    index('idempotency_keys_created').on(table.createdAt),
  ],
);

const realTime = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' });

/** API keys: who may ask. Their times are real ones, not those of the simulated clock: they keep real people out. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: text('id').primaryKey(),
    /** What actions are recorded under. */
    name: text('name').notNull(),
    role: text('role').$type<'VIEWER' | 'BOT' | 'OPERATOR' | 'ADMIN'>().notNull(),
    /** Patterns of strategy names; null is all. */
    strategies: text('strategies').array(),
    /** SHA-256 of the whole key, in hex: the key itself is kept nowhere. */
    hash: text('hash').notNull(),
    createdAt: realTime('created_at').notNull().default(sql`clock_timestamp()`),
    createdBy: text('created_by').notNull(),
    expiresAt: realTime('expires_at'),
    revokedAt: realTime('revoked_at'),
    revokedBy: text('revoked_by'),
    /** Written once a minute at most. */
    lastUsedAt: realTime('last_used_at'),
  },
  (table) => [
    uniqueIndex('api_keys_name').on(table.name).where(sql`${table.revokedAt} is null`),
    check('api_keys_role', sql`${table.role} in ('VIEWER', 'BOT', 'OPERATOR', 'ADMIN')`),
    check('api_keys_revoked', sql`(${table.revokedAt} is null) = (${table.revokedBy} is null)`),
  ],
);

/** What administrators did: keys made and revoked. Append-only. */
export const auditRecords = pgTable('audit_records', {
  id: bigserial('id', { mode: 'bigint' }).primaryKey(),
  at: realTime('at').notNull().default(sql`clock_timestamp()`),
  actor: text('actor').notNull(),
  action: text('action').$type<'API_KEY_CREATED' | 'API_KEY_REVOKED'>().notNull(),
  /** The id of what it was done to. */
  subject: text('subject').notNull(),
  /** The strategies that the subject is about; null is all. Who may not see them does not see the record. */
  strategies: text('strategies').array(),
  details: jsonb('details').$type<Readonly<Record<string, unknown>>>().notNull(),
});
