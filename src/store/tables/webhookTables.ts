/**
 * The tables of webhooks, their deliveries and every attempt. All times are in real time, because receivers do not
 * follow Serin's clock. The retry schedule is a column, so any node can continue it.
 */
import { sql } from 'drizzle-orm';
import {
  bigint,
  bigserial,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type { EventType } from '../../core/lifecycle/events.ts';
import { instant, xid8 } from './tables.ts';

export const WEBHOOK_STATUSES = ['ENABLED', 'DISABLED'] as const;
export const DELIVERY_STATUSES = ['PENDING', 'DELIVERED', 'FAILED'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** A replaced secret, with the instant until which it signs. */
interface EarlierSecret {
  readonly secret: string;
  readonly until: string;
}

const now = sql`clock_timestamp()`;

export const webhooks = pgTable(
  'webhooks',
  {
    id: text('id').primaryKey(),
    url: text('url').notNull(),
    description: text('description'),
    /** Null: events of every strategy. */
    strategyId: text('strategy_id'),
    /** Null: events of every type. */
    eventTypes: text('event_types').array().$type<EventType[]>(),
    status: text('status').$type<(typeof WEBHOOK_STATUSES)[number]>().notNull(),
    /** Why it is disabled, as a message. */
    disabledReason: text('disabled_reason'),
    secret: text('secret').notNull(),
    /** The secret before the last rotation; messages carry its signature too until `previousSecretUntil`. */
    previousSecret: text('previous_secret'),
    previousSecretUntil: instant('previous_secret_until'),
    /** Secrets of rotations before the last one, which sign until their own time. */
    earlierSecrets: jsonb('earlier_secrets').$type<EarlierSecret[]>().notNull().default([]),
    /** Its position in the log: every matching event up to here has a delivery. */
    cursorIncarnation: integer('cursor_incarnation').notNull().default(1),
    cursorXid: xid8('cursor_xid').notNull(),
    cursorId: bigint('cursor_id', { mode: 'bigint' }).notNull(),
    createdAt: instant('created_at').notNull().default(now),
    createdBy: text('created_by').notNull(),
    updatedAt: instant('updated_at').notNull().default(now),
  },
  (table) => [
    check('webhooks_status', sql`(${table.status} = 'DISABLED') = (${table.disabledReason} is not null)`),
    check(
      'webhooks_previous_secret',
      sql`(${table.previousSecret} is null) = (${table.previousSecretUntil} is null)`,
    ),
  ],
);

/** One event for one webhook. The earliest pending delivery of a deployment is sent first, the others wait for it. */
export const webhookDeliveries = pgTable(
  'webhook_deliveries',
  {
    seq: bigserial('seq', { mode: 'bigint' }).primaryKey(),
    webhookId: text('webhook_id')
      .notNull()
      .references(() => webhooks.id, { onDelete: 'cascade' }),
    /**
     * Identifies the event. Not a reference to its row, which may have been archived. An empty deployment stands for the
     * message that history was rewound; `no` is then the incarnation in which the rewind was detected.
     */
    deploymentId: text('deployment_id').notNull(),
    no: integer('no').notNull(),
    /** The epoch that the event was written in. */
    epoch: integer('epoch').notNull().default(1),
    eventType: text('event_type').$type<EventType>().notNull(),
    status: text('status').$type<DeliveryStatus>().notNull().default('PENDING'),
    attempts: integer('attempts').notNull().default(0),
    /** Attempts since it was last scheduled; the backoff depends on it. */
    tries: integer('tries').notNull().default(0),
    createdAt: instant('created_at').notNull().default(now),
    nextAttemptAt: instant('next_attempt_at').notNull().default(now),
    /** The time of the last attempt. A delivery that had to wait longer still gets one attempt. */
    giveUpAt: instant('give_up_at').notNull(),
    settledAt: instant('settled_at'),
    leaseUntil: instant('lease_until'),
    leaseToken: text('lease_token'),
  },
  (table) => [
    uniqueIndex('webhook_deliveries_event').on(table.webhookId, table.deploymentId, table.no),
    index('webhook_deliveries_page').on(table.webhookId, table.seq),
    index('webhook_deliveries_heads')
      .on(table.webhookId, table.deploymentId, table.no)
      .where(sql`${table.status} = 'PENDING'`),
    index('webhook_deliveries_due')
      .on(table.webhookId, table.nextAttemptAt)
      .where(sql`${table.status} = 'PENDING'`),
    check('webhook_deliveries_settled', sql`(${table.status} = 'PENDING') = (${table.settledAt} is null)`),
  ],
);

export const webhookAttempts = pgTable(
  'webhook_attempts',
  {
    deliverySeq: bigint('delivery_seq', { mode: 'bigint' })
      .notNull()
      .references(() => webhookDeliveries.seq, { onDelete: 'cascade' }),
    number: integer('number').notNull(),
    startedAt: instant('started_at').notNull(),
    durationMs: integer('duration_ms').notNull(),
    /** The status code of the response; null if there was none. */
    httpStatus: integer('http_status'),
    /** Why the attempt failed, as a message; null if it was delivered. */
    error: text('error'),
    nextAttemptAt: instant('next_attempt_at'),
  },
  (table) => [primaryKey({ columns: [table.deliverySeq, table.number] })],
);
