/**
 * Retention: moves the events, samples and trades of deployments that ended long ago into the archive, one deployment
 * after the other. A deployment with events that a webhook has not yet delivered, or that ended in the window of a loss budget,
 * which reads its samples, is not archived. Its other rows stay.
 */
import { isDeepStrictEqual } from 'node:util';
import { and, asc, desc, eq, gt, type SQL, sql } from 'drizzle-orm';
import type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import { SIDES } from '../../core/values/side.ts';
import { inScope, likePatternsOf } from '../access/strategyScope.ts';
import { ARCHIVER_LOCK, RETENTION_LOCK } from '../postgres/advisoryLocks.ts';
import type { Queries } from '../postgres/database.ts';
import { archives } from '../tables/archiveTables.ts';
import { events, samples, signals, tradeCheckpoints, tradeSide, trades } from '../tables/tables.ts';
import { type ArchivedRows, type Packed, pack } from './archive.ts';
import type { LogFilter } from './logEntry.ts';
import { bornOf, holdPartitions, isOf } from './partitions.ts';
import type { LogPosition } from './position.ts';

/** Ended deployments that one statement looks at. */
const SEARCHED = 500;
/** Rows that are read in one statement. */
const PAGE = 1000;
/** How long a statement may take that moves the rows, milliseconds: there may be millions. */
const MOVE_TIMEOUT_MS = 60_000;

/** Blocks archiving until the transaction ends, for decisions that depend on which events are archived. */
export async function holdRetention(tx: Queries): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${RETENTION_LOCK})`);
}

/** What became of a deployment that was due for the archive. Unless it is archived, it is as it was. */
export type ArchiveAttempt = { readonly deploymentId: string } & (
  | { readonly outcome: 'ARCHIVED' }
  /** Something else has changed it meanwhile, or is at it. */
  | { readonly outcome: 'IN_USE' }
  | { readonly outcome: 'FAILED'; readonly error: unknown }
);

/**
 * Archives the deployments that ended, and last changed, at least `days` ago, the earliest first, and says after each what
 * became of it. One that fails is passed over. Ends when no further one is due, another node is archiving, or the signal
 * aborts: then what was begun is left as it was.
 * @throws {Error} if the database does not say which are due
 */
export async function* archiveDue(
  db: PostgresJsDatabase,
  days: number,
  signal: AbortSignal,
): AsyncGenerator<ArchiveAttempt> {
  let after: EndedPlace | null = FIRST_ENDED;
  while (after) {
    const { due, end } = await findDue(db, days, after);
    for (const deploymentId of due) {
      if (signal.aborted) return;
      try {
        const outcome = await archive(db, days, deploymentId, signal);
        if (outcome === 'TAKEN') return;
        yield { deploymentId, outcome };
      } catch (error) {
        if (signal.aborted) return;
        yield { deploymentId, outcome: 'FAILED', error };
      }
    }
    after = end;
  }
}

/** The place of an ended deployment, by the time of its end as PostgreSQL writes it, then by id. */
interface EndedPlace {
  readonly endedAt: string;
  readonly id: string;
}

const FIRST_ENDED: EndedPlace = { endedAt: '-infinity', id: '' };

const cutoff = (days: number) =>
  sql`cutoff as materialized (select serin_now() - make_interval(secs => ${days * 86_400}) as at)`;

/**
 * A deployment `d`, which ended before the cutoff, is due. Not written with `exists`: for many deployments PostgreSQL would
 * read whole tables instead of an index for each.
 */
const IS_DUE = sql`d.arrived_at < (select at from cutoff)
  and (select 1 from archives a where a.deployment_id = d.id) is null
  and (select 1 from events e
    where e.deployment_id = d.id and e.born = d.born and e.at >= (select at from cutoff) limit 1) is null
  and (select 1 from loss_budgets b where b.deleted_at is null
    and d.strategy_id like any(${likePatternsOf(sql`b.strategies`)})
    and d.ended_at >= serin_now() - make_interval(hours => b.window_hours) limit 1) is null
  and (select 1 from webhooks w where w.status = 'ENABLED'
    and (w.strategy_id is null or w.strategy_id = d.strategy_id)
    and ((select 1 from events e where e.deployment_id = d.id and e.born = d.born and e.timeline
        and (e.incarnation, e.xid, e.id) > (w.cursor_incarnation, w.cursor_xid, w.cursor_id) limit 1) is not null
      or (select 1 from webhook_deliveries p
        where p.webhook_id = w.id and p.deployment_id = d.id and p.status = 'PENDING' limit 1) is not null)
    limit 1) is null`;

/**
 * The ids of deployments that are due among the next ones that ended after a place, and the place where the search goes on;
 * null at the end. What a statement takes does not grow with the number of deployments that are archived.
 */
export async function findDue(
  db: Queries,
  days: number,
  after: EndedPlace = FIRST_ENDED,
): Promise<{ readonly due: readonly string[]; readonly end: EndedPlace | null }> {
  const rows = await db.execute<{ id: string; endedAt: string; due: boolean }>(sql`
    with ${cutoff(days)},
    d as materialized (select id, strategy_id, born, ended_at, arrived_at from deployments
      where ended_at < (select at from cutoff) and (ended_at, id) > (${after.endedAt}::timestamptz, ${after.id})
      order by ended_at, id limit ${SEARCHED})
    select d.id, d.ended_at::text as "endedAt", ${IS_DUE} as due from d order by d.ended_at, d.id`);
  return {
    due: rows.filter(({ due }) => due).map(({ id }) => id),
    end: rows.length < SEARCHED ? null : (rows.at(-1) ?? null),
  };
}

/** The row of a deployment, if it is due. */
const selectDue = (days: number, id: string, lock: SQL) => sql`
  with ${cutoff(days)} select d.strategy_id as "strategyId", d.event_count as events from deployments d
  where d.id = ${id} and d.ended_at < (select at from cutoff) and ${IS_DUE} ${lock}`;

interface DueRow extends Record<string, unknown> {
  readonly strategyId: string;
  /** Events in its log. */
  readonly events: number;
}

/** The rows of a deployment as they will be archived. */
interface PackedLog extends Packed {
  readonly last: Pick<ArchivedRows['events'], 'xid' | 'id' | 'timeline'> & { readonly incarnation: number };
}

/**
 * Archives a deployment. Its rows are read and compressed in a transaction that only reads, so that neither the log nor
 * a time limit waits for it, and are moved in another one, if they are still the same.
 * @returns TAKEN if another node is archiving
 * @throws {Error} if its rows do not agree with each other, or cannot be stored
 */
async function archive(
  db: PostgresJsDatabase,
  days: number,
  id: string,
  signal: AbortSignal,
): Promise<'ARCHIVED' | 'IN_USE' | 'TAKEN'> {
  const packed = await db.transaction(
    async (tx) => {
      await holdPartitions(tx);
      const [lock] = await tx.execute<{ acquired: boolean }>(
        sql`select pg_try_advisory_xact_lock(${ARCHIVER_LOCK}) as acquired`,
      );
      if (!lock?.acquired) return 'TAKEN';
      const [due] = await tx.execute<DueRow>(selectDue(days, id, sql``));
      return due ? readPacked(tx, id, due, signal) : 'IN_USE';
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
  if (typeof packed === 'string') return packed;
  return db.transaction(async (tx) => {
    await holdRetention(tx);
    const [due] = await tx.execute<DueRow>(selectDue(days, id, sql`for update of d skip locked`));
    if (due?.events !== packed.counts.events) return 'IN_USE';
    await moveToArchive(tx, id, due.strategyId, packed);
    return 'ARCHIVED';
  });
}

async function readPacked(tx: Queries, id: string, due: DueRow, signal: AbortSignal): Promise<PackedLog> {
  const [last] = await readEvents(tx, id, desc(events.no)).limit(1);
  const packed = await pack(
    {
      events: pages((after) => readEvents(tx, id, asc(events.no), gt(events.no, after?.no ?? 0))),
      samples: samplePages(tx, id),
      trades: tradePages(tx, id),
      signals: signalCounts(tx, id),
    },
    signal,
  );
  const found = packed.counts.events;
  if (!last || found !== due.events) {
    throw new Error(`${id} has ${due.events} events, but its log has ${found}: not archived`);
  }
  return { ...packed, last };
}

/** All rows, a page at a time, each after the last row of the one before. */
async function* pages<R>(read: (after: R | undefined) => Paged<R>): AsyncGenerator<R[]> {
  let after: R | undefined;
  do {
    const page = await read(after).limit(PAGE);
    yield page;
    after = page.length < PAGE ? undefined : page.at(-1);
  } while (after);
}

/** A query to which the length of a page is still missing. */
interface Paged<R> {
  limit(count: number): PromiseLike<R[]>;
}

const readEvents = (tx: Queries, id: string, order: SQL, after?: SQL) =>
  tx
    .select({
      incarnation: events.incarnation,
      xid: sql<string>`${events.xid}::text`,
      id: sql<string>`${events.id}::text`,
      no: events.no,
      strategyId: events.strategyId,
      timeline: events.timeline,
      previousStatus: events.previousStatus,
      status: events.status,
      payload: events.payload,
    })
    .from(events)
    .where(and(isOf(events, id), after))
    .orderBy(order);

async function* samplePages(tx: Queries, id: string): AsyncGenerator<ArchivedRows['samples'][]> {
  const { check, at, decision, metrics } = samples;
  const read = (after?: { readonly check: number }) =>
    tx
      .select({ check, at, decision, metrics })
      .from(samples)
      .where(and(isOf(samples, id), after && gt(check, after.check)))
      .orderBy(asc(check));
  for await (const page of pages(read)) {
    yield page.map((sample) => ({ ...sample, at: sample.at.toISOString() }));
  }
}

/** The trades of one side after those of the other, each in the order of pages. */
async function* tradePages(tx: Queries, id: string): AsyncGenerator<ArchivedRows['trades'][]> {
  for (const side of SIDES) {
    const ofSide = and(eq(tradeSide(trades), `${id}/${side}`), eq(trades.born, bornOf(id)));
    const read = (after?: typeof trades.$inferSelect) =>
      tx
        .select()
        .from(trades)
        .where(
          and(
            ofSide,
            after &&
              sql`(${trades.at}, ${trades.id}) > (${after.at.toISOString()}::timestamptz, ${after.id})`,
          ),
        )
        .orderBy(asc(trades.at), asc(trades.id));
    for await (const page of pages(read)) {
      yield page.map(({ deploymentId: _, born: __, at, recordedAt, ...trade }) => ({
        ...trade,
        at: at.toISOString(),
        recordedAt: recordedAt.toISOString(),
      }));
    }
  }
}

async function* signalCounts(tx: Queries, id: string): AsyncGenerator<ArchivedRows['signals'][]> {
  yield await tx.execute<ArchivedRows['signals']>(
    sql`select state, count(*)::int as count from signals where deployment_id = ${id} group by state order by state`,
  );
}

async function moveToArchive(
  tx: Queries,
  deploymentId: string,
  strategyId: string,
  { content, counts, last }: PackedLog,
): Promise<void> {
  await tx.execute(sql`select set_config('statement_timeout', ${String(MOVE_TIMEOUT_MS)}, true)`);
  const { incarnation: lastIncarnation, xid: lastXid, id, timeline } = last;
  await tx
    .insert(archives)
    .values({ deploymentId, strategyId, timeline, lastIncarnation, lastXid, lastId: BigInt(id), content });
  const deleted = {
    events: (await tx.delete(events).where(isOf(events, deploymentId))).count,
    samples: (await tx.delete(samples).where(isOf(samples, deploymentId))).count,
    trades: (await tx.delete(trades).where(isOf(trades, deploymentId))).count,
  };
  const { signals: _, ...moved } = counts;
  if (!isDeepStrictEqual(deleted, moved)) {
    const [found, packed] = [deleted, moved].map((each) => JSON.stringify(each));
    throw new Error(`${deploymentId} has ${found}, but ${packed} were packed: not archived`);
  }
  // Checkpoints and each signal are needed only for further trades, and an ended deployment accepts none.
  await tx.delete(tradeCheckpoints).where(eq(tradeCheckpoints.deploymentId, deploymentId));
  await tx.delete(signals).where(eq(signals.deploymentId, deploymentId));
}

/** Whether matching events after this position have been archived, so that a reader there would miss them. */
export async function isBehindArchive(
  db: Queries,
  { incarnation, xid, id }: LogPosition,
  filter: LogFilter,
): Promise<boolean> {
  const conditions: (SQL | undefined)[] = [
    filter.deploymentId === undefined ? undefined : eq(archives.deploymentId, filter.deploymentId),
    filter.strategyId === undefined ? undefined : eq(archives.strategyId, filter.strategyId),
    filter.timelineOnly ? eq(archives.timeline, true) : undefined,
    inScope(archives.strategyId, filter.scope),
  ];
  const rows = await db
    .select({ id: archives.deploymentId })
    .from(archives)
    .where(
      and(
        sql`(${archives.lastIncarnation}, ${archives.lastXid}, ${archives.lastId})
          > (${incarnation.number}::integer, ${xid.toString()}::xid8, ${id.toString()}::bigint)`,
        ...conditions,
      ),
    )
    .limit(1);
  return rows.length > 0;
}
