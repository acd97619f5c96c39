/** What counts as a fault: an answer that is ours to blame, one that shows the inside, or a refusal that wrote. */
import type postgres from 'postgres';
import { BACKGROUND_TABLES } from '../harness/backgroundTables.ts';
import type { Data } from '../harness/serin.ts';

/** Words that only the inside says: a stack, a statement, a driver's or the database's own message. */
const INSIDE =
  /node_modules|Failed query|\.[jt]s:\d+|\bat (async )?\w+ \(|invalid byte sequence|syntax error at or near|out of range for type|violates \w+ constraint|relation "|PostgresError|drizzle|Cannot read prop|is not a function|is not iterable|Maximum call stack|BigInt/;

/** What is wrong with an answer; null when nothing is. */
export function faultOf(status: number, text: string): string | null {
  if (status >= 500) return `HTTP ${status}`;
  const inside = insideOf(text);
  if (inside) return inside;
  if (text === '') return null;
  const answer = read(text);
  if (answer === undefined) return 'is no JSON';
  for (const error of answer?.errors ?? []) {
    const code = error.extensions?.code;
    if (code === 'INTERNAL_SERVER_ERROR' || code === 'UNAVAILABLE') return code;
  }
  return null;
}

/** What of the inside a text shows. */
export function insideOf(text: string): string | null {
  const inside = INSIDE.exec(text);
  return inside && `shows ${inside[0]}`;
}

function read(text: string): Data {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Whether an answer says that something was done, or may have been: of `recordTrades` each trade, and the value of open
 * positions, is taken on its own unless the whole batch was refused (`error`).
 */
export function wasDone(text: string): boolean {
  if (/"success":true/.test(text)) return true;
  const trades: Data = read(text)?.data?.recordTrades;
  return Boolean(trades) && !trades.error;
}

/** Tables that a refused operation may change: a refusal is kept for its key, and recorded. */
const OF_REFUSALS = ['idempotency_keys', 'audit_records'];

/** What is in the other tables, as one text that changes with any row. */
export async function contentOf(sql: postgres.Sql): Promise<string> {
  const tables = await sql<{ name: string }[]>`
    select quote_ident(tablename) as name from pg_tables
    where schemaname = 'public' and tablename <> all(${[...OF_REFUSALS, ...BACKGROUND_TABLES]}) order by 1`;
  const sums = await sql.unsafe(
    tables
      .map(
        ({ name }) =>
          `select '${name}' as name, count(*)::text as rows, sum(hashtext(t::text))::text as sum from ${name} t`,
      )
      .join(' union all ')
      .concat(' order by name'),
  );
  return sums.map(({ name, rows, sum }) => `${name} ${rows} ${sum}`).join('\n');
}
