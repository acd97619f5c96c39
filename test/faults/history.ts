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
}

export interface History {
  readonly seed: number;
  readonly operations: Operation[];
  readonly reported: Map<string, Reported>;
  readonly subscribers: Subscriber[];
  readonly faults: string[];
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
    faults: [],
    crashes: [],
    reports: 0,
  };
}
