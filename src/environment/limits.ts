/**
 * What one caller may ask of a node: every bound with the variable that sets it, its standard value, and the sentence
 * that explains a bad one. docs/limits.md says what each is for.
 */

interface Limit {
  readonly variable: string;
  readonly standard: number;
  readonly least: number;
  readonly most: number;
  readonly what: string;
}

export const LIMITS = {
  depth: {
    variable: 'SERIN_MAX_DEPTH',
    standard: 12,
    least: 3,
    most: 50,
    what: 'levels of fields in a document',
  },
  cost: {
    variable: 'SERIN_MAX_COST',
    standard: 10_000,
    least: 100,
    most: 10_000_000,
    what: 'objects that a document may ask for',
  },
  aliases: {
    variable: 'SERIN_MAX_ALIASES',
    standard: 50,
    least: 0,
    most: 10_000,
    what: 'aliases in a document',
  },
  fields: {
    variable: 'SERIN_MAX_FIELDS',
    standard: 1000,
    least: 50,
    most: 10_000,
    what: 'fields and fragments named in a document',
  },
  tokens: {
    variable: 'SERIN_MAX_TOKENS',
    standard: 15_000,
    least: 500,
    most: 200_000,
    what: 'words and signs of a document',
  },
  bodyBytes: {
    variable: 'SERIN_MAX_BODY_BYTES',
    standard: 4_000_000,
    least: 10_000,
    most: 100_000_000,
    what: 'bytes of a request or WebSocket message',
  },
  variableValues: {
    variable: 'SERIN_MAX_VARIABLE_VALUES',
    standard: 200_000,
    least: 100,
    most: 10_000_000,
    what: 'values in the variables of an operation',
  },
  variableDepth: {
    variable: 'SERIN_MAX_VARIABLE_DEPTH',
    standard: 20,
    least: 5,
    most: 100,
    what: 'levels of lists and objects in variables',
  },
  operationsPerSocket: {
    variable: 'SERIN_MAX_OPERATIONS_PER_SOCKET',
    standard: 200,
    least: 1,
    most: 100_000,
    what: 'operations under way on one WebSocket, subscriptions among them',
  },
  connections: {
    variable: 'SERIN_MAX_CONNECTIONS',
    standard: 50_000,
    least: 10,
    most: 1_000_000,
    what: 'connections to a node',
  },
  connectionsPerAddress: {
    variable: 'SERIN_MAX_CONNECTIONS_PER_ADDRESS',
    standard: 1000,
    least: 1,
    most: 1_000_000,
    what: 'connections from one address',
  },
  rate: {
    variable: 'SERIN_RATE_LIMIT',
    standard: 200,
    least: 0,
    most: 1_000_000,
    what: 'operations a second from one address, over ten seconds; 0 switches it off',
  },
  keyRate: {
    variable: 'SERIN_KEY_RATE_LIMIT',
    standard: 500,
    least: 0,
    most: 1_000_000,
    what: 'operations a second with one key or token, over ten seconds; 0 switches it off',
  },
  subscriptionsPerKey: {
    variable: 'SERIN_MAX_SUBSCRIPTIONS_PER_KEY',
    standard: 10_000,
    least: 1,
    most: 1_000_000,
    what: 'subscriptions at a time with one key or token',
  },
  headersTimeoutMs: {
    variable: 'SERIN_ARRIVAL_TIMEOUT_MS',
    standard: 10_000,
    least: 400,
    most: 120_000,
    what: 'milliseconds for the headers of a request to come in; the whole of it has three times as long',
  },
  initMs: {
    variable: 'SERIN_INIT_TIMEOUT_MS',
    standard: 3000,
    least: 100,
    most: 60_000,
    what: 'milliseconds a WebSocket has for its connection_init',
  },
} as const satisfies Readonly<Record<string, Limit>>;

export type LimitName = keyof typeof LIMITS;
export type Limits = Readonly<Record<LimitName, number>>;

/** How callers are told apart and which strangers are let in. */
export interface HttpSettings {
  readonly limits: Limits;
  /** Whether addresses of this machine are bounded too: only where a bound was set on purpose. */
  readonly boundsLoopback: boolean;
  /** Web pages of these origins may use the API from a browser. */
  readonly origins: readonly string[];
  /** Proxies in front, each of which adds one address to `X-Forwarded-For`. */
  readonly trustedProxies: number;
  /** Whether the schema can be asked for, and GraphiQL is there. */
  readonly introspection: boolean;
  /** What whoever reads /metrics has to bring where callers are asked who they are; null lets nobody read there. */
  readonly metricsToken: string | null;
}

/** Where the API is. */
export const ENDPOINT = '/graphql';
