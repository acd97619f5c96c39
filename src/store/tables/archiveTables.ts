/** The table of archived deployments: the rows that retention moved out of `events`, `samples` and `trades`. */
import { sql } from 'drizzle-orm';
import { bigint, boolean, customType, index, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { deployments, instant, xid8 } from './tables.ts';

const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

export const archives = pgTable(
  'archives',
  {
    deploymentId: text('deployment_id')
      .primaryKey()
      .references(() => deployments.id),
    strategyId: text('strategy_id').notNull(),
    timeline: boolean('timeline').notNull(),
    archivedAt: instant('archived_at').notNull().default(sql`serin_now()`),
    /** The place in the log of its last event: a reader that is not there yet has missed something. */
    lastIncarnation: integer('last_incarnation').notNull().default(1),
    lastXid: xid8('last_xid').notNull(),
    lastId: bigint('last_id', { mode: 'bigint' }).notNull(),
    /** Its rows: JSON, compressed with gzip. */
    content: bytes('content').notNull(),
  },
  (table) => [index('archives_log').on(table.lastIncarnation, table.lastXid, table.lastId)],
);
