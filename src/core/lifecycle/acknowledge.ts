/** A side's acknowledgement of an allocation, and the report of one that is overdue. */
import { type Decimal, formatDecimal, ZERO } from '../values/decimal.ts';
import type { SerinInstant } from '../values/instant.ts';
import { refusal } from '../values/refusal.ts';
import { type Acknowledgement, type Allocation, requestedUsd } from './allocation.ts';
import type { Command, Facts, Refused, Verdict } from './command.ts';
import type { EventBody } from './events.ts';
import { awaitedSides, nextOverdueAt, settleBy, settledAt } from './settlement.ts';
import { allocationOf, type DeploymentState } from './state.ts';

/**
 * Late or premature acknowledgements are refused with a reason; the same one twice changes nothing. The one that makes
 * both sides hold what they should settles the allocation.
 */
export function acknowledge(
  state: DeploymentState,
  command: Extract<Command, { type: 'ACKNOWLEDGE' }>,
  { metrics, breaches, now }: Facts,
): Verdict {
  const { number, side, heldUsd, openExposureUsd, onBehalf = false } = command;
  const reason = command.reason?.trim();
  const allocation = allocationOf(state);
  const refuse = (message: string, path: readonly string[]): Refused => ({
    accepted: false,
    refusal: refusal('INVALID_INPUT', message, path),
  });
  if (!allocation) {
    const message = `Deployment ${state.id} is ${state.status}: no capital was allocated`;
    return { accepted: false, refusal: refusal('INVALID_TRANSITION', message) };
  }
  if (isBelowZero(heldUsd)) {
    return refuse(`heldUsd must not be negative, got ${formatDecimal(heldUsd)}`, ['heldUsd']);
  }
  if (openExposureUsd && isBelowZero(openExposureUsd)) {
    const message = `openExposureUsd must not be negative, got ${formatDecimal(openExposureUsd)}: long and short positions add up`;
    return refuse(message, ['openExposureUsd']);
  }
  if (onBehalf && !reason)
    return refuse('reason is required with onBehalf: say how you know what the side holds', ['reason']);
  if (number > allocation.number || number < 1) {
    return refuse(`there is no allocation ${number}; the latest is ${allocation.number}`, ['number']);
  }
  if (number < allocation.number) {
    const message = `allocation ${number} has been replaced by ${allocation.number}: read it, act on it, acknowledge that`;
    return refuse(message, ['number']);
  }
  const answer: Acknowledgement = { number, heldUsd, at: now, openExposureUsd };
  if (isSame(allocation.acknowledged[side], answer)) return { accepted: true, events: [], breaches };
  const netPnlUsd = metrics[side]?.netPnlUsd ?? ZERO;
  const acknowledged: EventBody = {
    type: 'ALLOCATION_ACKNOWLEDGED',
    number,
    side,
    heldUsd,
    netPnlUsd,
    ...(openExposureUsd ? { openExposureUsd } : {}),
    ...(onBehalf ? { onBehalf } : {}),
    ...(reason ? { reason } : {}),
  };
  const after = { ...allocation, acknowledged: { ...allocation.acknowledged, [side]: answer } };
  const events = [acknowledged, ...settlement(allocation, after, now)];
  return { accepted: true, events, breaches };
}

const isBelowZero = (amount: Decimal) => amount.isNegative() && !amount.isZero();

function isSame(before: Acknowledgement | null, answer: Acknowledgement): boolean {
  if (before?.number !== answer.number || !before.heldUsd.eq(answer.heldUsd)) return false;
  const [said, says] = [before.openExposureUsd, answer.openExposureUsd];
  return says === undefined ? said === undefined : said?.eq(says) === true;
}

function settlement(before: Allocation, after: Allocation, now: SerinInstant): EventBody[] {
  if (settledAt(before) !== null || settledAt(after) === null) return [];
  const { number, requestedAt, breachedAt } = after;
  const breachToSafe = breachedAt === undefined ? {} : { breachToSafeMs: now - breachedAt };
  return [{ type: 'ALLOCATION_SETTLED', number, tookMs: now - requestedAt, ...breachToSafe }];
}

/** The report of an allocation whose deadline has passed; nothing before that, or between two reports. */
export function overdueReport(state: DeploymentState, now: SerinInstant): EventBody[] {
  const allocation = allocationOf(state);
  const due = allocation && nextOverdueAt(allocation);
  if (!allocation || due === null || now < due) return [];
  const overdueSince = settleBy(allocation);
  if (overdueSince === null) return [];
  const sides = awaitedSides(allocation).map((side) => ({
    side,
    requestedUsd: requestedUsd(allocation, side),
    heldUsd: allocation.acknowledged[side]?.heldUsd ?? null,
  }));
  return [{ type: 'ALLOCATION_OVERDUE', number: allocation.number, overdueSince, sides }];
}
