/** Many deployments in one step, copied in the database from one that was made through the API. */
import type postgres from 'postgres';

/**
 * Copies a running deployment, its metrics and its strategy until there are enough; they are due in a day.
 * @param months over how many months of arrival they are spread: this one and those before it
 */
export async function growDeployments(
  sql: postgres.Sql,
  pattern: string,
  count: number,
  months = 1,
): Promise<void> {
  const [row] = await sql<{ columns: string }[]>`
    select string_agg(quote_ident(column_name), ', ' order by ordinal_position) as columns
    from information_schema.columns where table_name = 'deployments' and column_name not in ('id', 'strategy_id', 'created_at', 'born')`;
  const others = row?.columns ?? '';
  await makePastPartitions(sql, months);
  await sql`
    insert into strategies (id, stable_version_id, created_at, updated_at)
    select 'grown-' || n, s.stable_version_id, s.created_at, s.updated_at
    from strategies s join deployments d on d.strategy_id = s.id, generate_series(1, ${count}::int) n
    where d.id = ${pattern} on conflict do nothing`;
  await sql.unsafe(
    `insert into deployments (id, strategy_id, created_at, born, ${others})
     select 'grown-' || n, 'grown-' || n, created_at - make_interval(secs => n), born - make_interval(months => n % $3::int), ${others}
     from deployments, generate_series(1, $2::int) n where id = $1 on conflict do nothing`,
    [pattern, count, months],
  );
  await sql`
    update deployments set next_check_at = serin_now() + interval '1 day' where id like 'grown-%'`;
  await copyMetrics(sql, pattern, count);
  await sql`
    insert into heartbeats (deployment_id, side, at)
    select 'grown-' || n, side, serin_now()
    from generate_series(1, ${count}::int) n, unnest(array['CANARY', 'STABLE']) side`;
  await sql`vacuum analyze`;
}

/** Partitions for this month and those before it, as they would be there after so many months. */
async function makePastPartitions(sql: postgres.Sql, months: number): Promise<void> {
  await sql.unsafe(`
    do $$ declare t text; m date; begin
      for t, m in select t.name, date_trunc('month', serin_now() at time zone 'UTC') - make_interval(months => n)
        from unnest(array['events', 'samples', 'trades']) as t (name), generate_series(1, ${months - 1}) n
      loop
        execute format('create table %I partition of %I for values from (%L) to (%L)',
          t || to_char(m, '_YYYY_MM'), t, m, (m + interval '1 month')::date);
      end loop;
    end $$`);
}

async function copyMetrics(sql: postgres.Sql, pattern: string, count: number): Promise<void> {
  const [row] = await sql<{ columns: string }[]>`
    select string_agg(quote_ident(column_name), ', ' order by ordinal_position) as columns
    from information_schema.columns where table_name = 'side_metrics' and column_name <> 'deployment_id'`;
  await sql.unsafe(
    `insert into side_metrics (deployment_id, ${row?.columns})
     select 'grown-' || n, ${row?.columns} from side_metrics, generate_series(1, $2::int) n
     where deployment_id = $1 on conflict do nothing`,
    [pattern, count],
  );
}

/**
 * Gives the grown deployments events, round and round, until there are enough. Checks of the log stay true.
 * @param from how many there are already
 */
export async function growEvents(
  sql: postgres.Sql,
  deployments: number,
  count: number,
  from = 0,
): Promise<void> {
  await sql`
    insert into events (deployment_id, strategy_id, no, type, at, actor, revision, timeline, payload, born)
    select 'grown-' || (n % ${deployments}::int + 1), 'grown-' || (n % ${deployments}::int + 1),
      n / ${deployments}::int + 1, 'CANARY_METRICS_UPDATED', clock_timestamp(), 'serin', 2, true,
      jsonb_build_object('type', 'CANARY_METRICS_UPDATED', 'no', n / ${deployments}::int + 1, 'check', n / ${deployments}::int + 1,
        'at', '2026-01-01T00:00:00.000Z', 'actor', 'serin', 'revision', 2, 'decision', 'CONTINUE',
        'netPnlUsd', jsonb_build_object('CANARY', '120.25', 'STABLE', '1130.75'),
        'silentMs', jsonb_build_object('CANARY', 0, 'STABLE', 0)),
      (select born from deployments where id = 'grown-' || (n % ${deployments}::int + 1))
    from generate_series(${from}::int, ${count - 1}::int) n`;
  await sql`vacuum analyze`;
}
