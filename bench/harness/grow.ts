/** Many deployments in one step, copied in the database from one that was made through the API. */
import type postgres from 'postgres';

/**
 * Copies a running deployment, its metrics and its strategy until there are enough; they are due in a day.
 * @param months over how many months of arrival they are spread: this one and those before it
 * @param eventsEach how many events each will be given
 */
export async function growDeployments(
  sql: postgres.Sql,
  pattern: string,
  count: number,
  months = 1,
  eventsEach: number | null = null,
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
    update deployments set next_check_at = serin_now() + interval '1 day', event_count = coalesce(${eventsEach}::int, event_count)
    where id like 'grown-%'`;
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
 * Gives the grown deployments events, round and round: those from number `from` until before number `end`. Checks of the
 * log stay true.
 * @param months the same as of the deployments
 */
export async function growEvents(
  sql: postgres.Sql,
  deployments: number,
  months: number,
  { from = 0, end }: { from?: number; end: number },
): Promise<void> {
  await sql.begin(async (tx) => {
    // Without the look-up of each row's deployment (a trigger of the foreign key): all of them are there.
    await tx`set local session_replication_role = replica`;
    await tx`
      insert into events (deployment_id, strategy_id, no, type, at, actor, revision, timeline, payload, born)
      select 'grown-' || i, 'grown-' || i, no, 'CANARY_METRICS_UPDATED', clock_timestamp(), 'serin', 2, true,
        jsonb_build_object('type', 'CANARY_METRICS_UPDATED', 'no', no, 'check', no,
          'at', '2026-01-01T00:00:00.000Z', 'actor', 'serin', 'revision', 2, 'decision', 'CONTINUE',
          'netPnlUsd', jsonb_build_object('CANARY', '120.25', 'STABLE', '1130.75'),
          'silentMs', jsonb_build_object('CANARY', 0, 'STABLE', 0)),
        ((select born from deployments where id = 'grown-' || ${months}::int) - make_interval(months => i % ${months}::int))::date
      from (select n % ${deployments}::int + 1 as i, n / ${deployments}::int + 1 as no
        from generate_series(${from}::int, ${end - 1}::int) n) as given`;
  });
}

/** Of this many events each connection writes one part; two parts fit into the shared buffers until they are vacuumed. */
const EVENTS_OF_PART = 500_000;
/** What makes a large fill faster; set back after it. A crash loses the database of a benchmark, which is nothing. */
const OF_FILL = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  autovacuum: 'off',
  checkpoint_timeout: '30min',
  max_wal_size: '12GB',
  maintenance_work_mem: '1500MB',
};

/**
 * `growEvents` of many, in a database of its own. The indexes are built when the rows are there: kept while 100 million
 * rows come, they would take most of the time.
 */
export async function fillEvents(
  sql: postgres.Sql,
  deployments: number,
  months: number,
  { from = 0, end: last }: { from?: number; end: number },
): Promise<void> {
  for (const [name, value] of Object.entries(OF_FILL))
    await sql.unsafe(`alter system set ${name} = '${value}'`);
  await sql`select pg_reload_conf()`;
  const build = await takeIndexes(sql);
  // Each round is vacuumed while its pages are in memory; later they would be read and written once more.
  for (let start = from; start < last; start += 2 * EVENTS_OF_PART) {
    const middle = Math.min(last, start + EVENTS_OF_PART);
    const end = Math.min(last, middle + EVENTS_OF_PART);
    await Promise.all([
      growEvents(sql, deployments, months, { from: start, end: middle }),
      growEvents(sql, deployments, months, { from: middle, end }),
    ]);
    await sql`vacuum events`;
  }
  await build();
  await sql`analyze`;
  await sql`alter system reset all`;
  await sql`select pg_reload_conf()`;
  await sql`checkpoint`;
}

/** Drops the indexes of the events; the answer builds them again. */
async function takeIndexes(sql: postgres.Sql): Promise<() => Promise<void>> {
  const found = await sql<{ name: string; key: string | null; definition: string }[]>`
    select i.indexrelid::regclass::text as name, pg_get_constraintdef(c.oid) as key,
      replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') as definition
    from pg_index i left join pg_constraint c on c.conindid = i.indexrelid and c.contype = 'p'
    where i.indrelid = 'events'::regclass`;
  for (const { name, key } of found)
    await sql.unsafe(key ? `alter table events drop constraint ${name}` : `drop index ${name}`);
  return async () => {
    for (const { name, key, definition } of found)
      await sql.unsafe(key ? `alter table events add constraint ${name} ${key}` : definition);
  };
}
