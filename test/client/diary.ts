/** What a killed bot wrote down over all its runs, and the laws that hold between it and the database. */
import { readFile } from 'node:fs/promises';
import type postgres from 'postgres';

/** A line of the diary. */
export type Entry = { readonly run: string } & (
  | { readonly kind: 'sent'; readonly value: { readonly trades: number; readonly id: string } }
  | { readonly kind: 'reported'; readonly value: number }
  | { readonly kind: 'recorded'; readonly value: string }
  | { readonly kind: 'offered'; readonly value: Request & { readonly acknowledged: boolean } }
  | { readonly kind: 'acknowledged'; readonly value: Request }
  | { readonly kind: 'event'; readonly value: { readonly cursor: string; readonly id: string } }
  | { readonly kind: 'ended'; readonly value: true }
);

/** A request for capital. */
interface Request {
  readonly side: string;
  readonly number: number;
}

/** The lines that are whole: a bot may be killed in the middle of one. */
export async function readDiary(path: string): Promise<Entry[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

/** What each side was told is on disk: totals add up over runs, trades count by their id. */
export function reportedTrades(entries: readonly Entry[]): Readonly<Record<'CANARY' | 'STABLE', number>> {
  return {
    CANARY: overRuns(entries, (entry) => (entry.kind === 'reported' ? entry.value : 0)),
    STABLE: new Set(entries.flatMap((entry) => (entry.kind === 'recorded' ? [entry.value] : []))).size,
  };
}

/** The largest figure of each run, added up. */
function overRuns(entries: readonly Entry[], of: (entry: Entry) => number): number {
  const most = new Map<string, number>();
  for (const entry of entries) most.set(entry.run, Math.max(most.get(entry.run) ?? 0, of(entry)));
  return [...most.values()].reduce((sum, figure) => sum + figure, 0);
}

/** Sentences that name what a bot did twice, or what is on disk without having been sent; empty when all is well. */
export async function violationsOf(
  id: string,
  entries: readonly Entry[],
  sql: postgres.Sql,
): Promise<string[]> {
  const rows = await sql<{ side: string; trades: number }[]>`
    select side, trades::int from side_metrics where deployment_id = ${id}`;
  const onDisk = new Map(rows.map(({ side, trades }) => [side, trades]));
  const sent = {
    CANARY: overRuns(entries, (entry) => (entry.kind === 'sent' ? entry.value.trades : 0)),
    STABLE: entries.filter(({ kind }) => kind === 'sent').length,
  };
  const log = await sql<{ id: string; type: string; request: string | null }[]>`
    select deployment_id || ':' || no as id, type, (payload->>'side') || ' ' || (payload->>'number') as request
    from events where deployment_id = ${id} order by no`;
  const told = log.flatMap(({ type, request }) => (type === 'ALLOCATION_ACKNOWLEDGED' ? [request] : []));
  const seen = entries.flatMap((entry) => (entry.kind === 'event' ? [entry.value.id] : []));
  const gap = log.findIndex((event, index) => event.id !== seen[index]);
  return [
    ...Object.entries(sent).flatMap(([side, trades]) =>
      (onDisk.get(side) ?? 0) > trades
        ? [`counted twice: the ${side} side of ${id} has ${onDisk.get(side)} trades of ${trades} sent`]
        : [],
    ),
    ...(new Set(told).size < told.length ? [`acknowledged twice: ${id} ${told.join(' ')}`] : []),
    ...offeredAgain(entries).map((text) => `acted on twice: ${id} ${text}`),
    ...(gap >= 0 || seen.length > log.length
      ? [`the feed is the log: ${id} has ${seen[gap]} at ${gap} of ${log.length} (${seen.length} deliveries)`]
      : []),
  ];
}

/** Requests that a bot was told to carry out although it knew that it had acknowledged them. */
function offeredAgain(entries: readonly Entry[]): string[] {
  const done = new Set<string>();
  const again: string[] = [];
  for (const { kind, value } of entries) {
    if (kind !== 'offered' && kind !== 'acknowledged') continue;
    const request = `${value.side} ${value.number}`;
    if (kind === 'acknowledged') done.add(request);
    else if (done.has(request) && !value.acknowledged) again.push(request);
  }
  return again;
}
