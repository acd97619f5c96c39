/**
 * The losses of budgets. The loss of a budget is what the canaries of its strategies have lost since its window began:
 * the difference between a canary's net PnL, now or at its end, and its net PnL when the window began. It is a sum over
 * what reports and checks store anyway, so no report writes or locks anything for it.
 */
import { type SQL, sql } from 'drizzle-orm';
import { type Decimal, decimal } from '../../core/values/decimal.ts';
import { likePatternsOf } from '../access/strategyScope.ts';
import type { Queries } from '../postgres/database.ts';

/** What was earned before the window is read anew when the window has moved on by this part of its length. */
const BASELINE_STEP = 1 / 240;

/** An SQL condition on `loss_budgets as b`. */
const only = (ids: readonly string[] | null): SQL =>
  ids === null ? sql`b.deleted_at is null` : sql`b.id = any(${sql.param([...ids])}::text[])`;

/** The windows of budgets, and every canary that held capital at some time in the longest of them. */
const windowsAndCanaries = (ids: readonly string[] | null): SQL => sql`
  windows as materialized (
    select b.id, b.count, ${likePatternsOf(sql`b.strategies`)} as patterns,
      greatest(serin_now() - make_interval(hours => b.window_hours), b.counts_from) as begins
    from loss_budgets b where ${only(ids)}),
  canaries as materialized (
    select d.id, d.born, d.strategy_id, d.status, d.started_at, d.ended_at, coalesce(m.net_pnl_usd, 0) as pnl
    from deployments d left join side_metrics m on m.deployment_id = d.id and m.side = 'CANARY'
    where d.started_at is not null and (d.ended_at is null or d.ended_at >= (select min(begins) from windows)))`;

/** The net PnL of a canary in its last sample before an instant, and since another one if given; null if there is none. */
const pnlBefore = (canary: SQL, instant: SQL, since: SQL = sql`null::timestamptz`): SQL => sql`(
  select (s.metrics #>> '{CANARY,netPnlUsd}')::numeric from samples s
  where s.deployment_id = ${canary}.id and s.born = ${canary}.born and s.at < ${instant}
    and s.at >= coalesce(${since}, '-infinity') order by s.at desc limit 1)`;

/** Of an archived canary nothing says when it earned: all that it lost counts, and a gain offsets no loss of others. */
const UNKNOWN_BEFORE: SQL = sql`(
  select greatest(m.net_pnl_usd, 0) from archives a join side_metrics m on m.deployment_id = a.deployment_id
  where a.deployment_id = d.id and m.side = 'CANARY')`;

/**
 * What a canary had earned when the window began, for a baseline. A sample of before the budget was armed again does not
 * take the place of what was its zero then, unless a later sample has.
 */
const BASELINE: SQL = sql`coalesce(
  ${pnlBefore(sql`d`, sql`w.begins`, sql`w.counts_from`)},
  case when ${pnlBefore(sql`d`, sql`w.baseline_at`, sql`w.counts_from`)} is null then p.net_pnl_usd end,
  ${pnlBefore(sql`d`, sql`w.begins`)}, ${UNKNOWN_BEFORE}, 0)`;

/**
 * What each canary has earned in the window of a budget. One that began after the window counts from 0, any other from the
 * last sample before it. `offset 0` keeps PostgreSQL from computing it once for every use.
 */
const EARNED: SQL = sql`(
  select c.id as deployment_id, c.status, c.ended_at,
    c.pnl - case when c.started_at >= w.begins then 0
      else coalesce(p.net_pnl_usd, ${pnlBefore(sql`c`, sql`w.begins`)}, 0) end as earned
  from canaries c left join loss_budget_baselines p on p.budget_id = w.id and p.deployment_id = c.id
  where c.strategy_id like any(w.patterns) and (c.ended_at is null or c.ended_at >= w.begins)
  offset 0)`;

/** The losses of budgets in USD, at least 0; of those that are not deleted, or of the given ones. */
export async function readLosses(
  db: Queries,
  ids: readonly string[] | null = null,
): Promise<Map<string, Decimal>> {
  const rows = await db.execute<{ id: string; loss: string }>(sql`
    with ${windowsAndCanaries(ids)}
    select w.id, greatest(0, -coalesce(total.earned, 0))::text as loss
    from windows w cross join lateral (
      select sum(t.earned) filter (where w.count = 'NET' or t.earned < 0) as earned from ${EARNED} t) total`);
  return new Map(rows.map(({ id, loss }) => [id, decimal(loss)]));
}

/** Which live canaries of a budget hold capital: all, those that run, or those that have lost in its window. */
export async function findLiveCanaries(
  tx: Queries,
  id: string,
  which: 'ALL' | 'RUNNING' | 'LOSERS',
): Promise<string[]> {
  const condition = {
    ALL: sql`true`,
    RUNNING: sql`t.status = 'RUNNING'`,
    LOSERS: sql`t.earned < 0`,
  }[which];
  const rows = await tx.execute<{ id: string }>(sql`
    with ${windowsAndCanaries([id])}
    select t.deployment_id as id from windows w cross join lateral ${EARNED} t
    where t.ended_at is null and ${condition} order by t.deployment_id`);
  return rows.map((row) => row.id);
}

/**
 * Reads what canaries had earned when its window began, for one budget whose window has moved on since the last time: all
 * at once would delay the sums. In between, a window is longer than it should be by about half a percent.
 * @param exact for the given budgets, whose windows have changed: however little they moved
 */
export async function refreshBaselines(db: Queries, exact: readonly string[] | null = null): Promise<void> {
  const step = exact === null ? BASELINE_STEP : 0;
  await db.execute(sql`
    with windows as materialized (
      select b.id, b.counts_from, b.baseline_at, ${likePatternsOf(sql`b.strategies`)} as patterns,
        greatest(serin_now() - make_interval(hours => b.window_hours), b.counts_from) as begins
      from loss_budgets b where ${only(exact)} and (b.baseline_at is null or abs(extract(epoch from b.baseline_at
        - greatest(serin_now() - make_interval(hours => b.window_hours), b.counts_from)))
        > b.window_hours * 3600 * ${step}::float8)
      order by b.baseline_at nulls first limit ${exact === null ? 1 : null}::int),
    over as (
      delete from loss_budget_baselines p using windows w, deployments d
      where p.budget_id = w.id and d.id = p.deployment_id and d.ended_at < w.begins),
    read as (
      insert into loss_budget_baselines (budget_id, deployment_id, net_pnl_usd)
      select w.id, d.id, ${BASELINE}
      from windows w
      join deployments d on d.strategy_id like any(w.patterns)
        and d.started_at < w.begins and (d.ended_at is null or d.ended_at >= w.begins)
      left join loss_budget_baselines p on p.budget_id = w.id and p.deployment_id = d.id
      on conflict (budget_id, deployment_id) do update set net_pnl_usd = excluded.net_pnl_usd)
    update loss_budgets b set baseline_at = windows.begins from windows where b.id = windows.id`);
}

/** From now on a budget counts only what is lost from now on: what its canaries have earned until now is its zero. */
export async function restartLosses(tx: Queries, id: string): Promise<void> {
  await tx.execute(sql`delete from loss_budget_baselines where budget_id = ${id}`);
  await tx.execute(sql`
    with present as (
      update loss_budgets set counts_from = moment.now, baseline_at = moment.now
      from (select date_trunc('milliseconds', serin_now()) as now) moment where id = ${id}
      returning id, ${likePatternsOf(sql`strategies`)} as patterns)
    insert into loss_budget_baselines (budget_id, deployment_id, net_pnl_usd)
    select present.id, d.id, coalesce(m.net_pnl_usd, 0)
    from present
    join deployments d on d.strategy_id like any(present.patterns)
      and d.started_at is not null and d.ended_at is null
    left join side_metrics m on m.deployment_id = d.id and m.side = 'CANARY'`);
}
