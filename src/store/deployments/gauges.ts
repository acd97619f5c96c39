/** Gauges for /metrics, read from the database. The cost of these queries does not grow with the log. */
import { sql } from 'drizzle-orm';
import { ZERO } from '../../core/values/decimal.ts';
import { type AuditChainState, readAuditChain } from '../log/auditChain.ts';
import { countCaught } from '../log/partitions.ts';
import type { Queries } from '../postgres/database.ts';
import { readLossBudgets } from '../safety/lossBudgets.ts';
import { readLosses } from '../safety/losses.ts';

export interface Gauges {
  readonly deployments: readonly { readonly status: string; readonly count: number }[];
  /** Delay of the most overdue check, in seconds of Serin's clock; 0 if no check is overdue. */
  readonly checkLagSeconds: number;
  /** Allocations that are overdue, and by how much the most overdue one is late, in seconds of Serin's clock. */
  readonly overdueAllocations: { readonly count: number; readonly seconds: number };
  readonly lossBudgets: {
    /** The loss of each budget as a part of its maximum. */
    readonly used: readonly { readonly id: string; readonly name: string; readonly ratio: number }[];
    readonly tripped: number;
    /** Real seconds since they were last summed; 0 if there is none. */
    readonly ageSeconds: number;
  };
  /** Pending deliveries of enabled webhooks, and the age of the oldest one in real seconds. */
  readonly webhooks: { readonly pending: number; readonly oldestSeconds: number };
  /** Rows in the default partition of each table: of months that have no partition. */
  readonly caughtRows: readonly { readonly table: string; readonly rows: number }[];
  /** How far the audit trail is sealed. */
  readonly audit: AuditChainState;
  /** Connections to this database under this node's `application_name`, which all nodes share, by state. */
  readonly connections: readonly { readonly state: string; readonly count: number }[];
}

export async function readGauges(db: Queries): Promise<Gauges> {
  const [deployments, [lag], [overdue], lossBudgets, [webhooks], caughtRows, audit, connections] =
    await Promise.all([
      db.execute<{ status: string; count: number }>(
        sql`select status, count(*)::int as count from deployments group by status order by status`,
      ),
      db.execute<{ seconds: number }>(sql`
      select greatest(0, coalesce(extract(epoch from serin_now() - min(next_check_at)), 0))::float8 as seconds
      from deployments where next_check_at is not null`),
      db.execute<{ count: number; seconds: number }>(sql`
      select count(*) filter (where settle_by <= serin_now())::int as count,
        greatest(0, coalesce(extract(epoch from serin_now() - min(settle_by)), 0))::float8 as seconds
      from deployments where settle_by is not null`),
      readBudgetGauges(db),
      db.execute<{ pending: number; oldestSeconds: number }>(sql`
      select count(*)::int as pending,
        coalesce(extract(epoch from clock_timestamp() - min(d.created_at)), 0)::float8 as "oldestSeconds"
      from webhook_deliveries d join webhooks w on w.id = d.webhook_id
      where d.status = 'PENDING' and w.status = 'ENABLED'`),
      countCaught(db),
      readAuditChain(db),
      db.execute<{ state: string; count: number }>(sql`
      select coalesce(state, 'unknown') as state, count(*)::int as count from pg_stat_activity
      where datname = current_database() and application_name = current_setting('application_name') group by 1 order by 1`),
    ]);
  return {
    deployments,
    checkLagSeconds: lag?.seconds ?? 0,
    overdueAllocations: overdue ?? { count: 0, seconds: 0 },
    lossBudgets,
    webhooks: webhooks ?? { pending: 0, oldestSeconds: 0 },
    caughtRows,
    audit,
    connections,
  };
}

async function readBudgetGauges(db: Queries): Promise<Gauges['lossBudgets']> {
  const [budgets, losses, [round]] = await Promise.all([
    readLossBudgets(db),
    readLosses(db),
    db.execute<{ seconds: number }>(sql`
      select greatest(0, extract(epoch from clock_timestamp() - ended_at))::float8 as seconds from loss_budget_rounds`),
  ]);
  return {
    used: budgets.map(({ id, name, maxLossUsd }) => ({
      id,
      name,
      ratio: (losses.get(id) ?? ZERO).div(maxLossUsd).toNumber(),
    })),
    tripped: budgets.filter(({ state }) => state === 'TRIPPED').length,
    ageSeconds: budgets.length === 0 ? 0 : (round?.seconds ?? 0),
  };
}
