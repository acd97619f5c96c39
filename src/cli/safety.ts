/** `serin freeze`, `unfreeze`, `freezes` and `halt`: what an operator types before an event, or at three in the morning. */
import { randomUUID } from 'node:crypto';
import type { Context } from './context.ts';
import { CommandFailed, EXIT, type Refused, refusal, usage } from './exitCodes.ts';
import type { ChangeOptions } from './lifecycle.ts';
import { noteMore, type Paged, readUpTo } from './paging.ts';
import { readInstant, readSeconds } from './serverTime.ts';
import { table } from './terminal.ts';
import { moment, sentenceOf, words } from './words.ts';

interface FreezeView {
  readonly id: string;
  readonly strategies: readonly string[];
  readonly chains: readonly string[];
  readonly blocks: readonly string[];
  readonly reason: string;
  readonly createdBy: string;
  readonly activeNow: boolean;
  readonly activeUntil: string | null;
  readonly nextFrom: string | null;
  readonly liftedAt: string | null;
}

const FREEZE =
  'id strategies chains blocks reason createdBy from until activeNow activeUntil nextFrom liftedBy liftedAt';
const RESULT = `success replayed message error { code message path } freeze { ${FREEZE} }`;

export interface SafetyResult extends Refused {
  readonly success: boolean;
  readonly replayed: boolean;
}

/** Sends one of the mutations; says its refusal where there is one. */
export async function send<Result extends SafetyResult>(
  mutation:
    | 'createFreeze'
    | 'liftFreeze'
    | 'haltCanaries'
    | 'createLossBudget'
    | 'updateLossBudget'
    | 'deleteLossBudget',
  fields: string,
  input: Readonly<Record<string, unknown>>,
  { serin, terminal }: Context,
): Promise<Result> {
  const type = `${mutation[0]?.toUpperCase()}${mutation.slice(1)}Input`;
  const { result } = await serin.query<{ result: Result }>(
    `mutation ($input: ${type}!) { result: ${mutation}(input: $input) { ${fields} } }`,
    { input: { ...input, idempotencyKey: input.idempotencyKey ?? randomUUID() } },
  );
  if (terminal.json) terminal.value(result);
  if (!result.success) throw refusal(result);
  return result;
}

export interface FreezeOptions {
  readonly reason: string;
  readonly chain?: readonly string[];
  readonly from?: string;
  /** A length such as 2h, or an instant. */
  readonly for?: string;
  readonly until?: string;
  readonly block?: readonly string[];
  readonly rule?: string;
  readonly zone?: string;
  readonly minutes?: number;
  readonly idempotencyKey?: string;
}

/** What is sent with every change of a freeze or a budget. */
export const reasonAndKey = ({ reason, idempotencyKey }: ChangeOptions) => ({ reason, idempotencyKey });

export async function freeze(
  patterns: readonly string[],
  options: FreezeOptions,
  context: Context,
): Promise<void> {
  const { reason, chain, block, rule, zone, minutes, idempotencyKey } = options;
  const recurs = [rule, zone, minutes].filter((given) => given !== undefined).length;
  if (recurs !== 0 && recurs !== 3) throw usage('--rule, --zone and --minutes belong together');
  const input = {
    ...(patterns.length > 0 ? { strategies: patterns } : {}),
    chains: chain,
    reason,
    from: options.from && instant('--from', options.from),
    ...endOf(options),
    blocks: block?.map((name) => name.toUpperCase().replaceAll('-', '_')),
    recurrence: recurs === 0 ? undefined : { rule, timeZone: zone, durationMinutes: minutes },
    idempotencyKey,
  };
  say(await send('createFreeze', RESULT, input, context), context);
}

/** The server counts `--for`: the same command under the same key means the same end. */
function endOf(options: FreezeOptions): { readonly until?: string; readonly durationSeconds?: number } {
  if (options.for === undefined)
    return options.until === undefined ? {} : { until: instant('--until', options.until) };
  if (options.until !== undefined) throw usage('--for and --until exclude each other');
  const durationSeconds = readSeconds('--for', options.for);
  if (durationSeconds === null) throw usage(`--for must be such as 90m, 12h or 3d, got ${options.for}`);
  return { durationSeconds };
}

function instant(name: string, text: string): string {
  const time = readInstant(text);
  if (time === null) throw usage(`${name} must be an instant such as 2026-12-10T20:00:00Z, got ${text}`);
  return time;
}

export async function unfreeze(id: string, options: ChangeOptions, context: Context): Promise<void> {
  say(await send('liftFreeze', RESULT, { id, ...reasonAndKey(options) }, context), context);
}

/** What came of it; JSON has it already. */
export function say({ message, replayed }: SafetyResult, { terminal }: Context): void {
  if (!terminal.json) terminal.line(sentenceOf(message, replayed));
}

const LIST = `query ($standing: Boolean!, $first: Int!, $after: String) {
  freezes(standing: $standing, first: $first, after: $after) {
    nodes { ${FREEZE} } pageInfo { hasNextPage endCursor } } }`;

export async function listFreezes(all: boolean, limit: number, { serin, terminal }: Context): Promise<void> {
  const { found: nodes, more } = await readUpTo(limit, async (first, after) => {
    const page = await serin.query<{ freezes: Paged<FreezeView> }>(LIST, { standing: !all, first, after });
    return page.freezes;
  });
  if (terminal.json) terminal.value(nodes);
  else if (nodes.length === 0) terminal.line('Nothing is frozen.');
  else {
    const lines = table(
      nodes,
      [
        { head: 'FREEZE', of: ({ id }) => id },
        { head: 'STATE', of: stateOf },
        { head: 'STRATEGIES', of: ({ strategies }) => strategies.join(' '), cut: true },
        { head: 'CHAINS', of: ({ chains }) => chains.join(' '), cut: true },
        { head: 'BLOCKS', of: ({ blocks }) => blocks.map(words).join(', ') },
        { head: 'BY', of: ({ createdBy }) => createdBy },
        { head: 'REASON', of: ({ reason }) => reason, cut: true },
      ],
      terminal,
    );
    for (const line of lines) terminal.line(line);
  }
  if (more) noteMore(terminal, limit);
}

function stateOf({ activeNow, activeUntil, nextFrom, liftedAt }: FreezeView): string {
  if (liftedAt !== null) return `lifted ${moment(liftedAt)}`;
  if (activeNow)
    return activeUntil === null ? 'active until it is lifted' : `active until ${moment(activeUntil)}`;
  return nextFrom === null ? 'over' : `from ${moment(nextFrom)}`;
}

interface HaltResult extends SafetyResult {
  readonly complete: boolean;
  readonly pending: readonly string[];
  readonly outcomes: readonly {
    readonly deploymentId: string;
    readonly outcome: string;
    readonly message: string;
  }[];
}

const HALT = `success replayed message complete pending error { code message path } freeze { ${FREEZE} }
  outcomes { deploymentId outcome message error { code } }`;

export interface HaltOptions {
  readonly reason: string;
  readonly chain?: readonly string[];
  readonly action: string;
  readonly freeze?: boolean;
  readonly idempotencyKey?: string;
}

/** Ends with the code of a refusal where not every deployment was halted. */
export async function halt(
  strategies: readonly string[],
  { reason, chain, action, freeze: frozen, idempotencyKey }: HaltOptions,
  context: Context,
): Promise<void> {
  const key = idempotencyKey ?? randomUUID();
  const input = {
    strategies,
    chains: chain,
    action: action.toUpperCase(),
    reason,
    freeze: frozen ?? false,
    idempotencyKey: key,
  };
  const { terminal } = context;
  const result = await send<HaltResult>('haltCanaries', HALT, input, context);
  if (!terminal.json) {
    const columns = [
      { head: 'DEPLOYMENT', of: ({ deploymentId }: HaltResult['outcomes'][number]) => deploymentId },
      { head: 'OUTCOME', of: ({ outcome }: HaltResult['outcomes'][number]) => words(outcome) },
      { head: 'WHAT', of: ({ message }: HaltResult['outcomes'][number]) => message, cut: true },
    ];
    if (result.outcomes.length > 0)
      for (const line of table(result.outcomes, columns, terminal)) terminal.line(line);
    say(result, context);
  }
  const refused = result.outcomes.some(({ outcome }) => outcome === 'REFUSED');
  if (refused) throw new CommandFailed('some deployments were not halted', EXIT.refused);
  if (!result.complete) {
    throw new CommandFailed(
      `${result.pending.length} are still being halted: the same command with --idempotency-key ${key} shows the outcome`,
      EXIT.refused,
    );
  }
}
