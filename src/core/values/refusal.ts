/** Domain errors as values; a refused command changes nothing. */
import { describeViolations, type Violation } from './violation.ts';

export const REFUSAL_CODES = [
  'INVALID_INPUT',
  'NOT_FOUND',
  'INVALID_TRANSITION',
  'STRATEGY_BUSY',
  'STALE_STABLE_VERSION',
  'REVISION_CONFLICT',
  'IDEMPOTENCY_KEY_REUSED',
  'ALREADY_EXISTS',
  'LIMIT_REACHED',
  'CURSOR_TOO_OLD',
  'HISTORY_REWOUND',
  'COUNTER_RESET',
  'FROZEN',
] as const;
export type RefusalCode = (typeof REFUSAL_CODES)[number];

export interface Refusal {
  readonly code: RefusalCode;
  /** What is wrong and what to do next. */
  readonly message: string;
  /** The path of the invalid field, from the root of the input; empty if there is none. */
  readonly path: readonly string[];
}

/** Messages repeat what callers send; longer ones are cut, characters. */
const MAX_MESSAGE = 2000;

/** A message of bounded length. */
export const cut = (message: string): string =>
  message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE - 1)}…`;

export function refusal(code: RefusalCode, message: string, path: readonly string[] = []): Refusal {
  return { code, message: cut(message), path };
}

/** The refusal of an invalid input: the message has all violations, the path is that of the first one. */
export const invalidInput = (violations: readonly Violation[]): Refusal =>
  refusal('INVALID_INPUT', describeViolations(violations), violations[0]?.path ?? []);
