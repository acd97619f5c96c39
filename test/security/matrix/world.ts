/** What there is to be seen or not: the same things of three strategies, of which one does not exist. */
import type postgres from 'postgres';
import { BACKGROUND_TABLES } from '../../harness/backgroundTables.ts';
import { command, create, report, running } from '../../harness/deployment.ts';
import { createFreeze } from '../../harness/freeze.ts';
import { makeKey } from '../../harness/keys.ts';
import type { TestCaller } from '../../harness/serin.ts';

/** Six letters each, so that answers about them have the same length. */
export type World = 'seen' | 'hidden' | 'absent';

/** Ids by the kind of what they name. */
export type Ids = Readonly<Record<string, string>>;

/** A configuration of deployments that change only when somebody changes them. */
const STILL = {
  guardrails: { maxStaleSeconds: 30_000_000 },
  checkIntervalSeconds: 86_400,
  observationPeriodMinutes: 100_000,
};

/** Makes something of every kind that belongs to strategies, as an administrator. */
export async function makeWorld(root: TestCaller, world: Exclude<World, 'absent'>): Promise<Ids> {
  const named = { stableVersionId: `${world}-v1`, canaryVersionId: `${world}-v2`, chain: `${world}-chain` };
  const strategy = `${world}-one`;
  const deployment = await running(root, {
    id: `dep_${world}1`,
    strategyId: strategy,
    config: STILL,
    ...named,
  });
  await report(root, 'Canary', deployment, { pnlUsd: '10', trades: 5 });
  await report(root, 'Stable', deployment, { pnlUsd: '90', trades: 50 });
  await command(root, 'pauseDeployment', deployment, { reason: `${world} pause` });
  await command(root, 'resumeDeployment', deployment);
  const ended = await running(root, {
    id: `dep_${world}2`,
    strategyId: `${world}-two`,
    config: STILL,
    ...named,
  });
  await command(root, 'rollbackCanary', ended, { reason: `${world} rollback` });
  await create(root, { id: `dep_${world}3`, strategyId: `${world}-two`, config: STILL, ...named });
  await root.ask(
    'mutation($input: SetStrategyApprovalInput!) { setStrategyApproval(input: $input) { success } }',
    { input: { strategyId: `${world}-two`, required: true } },
  );
  const { createWebhook } = await root.ask(
    'mutation($input: CreateWebhookInput!) { createWebhook(input: $input) { success message webhook { id } } }',
    { input: { url: `http://127.0.0.1:9/${world}`, strategyId: strategy } },
  );
  if (!createWebhook.success) throw new Error(createWebhook.message);
  // It must not try to deliver while the test compares what is written.
  await root.ask('mutation($input: UpdateWebhookInput!) { updateWebhook(input: $input) { success } }', {
    input: { webhookId: createWebhook.webhook.id, enabled: false },
  });
  const { freeze } = await createFreeze(root, {
    strategies: [`${world}-*`],
    blocks: ['PROMOTE'],
    reason: `${world} freeze`,
  });
  const { createLossBudget } = await root.ask(
    'mutation($input: CreateLossBudgetInput!) { createLossBudget(input: $input) { message lossBudget { id } } }',
    {
      input: {
        name: `${world}-budget`,
        strategies: [`${world}-*`],
        windowHours: 24,
        maxLossUsd: '1000000',
        action: 'PAUSE',
      },
    },
  );
  await makeKey(root, 'BOT', { name: `${world}-key`, strategies: [`${world}-*`] });
  const { apiKeys, events } = await root.ask(
    '{ apiKeys(first: 200) { nodes { id name } } events(first: 200) { edges { cursor node { id deploymentId } } } }',
  );
  const key = apiKeys.nodes.find(({ name }: { name: string }) => name === `${world}-key`);
  const event = events.edges.find(
    ({ node }: { node: { deploymentId: string } }) => node.deploymentId === deployment,
  );
  return {
    deployment,
    ended,
    strategy,
    pattern: `${world}-*`,
    webhook: createWebhook.webhook.id,
    freeze: freeze.id,
    budget: createLossBudget.lossBudget.id,
    key: key.id,
    keyName: `${world}-key`,
    event: event.node.id,
  };
}

/** Ids of the same form that nothing has. */
export function absentIds(hidden: Ids): Ids {
  return Object.fromEntries(
    Object.entries(hidden).map(([kind, id]) => {
      const renamed = id.replaceAll('hidden', 'absent');
      return [kind, renamed === id ? `${id.slice(0, -4)}${id.endsWith('0000') ? '1111' : '0000'}` : renamed];
    }),
  );
}

/** An answer about hidden things, as it would be about absent ones. */
export function asAbsent(answer: string, hidden: Ids, absent: Ids): string {
  const renamed = Object.entries(hidden).reduce(
    (text, [kind, id]) => text.replaceAll(id, absent[kind] ?? id),
    answer,
  );
  return renamed.replaceAll('hidden', 'absent');
}

/** Columns that say what a row belongs to. */
const OWNERS = ['id', 'strategy_id', 'strategies', 'deployment_id', 'subject'];

/**
 * All that is stored, as a text that changes with any row.
 * @param about only rows that belong to what has this text in its name
 */
export async function stored(sql: postgres.Sql, about = ''): Promise<string> {
  const tables = await sql<{ name: string }[]>`
    select quote_ident(tablename) as name from pg_tables
    where schemaname = 'public' and tablename <> all(${BACKGROUND_TABLES}) order by 1`;
  const owner = OWNERS.map((column) => `coalesce(t.content->>'${column}', '')`).join(` || ' ' || `);
  const sums = tables.map(
    ({
      name,
    }) => `select '${name}' as name, count(*)::int as rows, sum(hashtext(t.content::text)::bigint)::text as sum
      from (select to_jsonb(t) - 'last_used_at' as content from ${name} t) t where ${owner} like '%${about}%'`,
  );
  const rows = await sql.unsafe(`${sums.join(' union all ')} order by name`);
  return rows.map(({ name, rows: count, sum }) => `${name} ${count} ${sum}`).join('\n');
}
