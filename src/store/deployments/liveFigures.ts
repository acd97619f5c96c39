/** Figures of all live deployments for metrics, read in one pass: capital at work, silent sides, what a freeze holds. */
import { sql } from 'drizzle-orm';
import { STALE_CHECKS } from '../../core/config/config.ts';
import type { Queries } from '../postgres/database.ts';
import { isLive } from './overview.ts';

/** A side is silent after this part of the time after which its deployment fails. */
const SILENT_AFTER = 0.5;

export interface LiveFigures {
  /** What live canaries hold, or were asked to hold where they never acknowledge, USD. For display only. */
  readonly capitalOnTrialUsd: number;
  /** Running deployments of which this side has had no news for half of `maxStaleSeconds` (of five checks if that is off). */
  readonly silentCanaries: number;
  readonly silentStables: number;
  /** Deployments whose next step, or whose promotion, waits for the end of a freeze. */
  readonly heldSteps: number;
  readonly heldPromotions: number;
}

/** Silence is watched time, as of the latest check: the time that the guardrail counts. */
export async function readLiveFigures(db: Queries): Promise<LiveFigures> {
  const silent = (side: string) => sql`count(*) filter (where deployments.status = 'RUNNING'
    and (deployments.detail #>> ${sql.raw(`'{observation,silentMs,${side}}'`)})::float8 > ${SILENT_AFTER * 1000}::float8
      * coalesce((deployments.config #>> '{guardrails,maxStaleSeconds}')::float8,
        ${STALE_CHECKS}::float8 * (deployments.config ->> 'checkIntervalSeconds')::float8))::int`;
  const held = (block: string) =>
    sql`count(*) filter (where deployments.detail #>> '{observation,held,block}' = ${block})::int`;
  const [row] = await db.execute<LiveFigures & Record<string, unknown>>(sql`
    select coalesce(sum(coalesce((deployments.detail #>> '{allocation,acknowledged,CANARY,heldUsd}')::numeric,
        deployments.canary_capital_usd)), 0)::float8 as "capitalOnTrialUsd",
      ${silent('CANARY')} as "silentCanaries", ${silent('STABLE')} as "silentStables",
      ${held('STEP_UP')} as "heldSteps", ${held('PROMOTE')} as "heldPromotions"
    from deployments where ${isLive}`);
  if (!row) throw new Error('the figures of live deployments have no row');
  return row;
}
