/** `serin events`: the timeline, up to now or live. */
import type { Context } from './context.ts';
import { usage } from './exitCodes.ts';
import { type Terminal, wrap } from './terminal.ts';
import { moment, words } from './words.ts';

export interface EventOptions {
  readonly follow?: boolean;
  /** A duration (`2h`), an instant, or a cursor. */
  readonly since?: string;
  readonly strategy?: string;
  readonly type?: readonly string[];
  readonly limit: number;
}

interface EventView {
  readonly cursor: string;
  readonly at: string;
  readonly deploymentId: string;
  readonly strategyId: string;
  readonly type: string;
  readonly actor: string;
  readonly description: string;
}

const FIELDS = 'cursor at deploymentId strategyId type actor description';
const PAGE = 200;
const PAGE_QUERY = `query ($filter: EventFilter, $after: String) { events(filter: $filter, first: ${PAGE}, after: $after) {
  edges { node { ${FIELDS} } } pageInfo { hasNextPage endCursor } } }`;
const FEED = `subscription ($deploymentId: ID, $strategyId: ID, $types: [CanaryEventType!], $after: String) {
  eventAppended(deploymentId: $deploymentId, strategyId: $strategyId, types: $types, after: $after) { ${FIELDS} } }`;
const BEGINNING = '0';

export async function events(id: string | undefined, options: EventOptions, context: Context): Promise<void> {
  const { terminal, serin } = context;
  const from = readSince(options.since);
  const filter = {
    ...(id ? { deploymentId: id } : {}),
    ...(options.strategy ? { strategyId: options.strategy } : {}),
    ...(options.type ? { types: options.type.map((type) => type.toUpperCase()) } : {}),
  };
  let after = from.cursor;
  const shown: EventView[] = [];
  for (;;) {
    const page: Page = await serin.query<Page>(PAGE_QUERY, {
      filter,
      after: after === BEGINNING ? null : after,
    });
    const nodes = page.events.edges.map(({ node }) => node);
    after = nodes.at(-1)?.cursor ?? after;
    shown.push(...nodes.filter(({ at }) => Date.parse(at) >= from.time));
    // Without a beginning the newest are wanted: the older ones are dropped on the way.
    if (options.since === undefined) shown.splice(0, Math.max(0, shown.length - options.limit));
    if (!page.events.pageInfo.hasNextPage) break;
  }
  if (terminal.json && !options.follow) terminal.value(shown);
  else for (const event of shown) print(event, terminal);
  if (!options.follow) return;
  const leaving = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => leaving.abort());
  for await (const event of serin.follow<EventView>({
    query: FEED,
    variables: filter,
    after,
    signal: leaving.signal,
  })) {
    print(event, terminal);
  }
}

interface Page {
  readonly events: {
    readonly edges: readonly { readonly node: EventView }[];
    readonly pageInfo: { readonly hasNextPage: boolean };
  };
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Where to begin: at a cursor, or at a time. */
function readSince(since: string | undefined): { readonly cursor: string; readonly time: number } {
  if (since === undefined) return { cursor: BEGINNING, time: Number.NEGATIVE_INFINITY };
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(since) ?? [];
  if (unit) return { cursor: BEGINNING, time: Date.now() - Number(count) * (UNITS[unit] ?? 0) };
  if (/^\d{4}-\d{2}-\d{2}/.test(since)) {
    const time = Date.parse(since);
    if (!Number.isNaN(time)) return { cursor: BEGINNING, time };
  } else if (/^\d/.test(since)) return { cursor: since, time: Number.NEGATIVE_INFINITY };
  throw usage(
    `--since must be such as 30m, 2h, 1d, 2026-01-31, 2026-01-31T12:00:00Z or a cursor, got ${since}`,
  );
}

const TYPE_COLUMNS = 26;
const LEAST_ROOM = 20;

function print(event: EventView, terminal: Terminal): void {
  if (terminal.json) {
    terminal.value(event, true);
    return;
  }
  const { at, deploymentId, type, actor, description } = event;
  const head = `${moment(at)}  ${deploymentId}  `;
  const name = words(type).padEnd(TYPE_COLUMNS);
  const said = `${description}${actor === 'serin' ? '' : ` (${actor})`}`;
  const indent = head.length + name.length + 2;
  const room = terminal.columns() - indent;
  // On a narrow terminal the sentence stands below its head.
  const lines = terminal.interactive && room >= LEAST_ROOM ? wrap(said, room) : [said];
  const [first = '', ...more] = lines;
  terminal.line(`${terminal.paint('dim', head)}${name}  ${first}`);
  for (const line of more) terminal.line(' '.repeat(indent) + line);
}
