/** `serin events`: the timeline, up to now or live. */
import type { Context } from './context.ts';
import { notFound, usage } from './exitCodes.ts';
import { looksLikeInstant, readInstant, readLength, serverTime } from './serverTime.ts';
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
const FORWARD = `query ($filter: EventFilter, $after: String) { events(filter: $filter, first: ${PAGE}, after: $after) {
  nodes { ${FIELDS} } pageInfo { hasNextPage endCursor } } }`;
const BACKWARD = `query ($filter: EventFilter, $last: Int, $before: String) {
  events(filter: $filter, last: $last, before: $before) {
    nodes { ${FIELDS} } pageInfo { hasPreviousPage startCursor } } }`;
const NEWEST = 'query { events(last: 1) { nodes { cursor } } }';
const FEED = `subscription ($deploymentId: ID, $strategyId: ID, $types: [CanaryEventType!], $after: String) {
  eventAppended(deploymentId: $deploymentId, strategyId: $strategyId, types: $types, after: $after) { ${FIELDS} } }`;
const BEGINNING = '0';

export async function events(id: string | undefined, options: EventOptions, context: Context): Promise<void> {
  const { terminal, serin } = context;
  const from = await readSince(options.since, context);
  const filter = {
    ...(id ? { deploymentId: id } : {}),
    ...(options.strategy ? { strategyId: options.strategy } : {}),
    ...(options.type ? { types: options.type.map((type) => type.toUpperCase()) } : {}),
  };
  // Where a feed continues if nothing is shown: read first, so that nothing falls between the two.
  const newest = options.follow ? await newestCursor(context) : BEGINNING;
  const pages =
    from === null ? [await readNewest(context, filter, options.limit)] : readForward(context, filter, from);
  const list = terminal.json && !options.follow ? terminal.list() : null;
  let last: string | null = null;
  for await (const page of pages) {
    for (const event of page) {
      if (list) list.item(event);
      else print(event, terminal);
    }
    await terminal.drained();
    last = page.at(-1)?.cursor ?? last;
  }
  if (id && last === null && !options.follow) await mustExist(id, context);
  list?.end();
  if (!options.follow) return;
  const leaving = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => leaving.abort());
  for await (const event of serin.follow<EventView>({
    query: FEED,
    variables: filter,
    after: last ?? from?.cursor ?? newest,
    signal: leaving.signal,
  })) {
    print(event, terminal);
  }
}

type Filter = Readonly<Record<string, unknown>>;

interface Page {
  readonly events: {
    readonly nodes: readonly EventView[];
    readonly pageInfo: {
      readonly hasNextPage?: boolean;
      readonly endCursor?: string | null;
      readonly hasPreviousPage?: boolean;
      readonly startCursor?: string | null;
    };
  };
}

/** @throws {CommandFailed} where there is no such deployment: silence would look like one without events */
async function mustExist(id: string, { serin }: Context): Promise<void> {
  const query = 'query ($id: ID!) { deployment(id: $id) { id } }';
  const { deployment } = await serin.query<{ deployment: { id: string } | null }>(query, { id });
  if (!deployment) throw notFound(`There is no deployment ${id} (or this key may not see it)`);
}

async function newestCursor({ serin }: Context): Promise<string> {
  const { events } = await serin.query<{ events: { nodes: readonly { readonly cursor: string }[] } }>(NEWEST);
  return events.nodes[0]?.cursor ?? BEGINNING;
}

/** The newest events, in the order of the log. */
async function readNewest({ serin }: Context, filter: Filter, limit: number): Promise<EventView[]> {
  const shown: EventView[] = [];
  let before: string | null = null;
  while (shown.length < limit) {
    const last = Math.min(PAGE, limit - shown.length);
    const { events }: Page = await serin.query<Page>(BACKWARD, { filter, last, before });
    shown.unshift(...events.nodes);
    before = events.pageInfo.startCursor ?? null;
    if (!events.pageInfo.hasPreviousPage || before === null) break;
  }
  return shown;
}

/** Every event from a beginning on, page by page: they may be those of months. */
async function* readForward(
  { serin }: Context,
  filter: Filter,
  from: Beginning,
): AsyncGenerator<readonly EventView[]> {
  const narrowed = from.time === null ? filter : { ...filter, from: from.time };
  let after = from.cursor === BEGINNING ? null : from.cursor;
  for (;;) {
    const { events }: Page = await serin.query<Page>(FORWARD, { filter: narrowed, after });
    yield events.nodes;
    after = events.pageInfo.endCursor ?? null;
    if (!events.pageInfo.hasNextPage || after === null) return;
  }
}

/** A cursor, or a time. */
interface Beginning {
  readonly cursor: string | null;
  readonly time: string | null;
}

/** Where to begin, a length of time being counted back on Serin's clock; null where it is not said. */
async function readSince(since: string | undefined, context: Context): Promise<Beginning | null> {
  if (since === undefined) return null;
  const lengthMs = readLength(since);
  if (lengthMs !== null) {
    return { cursor: null, time: new Date((await serverTime(context)) - lengthMs).toISOString() };
  }
  const time = readInstant(since);
  if (time !== null) return { cursor: null, time };
  if (/^\d/.test(since) && !looksLikeInstant(since)) return { cursor: since, time: null };
  throw usage(
    `--since must be such as 30m, 2h, 1d, 2026-01-31, 2026-01-31T12:00:00Z or a cursor, got ${since}`,
  );
}

const TYPE_COLUMNS = 26;
const LEAST_ROOM = 40;
const BELOW = 4;

function print(event: EventView, terminal: Terminal): void {
  if (terminal.json) {
    terminal.value(event, true);
    return;
  }
  const { at, deploymentId, type, actor, description } = event;
  const head = `${moment(at)}  ${deploymentId}  `;
  const name = words(type);
  const said = `${description}${actor === 'serin' ? '' : ` (${actor})`}`;
  const beside = head.length + Math.max(TYPE_COLUMNS, name.length) + 2;
  const room = terminal.columns() - beside;
  // On a narrow terminal the sentence stands below its head.
  const isBelow = terminal.interactive && room < LEAST_ROOM;
  const indent = isBelow ? BELOW : beside;
  const lines = terminal.interactive ? wrap(said, terminal.columns() - indent) : [said];
  const [first = '', ...more] = isBelow ? ['', ...lines] : lines;
  terminal.line(`${terminal.paint('dim', head)}${name.padEnd(TYPE_COLUMNS)}  ${first}`.trimEnd());
  for (const line of more) terminal.line(' '.repeat(indent) + line);
}
