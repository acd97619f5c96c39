/**
 * Heartbeats: when the bot of a side last showed that it can reach Serin. They have a table of their own, so that reports,
 * which show the same, write nothing for it, and the deployment's row is not touched.
 */
import { sql } from 'drizzle-orm';
import { WATCHED_STATUSES } from '../../core/lifecycle/state.ts';
import type { Queries } from '../postgres/database.ts';
import type { SideKey } from './sideMetrics.ts';

export interface Heartbeat extends SideKey {
  /** The run of the bot that sends it; null if it names none. */
  readonly session: string | null;
}

/** What became of a heartbeat of a deployment that exists. */
export interface TakenHeartbeat extends Heartbeat {
  /** Whether the deployment is watched: otherwise nothing was written. */
  readonly watched: boolean;
  /** Whether its session was closed by a later one, so that nothing was written. */
  readonly stale: boolean;
  /** When it was taken, epoch milliseconds on Serin's clock. */
  readonly at: number;
  /** How long the lease of the canary's capital lasts from then on, seconds; null if there is none. */
  readonly leaseSeconds: number | null;
}

/** Whether a later run of the side's bot has closed the one that a heartbeat names. */
export async function isReplaced(db: Queries, { deploymentId, side, session }: Heartbeat): Promise<boolean> {
  if (session === null) return false;
  const [row] = await db.execute<{ closed: boolean }>(sql`
    select coalesce(run -> 'closed' ? ${session}, false) as closed
    from side_metrics where deployment_id = ${deploymentId} and side = ${side}`);
  return row?.closed ?? false;
}

/** Writes heartbeats in one statement. Missing in the result are those of deployments that do not exist. */
export async function writeHeartbeats(db: Queries, beats: readonly Heartbeat[]): Promise<TakenHeartbeat[]> {
  const ids = beats.map(({ deploymentId }) => deploymentId);
  const sides = beats.map(({ side }) => side);
  const sessions = beats.map(({ session }) => session);
  const rows = await db.execute<TakenHeartbeat & Record<string, unknown>>(sql`
    with moment as materialized (select serin_now() as at),
    found as materialized (
      select d.id, k.side, k.session, d.status in ${[...WATCHED_STATUSES]} as watched,
        coalesce(m.run -> 'closed' ? k.session, false) as stale,
        case when k.side = 'CANARY' and d.canary_capital_usd > 0
          then (d.config ->> 'capitalLeaseSeconds')::int end as "leaseSeconds"
      from unnest(${sql.param(ids)}::text[], ${sql.param(sides)}::text[], ${sql.param(sessions)}::text[])
        as k (id, side, session)
      join deployments d on d.id = k.id
      left join side_metrics m on m.deployment_id = k.id and m.side = k.side),
    written as (
      insert into heartbeats (deployment_id, side, at)
      select distinct id, side, at from found, moment where watched and not stale order by id, side
      on conflict (deployment_id, side) do update set at = excluded.at)
    select id as "deploymentId", side, session, watched, stale, "leaseSeconds", date_part('epoch', at) * 1000 as at
    from found, moment`);
  return rows.map((row) => ({ ...row, at: Math.round(row.at) }));
}
