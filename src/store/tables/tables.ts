/**
 * The tables. The log (`events`) is the truth about a deployment; `deployments` is the state that the log leads to, in
 * the columns that queries and claims need. Constraints enforce the rules that must hold even if the code is wrong.
 */
import { sql } from 'drizzle-orm';
import {
  type AnyPgColumn,
  bigint,
  bigserial,
  boolean,
  check,
  customType,
  date,
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

export const money = (name: string) => numeric(name, { precision: 38, scale: 18 });
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' });

/**
 * The month of deployments that arrived before there were partitions, and of those that an earlier version creates. It is
 * the default of `born`, so adding the column rewrote no row.
 */
export const FIRST_MONTH = '1970-01-01';

/**
 * The month in which a deployment arrived in this database, as its first day: `events`, `samples` and `trades` are
 * partitioned by it. It never changes, and foreign keys hold it equal to that of the deployment.
 */
const born = () => date('born', { mode: 'string' }).notNull().default(FIRST_MONTH);

/** The 64-bit id of the transaction that wrote a row; the driver sends it as a string. */
export const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' });

/** Bytes as PostgreSQL writes them in text: `\\x` and hex digits. */
const hexBytes = customType<{ data: string }>({ dataType: () => 'bytea' });

const list = (values: readonly string[]) => sql.raw(values.map((value) => `'${value}'`).join(', '));

/** One row: Serin's clock, which all nodes of this database share; see `serin_now()`. */
export const clock = pgTable(
  'clock',
  {
    id: integer('id').primaryKey().default(1),
    /** The time on Serin's clock when its rate was last set. */
    epoch: timestamp('epoch', { withTimezone: true, mode: 'string' }).notNull(),
    /** The real time of that moment. */
    anchoredAt: timestamp('anchored_at', { withTimezone: true, mode: 'string' }).notNull(),
    /** Seconds on Serin's clock per real second. */
    rate: numeric('rate').notNull(),
  },
  (table) => [check('clock_one_row', sql`${table.id} = 1`), check('clock_rate', sql`${table.rate} >= 1`)],
);

export const strategies = pgTable('strategies', {
  id: text('id').primaryKey(),
  stableVersionId: text('stable_version_id').notNull(),
  createdAt: instant('created_at').notNull(),
  updatedAt: instant('updated_at').notNull(),
  /** Whether a promotion of any of its deployments needs two people. */
  requireApproval: boolean('require_approval').notNull().default(false),
  /** The request to lift that rule, which a second person must approve. */
  approvalLift: jsonb('approval_lift'),
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
    /** When its row was inserted here; later than `createdAt` if it was imported. */
    arrivedAt: instant('arrived_at').notNull().default(sql`serin_now()`),
    startedAt: instant('started_at'),
    endedAt: instant('ended_at'),
    observationDeadline: instant('observation_deadline'),
    canaryPercent: numeric('canary_percent').notNull(),
    totalCapitalUsd: money('total_capital_usd'),
    canaryCapitalUsd: money('canary_capital_usd'),
    stableCapitalUsd: money('stable_capital_usd'),
    config: jsonb('config').notNull(),
    /** The parts of the state that no query filters by: observation, allocation, and what its status adds. */
    detail: jsonb('detail').notNull(),
    /** Consecutive checks in which each guardrail was exceeded. */
    breaches: jsonb('breaches').notNull(),
    /** When the next check is due, on Serin's clock; null if the deployment is not observed. */
    nextCheckAt: instant('next_check_at'),
    /** The lease of the node that checks it now: its end, in real time, and its fencing token. */
    leaseUntil: timestamp('lease_until', { withTimezone: true, mode: 'string' }),
    leaseToken: text('lease_token'),
    /** When its latest allocation is, or became, overdue; null if it is settled or has no deadline. Set after its end too. */
    settleBy: instant('settle_by'),
    /** When the next deadline of its capital must be checked, on Serin's clock; null if there is none. Set after its end too. */
    deadlineAt: instant('deadline_at'),
    /** Until when a node checks that deadline, in real time. */
    deadlineClaimedUntil: timestamp('deadline_claimed_until', { withTimezone: true, mode: 'string' }),
    born: born(),
  },
  (table) => [
    uniqueIndex('deployments_born').on(table.id, table.born),
    uniqueIndex('deployments_one_live')
      .on(table.strategyId, table.chain)
      .where(sql`${table.status} in (${list(LIVE_STATUSES)})`),
    index('deployments_due').on(table.nextCheckAt).where(sql`${table.nextCheckAt} is not null`),
    index('deployments_due_provided')
      .on(table.nextCheckAt)
      .where(sql`${table.nextCheckAt} is not null and ${table.config} ->> 'metricsProvider' is not null`),
    index('deployments_deadline').on(table.deadlineAt).where(sql`${table.deadlineAt} is not null`),
    index('deployments_unsettled')
      .on(table.strategyId, table.chain, table.settleBy)
      .where(sql`${table.settleBy} is not null`),
    index('deployments_ended').on(table.endedAt),
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

/**
 * The runs of PostgreSQL in which this database was written: one for every start of a server that a node has seen.
 * Transaction ids are comparable only within one. A restore, a promotion or a copied folder begins another one.
 */
export const incarnations = pgTable('incarnations', {
  /** Counts from 1, in the order of the log. */
  number: integer('number').primaryKey(),
  /** Increases when the cluster or its timeline changes, or when its transaction ids start again. */
  epoch: integer('epoch').notNull(),
  /** Random, to distinguish an incarnation that a rewind has removed from the one that got its number. */
  mark: text('mark').notNull(),
  /** When its server was started; differs between incarnations. */
  postmasterStartedAt: timestamp('postmaster_started_at', { withTimezone: true, mode: 'string' }).notNull(),
  /** The cluster and its timeline; null if the role may not read them. */
  systemIdentifier: text('system_identifier'),
  timeline: text('timeline'),
  foundAt: timestamp('found_at', { withTimezone: true, mode: 'string' })
    .notNull()
    .default(sql`clock_timestamp()`),
  /** Its last position in the log; null while it is the current one, or if it has no events. */
  lastXid: xid8('last_xid'),
  lastId: bigint('last_id', { mode: 'bigint' }),
});

/** The nodes on this database, each renewed every few seconds: which forms of stored data may be written. */
export const nodes = pgTable('nodes', {
  id: text('id').primaryKey(),
  version: text('version').notNull(),
  /** The latest form that it reads and writes; see `core/lifecycle/forms.ts`. */
  writes: integer('writes').notNull(),
  /** In real time. */
  seenAt: timestamp('seen_at', { withTimezone: true, mode: 'string' })
    .notNull()
    .default(sql`clock_timestamp()`),
});

/**
 * The log. Its order is (`incarnation`, `xid`, `id`), and it is read only below the oldest open transaction.
 * Partitioned by `born`, like `samples` and `trades`: a unique index must contain that column, and is as strict as without
 * it, because it follows from the deployment.
 */
export const events = pgTable(
  'events',
  {
    id: bigserial('id', { mode: 'bigint' }).notNull(),
    xid: xid8('xid').notNull().default(sql`pg_current_xact_id()`),
    incarnation: integer('incarnation').notNull().default(sql`serin_incarnation()`),
    deploymentId: text('deployment_id').notNull(),
    strategyId: text('strategy_id').notNull(),
    no: integer('no').notNull(),
    type: text('type').notNull(),
    at: instant('at').notNull(),
    actor: text('actor').notNull(),
    revision: integer('revision').notNull(),
    /** Whether it belongs to the timeline; follows from `emitEvents` of its deployment. */
    timeline: boolean('timeline').notNull(),
    /** The statuses before and after it; null if it did not change the status. */
    previousStatus: text('previous_status').$type<(typeof STATUSES)[number]>(),
    status: text('status').$type<(typeof STATUSES)[number]>(),
    payload: jsonb('payload').$type<Record<string, unknown>>().notNull(),
    born: born(),
  },
  (table) => [
    primaryKey({ name: 'events_pkey', columns: [table.id, table.born] }),
    foreignKey({
      name: 'events_deployment',
      columns: [table.deploymentId, table.born],
      foreignColumns: [deployments.id, deployments.born],
    }),
    uniqueIndex('events_number').on(table.deploymentId, table.no, table.born),
    index('events_log').on(table.incarnation, table.xid, table.id),
    index('events_strategy_log').on(table.strategyId, table.incarnation, table.xid, table.id),
    index('events_decisions').on(table.deploymentId, table.no).where(sql`${table.type} = 'DECISION_MADE'`),
    uniqueIndex('events_one_terminal')
      .on(table.deploymentId, table.born)
      .where(
        sql`${table.type} in ('CANARY_PROMOTED', 'CANARY_ROLLED_BACK', 'CANARY_CANCELLED', 'CANARY_FAILED')`,
      ),
    check('events_no', sql`${table.no} >= 1`),
    check('events_status_change', sql`(${table.previousStatus} is null) = (${table.status} is null)`),
  ],
);

/** The latest metrics of each side. They are not in `deployments`, so that bots and operators do not wait for each other. */
export const sideMetrics = pgTable(
  'side_metrics',
  {
    deploymentId: text('deployment_id')
      .notNull()
      .references(() => deployments.id),
    side: text('side').$type<Side>().notNull(),
    /** A figure is null until a report contains it. */
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
    /** Counts reports, so that subscribers see a change. */
    version: bigint('version', { mode: 'number' }).notNull(),
    /** Where the figures of the side come from, always the same: totals of a bot or provider, or its trades. */
    source: text('source').$type<MetricsSource>().notNull().default('TOTALS'),
    /** The part of the net PnL that is in open positions; null where it was never reported. */
    unrealizedPnlUsd: money('unrealized_pnl_usd'),
    /** When the owner took the latest figures, on Serin's clock; null where it does not say. */
    asOf: instant('as_of'),
    /** The runs of the side in the engine's JSON; null where it has named none. See `core/metrics/run.ts`. */
    run: jsonb('run'),
    /** Who reported the latest figures, by name; null for a provider, an import, and what was reported before 0.2. */
    reportedBy: text('reported_by'),
    /** The credential that reported them, as in `Actor.subject`; null too where callers need none. */
    reportedAs: text('reported_as'),
  },
  (table) => [
    primaryKey({ columns: [table.deploymentId, table.side] }),
    check('side_metrics_side', sql`${table.side} in ('CANARY', 'STABLE')`),
    check('side_metrics_counts', sql`${table.trades} >= 0 and ${table.errors} >= 0`),
    check('side_metrics_source', sql`${table.source} in (${list(METRICS_SOURCES)})`),
  ],
);

/**
 * When the bot of a side last sent a heartbeat. Apart from its figures: a heartbeat is no news of them. Without a foreign
 * key, which would lock the deployment's row at every heartbeat; they are written only for deployments that were read.
 */
export const heartbeats = pgTable(
  'heartbeats',
  {
    deploymentId: text('deployment_id').notNull(),
    side: text('side').$type<Side>().notNull(),
    at: instant('at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.deploymentId, table.side] }),
    check('heartbeats_side', sql`${table.side} in ('CANARY', 'STABLE')`),
  ],
);

/**
 * The side of a deployment whose trades are read in order of time. An expression, so that a lookup by id cannot use that
 * index: before the first ANALYZE of a month PostgreSQL would, and read a whole side.
 */
export const tradeSide = (table: Record<'deploymentId' | 'side', AnyPgColumn>) =>
  sql<string>`(${table.deploymentId} || '/' || ${table.side})`;

/** Closed trades as they were recorded. Their statistics are in `trade_books`. */
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
    /** Why the trade failed; null if it was closed. */
    error: text('error'),
    /** The signal that it acted on; null where its owner names none. */
    signalId: text('signal_id'),
    /** The capital of the side when the trade was closed. */
    capitalUsd: money('capital_usd').notNull(),
    recordedAt: instant('recorded_at').notNull(),
    born: born(),
  },
  (table) => [
    primaryKey({ name: 'trades_pkey', columns: [table.deploymentId, table.side, table.id, table.born] }),
    foreignKey({
      name: 'trades_book_born',
      columns: [table.deploymentId, table.side, table.born],
      foreignColumns: [tradeBooks.deploymentId, tradeBooks.side, tradeBooks.born],
    }).onDelete('cascade'),
    index('trades_time').on(tradeSide(table), table.at),
    check('trades_kind', sql`(${table.error} is null) = (${table.pnlUsd} is not null)`),
    check('trades_capital', sql`${table.capitalUsd} > 0`),
  ],
);

export const SIGNAL_STATES = ['OPEN', 'PAIRED', 'FORGOTTEN'] as const;

/** What the sides of a deployment have earned on a signal. Pairs of returns are made of those on which both have traded. */
export const signals = pgTable(
  'signals',
  {
    deploymentId: text('deployment_id')
      .notNull()
      .references(() => deployments.id),
    signalId: text('signal_id').notNull(),
    /** Of each side: net PnL of its trades, its capital at the last of them, and when that was closed; null before the first. */
    canaryUsd: money('canary_usd'),
    canaryCapitalUsd: money('canary_capital_usd'),
    canaryAt: instant('canary_at'),
    stableUsd: money('stable_usd'),
    stableCapitalUsd: money('stable_capital_usd'),
    stableAt: instant('stable_at'),
    /** PAIRED: in the evidence. FORGOTTEN: too many were open. In both, later trades change nothing here. */
    state: text('state').notNull().default('OPEN'),
  },
  (table) => [
    primaryKey({ columns: [table.deploymentId, table.signalId] }),
    index('signals_open').on(table.deploymentId).where(sql`${table.state} = 'OPEN'`),
    check('signals_state', sql`${table.state} in (${list(SIGNAL_STATES)})`),
  ],
);

/** The trade statistics of a side: sums and equity curve. Deleting a row deletes its trades and checkpoints. */
export const tradeBooks = pgTable(
  'trade_books',
  {
    deploymentId: text('deployment_id').notNull(),
    side: text('side').$type<Side>().notNull(),
    /** In the engine's JSON, decimals as strings. */
    book: jsonb('book').notNull(),
    /** Of the deployment; the trades have it from here, so that each of them needs one foreign key. */
    born: born(),
  },
  (table) => [
    primaryKey({ columns: [table.deploymentId, table.side] }),
    foreignKey({
      name: 'trade_books_deployment',
      columns: [table.deploymentId, table.born],
      foreignColumns: [deployments.id, deployments.born],
    }),
    uniqueIndex('trade_books_born').on(table.deploymentId, table.side, table.born),
  ],
);

/** The equity curve at earlier instants. After a late trade the curve is recomputed from the last one before it. */
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

/** The sample of each check: the history of metrics. */
export const samples = pgTable(
  'samples',
  {
    deploymentId: text('deployment_id').notNull(),
    check: integer('check').notNull(),
    at: instant('at').notNull(),
    decision: text('decision').notNull(),
    /** Both sides' metrics in the engine's JSON, decimals as strings. */
    metrics: jsonb('metrics').notNull(),
    /** What it adds to the course of the deployment (`core/lifecycle/seriesPoint.ts`); null before there were points. */
    point: hexBytes('point'),
    born: born(),
  },
  (table) => [
    primaryKey({ name: 'samples_pkey', columns: [table.deploymentId, table.check, table.born] }),
    foreignKey({
      name: 'samples_deployment',
      columns: [table.deploymentId, table.born],
      foreignColumns: [deployments.id, deployments.born],
    }),
    index('samples_time').on(table.deploymentId, table.at),
  ],
);

/** Answers by idempotency key, kept as long as a retry may arrive. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    actor: text('actor').notNull(),
    key: text('key').notNull(),
    /** A hash of the mutation's name and its input. */
    request: text('request').notNull(),
    answer: jsonb('answer').notNull(),
    /** In real time: answers are kept for at least a real day, however fast Serin's clock runs. */
    createdAt: timestamp('created_at', { withTimezone: true, mode: 'string' })
      .notNull()
      .default(sql`clock_timestamp()`),
  },
  (table) => [
    primaryKey({ columns: [table.actor, table.key] }),
    index('idempotency_keys_created').on(table.createdAt),
  ],
);

export const realTime = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' });

/** API keys. Their times are in real time, because access of people must not depend on the rate of Serin's clock. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: text('id').primaryKey(),
    /** The actor name that actions are recorded under. */
    name: text('name').notNull(),
    /** The name as names are compared, so that no two valid keys look alike; null for keys of earlier versions. */
    foldedName: text('folded_name'),
    role: text('role').$type<'VIEWER' | 'BOT' | 'OPERATOR' | 'ADMIN'>().notNull(),
    /** Patterns of strategy names; null covers all strategies. */
    strategies: text('strategies').array(),
    /** The sides that it may report and acknowledge for; null is both. */
    sides: text('sides').array().$type<Side[]>(),
    /** The person who holds it, as persons are compared; null if it is no person's. */
    person: text('person'),
    /** Who made it over the API, directly or not; null for a key that was made on the server. */
    madeBy: text('made_by'),
    /** SHA-256 of the whole key, in hex. The key itself is not stored. */
    hash: text('hash').notNull(),
    createdAt: realTime('created_at').notNull().default(sql`clock_timestamp()`),
    createdBy: text('created_by').notNull(),
    expiresAt: realTime('expires_at'),
    revokedAt: realTime('revoked_at'),
    revokedBy: text('revoked_by'),
    /** Updated at most once a minute. */
    lastUsedAt: realTime('last_used_at'),
  },
  (table) => [
    uniqueIndex('api_keys_name').on(table.name).where(sql`${table.revokedAt} is null`),
    uniqueIndex('api_keys_folded_name').on(table.foldedName).where(sql`${table.revokedAt} is null`),
    check('api_keys_role', sql`${table.role} in ('VIEWER', 'BOT', 'OPERATOR', 'ADMIN')`),
    check('api_keys_revoked', sql`(${table.revokedAt} is null) = (${table.revokedBy} is null)`),
  ],
);

/** What the audit trail records. */
export const AUDIT_ACTIONS = [
  'API_KEY_CREATED',
  'API_KEY_REVOKED',
  'APPROVAL_RULE_SET',
  'APPROVAL_RULE_LIFT_REQUESTED',
  'APPROVAL_RULE_LIFTED',
  'DEPLOYMENT_IMPORTED',
  'FREEZE_CREATED',
  'FREEZE_LIFTED',
  'CANARIES_HALTED',
  'LOSS_BUDGET_CREATED',
  'LOSS_BUDGET_UPDATED',
  'LOSS_BUDGET_TRIPPED',
  'LOSS_BUDGET_REARMED',
  'LOSS_BUDGET_DELETED',
  'WEBHOOK_CREATED',
  'WEBHOOK_UPDATED',
  'WEBHOOK_DELETED',
  'WEBHOOK_REDELIVERED',
  'CREATE_DEPLOYMENT',
  'DEPLOY',
  'PROMOTE',
  'ROLLBACK',
  'CANCEL',
  'PAUSE',
  'RESUME',
  'EXTEND',
  'ADVANCE_STEP',
  'UPDATE_CONFIG',
  'ACKNOWLEDGE',
  'FAIL',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** The audit trail: every command of a person, a bot or Serin. Append-only. */
export const auditRecords = pgTable(
  'audit_records',
  {
    id: bigserial('id', { mode: 'bigint' }).primaryKey(),
    at: realTime('at').notNull().default(sql`clock_timestamp()`),
    actor: text('actor').notNull(),
    action: text('action').$type<AuditAction>().notNull(),
    /** The id of what was changed. */
    subject: text('subject').notNull(),
    /** The strategies of the subject; null is all. A caller who may not see them does not see the record. */
    strategies: text('strategies').array(),
    details: jsonb('details').$type<Readonly<Record<string, unknown>>>().notNull(),
    /** The order in which records are sealed, as that of the log; 0 in records of earlier versions. */
    incarnation: integer('incarnation').notNull().default(sql`serin_incarnation()`),
    xid: xid8('xid').notNull().default(sql`pg_current_xact_id()`),
  },
  (table) => [
    index('audit_records_order').on(table.incarnation, table.xid, table.id),
    index('audit_records_subject').on(table.subject, table.id),
    index('audit_records_actor').on(table.actor, table.id),
  ],
);
