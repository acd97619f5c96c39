/** What can go wrong between a client and Serin that is not an answer of the domain. */

/** An error of GraphQL as Serin sends it. */
export interface GraphQLFailure {
  readonly message: string;
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** Serin refuses the operation itself: credentials, rights, a document it cannot read. Trying again changes nothing. */
export class SerinError extends Error {
  /** The name of the class. */
  override readonly name: string = 'SerinError';
  constructor(
    message: string,
    /** `extensions.code` of the first error, such as `FORBIDDEN` or `BAD_USER_INPUT`. */
    readonly code: string,
  ) {
    super(message);
  }
}

/** No node answered within the time that the caller gave. Whether the operation was done is not known. */
export class SerinUnavailable extends Error {
  /** The name of the class. */
  override readonly name = 'SerinUnavailable';
}

/** The feed cannot continue: Serin refuses the subscription itself, and would do so again. */
export class FeedRefused extends SerinError {
  /** The name of the class. */
  override readonly name = 'FeedRefused';
  constructor(
    message: string,
    code: string,
    /** With `HISTORY_REWOUND`: the last cursor that still exists. Read the deployments anew, then continue after it. */
    readonly lastCursor: string | null = null,
  ) {
    super(message, code);
  }
}

/** Codes of errors that pass: the same operation is sent again after a wait. */
const PASSING = new Set(['UNAVAILABLE', 'RATE_LIMITED']);
/** A feed also outlives being cut off, and an internal error of one delivery. */
const PASSING_FEED = new Set([...PASSING, 'RESUME_FROM_CURSOR', 'INTERNAL_SERVER_ERROR']);

/** The code of the first error. */
export function codeOf(errors: readonly GraphQLFailure[]): string {
  return String(errors[0]?.extensions?.code ?? 'GRAPHQL_VALIDATION_FAILED');
}

/** Whether an error of an operation is temporary. */
export const isPassing = (code: string): boolean => PASSING.has(code);

/** What an error means for a feed: an Error where it is resumed after a wait, FeedRefused where it is over. */
export function feedError(errors: readonly GraphQLFailure[]): Error {
  const message = errors[0]?.message ?? 'the feed was refused';
  const code = codeOf(errors);
  if (PASSING_FEED.has(code)) return new Error(message);
  const lastCursor = errors[0]?.extensions?.lastCursor;
  return new FeedRefused(message, code, typeof lastCursor === 'string' ? lastCursor : null);
}

/** An error as one line for a person. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error && cause.message !== '') return `${error.message}: ${cause.message}`;
  // Node gives an AggregateError without a message where several addresses refused.
  if (cause && typeof cause === 'object' && 'code' in cause) return `${error.message}: ${String(cause.code)}`;
  return error.message;
}
