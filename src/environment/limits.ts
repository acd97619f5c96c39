/**
 * The limits per caller of a node: each with its variable, default, range, and a description for error messages.
 * docs/limits.md explains what each is for.
 */

interface Limit {
  readonly variable: string;
  readonly defaultValue: number;
  readonly least: number;
  readonly most: number;
  readonly what: string;
}

export const LIMITS = {
  depth: {
    variable: 'SERIN_MAX_DEPTH',
    defaultValue: 12,
    least: 3,
    most: 50,
    what: 'levels of fields in a document',
  },
  cost: {
    variable: 'SERIN_MAX_COST',
    defaultValue: 10_000,
    least: 100,
    most: 10_000_000,
    what: 'objects that a document may request',
  },
  aliases: {
    variable: 'SERIN_MAX_ALIASES',
    defaultValue: 50,
    least: 0,
    most: 10_000,
    what: 'aliases in a document',
  },
  fields: {
    variable: 'SERIN_MAX_FIELDS',
    defaultValue: 1000,
    least: 50,
    most: 10_000,
    what: 'fields and fragments named in a document',
  },
  tokens: {
    variable: 'SERIN_MAX_TOKENS',
    defaultValue: 15_000,
    least: 500,
    most: 200_000,
    what: 'tokens of a document',
  },
  documentLength: {
    variable: 'SERIN_MAX_DOCUMENT_LENGTH',
    defaultValue: 200_000,
    least: 1000,
    most: 10_000_000,
    what: 'characters of a document; send long values as variables',
  },
  bodyBytes: {
    variable: 'SERIN_MAX_BODY_BYTES',
    defaultValue: 4_000_000,
    least: 10_000,
    most: 100_000_000,
    what: 'bytes of a request or WebSocket message',
  },
  variableValues: {
    variable: 'SERIN_MAX_VARIABLE_VALUES',
    defaultValue: 200_000,
    least: 100,
    most: 10_000_000,
    what: 'values in the variables of an operation',
  },
  variableDepth: {
    variable: 'SERIN_MAX_VARIABLE_DEPTH',
    defaultValue: 20,
    least: 5,
    most: 100,
    what: 'levels of lists and objects in variables',
  },
  operationsPerSocket: {
    variable: 'SERIN_MAX_OPERATIONS_PER_SOCKET',
    defaultValue: 200,
    least: 1,
    most: 100_000,
    what: 'operations in flight on one WebSocket, including subscriptions',
  },
  connections: {
    variable: 'SERIN_MAX_CONNECTIONS',
    defaultValue: 50_000,
    least: 10,
    most: 1_000_000,
    what: 'connections to a node',
  },
  connectionsPerAddress: {
    variable: 'SERIN_MAX_CONNECTIONS_PER_ADDRESS',
    defaultValue: 1000,
    least: 1,
    most: 1_000_000,
    what: 'connections from one address',
  },
  rate: {
    variable: 'SERIN_RATE_LIMIT',
    defaultValue: 200,
    least: 0,
    most: 1_000_000,
    what: 'operations per second from one address, averaged over ten seconds; 0 switches the limit off',
  },
  keyRate: {
    variable: 'SERIN_KEY_RATE_LIMIT',
    defaultValue: 500,
    least: 0,
    most: 1_000_000,
    what: 'operations per second with one key or token, averaged over ten seconds; 0 switches the limit off',
  },
  subscriptionsPerKey: {
    variable: 'SERIN_MAX_SUBSCRIPTIONS_PER_KEY',
    defaultValue: 10_000,
    least: 1,
    most: 1_000_000,
    what: 'concurrent subscriptions with one key or token',
  },
  headersTimeoutMs: {
    variable: 'SERIN_ARRIVAL_TIMEOUT_MS',
    defaultValue: 10_000,
    least: 400,
    most: 120_000,
    what: 'milliseconds for the headers of a request to arrive; the whole request has three times as long',
  },
  initMs: {
    variable: 'SERIN_INIT_TIMEOUT_MS',
    defaultValue: 3000,
    least: 100,
    most: 60_000,
    what: 'milliseconds a WebSocket has for its connection_init',
  },
} as const satisfies Readonly<Record<string, Limit>>;

export type LimitName = keyof typeof LIMITS;
export type Limits = Readonly<Record<LimitName, number>>;

/** Settings of the HTTP server. */
export interface HttpSettings {
  readonly limits: Limits;
  /** Whether limits apply to loopback addresses too: only if one of the variables is set. */
  readonly boundsLoopback: boolean;
  /** Web pages of these origins may use the API from a browser. */
  readonly origins: readonly string[];
  /** Number of proxies in front of Serin, each of which adds one address to `X-Forwarded-For`. */
  readonly trustedProxies: number;
  /** Whether introspection and GraphiQL are available. */
  readonly introspection: boolean;
  /** The bearer token for /metrics where callers need credentials; null closes /metrics there. */
  readonly metricsToken: string | null;
}

/** Path of the GraphQL API. */
export const ENDPOINT = '/graphql';
