/** How capital is split between the two sides: what each was requested to hold, and what it acknowledged. */
import type { RollbackPlan } from '../config/capital.ts';
import { Decimal, decimal, MAX_DECIMALS, ZERO } from '../values/decimal.ts';
import type { BySide, Side } from '../values/side.ts';

/** `canaryUsd + stableUsd` is `totalUsd` to the last decimal. */
export interface CapitalSplit {
  readonly totalUsd: Decimal;
  readonly canaryUsd: Decimal;
  readonly stableUsd: Decimal;
}

/**
 * Splits a total: the canary's share is rounded down to 18 decimals, the stable side gets the rest.
 * @param canaryPercent 0 to 100
 */
export function splitCapital(totalUsd: Decimal, canaryPercent: Decimal): CapitalSplit {
  const canaryUsd = totalUsd.times(canaryPercent).div(100).toDecimalPlaces(MAX_DECIMALS, Decimal.ROUND_DOWN);
  return { totalUsd, canaryUsd, stableUsd: totalUsd.minus(canaryUsd) };
}

/** Why an allocation was requested. */
export const ALLOCATION_CAUSES = ['DEPLOY', 'STEP', 'PROMOTE', 'ROLLBACK', 'CANCEL', 'FAIL'] as const;
export type AllocationCause = (typeof ALLOCATION_CAUSES)[number];

/** What a side acknowledged that it holds, and for which allocation. */
export interface Acknowledgement {
  readonly number: number;
  readonly heldUsd: Decimal;
  readonly at: number;
  /** Value of its open positions, USD; absent where it does not say. */
  readonly openExposureUsd?: Decimal | undefined;
  /** An administrator said it, not the side. */
  readonly onBehalf?: true | undefined;
}

/** What an allocation says besides its amounts. */
export interface AllocationTerms {
  /** Absent for allocations that 0.1 requested: they have no deadline. */
  readonly settlement?:
    | {
        /** A side holds what it was asked to within this many percent of it. */
        readonly tolerancePercent: Decimal;
        readonly deadlineSeconds: number;
        /** Whether both sides must acknowledge, or only those that ever did. */
        readonly expected: boolean;
      }
    | undefined;
  /** What a side that is to hold less does with its open positions. */
  readonly rollbackPlan?: RollbackPlan | undefined;
}

/** A request to hold capital. Serin moves no money: bots read it, do it, and acknowledge it. */
export interface Allocation extends CapitalSplit, AllocationTerms {
  /** 1, 2, 3, … within the deployment. */
  readonly number: number;
  readonly cause: AllocationCause;
  readonly canaryPercent: Decimal;
  readonly requestedAt: number;
  /** The latest acknowledgement of each side; it may be for an earlier number. */
  readonly acknowledged: BySide<Acknowledgement | null>;
  /** When its guardrail was broken, where that is why it was requested; epoch milliseconds. */
  readonly breachedAt?: number | undefined;
  /** When the lease of the canary's capital ended if its bot was not heard, as of the request; absent if there was none. */
  readonly leaseUntil?: number | undefined;
  /** When it was last reported as overdue, epoch milliseconds; absent if it never was. */
  readonly reportedOverdueAt?: number | undefined;
}

/** What the allocation requests a side to hold, USD. */
export function requestedUsd(allocation: CapitalSplit, side: Side): Decimal {
  return side === 'CANARY' ? allocation.canaryUsd : allocation.stableUsd;
}

/**
 * What a side works with, USD. A request is a request until it is acknowledged: a side that answers allocations holds
 * what it last said, one that never does is taken to hold what it is asked to.
 */
export function workingCapitalUsd(allocation: Allocation, side: Side): Decimal {
  return allocation.acknowledged[side]?.heldUsd ?? requestedUsd(allocation, side);
}

/** This fraction of the total is dust: a side that is to hold nothing may keep it. */
const DUST = '0.0001';

/** The most that counts as nothing, USD: what is left of a side that has given its capital back. */
export function dustUsd({ totalUsd }: CapitalSplit): Decimal {
  return totalUsd.times(DUST);
}

/**
 * Whether a side works with nothing, or with dust only: a late fee would be a large return on it, and what it earns comes
 * from positions that it opened before.
 */
export function holdsNothing(allocation: Allocation, side: Side): boolean {
  return workingCapitalUsd(allocation, side).lte(dustUsd(allocation));
}

/** The share that gives everything to one side. */
export const CANARY_ONLY_PERCENT = decimal(100);
export const STABLE_ONLY_PERCENT = ZERO;
