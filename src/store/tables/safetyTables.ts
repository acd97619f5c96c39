/** The tables of freezes, halts and loss budgets, which are about many deployments. Their times are on Serin's clock. */
import { sql } from 'drizzle-orm';
import {
  bigserial,
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from 'drizzle-orm/pg-core';
import type { FreezeBlock } from '../../core/lifecycle/freeze.ts';
import type { Refusal } from '../../core/values/refusal.ts';
import { instant, money } from './tables.ts';

export const freezes = pgTable(
  'freezes',
  {
    id: text('id').primaryKey(),
    /** The order of creation, for pages. */
    seq: bigserial('seq', { mode: 'bigint' }).notNull(),
    /** Patterns of strategy names, and of chains. */
    strategies: text('strategies').array().notNull(),
    chains: text('chains').array().notNull(),
    blocks: text('blocks').array().$type<FreezeBlock[]>().notNull(),
    fromAt: instant('from_at').notNull(),
    /** Null: until it is lifted. */
    untilAt: instant('until_at'),
    /** When it begins each time, as a cron rule in a time zone, and for how long; null: it lasts from begin to end. */
    rule: text('rule'),
    timeZone: text('time_zone'),
    durationMinutes: integer('duration_minutes'),
    reason: text('reason').notNull(),
    createdBy: text('created_by').notNull(),
    createdAt: instant('created_at').notNull().default(sql`serin_now()`),
    liftedBy: text('lifted_by'),
    liftedAt: instant('lifted_at'),
    /** The loss budget that it belongs to: it stands while the budget is tripped. */
    lossBudgetId: text('loss_budget_id'),
  },
  (table) => [
    index('freezes_seq').on(table.seq),
    index('freezes_standing').on(table.untilAt).where(sql`${table.liftedAt} is null`),
    check('freezes_span', sql`${table.untilAt} is null or ${table.untilAt} > ${table.fromAt}`),
    check(
      'freezes_recurrence',
      sql`num_nonnulls(${table.rule}, ${table.timeZone}, ${table.durationMinutes}) in (0, 3)`,
    ),
    check('freezes_lifted', sql`(${table.liftedBy} is null) = (${table.liftedAt} is null)`),
  ],
);

/** What a halt does to each deployment. */
export const HALT_ACTIONS = ['PAUSE', 'ROLLBACK', 'CANCEL'] as const;
export type HaltAction = (typeof HALT_ACTIONS)[number];

/** What became of one deployment of a halt. */
export interface HaltOutcome {
  readonly deploymentId: string;
  readonly outcome: 'DONE' | 'ALREADY' | 'REFUSED';
  readonly message: string;
  readonly error: Refusal | null;
}

/** Halts that were begun: a repetition under the same key works on the same deployments. */
export const halts = pgTable(
  'halts',
  {
    /** The subject of the actor, and the idempotency key of the halt. */
    actor: text('actor').notNull(),
    key: text('key').notNull(),
    /** A hash of the input. */
    request: text('request').notNull(),
    deploymentIds: text('deployment_ids').array().notNull(),
    freezeId: text('freeze_id'),
    /** Null until the whole halt is carried out. */
    outcomes: jsonb('outcomes').$type<HaltOutcome[]>(),
    createdAt: instant('created_at').notNull().default(sql`serin_now()`),
  },
  (table) => [primaryKey({ columns: [table.actor, table.key] })],
);

/** What a loss budget does when it is broken, besides the freeze of its strategies. */
export const BUDGET_ACTIONS = ['ROLLBACK_ALL', 'ROLLBACK_LOSERS', 'PAUSE', 'FREEZE'] as const;
export type BudgetAction = (typeof BUDGET_ACTIONS)[number];

/** Whether gains offset losses. */
export const BUDGET_COUNTS = ['NET', 'LOSERS_ONLY'] as const;
export type BudgetCount = (typeof BUDGET_COUNTS)[number];

/** Who arms a tripped budget again: a person, or Serin as soon as the loss in the window is below the maximum. */
export const BUDGET_REARMS = ['MANUAL', 'WINDOW'] as const;
export type BudgetRearm = (typeof BUDGET_REARMS)[number];

export const BUDGET_STATES = ['ARMED', 'TRIPPED'] as const;
export type BudgetState = (typeof BUDGET_STATES)[number];

/** Maximum losses of the canaries of many deployments together. A deleted one keeps its row. */
export const lossBudgets = pgTable(
  'loss_budgets',
  {
    id: text('id').primaryKey(),
    /** The order of creation, for pages. */
    seq: bigserial('seq', { mode: 'bigint' }).notNull(),
    name: text('name').notNull(),
    /** Patterns of strategy names. */
    strategies: text('strategies').array().notNull(),
    windowHours: integer('window_hours').notNull(),
    maxLossUsd: money('max_loss_usd').notNull(),
    action: text('action').$type<BudgetAction>().notNull(),
    count: text('count').$type<BudgetCount>().notNull(),
    rearm: text('rearm').$type<BudgetRearm>().notNull(),
    state: text('state').$type<BudgetState>().notNull().default('ARMED'),
    /** When it was last armed again: what was lost before does not count any more. */
    countsFrom: instant('counts_from'),
    /** The begin of the window that its rows in `loss_budget_baselines` are of. */
    baselineAt: instant('baseline_at'),
    trippedAt: instant('tripped_at'),
    /** The loss that tripped it. */
    trippedLossUsd: money('tripped_loss_usd'),
    /** Counts how often it tripped; with the id it is the key of the halt that followed. */
    trips: integer('trips').notNull().default(0),
    /** Whether that halt is not carried out to its end yet, and until when a node works on it, in real time. */
    acting: boolean('acting').notNull().default(false),
    actingUntil: timestamp('acting_until', { withTimezone: true, mode: 'string' }),
    createdBy: text('created_by').notNull(),
    createdAt: instant('created_at').notNull().default(sql`serin_now()`),
    deletedBy: text('deleted_by'),
    deletedAt: instant('deleted_at'),
  },
  (table) => [
    index('loss_budgets_seq').on(table.seq),
    check('loss_budgets_window', sql`${table.windowHours} >= 1 and ${table.maxLossUsd} > 0`),
    check('loss_budgets_tripped', sql`(${table.state} = 'TRIPPED') = (${table.trippedAt} is not null)`),
    check('loss_budgets_deleted', sql`(${table.deletedBy} is null) = (${table.deletedAt} is null)`),
  ],
);

/** What canaries had earned when the window of a budget began; it is read anew as the window moves on. */
export const lossBudgetBaselines = pgTable(
  'loss_budget_baselines',
  {
    budgetId: text('budget_id').notNull(),
    deploymentId: text('deployment_id').notNull(),
    netPnlUsd: money('net_pnl_usd').notNull(),
  },
  (table) => [primaryKey({ columns: [table.budgetId, table.deploymentId] })],
);

/** One row: which node sums the losses now. In real time. */
export const lossBudgetRounds = pgTable(
  'loss_budget_rounds',
  {
    id: integer('id').primaryKey().default(1),
    /** Until then no other node begins a round. */
    claimedUntil: timestamp('claimed_until', { withTimezone: true, mode: 'string' }).notNull(),
    /** The end of the last round. */
    endedAt: timestamp('ended_at', { withTimezone: true, mode: 'string' }).notNull(),
  },
  (table) => [check('loss_budget_rounds_one_row', sql`${table.id} = 1`)],
);
