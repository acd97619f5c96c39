/**
 * The deadlines of a deployment's capital, and what follows when they pass: an allocation that is overdue, and the lease
 * of the canary's capital. A deployment that has ended may have deadlines: its capital is still on its way.
 */
import { refusal } from '../values/refusal.ts';
import { overdueReport } from './acknowledge.ts';
import { STABLE_ONLY_PERCENT } from './allocation.ts';
import type { Facts, Verdict } from './command.ts';
import { decisionMade, requestAllocation } from './decisionEvents.ts';
import type { EventBody } from './events.ts';
import { type LeaseFacts, leaseOf, nextLeaseCheckAt, wasAway } from './lease.ts';
import { nextOverdueAt } from './settlement.ts';
import { allocationOf, type DeploymentState, isWatched, type Watched } from './state.ts';

/** When the next deadline must be checked, epoch milliseconds; null if there is none. */
export function nextDeadlineAt(state: DeploymentState, facts: LeaseFacts): number | null {
  const allocation = allocationOf(state);
  const deadlines = [allocation && nextOverdueAt(allocation), nextLeaseCheckAt(state, facts)];
  const known = deadlines.filter((at) => at !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/**
 * When the next deadline must be checked after a command. One that has passed stands until it is checked: how late that
 * happens shows whether Serin was away.
 */
export function rescheduleDeadline(
  after: DeploymentState,
  facts: LeaseFacts & Pick<Facts, 'deadlineAt'>,
  wasDeadlineCheck: boolean,
): number | null {
  const next = nextDeadlineAt(after, facts);
  const { deadlineAt = null, now } = facts;
  if (next === null || wasDeadlineCheck || deadlineAt === null || deadlineAt > now) return next;
  return Math.min(deadlineAt, next);
}

/** What follows from the deadlines that have passed. */
export function checkDeadlines(state: DeploymentState, facts: Facts): EventBody[] {
  return [...overdueReport(state, facts.now), ...checkLease(state, facts)];
}

/**
 * A lease that has run out ends the trial. If the check comes late, Serin was away or the clock was set, and the bot could
 * not be heard: it gets one lease from here on.
 */
function checkLease(state: DeploymentState, facts: Facts): EventBody[] {
  const lease = leaseOf(state, facts);
  if (!lease || !isWatched(state)) return [];
  const { now, deadlineAt = null } = facts;
  const { endsAt } = lease;
  if (endsAt !== null && now < endsAt) return [];
  const lateMs = deadlineAt === null ? 0 : Math.max(0, now - deadlineAt);
  if (endsAt === null || wasAway(lease, lateMs))
    return [{ type: 'LEASE_RESUMED', awayMs: Math.round(lateMs) }];
  return expire(state, { leaseUntil: endsAt, heardAt: lease.heardAt, stoodDown: false }, facts);
}

/** The canary's bot says that it has stood down: its lease has run out, whatever Serin could see of it. */
export function standDown(state: DeploymentState, facts: Facts): Verdict {
  const lease = leaseOf(state, facts);
  if (!lease || !isWatched(state)) {
    const message = `The canary of ${state.id} has no lease that could run out`;
    return { accepted: false, refusal: refusal('INVALID_TRANSITION', message, ['stoodDown']) };
  }
  const { heardAt, lastsMs } = lease;
  const leaseUntil = heardAt === null ? facts.now : Math.min(facts.now, heardAt + lastsMs);
  const events = expire(state, { leaseUntil, heardAt, stoodDown: true }, facts);
  return { accepted: true, events, breaches: facts.breaches };
}

type Expiry = Omit<Extract<EventBody, { type: 'LEASE_EXPIRED' }>, 'type'>;

function expire(state: Watched, expiry: Expiry, facts: Facts): EventBody[] {
  const { leaseUntil, stoodDown } = expiry;
  const end = `The lease of ${state.config.capitalLeaseSeconds} s ran out at ${new Date(leaseUntil).toISOString()}`;
  const reason = `${end}: ${stoodDown ? "the canary's bot has stood down" : "no request of the canary's bot came before"}`;
  return [
    { type: 'LEASE_EXPIRED', ...expiry },
    decisionMade(state, facts, { decision: 'ROLLBACK', reasons: [reason], cause: 'LEASE' }),
    { type: 'CANARY_FAILED', reason },
    requestAllocation(state, STABLE_ONLY_PERCENT, 'FAIL'),
  ];
}
