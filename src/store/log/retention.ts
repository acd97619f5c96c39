/**
 * Retention: moves the events, samples and trades of deployments that ended long ago into the archive, one deployment
 * per transaction. A deployment with events that a webhook has not yet delivered is not archived. Its other rows stay.
 */
import { and, asc, eq, type SQL, sql } from 'drizzle-orm';
import { inScope } from '../access/strategyScope.ts';
import { RETENTION_LOCK } from '../postgres/advisoryLocks.ts';
import type { Queries } from '../postgres/database.ts';
import { archives } from '../tables/archiveTables.ts';
import { events, samples, signals, tradeCheckpoints, trades } from '../tables/tables.ts';
import { pack } from './archive.ts';
import type { LogFilter } from './logEntry.ts';
import { isOf } from './partitions.ts';
import type { LogPosition } from './position.ts';

/** Blocks archiving until the transaction ends, for decisions that depend on which events are archived. */
export async function holdRetention(tx: Queries): Promise<void> {
  await tx.execute(sql`select pg_advisory_xact_lock(${RETENTION_LOCK})`);
}

/**
 * Archives one deployment that ended, and last changed, at least `days` ago. Returns its id, or null if there is no such
 * deployment or another node is archiving.
 */
export async function archiveOne(tx: Queries, days: number): Promise<string | null> {
  const [lock] = await tx.execute<{ acquired: boolean }>(
    sql`select pg_try_advisory_xact_lock(${RETENTION_LOCK}) as acquired`,
  );
  if (!lock?.acquired) return null;
  const [due] = await tx.execute<{ id: string; strategyId: string; events: number }>(sql`
    with cutoff as materialized (select serin_now() - make_interval(secs => ${days * 86_400}) as at)
    select d.id, d.strategy_id as "strategyId", d.event_count as events from deployments d, cutoff
    where d.ended_at < cutoff.at and d.arrived_at < cutoff.at
      and not exists (select 1 from archives a where a.deployment_id = d.id)
      and not exists (select 1 from events e
        where e.deployment_id = d.id and e.born = d.born and e.at >= cutoff.at)
      and not exists (select 1 from webhooks w where w.status = 'ENABLED'
        and (w.strategy_id is null or w.strategy_id = d.strategy_id)
        and (exists (select 1 from events e where e.deployment_id = d.id and e.born = d.born and e.timeline
            and (e.incarnation, e.xid, e.id) > (w.cursor_incarnation, w.cursor_xid, w.cursor_id))
          or exists (select 1 from webhook_deliveries p
            where p.webhook_id = w.id and p.deployment_id = d.id and p.status = 'PENDING')))
    order by d.ended_at limit 1 for update of d skip locked`);
  if (!due) return null;
  await moveToArchive(tx, due.id, due.strategyId, due.events);
  return due.id;
}

async function moveToArchive(
  tx: Queries,
  deploymentId: string,
  strategyId: string,
  count: number,
): Promise<void> {
  const log = await tx
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
    .where(isOf(events, deploymentId))
    .orderBy(asc(events.no));
  const last = log.at(-1);
  if (!last || log.length !== count) {
    throw new Error(`${deploymentId} has ${count} events, but its log has ${log.length}: not archived`);
  }
  const sampleRows = await tx
    .select({
      check: samples.check,
      at: samples.at,
      decision: samples.decision,
      metrics: samples.metrics,
    })
    .from(samples)
    .where(isOf(samples, deploymentId))
    .orderBy(asc(samples.check));
  const tradeRows = await tx
    .select()
    .from(trades)
    .where(isOf(trades, deploymentId))
    .orderBy(asc(trades.at), asc(trades.id));
  const content = await pack({
    events: log,
    samples: sampleRows.map((sample) => ({ ...sample, at: sample.at.toISOString() })),
    trades: tradeRows.map(({ deploymentId: _, born: __, at, recordedAt, ...trade }) => ({
      ...trade,
      at: at.toISOString(),
      recordedAt: recordedAt.toISOString(),
    })),
  });
  const { incarnation: lastIncarnation, xid: lastXid, id, timeline } = last;
  await tx
    .insert(archives)
    .values({ deploymentId, strategyId, timeline, lastIncarnation, lastXid, lastId: BigInt(id), content });
  await tx.delete(events).where(isOf(events, deploymentId));
  await tx.delete(samples).where(isOf(samples, deploymentId));
  await tx.delete(trades).where(isOf(trades, deploymentId));
  // Checkpoints and signals are needed only for further trades, and an ended deployment accepts none.
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
