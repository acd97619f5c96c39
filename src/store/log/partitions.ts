/**
 * The partitions of `events`, `samples` and `trades`: one for each month in which deployments arrived, made ahead, and
 * dropped when retention has moved everything of that month to the archive. What arrives in a month without a partition lies
 * in the default partition until the month gets one.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { AnyPgColumn } from 'drizzle-orm/pg-core';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { PARTITION_LOCK } from '../postgres/advisoryLocks.ts';
import type { Queries } from '../postgres/database.ts';
import { FIRST_MONTH } from '../tables/tables.ts';

/** Months after the current one that get their partitions ahead of time. */
const MONTHS_AHEAD = 2;
/**
 * How long a change of the partitions waits for a lock; other statements on the table wait for it meanwhile. Shorter than
 * `deadlock_timeout`, so that it gives way. It is tried again.
 */
const LOCK_TIMEOUT_MS = 200;
/** How long a change of the partitions may read, while the tables are locked. It is tried again when vacuum was there. */
const STATEMENT_TIMEOUT_MS = 2000;
/** The most rows that move out of the default partition in one transaction: about a second. */
const MAX_MOVED = 10_000;
/** So that a scrape does not read a large table. */
const MAX_COUNTED = 100_000;
/** Days after the end of a month before its partition may go: transactions that began in that month have ended. */
const DAYS_AFTER_MONTH = 1;

const PARTITIONED = ['events', 'samples', 'trades'] as const;
type Partitioned = (typeof PARTITIONED)[number];

/** The month of an instant on Serin's clock, as `born` has it. */
export const monthOf = (instant: SQL): SQL => sql`date_trunc('month', ${instant} at time zone 'UTC')::date`;

/** The value of `born` in a bulk insert: the month of the row's deployment, which exists. */
export const BORN = { born: '(select d.born from deployments d where d.id = r."deploymentId")' } as const;

/** The columns of a partitioned table by which it is read. */
type OfDeployment = Record<'deploymentId' | 'born', AnyPgColumn>;

/** The month of a deployment. */
export const bornOf = (deploymentId: string): SQL =>
  sql`(select d.born from deployments d where d.id = ${deploymentId})`;

/** The rows of a deployment: with the month, so that PostgreSQL reads one partition instead of all. */
export const isOf = (table: OfDeployment, deploymentId: string): SQL =>
  sql`${table.deploymentId} = ${deploymentId} and ${table.born} = ${bornOf(deploymentId)}`;

/** The deployment of a row `r` has no archive yet. */
const notArchived = 'not exists (select from archives a where a.deployment_id = r.deployment_id)';

/**
 * Until the transaction ends no row moves to another partition. Must be the first statement of a transaction with one
 * snapshot: rows that move between its snapshot and its wait for a lock are in neither place for it.
 */
export async function holdPartitions(tx: Queries): Promise<void> {
  await tx.execute(sql`lock table deployments in access share mode`);
}

const partitionName = (table: Partitioned, month: string) =>
  month === FIRST_MONTH ? `${table}_first` : `${table}_${month.slice(0, 7).replace('-', '_')}`;

/** What was done to the partitions. */
export interface PartitionChanges {
  /** The names of those that were made or dropped. */
  readonly done: readonly string[];
  /** Those that could not be, with the reason: they are tried again. */
  readonly failed: readonly { readonly partition: string; readonly error: unknown }[];
}

/**
 * Makes the missing partitions of this month, of the next two, and of those whose rows the default partition has caught,
 * each in a transaction of its own. One node at a time does so.
 */
export async function makePartitions(db: PostgresJsDatabase): Promise<PartitionChanges> {
  const done: string[] = [];
  const failed: { partition: string; error: unknown }[] = [];
  for (const table of PARTITIONED) {
    for (const month of await missingMonths(db, table)) {
      const partition = partitionName(table, month);
      const make = (tx: Queries) => makePartition(tx, table, month);
      try {
        if (await db.transaction((tx) => underLock(tx, make))) done.push(partition);
      } catch (error) {
        failed.push({ partition, error });
      }
    }
  }
  return { done, failed };
}

/**
 * Drops the partitions of past months whose deployments retention has all archived. A month goes from all tables together.
 * What arrived after a deployment was archived stays: it moves to the default partition.
 */
export async function dropPartitions(db: PostgresJsDatabase): Promise<PartitionChanges> {
  const done: string[] = [];
  const failed: { partition: string; error: unknown }[] = [];
  for (const names of await pastPartitions(db)) {
    const drop = async (tx: Queries) => {
      // In the order in which transactions take them; foreign keys end with a table, on both sides.
      const order = ['deployments', 'trade_books', ...PARTITIONED.map((table) => `only ${table}`), ...names];
      await tx.execute(sql.raw(`lock table ${order.join(', ')} in access exclusive mode`));
      if (await isNeeded(tx, names)) return false;
      for (const name of names) await dropPartition(tx, name);
      return true;
    };
    try {
      if (await isNeeded(db, names)) continue;
      if (await db.transaction((tx) => underLock(tx, drop))) done.push(...names);
    } catch (error) {
      failed.push({ partition: names.join(', '), error });
    }
  }
  return { done, failed };
}

/**
 * Rows of the default partitions, by table, at most {@link MAX_COUNTED} each. Those of archived deployments, which a late
 * event may have, do not count, nor those of the first month, which an earlier version writes: their partition is gone for good.
 */
export async function countCaught(
  db: Queries,
): Promise<{ readonly table: Partitioned; readonly rows: number }[]> {
  const counts = PARTITIONED.map((table) =>
    sql.raw(`select '${table}' as table, count(*)::int as rows from (
      select from ${table}_default r where r.born > '${FIRST_MONTH}' and ${notArchived} limit ${MAX_COUNTED}) caught`),
  );
  return db.execute<{ table: Partitioned; rows: number }>(sql.join(counts, sql` union all `));
}

/** Does one change with a short lock timeout. Returns false if another node is at one. */
async function underLock(tx: Queries, change: (tx: Queries) => Promise<boolean>): Promise<boolean> {
  const [lock] = await tx.execute<{ acquired: boolean }>(
    sql`select pg_try_advisory_xact_lock(${PARTITION_LOCK}, quote_ident(current_schema())::regnamespace::oid::integer) as acquired`,
  );
  if (!lock?.acquired) return false;
  await tx.execute(
    sql.raw(`select set_config('lock_timeout', '${LOCK_TIMEOUT_MS}', true),
      set_config('statement_timeout', '${STATEMENT_TIMEOUT_MS}', true)`),
  );
  return change(tx);
}

async function missingMonths(db: Queries, table: Partitioned): Promise<string[]> {
  const rows = await db.execute<{ month: string }>(sql`
    select distinct m.month::text as month from (
      select (${monthOf(sql`serin_now()`)} + make_interval(months => n))::date as month
      from generate_series(0, ${MONTHS_AHEAD}::int) n
      union all
      select born from (
        select r.born from ${sql.raw(`${table}_default`)} r where r.born > ${FIRST_MONTH}::date
          and ${sql.raw(notArchived)}
        limit ${MAX_MOVED}) caught) m
    where to_regclass(${table}::text || to_char(m.month, '_YYYY_MM')) is null order by 1`);
  return rows.map(({ month }) => month);
}

async function makePartition(tx: Queries, table: Partitioned, month: string): Promise<boolean> {
  const [name, caught] = [partitionName(table, month), `${table}_default`];
  const [row] = await tx.execute<{ rows: number; made: boolean; permitted: boolean }>(sql`
    select to_regclass(${name}) is not null as made, has_schema_privilege(current_schema(), 'CREATE') as permitted,
      (select count(*)::int from (
        select from ${sql.raw(caught)} where born = ${month}::date limit ${MAX_MOVED + 1}) caught) as rows`);
  if (row?.made) return false;
  if (!row?.permitted) throw new Error('the role may not create tables in the schema of Serin');
  if ((row?.rows ?? 0) > MAX_MOVED) {
    throw new Error(
      `${caught} has more than ${MAX_MOVED} rows of ${month.slice(0, 7)}: move them as docs/operations.md says`,
    );
  }
  // In the order in which transactions take them. An export that has begun keeps its rows where it looks for them.
  await tx.execute(sql.raw(`lock table deployments, only ${table}, only ${caught} in access exclusive mode`));
  await tx.execute(sql.raw(`create table ${name} (like ${table} including defaults including constraints)`));
  await tx.execute(
    sql.raw(`
    with moved as (delete from ${caught} where born = '${month}' returning *) insert into ${name} select * from moved`),
  );
  await tx.execute(
    sql.raw(`
    alter table ${table} attach partition ${name}
    for values from ('${month}') to ('${nextMonth(month)}')`),
  );
  return true;
}

/** The first day of the month after one. */
function nextMonth(month: string): string {
  const first = new Date(`${month}T00:00:00Z`);
  first.setUTCMonth(first.getUTCMonth() + 1);
  return first.toISOString().slice(0, 10);
}

/** The partitions of months that have ended, those of one month together, the earliest first. */
async function pastPartitions(db: Queries): Promise<string[][]> {
  const rows = await db.execute<{ names: string[] }>(sql`
    select array_agg(c.relname::text order by c.relname) as names
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
      cross join lateral (select substring(c.relname from '_(first|[0-9]{4}_[0-9]{2})$') as month) m
    where i.inhparent in (select to_regclass(name) from unnest(${sql.param([...PARTITIONED])}::text[]) name)
      and case m.month when 'first' then true
        else to_date(m.month, 'YYYY_MM') + interval '1 month' + make_interval(days => ${DAYS_AFTER_MONTH})
          < serin_now() at time zone 'UTC' end
    group by m.month order by nullif(m.month, 'first') nulls first`);
  return rows.map(({ names }) => names);
}

/** Whether one of them has rows of a deployment that is not archived. */
async function isNeeded(db: Queries, names: readonly string[]): Promise<boolean> {
  const any = names.map((name) => `exists (select from ${name} r where ${notArchived})`).join(' or ');
  const [row] = await db.execute<{ needed: boolean }>(sql.raw(`select ${any} as needed`));
  return row?.needed ?? true;
}

/** A late fact of an archived deployment has no partition any more. There are few. */
async function dropPartition(tx: Queries, name: string): Promise<void> {
  const table = PARTITIONED.find((each) => name.startsWith(`${each}_`));
  await tx.execute(sql.raw(`alter table ${table} detach partition ${name}`));
  // Deleted first: a subscriber of logical replication does not learn of the other statements.
  await tx.execute(
    sql.raw(`with late as (delete from ${name} returning *) insert into ${table} select * from late`),
  );
  await tx.execute(sql.raw(`drop table ${name}`));
}
