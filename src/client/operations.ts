/** The operations that clients of Serin send most, with their types: the names are those of `schema.graphql`. */

export type Side = 'CANARY' | 'STABLE';

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
  readonly message: string;
  /** The way to the field to blame, from the root of the input. */
  readonly path: readonly string[];
}

/** What a command came to. A refusal is an answer: `success` is false and `error` says why. */
const CLOSED_MESSAGE = 'This side was closed before Serin answered';
/** What the client itself answers after a side was closed. Serin may have got the request nevertheless. */
export const CLOSED = {
  success: false,
  message: CLOSED_MESSAGE,
  error: { code: 'CLOSED', message: CLOSED_MESSAGE, path: [] },
} as const;

export interface CommandResult {
  readonly success: boolean;
  /** Whether this is the first answer again, because the idempotency key was seen before. */
  readonly replayed: boolean;
  readonly message: string;
  readonly error: DomainError | null;
  /** The deployment after the command, or as it stands where the command was refused. */
  readonly deployment: DeploymentState | null;
}

/** Where a deployment stands. Amounts are USD as exact decimal text. */
export interface DeploymentState {
  readonly id: string;
  readonly strategyId: string;
  readonly chain: string;
  readonly stableVersionId: string;
  readonly canaryVersionId: string;
  readonly status: CanaryStatus;
  readonly revision: number;
  readonly totalCapitalUsd: string;
  readonly canaryCapitalUsd: string;
  readonly stableCapitalUsd: string;
  readonly availableActions: readonly string[];
}

/** What every lifecycle command takes. */
export interface CommandInput {
  readonly deploymentId: string;
  readonly reason?: string | undefined;
  /** The command is refused where the deployment has another revision by now. */
  readonly expectedRevision?: number | undefined;
  /** Your name for this request. Without it the client makes one, so that its own retries do nothing twice. */
  readonly idempotencyKey?: string | undefined;
}

/** The input of each command, by the name of its mutation. */
export interface CommandInputs {
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
  readonly deployCanary: CommandInput & { readonly capitalUsd: string | number };
  readonly promoteCanary: CommandInput;
  readonly rollbackCanary: CommandInput;
  readonly cancelDeployment: CommandInput;
  readonly pauseDeployment: CommandInput;
  readonly resumeDeployment: CommandInput;
  readonly extendObservation: CommandInput & { readonly minutes?: number | undefined };
  readonly advanceStep: CommandInput;
  readonly acknowledgeAllocation: Omit<CommandInput, 'reason'> & {
    readonly number: number;
    readonly side: Side;
    /** What the side holds now, USD. */
    readonly heldUsd: string | number;
  };
  readonly importDeployment: {
    readonly document: unknown;
    readonly idempotencyKey?: string | undefined;
  };
}

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
  readonly errorCount: number;
  readonly tradeCount: number;
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

export interface Holding {
  readonly status: CanaryStatus;
  readonly allocation: {
    readonly number: number;
    readonly cause: string;
    readonly canaryPercent: string;
    readonly canaryUsd: string;
    readonly stableUsd: string;
    readonly totalUsd: string;
    readonly sides: readonly { readonly side: Side; readonly acknowledgedNumber: number | null }[];
  } | null;
}

/** What each side should hold, now and after every change; also where the timeline is switched off. */
export const ALLOCATIONS = `subscription ($id: ID!) { deploymentUpdated(deploymentId: $id) {
  status allocation { number cause canaryPercent canaryUsd stableUsd totalUsd
    sides { side acknowledgedNumber } } } }`;

/** A closed trade, which has `pnlUsd`; or an attempt that failed, which has `error`. */
export interface Trade {
  /** Your id: the same id with the same content counts once. */
  readonly id: string;
  /** When it was closed, RFC 3339. */
  readonly at: string;
  readonly pnlUsd?: string | number | undefined;
  readonly feesUsd?: string | number | undefined;
  readonly gasUsd?: string | number | undefined;
  readonly notionalUsd?: string | number | undefined;
  readonly error?: string | undefined;
}

export interface TradesResult {
  /** Whether every trade is on the books, on disk. */
  readonly success: boolean;
  readonly message: string;
  readonly error: DomainError | null;
  readonly taken: number;
  readonly known: number;
  readonly refused: readonly { readonly id: string; readonly index: number; readonly error: DomainError }[];
}

export const RECORD_TRADES = `mutation ($input: RecordTradesInput!) { recordTrades(input: $input) {
  success message error { code message path } taken known refused { index error { code message path } } } }`;
