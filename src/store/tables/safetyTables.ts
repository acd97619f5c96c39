/** The tables of freezes and halts, which are about many deployments. Their times are on Serin's clock. */
import { sql } from 'drizzle-orm';
import { bigserial, check, index, integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import type { FreezeBlock } from '../../core/lifecycle/freeze.ts';
import type { Refusal } from '../../core/values/refusal.ts';
import { instant } from './tables.ts';

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
