/** What is wrong with an input, and where: the currency of every validation in Serin. */

/** One broken rule. `path` leads to the field, from the root of the input: `['config', 'canaryPercent']`. */
export interface Violation {
  readonly path: readonly string[];
  readonly message: string;
}

/** A value that was read, or everything that is wrong with it. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly violations: readonly Violation[] };

/** All violations in one sentence each: `config.canaryPercent must be between 1 and 50, got 60`. */
export function describeViolations(violations: readonly Violation[]): string {
  return violations.map(({ path, message }) => `${path.join('.')} ${message}`.trim()).join('; ');
}
