/** The seals of the audit trail, which show that no record was changed, removed or added afterwards. */
import { bigint, customType, integer, pgTable } from 'drizzle-orm/pg-core';
import { realTime, xid8 } from './tables.ts';

const bytes = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

/** Each block seals the records after the block before it, up to its last one, and contains the hash of that block. */
export const auditBlocks = pgTable('audit_blocks', {
  /** Counts from 1 without gaps. */
  number: bigint('number', { mode: 'bigint' }).primaryKey(),
  sealedAt: realTime('sealed_at').notNull(),
  /** The position of its last record. */
  lastIncarnation: integer('last_incarnation').notNull(),
  lastXid: xid8('last_xid').notNull(),
  lastId: bigint('last_id', { mode: 'bigint' }).notNull(),
  /** The ids of its records in order, and the SHA-256 of each, 32 bytes one after the other. */
  recordIds: bigint('record_ids', { mode: 'bigint' }).array().notNull(),
  recordHashes: bytes('record_hashes').notNull(),
  hash: bytes('hash').notNull(),
});
