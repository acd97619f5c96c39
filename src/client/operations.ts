/** The operations that clients of Serin send most, with their types: the names are those of `schema.graphql`. */

/** The two sides of a deployment: the version on trial, and the one that is live. */
export type Side = 'CANARY' | 'STABLE';

/** The status of a deployment in its lifecycle. The last four are ends. */
export type CanaryStatus =
  | 'PENDING'
  | 'RUNNING'
  | 'PAUSED'
  | 'OBSERVATION_COMPLETE'
  | 'PROMOTED'
  | 'ROLLED_BACK'
  | 'CANCELLED'
  | 'FAILED';

const ENDED: ReadonlySet<string> = new Set(['PROMOTED', 'ROLLED_BACK', 'CANCELLED', 'FAILED']);

/** Whether a deployment has ended: no command changes it any more. */
export const isEnded = (status: CanaryStatus): boolean => ENDED.has(status);

/** Why a command was refused; nothing has changed. */
export interface DomainError {
  /** Such as `INVALID_TRANSITION`, `STRATEGY_BUSY` or `REVISION_CONFLICT`. */
  readonly code: string;
  /** What is wrong, for a person. */
  readonly message: string;
  /** The way to the field to blame, from the root of the input. */
  readonly path: readonly string[];
}

const CLOSED_MESSAGE = 'This side was closed before Serin answered';
/** What the client itself answers after a side was closed. Serin may have got the request nevertheless. */
export const CLOSED = {
  success: false,
  message: CLOSED_MESSAGE,
  error: { code: 'CLOSED', message: CLOSED_MESSAGE, path: [] },
} as const;

const STOOD_DOWN_MESSAGE =
  'This side has stood down: no request was answered within the lease of its capital';
/** What the client itself answers once the lease of the deployment has run out. */
export const STOOD_DOWN = {
  success: false,
  message: STOOD_DOWN_MESSAGE,
  error: { code: 'LEASE_EXPIRED', message: STOOD_DOWN_MESSAGE, path: [] },
} as const;

/** What a command came to. A refusal is an answer: `success` is false and `error` says why. */
export interface CommandResult {
  /** Whether it was done. If true, the change is on disk. */
  readonly success: boolean;
  /** Whether this is the first answer again, because the idempotency key was seen before. */
  readonly replayed: boolean;
  /** What happened, for a person. */
  readonly message: string;
  /** Why it was refused; null where it was done. */
  readonly error: DomainError | null;
  /** The deployment after the command, or as it stands where the command was refused. */
  readonly deployment: DeploymentState | null;
}

/** Where a deployment stands. Amounts are USD as exact decimal text. */
export interface DeploymentState {
  /** Its id, readable and stable. */
  readonly id: string;
  /** The strategy. */
  readonly strategyId: string;
  /** The network or venue. */
  readonly chain: string;
  /** The version that was live when it was created. */
  readonly stableVersionId: string;
  /** The version on trial. */
  readonly canaryVersionId: string;
  /** Its status in the lifecycle. */
  readonly status: CanaryStatus;
  /** Increases with every command that changes it; pass it as `expectedRevision`. */
  readonly revision: number;
  /** Capital of both sides together; 0 before it is deployed. */
  readonly totalCapitalUsd: string;
  /** Capital that the canary is to hold. */
  readonly canaryCapitalUsd: string;
  /** Capital that the stable side is to hold. */
  readonly stableCapitalUsd: string;
  /** What the caller may do to it now, such as `PROMOTE`. */
  readonly availableActions: readonly string[];
}

/** What every lifecycle command takes. */
export interface CommandInput {
  /** The deployment. */
  readonly deploymentId: string;
  /** Why, for the record. */
  readonly reason?: string | undefined;
  /** The command is refused where the deployment has another revision by now. */
  readonly expectedRevision?: number | undefined;
  /** Your name for this request. Without it the client makes one, so that its own retries do nothing twice. */
  readonly idempotencyKey?: string | undefined;
}

/** What a command takes that raises risk: a freeze refuses it. */
export interface RaisingInput extends CommandInput {
  /** Carry it out in spite of a freeze: for administrators, with a reason. */
  readonly overrideFreeze?: boolean | undefined;
}

/** The input of each command, by the name of its mutation. */
export interface CommandInputs {
  /** Creates a deployment; it waits for capital. */
  readonly createDeployment: {
    /** An id of your choosing. */
    readonly id?: string | undefined;
    readonly strategyId: string;
    /** The strategy's current stable version unless given. */
    readonly stableVersionId?: string | undefined;
    readonly canaryVersionId: string;
    readonly chain?: string | undefined;
    /** A `CanaryConfigInput` of the schema. */
    readonly config?: Readonly<Record<string, unknown>> | undefined;
    readonly idempotencyKey?: string | undefined;
  };
  /** Splits the capital (of both sides, USD) and starts the observation. */
  readonly deployCanary: RaisingInput & { readonly capitalUsd: string | number };
  /** Makes the canary the stable version, with all capital; or asks for it where two people are needed. */
  readonly promoteCanary: RaisingInput;
  /** Gives all capital back to the stable version. */
  readonly rollbackCanary: CommandInput;
  /** Ends the trial without a decision. */
  readonly cancelDeployment: CommandInput;
  /** Stops the observation clock; capital stays where it is. */
  readonly pauseDeployment: CommandInput;
  /** Continues a paused observation. */
  readonly resumeDeployment: CommandInput;
  /** Observes for longer once the observation is over; as long as the last step unless minutes are given. */
  readonly extendObservation: CommandInput & { readonly minutes?: number | undefined };
  /** Begins the next step of the ramp now. */
  readonly advanceStep: RaisingInput;
  /** Changes settings of a live deployment, or approves the change that somebody else asked for. */
  readonly updateConfig: CommandInput & {
    /** A `CanaryConfigInput` of the schema: what is left out stays. */
    readonly config?: Readonly<Record<string, unknown>> | undefined;
    /** Instead of it, the hash of the configuration in `configRequest`. */
    readonly approve?: string | undefined;
  };
  /** Says what a side holds, in answer to the allocation of that number. */
  readonly acknowledgeAllocation: Omit<CommandInput, 'reason'> & {
    readonly number: number;
    readonly side: Side;
    /** What the side holds now, USD. */
    readonly heldUsd: string | number;
    /** Value of its open positions now, long and short added up, USD. */
    readonly openExposureUsd?: string | number | undefined;
  };
  /** Imports a document of `exportDeployment`. */
  readonly importDeployment: {
    readonly document: unknown;
    /** Whether a promotion in the document moves the strategy's stable version here. */
    readonly moveStableVersion?: boolean | undefined;
    readonly idempotencyKey?: string | undefined;
  };
}

/** The name of a command: that of its mutation. */
export type CommandName = keyof CommandInputs;

const STATE = `id strategyId chain stableVersionId canaryVersionId status revision totalCapitalUsd
  canaryCapitalUsd stableCapitalUsd availableActions`;

/** The document of a command. */
export function commandDocument(name: CommandName): string {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}Input`;
  return `mutation ($input: ${type}!) { ${name}(input: $input) {
    success replayed message error { code message path } deployment { ${STATE} } } }`;
}

export const DEPLOYMENT = `query ($id: ID!) { deployment(id: $id) { ${STATE} } }`;

/** What a side has done since its deployment began, as Serin knows it. */
export interface SideFigures {
  /** Errors. */
  readonly errorCount: number;
  /** Closed trades. */
  readonly tradeCount: number;
  /** Money, USD as exact decimal text; the drawdown and the win rate are fractions. */
  readonly metrics: {
    readonly netPnlUsd: string;
    readonly totalPnlUsd: string;
    readonly totalGasUsd: string;
    readonly avgTradeSizeUsd: string;
    readonly maxDrawdown: string;
    readonly winRate: string | null;
    readonly uptimeSeconds: number;
  };
}

export interface Opening {
  readonly deployment: {
    readonly status: CanaryStatus;
    readonly canaryMetrics: SideFigures | null;
    readonly stableMetrics: SideFigures | null;
  } | null;
}

const FIGURES = `errorCount tradeCount
  metrics { netPnlUsd totalPnlUsd totalGasUsd avgTradeSizeUsd maxDrawdown winRate uptimeSeconds }`;

/** What a bot asks when it starts: where its side was. */
export const OPENING = `query ($id: ID!) { deployment(id: $id) {
  status canaryMetrics { ${FIGURES} } stableMetrics { ${FIGURES} } } }`;

/** What a side that is to hold less does with its open positions. */
export interface RollbackPlan {
  /** `CLOSE` them, let them run out (`REDUCE_ONLY`), or leave them to the other side (`HAND_OVER`). */
  readonly positions: 'CLOSE' | 'REDUCE_ONLY' | 'HAND_OVER';
  /** The largest slippage to accept, in basis points; null: the bot's own limit. */
  readonly maxSlippageBps: string | null;
  /** Seconds after which the allocation is overdue; null: the deadline of the settlement. */
  readonly deadlineSeconds: number | null;
}

export interface Holding {
  readonly status: CanaryStatus;
  /** The plan of the deployment, which also holds for a side that stands down; older servers have none. */
  readonly config?: { readonly rollbackPlan: RollbackPlan | null };
  readonly allocation: {
    readonly number: number;
    readonly cause: string;
    readonly rollbackPlan?: RollbackPlan | null;
    readonly canaryUsd: string;
    readonly stableUsd: string;
    readonly totalUsd: string;
    readonly sides: readonly { readonly side: Side; readonly acknowledgedNumber: number | null }[];
  } | null;
}

/** What each side should hold, now and after every change; also where the timeline is switched off. */
export function allocationsDocument(withPlan: boolean): string {
  const plan = withPlan ? 'rollbackPlan { positions maxSlippageBps deadlineSeconds }' : '';
  const config = withPlan ? `config { ${plan} }` : '';
  return `subscription ($id: ID!) { deploymentUpdated(deploymentId: $id) { status ${config}
    allocation { number cause canaryUsd stableUsd totalUsd ${plan} sides { side acknowledgedNumber } } } }`;
}

/** A closed trade, which has `pnlUsd`; or an attempt that failed, which has `error`. */
export interface Trade {
  /** Your id: the same id with the same content counts once. */
  readonly id: string;
  /** When it was closed, RFC 3339. */
  readonly at: string;
  /** Profit or loss before costs, USD. */
  readonly pnlUsd?: string | number | undefined;
  /** Fees of the venue, USD. */
  readonly feesUsd?: string | number | undefined;
  /** Gas, USD. */
  readonly gasUsd?: string | number | undefined;
  /** Its size, USD. */
  readonly notionalUsd?: string | number | undefined;
  /** What went wrong, where it is an attempt that failed. */
  readonly error?: string | undefined;
  /** Your name for the signal it acted on, the same on both sides. */
  readonly signalId?: string | undefined;
}

/** What became of recorded trades. */
export interface TradesResult {
  /** Whether every trade is on the books, on disk. */
  readonly success: boolean;
  /** What happened, for a person. */
  readonly message: string;
  /** Why the batch was refused as a whole; null where it was taken. */
  readonly error: DomainError | null;
  /** How many are new on the books. */
  readonly taken: number;
  /** How many were there already. */
  readonly known: number;
  /** Those that were refused, each with its place in the list and the reason. */
  readonly refused: readonly { readonly id: string; readonly index: number; readonly error: DomainError }[];
}

export const RECORD_TRADES = `mutation ($input: RecordTradesInput!) { recordTrades(input: $input) {
  success message error { code message path } taken known refused { index error { code message path } } } }`;
/** The same of a server that knows leases. */
export const RECORD_TRADES_LEASED = RECORD_TRADES.replace('taken known', 'leaseSeconds taken known');
/** Shows that a server without heartbeats can be reached. */
export const LIFE = 'query ($id: ID!) { deployment(id: $id) { status } }';
export const HEARTBEAT = `mutation ($input: HeartbeatInput!) { heartbeat(input: $input) {
  success leaseSeconds deployment { status } } }`;
