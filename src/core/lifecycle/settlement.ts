/**
 * Whether the capital of an allocation is where it should be. Serin moves no money: an allocation is settled when both
 * sides have acknowledged that they hold what it asks for, and overdue when that takes longer than its deadline.
 */
import { DEFAULT_SETTLEMENT } from '../config/capital.ts';
import type { CanaryConfig } from '../config/config.ts';
import { Decimal, formatDecimal } from '../values/decimal.ts';
import { dollars } from '../values/format.ts';
import type { SerinInstant } from '../values/instant.ts';
import { SIDES, type Side } from '../values/side.ts';
import {
  type Allocation,
  type AllocationTerms,
  type CapitalSplit,
  dustUsd,
  requestedUsd,
} from './allocation.ts';

export const ALLOCATION_STATUSES = [
  'REQUESTED',
  'PARTIAL',
  'SETTLED',
  'OVERDUE',
  'SUPERSEDED',
  'UNANSWERED',
] as const;
export type AllocationStatus = (typeof ALLOCATION_STATUSES)[number];

/** After this time an overdue allocation is not reported again, milliseconds. */
const LAST_REMINDER_MS = 24 * 3_600_000;

/**
 * What an allocation says besides its amounts. A plan goes with an allocation by which a side is to hold less.
 * @param before the allocation that it replaces; null for the first
 */
export function termsOf(
  { settlement, rollbackPlan }: CanaryConfig,
  before: CapitalSplit | null,
  split: CapitalSplit,
): AllocationTerms {
  const lowers =
    before !== null && SIDES.some((side) => requestedUsd(split, side).lt(requestedUsd(before, side)));
  const plan = lowers ? rollbackPlan : null;
  const { tolerancePercent, deadlineSeconds } = settlement ?? DEFAULT_SETTLEMENT;
  return {
    settlement: {
      tolerancePercent,
      deadlineSeconds: plan?.deadlineSeconds ?? deadlineSeconds,
      expected: settlement !== null,
    },
    ...(plan ? { rollbackPlan: plan } : {}),
  };
}

/** Whether a side has acknowledged that it holds what the allocation asks for, with no open positions left to close. */
export function holdsRequested(allocation: Allocation, side: Side): boolean {
  const answer = allocation.acknowledged[side];
  if (answer?.number !== allocation.number) return false;
  const { tolerancePercent } = allocation.settlement ?? DEFAULT_SETTLEMENT;
  const wanted = requestedUsd(allocation, side);
  const off = answer.heldUsd.minus(wanted).abs();
  const tolerance = Decimal.max(wanted.times(tolerancePercent).div(100), dustUsd(allocation));
  if (off.gt(tolerance)) return false;
  return !mustClose(allocation, side) || answer.openExposureUsd?.isZero() === true;
}

function mustClose(allocation: Allocation, side: Side): boolean {
  return allocation.rollbackPlan?.positions === 'CLOSE' && requestedUsd(allocation, side).isZero();
}

/** When the later side acknowledged that it holds what it should, epoch milliseconds; null while one does not. */
export function settledAt(allocation: Allocation): number | null {
  const { CANARY, STABLE } = allocation.acknowledged;
  if (!CANARY || !STABLE || !SIDES.every((side) => holdsRequested(allocation, side))) return null;
  return Math.max(CANARY.at, STABLE.at);
}

/**
 * Sides whose acknowledgement is missing or wrong. A side that has never acknowledged any allocation is not awaited,
 * unless the configuration names a settlement: acknowledging is optional.
 */
export function awaitedSides(allocation: Allocation): Side[] {
  const expected = allocation.settlement?.expected ?? false;
  return SIDES.filter(
    (side) => (expected || allocation.acknowledged[side] !== null) && !holdsRequested(allocation, side),
  );
}

/**
 * When the allocation becomes, or became, overdue, epoch milliseconds. Null if it is settled, if no side is awaited, or
 * if it has no deadline.
 */
export function settleBy(allocation: Allocation): number | null {
  const { settlement, requestedAt } = allocation;
  if (!settlement || awaitedSides(allocation).length === 0) return null;
  return requestedAt + settlement.deadlineSeconds * 1000;
}

/**
 * When its delay must be reported, epoch milliseconds: at the deadline, then after each doubling of it, for a day. Null
 * if it need not be.
 */
export function nextOverdueAt(allocation: Allocation): number | null {
  const due = settleBy(allocation);
  const { reportedOverdueAt, requestedAt } = allocation;
  if (due === null || reportedOverdueAt === undefined) return due;
  let waited = due - requestedAt;
  while (requestedAt + waited <= reportedOverdueAt) waited *= 2;
  return waited <= LAST_REMINDER_MS ? requestedAt + waited : null;
}

/** @param superseded whether another allocation has replaced it */
export function allocationStatus(
  allocation: Allocation,
  now: SerinInstant,
  superseded = false,
): AllocationStatus {
  if (settledAt(allocation) !== null) return 'SETTLED';
  if (superseded) return 'SUPERSEDED';
  const due = settleBy(allocation);
  if (due !== null && now >= due) return 'OVERDUE';
  if (SIDES.some((side) => allocation.acknowledged[side]?.number === allocation.number)) return 'PARTIAL';
  return due === null ? 'UNANSWERED' : 'REQUESTED';
}

/** Since when it is overdue, epoch milliseconds; null if it is not. */
export function overdueSince(allocation: Allocation, now: SerinInstant): number | null {
  const due = settleBy(allocation);
  return due !== null && now >= due ? due : null;
}

/** What is missing: "the canary side is to hold $0 and holds $10,000 (allocation 2, requested 2026-01-05T09:00:00.000Z)". */
export function describeMissing(allocation: Allocation): string {
  const missing = SIDES.filter((side) => !holdsRequested(allocation, side)).map((side) => {
    const answer = allocation.acknowledged[side];
    const wanted = dollars(requestedUsd(allocation, side));
    const name = side.toLowerCase();
    if (!answer) return `the ${name} side is to hold ${wanted} and has acknowledged nothing`;
    const open = mustClose(allocation, side) ? openPositions(answer.openExposureUsd) : '';
    return `the ${name} side is to hold ${wanted} and holds ${dollars(answer.heldUsd)}${open}`;
  });
  const requested = new Date(allocation.requestedAt).toISOString();
  return `${missing.join(', ')} (allocation ${allocation.number}, requested ${requested})`;
}

function openPositions(exposureUsd: Decimal | undefined): string {
  if (exposureUsd === undefined)
    return ', and has not said that its open positions are closed (openExposureUsd: 0)';
  return exposureUsd.isZero() ? '' : ` with ${formatDecimal(exposureUsd)} USD of open positions`;
}

/** Whether something that raises risk must wait until the latest allocation is settled. */
export function mustSettleFirst(config: CanaryConfig, allocation: Allocation | null): boolean {
  return config.settlement?.required === true && allocation !== null && settledAt(allocation) === null;
}
