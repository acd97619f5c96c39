/** Decisions that wait for a person, within a scope: how many of each kind, and since when. */
import { sql } from 'drizzle-orm';
import { APPROVAL_HOURS } from '../../core/lifecycle/secondPerson.ts';
import type { SerinInstant } from '../../core/values/instant.ts';
import type { Scope } from '../access/strategyScope.ts';
import type { Queries } from '../postgres/database.ts';
import { isLive, isVisible } from './overview.ts';

/**
 * What a person is to do: approve a promotion, decide after an observation, or approve another configuration. A
 * deployment for which several apply is of the first of them.
 */
export type WaitingKind = 'PROMOTION_APPROVAL' | 'DECISION' | 'CONFIG_APPROVAL';

/** Deployments of one kind; `since` is the earliest time at which one of them began to wait. */
export interface WaitingGroup {
  readonly kind: WaitingKind;
  readonly count: number;
  readonly since: SerinInstant;
}

/** A request for a promotion that is older than a day. It is still valid if freezes have blocked promotions since. */
export interface OldRequest {
  readonly strategyId: string;
  readonly chain: string;
  readonly requestedAt: SerinInstant;
  /** What the deployment waits for if the request is no longer valid; null if for nobody. */
  readonly otherwise: WaitingKind | null;
  readonly otherwiseSince: SerinInstant | null;
}

export interface WaitingRows {
  /** The time of the read. */
  readonly at: SerinInstant;
  readonly groups: readonly WaitingGroup[];
  readonly oldRequests: readonly OldRequest[];
}

const epochMs = (instant: string) => sql.raw(`round(date_part('epoch', ${instant}) * 1000)`);

/** Reads what waits. Deployments with an old request are in `oldRequests` only: the caller knows the freezes. */
export async function readWaitingRows(db: Queries, scope: Scope): Promise<WaitingRows> {
  const [row] = await db.execute<WaitingRows & Record<string, unknown>>(sql`
    with clock as materialized (
      select serin_now() as now, serin_now() - make_interval(hours => ${APPROVAL_HOURS}) as a_day_ago),
    asked as (
      select deployments.strategy_id, deployments.chain,
        (deployments.detail #>> '{completedAt}')::timestamptz as completed_at,
        (deployments.detail #>> '{observation,promotionRequest,at}')::timestamptz as promotion_at,
        case when (deployments.detail #>> '{configRequest,at}')::timestamptz > clock.a_day_ago
          then (deployments.detail #>> '{configRequest,at}')::timestamptz end as config_at
      from deployments, clock where ${isLive} and ${isVisible(scope)}),
    waiting as materialized (
      select asked.*, promotion_at <= clock.a_day_ago as is_old,
        case when promotion_at > clock.a_day_ago then 'PROMOTION_APPROVAL' when completed_at is not null then 'DECISION'
          when config_at is not null then 'CONFIG_APPROVAL' end as kind,
        least(case when promotion_at > clock.a_day_ago then promotion_at end, completed_at, config_at) as since
      from asked, clock),
    grouped as (
      select kind, count(*)::int as count, min(since) as since from waiting
      where kind is not null and is_old is not true group by kind)
    select ${epochMs('clock.now')} as at,
      (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'count', count, 'since', ${epochMs('since')})),
        '[]') from grouped) as groups,
      (select coalesce(jsonb_agg(jsonb_build_object('strategyId', strategy_id, 'chain', chain,
        'requestedAt', ${epochMs('promotion_at')}, 'otherwise', kind, 'otherwiseSince', ${epochMs('since')})), '[]')
        from waiting where is_old) as "oldRequests"
    from clock`);
  if (!row) throw new Error('what waits for a person has no row');
  return row;
}
