/**
 * Which strategies somebody may see, as patterns over their names. The one rule: `*` stands for any characters, also
 * none; everything else stands for itself. Lists are narrowed in SQL, single rows by `covers`: both read one rule.
 */
import { type AnyColumn, type SQL, sql } from 'drizzle-orm';

/** Patterns of which one must match; null is every strategy, an empty list is none. */
export type Scope = readonly string[] | null;

/** Whether a strategy is in the scope. */
export function covers(scope: Scope, strategyId: string): boolean {
  return scope === null || scope.some((pattern) => expressionOf(pattern).test(strategyId));
}

/**
 * Whether everything that the inner scope covers is covered by the outer one. A `*` of an inner pattern is only ever
 * matched by a `*` of an outer one, so whatever stands for it is matched too.
 */
export function contains(outer: Scope, inner: Scope): boolean {
  if (outer === null) return true;
  return inner?.every((pattern) => covers(outer, pattern)) ?? false;
}

/** The same as `covers`, for a column of strategy names. */
export function inScope(column: AnyColumn, scope: Scope | undefined): SQL | undefined {
  if (scope === null || scope === undefined) return undefined;
  return sql`${column} like any(${likePatterns(scope)})`;
}

/** The same as `contains`, for a column of patterns that is null for every strategy. */
export function withinScope(column: AnyColumn, scope: Scope): SQL | undefined {
  if (scope === null) return undefined;
  const outside = sql`select from unnest(${column}) inner_pattern where not inner_pattern like any(${likePatterns(scope)})`;
  return sql`${column} is not null and not exists (${outside})`;
}

/** Patterns as LIKE has them, in PostgreSQL's own notation of an array. */
function likePatterns(scope: readonly string[]): SQL {
  const patterns = scope.map((pattern) => quoted(pattern.replace(/[\\%_]/g, '\\$&').replace(/\*+/g, '%')));
  return sql`${`{${patterns.join(',')}}`}::text[]`;
}

const quoted = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`;

const expressions = new Map<string, RegExp>();

/** Patterns come from keys and tokens, again and again. */
function expressionOf(pattern: string): RegExp {
  const known = expressions.get(pattern);
  if (known) return known;
  const parts = pattern.split(/\*+/).map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
  const made = new RegExp(`^${parts.join('.*')}$`, 's');
  if (expressions.size >= 1000) expressions.clear();
  expressions.set(pattern, made);
  return made;
}
