/** Many deployments in one step, copied in the database from one that was made through the API. */
import type postgres from 'postgres';

/** Copies a running deployment, its metrics and its strategy until there are enough; they are due in a day. */
export async function growDeployments(sql: postgres.Sql, pattern: string, count: number): Promise<void> {
  const [row] = await sql<{ columns: string }[]>`
    select string_agg(quote_ident(column_name), ', ' order by ordinal_position) as columns
    from information_schema.columns where table_name = 'deployments' and column_name not in ('id', 'strategy_id', 'created_at')`;
  const others = row?.columns ?? '';
  await sql`
    insert into strategies (id, stable_version_id, created_at, updated_at)
    select 'grown-' || n, s.stable_version_id, s.created_at, s.updated_at
    from strategies s join deployments d on d.strategy_id = s.id, generate_series(1, ${count}::int) n
    where d.id = ${pattern} on conflict do nothing`;
  await sql.unsafe(
    `insert into deployments (id, strategy_id, created_at, ${others})
     select 'grown-' || n, 'grown-' || n, created_at - make_interval(secs => n), ${others}
     from deployments, generate_series(1, $2::int) n where id = $1 on conflict do nothing`,
    [pattern, count],
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

/** Gives the grown deployments events, round and round, until there are enough. Checks of the log stay true. */
export async function growEvents(sql: postgres.Sql, deployments: number, count: number): Promise<void> {
  await sql`
    insert into events (deployment_id, strategy_id, no, type, at, actor, revision, timeline, payload)
    select 'grown-' || (n % ${deployments}::int + 1), 'grown-' || (n % ${deployments}::int + 1),
      n / ${deployments}::int + 1, 'CANARY_METRICS_UPDATED', clock_timestamp(), 'serin', 2, true,
      jsonb_build_object('type', 'CANARY_METRICS_UPDATED', 'no', n / ${deployments}::int + 1, 'check', n / ${deployments}::int + 1,
        'at', '2026-01-01T00:00:00.000Z', 'actor', 'serin', 'revision', 2, 'decision', 'CONTINUE',
        'netPnlUsd', jsonb_build_object('CANARY', '120.25', 'STABLE', '1130.75'),
        'silentMs', jsonb_build_object('CANARY', 0, 'STABLE', 0))
    from generate_series(0, ${count - 1}::int) n`;
  await sql`vacuum analyze`;
}
