/** Validation errors: what is wrong with an input, and where. */

/** One violated rule. `path` is that of the field, from the root of the input: `['config', 'canaryPercent']`. */
export interface Violation {
  readonly path: readonly string[];
  readonly message: string;
}

/** A parsed value, or all its violations. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly violations: readonly Violation[] };

/** All violations as one message: `config.canaryPercent must be between 1 and 50, got 60`. */
export function describeViolations(violations: readonly Violation[]): string {
  return violations.map(({ path, message }) => `${path.join('.')} ${message}`.trim()).join('; ');
}
