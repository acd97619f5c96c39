/**
 * The strategies that a caller may see, as patterns over their names. `*` matches any number of characters, also none;
 * every other character matches itself. Lists are filtered in SQL, single rows by `covers`, with the same rule.
 */
import { type AnyColumn, type SQL, sql } from 'drizzle-orm';

/** Patterns of which at least one must match. Null covers every strategy, an empty list none. */
export type Scope = readonly string[] | null;

/** The characters of a pattern: those of a strategy's name, and `*`. */
const PATTERN = /^[\p{L}\p{N}._:/@+*-]{1,200}$/u;
/** More say nothing that fewer cannot, and each costs a search. */
const MAX_STARS = 8;

/** Why a string is not a pattern, as a message after the field's name; null if it is one. */
export function patternViolation(pattern: unknown): string | null {
  if (typeof pattern !== 'string' || !PATTERN.test(pattern)) {
    return `must be names of strategies, with * for any characters, got ${JSON.stringify(pattern)?.slice(0, 80)}`;
  }
  const stars = pattern.split('*').length - 1;
  return stars > MAX_STARS ? `must have at most ${MAX_STARS} * in a pattern, got ${stars}` : null;
}

/** Whether the scope covers a strategy. */
export function covers(scope: Scope, strategyId: string): boolean {
  return scope === null || scope.some((pattern) => matches(pattern, strategyId));
}

/**
 * Whether the outer scope covers everything that the inner one covers. Inner patterns are tested like names: the `*` of
 * an inner pattern can only be matched by the `*` of an outer one, which then matches whatever that `*` stands for.
 */
export function contains(outer: Scope, inner: Scope): boolean {
  if (outer === null) return true;
  return inner?.every((pattern) => covers(outer, pattern)) ?? false;
}

/** Whether some name may be covered by both: whether two actors, or an actor and a freeze, may share a strategy. */
export function overlaps(one: Scope, other: Scope): boolean {
  if (one === null || other === null) return (one ?? other ?? ['*']).length > 0;
  return one.some((a) => other.some((b) => shareName(a, b)));
}

/** Whether a name matches both patterns: a table says which beginnings of the two can match the same beginning of a name. */
function shareName(a: string, b: string): boolean {
  let before: boolean[] = [];
  for (let i = 0; i <= a.length; i += 1) {
    const row: boolean[] = [];
    for (let j = 0; j <= b.length; j += 1) {
      const [x, y] = [a[i - 1], b[j - 1]];
      // A star matches nothing, or what the other one matches.
      const byStar = (x === '*' || y === '*') && (before[j] === true || row[j - 1] === true);
      const equal = x !== undefined && x === y && before[j - 1] === true;
      row.push((i === 0 && j === 0) || byStar || equal);
    }
    before = row;
  }
  return before[b.length] === true;
}

/** `covers` in SQL, for a column of strategy names; undefined if there is nothing to filter. */
export function inScope(column: AnyColumn, scope: Scope): SQL | undefined {
  if (scope === null) return undefined;
  return sql`${column} like any(${likePatterns(scope)})`;
}

/** `contains` in SQL, for a column of patterns in which null covers every strategy. */
export function withinScope(column: AnyColumn, scope: Scope): SQL | undefined {
  if (scope === null) return undefined;
  const outside = sql`select from unnest(${column}) inner_pattern where not inner_pattern like any(${likePatterns(scope)})`;
  return sql`${column} is not null and not exists (${outside})`;
}

/**
 * `overlaps` in SQL, for a column of patterns. Two that both have a `*` share a name where their beginnings agree, and their
 * ends: each `*` takes what the other pattern has between. One without a `*` is a name.
 */
export function overlapsScope(column: AnyColumn, scope: Scope): SQL | undefined {
  if (scope === null) return undefined;
  const agree = (a: SQL, b: SQL) => sql`left(${a}, length(${b})) = left(${b}, length(${a}))`;
  const first = (text: SQL) => sql`split_part(${text}, '*', 1)`;
  const [a, b] = [sql`a.pattern`, sql`b.pattern`];
  return sql`exists (select from unnest(${column}) a (pattern), unnest(${sql.param([...scope])}::text[]) b (pattern)
    where case when ${a} not like '%*%' then ${a} like ${likeOf(b)} when ${b} not like '%*%' then ${b} like ${likeOf(a)}
      else ${agree(first(a), first(b))} and ${agree(first(sql`reverse(${a})`), first(sql`reverse(${b})`))} end)`;
}

/** A pattern as a LIKE pattern. It has no `%` and no backslash, see {@link PATTERN}. */
const likeOf = (pattern: SQL): SQL => sql`replace(replace(${pattern}, '_', '\\_'), '*', '%')`;

/** The LIKE patterns of a column of patterns, for `like any`. */
export function likePatternsOf(patterns: SQL): SQL {
  return sql`array(select ${likeOf(sql`pattern`)} from unnest(${patterns}) pattern)`;
}

/** The patterns as LIKE patterns, in an array literal of PostgreSQL. */
function likePatterns(scope: readonly string[]): SQL {
  const patterns = scope.map((pattern) => quoted(pattern.replace(/[\\%_]/g, '\\$&').replace(/\*+/g, '%')));
  return sql`${`{${patterns.join(',')}}`}::text[]`;
}

const quoted = (value: string) => `"${value.replace(/[\\"]/g, '\\$&')}"`;

/**
 * Whether a pattern matches a name, in time proportional to their lengths: the part before the first `*` begins the
 * name, the part after the last ends it, and each part between is found at its first place after the one before.
 */
function matches(pattern: string, name: string): boolean {
  const [begin = '', ...others] = pattern.split('*');
  const end = others.pop();
  if (end === undefined) return begin === name;
  if (name.length < begin.length + end.length || !name.startsWith(begin) || !name.endsWith(end)) return false;
  let at = begin.length;
  for (const part of others) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= name.length - end.length;
}
