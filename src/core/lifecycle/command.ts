/** The commands of a deployment, and in which status each is allowed. */
import type { CanaryConfigInput } from '../config/parseConfig.ts';
import type { MetricsBySide } from '../metrics/sideMetrics.ts';
import type { CounterReset } from '../metrics/takeReport.ts';
import type { BreachCounts } from '../rule/guardrails.ts';
import type { Decimal } from '../values/decimal.ts';
import type { SerinInstant } from '../values/instant.ts';
import type { Refusal } from '../values/refusal.ts';
import type { Side } from '../values/side.ts';
import type { EventBody, SignalPair } from './events.ts';
import type { FreezeFacts } from './freeze.ts';
import type { Person } from './secondPerson.ts';
import type { DeploymentState } from './state.ts';

/** A command of a person, a bot or the clock. */
export type Command =
  | ({ readonly type: 'DEPLOY'; readonly capitalUsd: Decimal; readonly reason: string | null } & RaisesRisk)
  | ({ readonly type: 'PROMOTE' | 'ADVANCE_STEP'; readonly reason: string | null } & RaisesRisk)
  | { readonly type: 'CANCEL' | 'PAUSE'; readonly reason: string | null }
  | { readonly type: 'RESUME'; readonly reason: string | null }
  /** `cause`: a loss budget over many deployments is broken, and Serin acts automatically. */
  | { readonly type: 'ROLLBACK'; readonly reason: string | null; readonly cause?: 'BUDGET' | undefined }
  | { readonly type: 'EXTEND'; readonly minutes: number | null; readonly reason: string | null }
  | {
      readonly type: 'ACKNOWLEDGE';
      readonly number: number;
      readonly side: Side;
      readonly heldUsd: Decimal;
      /** Value of the side's open positions, USD; absent where it does not say. */
      readonly openExposureUsd?: Decimal | undefined;
      /** Whether an administrator acknowledges in place of the bot; then the reason is required. */
      readonly onBehalf?: boolean | undefined;
      readonly reason?: string | null | undefined;
    }
  /** The canary's bot has stood down: its lease ran out before a request of it was answered. */
  | { readonly type: 'STAND_DOWN' }
  | {
      readonly type: 'UPDATE_CONFIG';
      /** What is left out of it stays; null where a request is approved instead. */
      readonly patch: CanaryConfigInput | null;
      /** The hash of the configuration that somebody else has asked for. */
      readonly approve?: string | null | undefined;
      readonly reason: string | null;
    }
  /** The clock: a deadline of the deployment's capital has passed. It may have ended. */
  | { readonly type: 'CHECK_DEADLINES' }
  /** The clock: a check is due. `failure` says why the metrics could not be fetched. */
  | { readonly type: 'CHECK'; readonly failure: string | null }
  /** A report broke a guardrail. `again`: the canary's figures are not new, and no breach is counted twice. */
  | { readonly type: 'EVALUATE_GUARDRAILS'; readonly again?: boolean | undefined };

export type CommandType = Command['type'];

/** A command that a freeze can block. */
interface RaisesRisk {
  /** Do it in spite of a freeze. */
  readonly overrideFreeze?: boolean | undefined;
}

/** A run of one side that began after another one. */
export interface SideReset extends CounterReset {
  readonly side: Side;
}

/** What is true when a command meets a state. */
export interface Facts {
  /** Epoch milliseconds of the database's clock. */
  readonly now: SerinInstant;
  readonly metrics: MetricsBySide;
  /** Consecutive breaches of each guardrail before this command. */
  readonly breaches: BreachCounts;
  /** The strategy's stable version today; another deployment may have moved it. */
  readonly stableVersionId: string;
  /** Who gives the command: the name that its events are recorded under. `serin` for the clock. */
  readonly actor: string;
  /** The caller as a person; null if it is not a known person. Absent: people are distinguished by `actor`. */
  readonly person?: Person | null | undefined;
  /** Whether a rule of the strategy or the server requires two people for a promotion. */
  readonly mustApprove?: boolean | undefined;
  /** For a replay: what the record knows of the time before this check, where the policy's own interval does not apply. */
  readonly recorded?:
    | {
        readonly unwatchedMs: number;
        /** Whether checks went on after a gap. */
        readonly isGap: boolean;
        readonly fresh: boolean;
      }
    | undefined;
  /** Signals on which both sides have traded since the check before, in the order of the later trade. */
  readonly signals?: readonly SignalPair[] | undefined;
  /** When the canary's bot last sent a heartbeat, epoch milliseconds; null or absent if it never did. */
  readonly heartbeatAt?: number | null | undefined;
  /** When the deadlines of capital were to be checked, epoch milliseconds; null or absent if there was none. */
  readonly deadlineAt?: number | null | undefined;
  /** Runs that began since the deployment was last written. */
  readonly resets?: readonly SideReset[] | undefined;
  /** What freezes mean for the deployment; absent where none was read, see `dependsOnFreezes`. */
  readonly freeze?: FreezeFacts | undefined;
}

/** Events to append, in order; empty if nothing changes. `breaches` are the counts after the command. */
export interface Accepted {
  readonly accepted: true;
  readonly events: readonly EventBody[];
  readonly breaches: BreachCounts;
}

export interface Refused {
  readonly accepted: false;
  readonly refusal: Refusal;
}

export type Verdict = Accepted | Refused;

/** The statuses in which each command of people and bots is allowed. */
export const ALLOWED_STATUSES: Record<
  Exclude<CommandType, 'CHECK' | 'EVALUATE_GUARDRAILS' | 'ACKNOWLEDGE' | 'STAND_DOWN' | 'CHECK_DEADLINES'>,
  readonly DeploymentState['status'][]
> = {
  DEPLOY: ['PENDING'],
  PROMOTE: ['RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'],
  ROLLBACK: ['RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'],
  CANCEL: ['PENDING', 'RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'],
  PAUSE: ['RUNNING'],
  RESUME: ['PAUSED'],
  EXTEND: ['OBSERVATION_COMPLETE'],
  ADVANCE_STEP: ['RUNNING', 'OBSERVATION_COMPLETE'],
  UPDATE_CONFIG: ['PENDING', 'RUNNING', 'PAUSED', 'OBSERVATION_COMPLETE'],
};

/** A command of people and bots; those allowed now are what a screen offers. */
export type Action = keyof typeof ALLOWED_STATUSES;

export const NAMES: Record<Action, string> = {
  DEPLOY: 'deployed',
  PROMOTE: 'promoted',
  ROLLBACK: 'rolled back',
  CANCEL: 'cancelled',
  PAUSE: 'paused',
  RESUME: 'resumed',
  EXTEND: 'extended',
  ADVANCE_STEP: 'advanced to the next step',
  UPDATE_CONFIG: 'configured',
};

export const ACTIONS: readonly Action[] = [
  'DEPLOY',
  'PROMOTE',
  'ROLLBACK',
  'CANCEL',
  'PAUSE',
  'RESUME',
  'EXTEND',
  'ADVANCE_STEP',
  'UPDATE_CONFIG',
];
