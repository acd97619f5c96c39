/** The audit trail: what people, bots and Serin did. Records are never changed. */
import { and, desc, eq, gte, inArray, lt } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';
import { bulkInsert } from '../tables/bulk.ts';
import { AUDIT_ACTIONS, type AuditAction, auditRecords } from '../tables/tables.ts';
import { type Scope, withinScope } from './strategyScope.ts';

export { AUDIT_ACTIONS, type AuditAction };

export interface NewAuditRecord {
  readonly actor: string;
  readonly action: AuditAction;
  /** The id of what was changed. */
  readonly subject: string;
  /** The strategies of the subject; only a caller with at least this scope sees the record. */
  readonly strategies: Scope;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface AuditRecord extends NewAuditRecord {
  readonly id: bigint;
  /** Epoch milliseconds of real time. */
  readonly at: number;
}

export async function appendAuditRecord(tx: Queries, record: NewAuditRecord): Promise<void> {
  const { strategies, ...rest } = record;
  await tx.insert(auditRecords).values({ ...rest, strategies: strategies && [...strategies] });
}

const insertRecords = bulkInsert(auditRecords, ['actor', 'action', 'subject', 'strategies', 'details']);

/** Appends the records of a batch in one statement. */
export async function appendAuditRecords(tx: Queries, records: readonly NewAuditRecord[]): Promise<void> {
  if (records.length === 0) return;
  const rows = records.map(({ strategies, ...rest }) => ({
    ...rest,
    strategies: strategies && [...strategies],
  }));
  await tx.execute(insertRecords(rows));
}

export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly actions?: readonly AuditAction[] | undefined;
  readonly subject?: string | undefined;
  /** Epoch milliseconds of real time, inclusive. */
  readonly from?: number | undefined;
  /** Exclusive. */
  readonly to?: number | undefined;
}

/** A page of the records within the scope that match a filter, newest first. */
export async function pageAuditRecords(
  db: Queries,
  {
    scope,
    limit,
    after,
    filter = {},
  }: {
    readonly scope: Scope;
    readonly limit: number;
    readonly after?: bigint | undefined;
    readonly filter?: AuditFilter;
  },
): Promise<AuditRecord[]> {
  const rows = await db
    .select()
    .from(auditRecords)
    .where(
      and(
        withinScope(auditRecords.strategies, scope),
        after === undefined ? undefined : lt(auditRecords.id, after),
        filter.actor === undefined ? undefined : eq(auditRecords.actor, filter.actor),
        filter.actions === undefined ? undefined : inArray(auditRecords.action, [...filter.actions]),
        filter.subject === undefined ? undefined : eq(auditRecords.subject, filter.subject),
        filter.from === undefined ? undefined : gte(auditRecords.at, new Date(filter.from)),
        filter.to === undefined ? undefined : lt(auditRecords.at, new Date(filter.to)),
      ),
    )
    .orderBy(desc(auditRecords.id))
    .limit(limit);
  return rows.map((row) => ({ ...row, at: row.at.getTime() }));
}
