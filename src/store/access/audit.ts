/** The audit trail of what administrators did. Records are never changed. */
import { and, desc, lt } from 'drizzle-orm';
import type { Queries } from '../postgres/database.ts';
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

/** A page of the records within the scope, newest first. */
export async function pageAuditRecords(
  db: Queries,
  {
    scope,
    limit,
    after,
  }: { readonly scope: Scope; readonly limit: number; readonly after?: bigint | undefined },
): Promise<AuditRecord[]> {
  const rows = await db
    .select()
    .from(auditRecords)
    .where(
      and(
        withinScope(auditRecords.strategies, scope),
        after === undefined ? undefined : lt(auditRecords.id, after),
      ),
    )
    .orderBy(desc(auditRecords.id))
    .limit(limit);
  return rows.map((row) => ({ ...row, at: row.at.getTime() }));
}
