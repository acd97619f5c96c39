/** What happened in a run, as the clients saw it: the checker's only knowledge besides the database. */

/** What a mutation answered. */
export interface Result {
  readonly success: boolean;
  readonly replayed: boolean;
  readonly error: { readonly code: string; readonly path: readonly string[] } | null;
  readonly deployment: {
    readonly id: string;
    readonly status: string;
    readonly revision: number;
    readonly totalCapitalUsd: string | null;
    readonly canaryCapitalUsd: string | null;
    readonly stableCapitalUsd: string | null;
  } | null;
}

/** A command with its idempotency key, sent until somebody answered it or the sender gave up. */
export interface Operation {
  /** Its own, so that the log says what came of it. */
  readonly actor: string;
  readonly mutation: string;
  readonly deploymentId: string;
  /** Every answer that arrived, of all tries; none when the outcome is not known. */
  readonly answers: Result[];
  tries: number;
  /** When it was sent for the first time, and when it was answered for the first time; milliseconds since the start. */
  readonly sentAt: number;
  answeredAt?: number;
}

/** A freeze that was answered, and when its lifting was sent, if ever. Milliseconds since the start. */
export interface Frozen {
  readonly id: string;
  readonly strategies: readonly string[];
  readonly answeredAt: number;
  liftSentAt?: number;
}

/** What a halt answered. */
export interface HaltResult {
  readonly success: boolean;
  readonly complete: boolean;
  readonly message: string;
  readonly freeze: { readonly id: string } | null;
  readonly outcomes: readonly {
    readonly deploymentId: string;
    readonly outcome: 'DONE' | 'ALREADY' | 'REFUSED';
    readonly message: string;
  }[];
}

/** A halt with its idempotency key, sent until it was complete or the sender gave up. */
export interface Halted {
  readonly actor: string;
  readonly action: 'PAUSE' | 'ROLLBACK' | 'CANCEL';
  readonly strategies: readonly string[];
  readonly answers: HaltResult[];
  /** When it was sent for the first time, and when it was answered for the last time; milliseconds since the start. */
  readonly sentAt: number;
  answeredAt?: number;
}

/** The largest number of trades that a side's bot was told is on disk. */
export interface Reported {
  readonly deploymentId: string;
  readonly side: 'CANARY' | 'STABLE';
  trades: number;
}

/** What a subscriber received, over all its connections. */
export interface Subscriber {
  readonly name: string;
  readonly feed: 'eventAppended' | 'stateChanged';
  readonly deliveries: { readonly cursor: string; readonly id: string }[];
  reconnects: number;
  /** The last event of its feed when it had them all and no more faults came. It may have left before later ones. */
  end?: string | undefined;
  /** When it learned that history was rewound, and to which cursor; it has then forgotten what came after that. */
  readonly rewinds: { readonly at: number; readonly to: string }[];
}

/** The database was set back: what was committed in this time may be lost. Milliseconds since the start. */
export interface Restore {
  readonly from: number;
  readonly to: number;
}

export interface History {
  readonly seed: number;
  readonly operations: Operation[];
  readonly reported: Map<string, Reported>;
  readonly subscribers: Subscriber[];
  readonly freezes: Frozen[];
  readonly halts: Halted[];
  /** How often loss budgets tripped. */
  trips: number;
  /** Real milliseconds from each report that broke a guardrail to the last acknowledgement. */
  readonly breachToSafeMs: number[];
  readonly faults: string[];
  readonly restores: Restore[];
  /** Nodes that ended without being told to. */
  readonly crashes: string[];
  reports: number;
}

export function emptyHistory(seed: number): History {
  return {
    seed,
    operations: [],
    reported: new Map(),
    subscribers: [],
    freezes: [],
    halts: [],
    trips: 0,
    breachToSafeMs: [],
    faults: [],
    restores: [],
    crashes: [],
    reports: 0,
  };
}
