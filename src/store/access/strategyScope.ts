/**
 * The strategies that a caller may see, as patterns over their names. `*` matches any number of characters, also none;
 * every other character matches itself. Lists are filtered in SQL, single rows by `covers`, with the same rule.
 */
import { type AnyColumn, type SQL, sql } from 'drizzle-orm';

/** Patterns of which at least one must match. Null covers every strategy, an empty list none. */
export type Scope = readonly string[] | null;

/** Whether the scope covers a strategy. */
export function covers(scope: Scope, strategyId: string): boolean {
  return scope === null || scope.some((pattern) => expressionOf(pattern).test(strategyId));
}

/**
 * Whether the outer scope covers everything that the inner one covers. Inner patterns are tested like names: the `*` of
 * an inner pattern can only be matched by the `*` of an outer one, which then matches whatever that `*` stands for.
 */
export function contains(outer: Scope, inner: Scope): boolean {
  if (outer === null) return true;
  return inner?.every((pattern) => covers(outer, pattern)) ?? false;
}

/** `covers` in SQL, for a column of strategy names; undefined if there is nothing to filter. */
export function inScope(column: AnyColumn, scope: Scope | undefined): SQL | undefined {
  if (scope === null || scope === undefined) return undefined;
  return sql`${column} like any(${likePatterns(scope)})`;
}

/** `contains` in SQL, for a column of patterns in which null covers every strategy. */
export function withinScope(column: AnyColumn, scope: Scope): SQL | undefined {
  if (scope === null) return undefined;
  const outside = sql`select from unnest(${column}) inner_pattern where not inner_pattern like any(${likePatterns(scope)})`;
  return sql`${column} is not null and not exists (${outside})`;
}

/** The patterns as LIKE patterns, in an array literal of PostgreSQL. */
function likePatterns(scope: readonly string[]): SQL {
  const patterns = scope.map((pattern) => quoted(pattern.replace(/[\\%_]/g, '\\$&').replace(/\*+/g, '%')));
  return sql`${`{${patterns.join(',')}}`}::text[]`;
}

const quoted = (value: string) => `"${value.replace(/[\\"]/g, '\\$&')}"`;

const expressions = new Map<string, RegExp>();

/** A cache: the same patterns come with every request of a key or token. */
function expressionOf(pattern: string): RegExp {
  const cached = expressions.get(pattern);
  if (cached) return cached;
  const parts = pattern.split(/\*+/).map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
  const expression = new RegExp(`^${parts.join('.*')}$`, 's');
  if (expressions.size >= 1000) expressions.clear();
  expressions.set(pattern, expression);
  return expression;
}
