/** `serin ls`: the deployments, one a line, those that wait for a person marked. */
import type { Context } from './context.ts';
import { noteMore, type Paged, readUpTo } from './paging.ts';
import { type Column, table } from './terminal.ts';
import { duration, money, returnOn, type SideFigures, styleOf, words } from './words.ts';

export interface ListOptions {
  readonly all?: boolean;
  readonly status?: readonly string[];
  readonly chain?: string;
  readonly limit: number;
  /** Ids alone, for scripts and completion. */
  readonly quiet?: boolean;
}

const LIVE = ['PENDING', 'RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'];

interface Listed {
  readonly id: string;
  readonly strategyId: string;
  readonly chain: string;
  readonly canaryVersionId: string;
  readonly stableVersionId: string;
  readonly status: string;
  readonly observationRemainingSeconds: number;
  readonly totalCapitalUsd: string;
  readonly canaryCapitalUsd: string;
  readonly step: { readonly number: number; readonly of: number };
  readonly promotionRequest: { readonly by: string } | null;
  readonly canaryMetrics: SideFigures | null;
  readonly stableMetrics: SideFigures | null;
  readonly comparison: { readonly evidence: { readonly verdict: string } } | null;
}

const QUERY = `query ($filter: DeploymentFilter, $first: Int!, $after: String) {
  deployments(filter: $filter, first: $first, after: $after, orderBy: { field: CREATED_AT, direction: DESC }) {
    nodes {
      id strategyId chain canaryVersionId stableVersionId status observationRemainingSeconds totalCapitalUsd
      canaryCapitalUsd step { number of } promotionRequest { by }
      canaryMetrics { capitalAllocatedUsd returnOnCapital reportedAt metrics { netPnlUsd } }
      stableMetrics { capitalAllocatedUsd returnOnCapital reportedAt metrics { netPnlUsd } }
      comparison { evidence { verdict } }
    }
    pageInfo { hasNextPage endCursor }
  }
}`;

export async function list(
  pattern: string | undefined,
  options: ListOptions,
  context: Context,
): Promise<void> {
  const { terminal } = context;
  const { found, more } = await read(pattern, options, context);
  if (options.quiet) for (const { id } of found) terminal.line(id);
  else if (terminal.json) terminal.value(found);
  else if (found.length === 0) terminal.line(nothingFound(pattern, options));
  else for (const line of table(found, COLUMNS, terminal)) terminal.line(line);
  if (more && !options.quiet) noteMore(terminal, options.limit);
}

async function read(
  pattern: string | undefined,
  options: ListOptions,
  { serin }: Context,
): Promise<{ readonly found: Listed[]; readonly more: boolean }> {
  const status = options.status ?? (options.all ? undefined : LIVE);
  const filter = { ...(status ? { status } : {}), ...(options.chain ? { chain: options.chain } : {}) };
  const ask = async (first: number, after: string | null) => {
    const page = await serin.query<{ deployments: Paged<Listed> }>(QUERY, { filter, first, after });
    return page.deployments;
  };
  return readUpTo(options.limit, ask, pattern === undefined ? undefined : matcher(pattern));
}

/** `eth-*` of strategies or ids; a word without a star matches anywhere in them. */
function matcher(pattern: string): (deployment: Listed) => boolean {
  const whole = pattern.includes('*') ? pattern : `*${pattern}*`;
  const literal = whole.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(`^${literal.join('.*')}$`);
  return ({ id, strategyId }) => expression.test(id) || expression.test(strategyId);
}

function nothingFound(pattern: string | undefined, { all, status }: ListOptions): string {
  const which = status ? 'such' : all ? '' : 'live';
  const about = pattern === undefined ? '' : ` that matches ${pattern}`;
  const hint = all || status ? '' : ' (--all shows those that have ended)';
  return `There is no ${which ? `${which} ` : ''}deployment${about}${hint}.`;
}

const COLUMNS: readonly Column<Listed>[] = [
  { head: 'DEPLOYMENT', of: ({ id }) => id },
  {
    head: 'STRATEGY',
    of: ({ strategyId, chain }) => (chain === 'unknown' ? strategyId : `${strategyId} ${chain}`),
    cut: true,
  },
  { head: 'STABLE', of: ({ stableVersionId }) => stableVersionId, cut: true },
  { head: 'CANARY', of: ({ canaryVersionId }) => canaryVersionId, cut: true },
  { head: 'STATUS', of: stateOf, style: ({ status }) => styleOf(status) },
  { head: 'STEP', of: ({ step }) => `${step.number}/${step.of}` },
  { head: 'LEFT', of: left, right: true },
  { head: 'CAPITAL', of: ({ totalCapitalUsd }) => money(totalCapitalUsd), right: true },
  { head: 'CANARY', of: ({ canaryMetrics }) => returnOn(canaryMetrics), right: true },
  { head: 'STABLE', of: ({ stableMetrics }) => returnOn(stableMetrics), right: true },
  {
    head: 'EVIDENCE',
    of: ({ comparison }) => words(comparison?.evidence.verdict ?? 'none'),
    style: ({ comparison }) => styleOf(comparison?.evidence.verdict ?? ''),
  },
];

/** The status, and whether a person is waited for. */
function stateOf({ status, promotionRequest }: Listed): string {
  if (promotionRequest) return `${words(status)}, to approve`;
  return status === 'OBSERVATION_COMPLETE' ? 'waits for you' : words(status);
}

function left({ status, observationRemainingSeconds }: Listed): string {
  return status === 'RUNNING' || status === 'PAUSED' ? duration(observationRemainingSeconds) : '–';
}
