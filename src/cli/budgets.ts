/** `serin budgets`, `budget`, `rearm` and `unbudget`: how much the canaries of many deployments may lose together. */
import { Decimal } from '../core/values/decimal.ts';
import type { Context } from './context.ts';
import { usage } from './exitCodes.ts';
import type { ChangeOptions } from './lifecycle.ts';
import { reasonAndKey, say, send } from './safety.ts';
import { table } from './terminal.ts';
import { moment, money, readMoney, words } from './words.ts';

interface BudgetView {
  readonly id: string;
  readonly name: string;
  readonly strategies: readonly string[];
  readonly windowHours: number;
  readonly maxLossUsd: string;
  /** Null if the key does not see all of its strategies. */
  readonly lossUsd: string | null;
  readonly action: string;
  readonly state: string;
  readonly trippedAt: string | null;
}

const BUDGET =
  'id name strategies windowHours maxLossUsd lossUsd action count rearm state trippedAt countsFrom createdBy';
const RESULT = `success replayed message error { code message path } lossBudget { ${BUDGET} }`;

export interface BudgetOptions {
  readonly max: string;
  readonly hours: number;
  readonly action: string;
  readonly losersOnly?: boolean;
  readonly rearm: string;
  readonly idempotencyKey?: string;
}

export async function addBudget(
  name: string,
  patterns: readonly string[],
  { max, hours, action, losersOnly = false, rearm, idempotencyKey }: BudgetOptions,
  context: Context,
): Promise<void> {
  const maxLossUsd = readMoney(max);
  if (maxLossUsd === null) throw usage(`--max must be an amount such as 5000, $5,000 or 5k, got ${max}`);
  const input = {
    name,
    ...(patterns.length > 0 ? { strategies: patterns } : {}),
    windowHours: hours,
    maxLossUsd,
    action: action.toUpperCase().replaceAll('-', '_'),
    count: losersOnly ? 'LOSERS_ONLY' : 'NET',
    rearm: rearm.toUpperCase(),
    idempotencyKey,
  };
  say(await send('createLossBudget', RESULT, input, context), context);
}

export async function rearmBudget(id: string, options: ChangeOptions, context: Context): Promise<void> {
  const input = { id, rearm: true, ...reasonAndKey(options) };
  say(await send('updateLossBudget', RESULT, input, context), context);
}

export async function deleteBudget(id: string, options: ChangeOptions, context: Context): Promise<void> {
  say(await send('deleteLossBudget', RESULT, { id, ...reasonAndKey(options) }, context), context);
}

export async function listBudgets({ serin, terminal }: Context): Promise<void> {
  const { lossBudgets } = await serin.query<{ lossBudgets: { nodes: readonly BudgetView[] } }>(
    `query { lossBudgets(first: 200) { nodes { ${BUDGET} } } }`,
    {},
  );
  const { nodes } = lossBudgets;
  if (terminal.json) return terminal.value(nodes);
  if (nodes.length === 0) return terminal.line('There is no loss budget.');
  const columns = [
    { head: 'BUDGET', of: ({ id }: BudgetView) => id },
    { head: 'NAME', of: ({ name }: BudgetView) => name, cut: true },
    { head: 'STATE', of: stateOf },
    { head: 'LOST', of: ({ lossUsd }: BudgetView) => money(lossUsd), right: true },
    { head: 'OF', of: ({ maxLossUsd }: BudgetView) => money(maxLossUsd), right: true },
    { head: 'USED', of: usedOf, right: true },
    { head: 'IN', of: ({ windowHours }: BudgetView) => `${windowHours} h`, right: true },
    { head: 'ACTION', of: ({ action }: BudgetView) => words(action) },
    { head: 'STRATEGIES', of: ({ strategies }: BudgetView) => strategies.join(' '), cut: true },
  ];
  for (const line of table(nodes, columns, terminal)) terminal.line(line);
}

const stateOf = ({ state, trippedAt }: BudgetView) =>
  trippedAt === null ? words(state) : `${words(state)} ${moment(trippedAt)}`;

const usedOf = ({ lossUsd, maxLossUsd }: BudgetView) =>
  lossUsd === null ? '–' : `${new Decimal(lossUsd).div(maxLossUsd).times(100).toFixed(0)} %`;
