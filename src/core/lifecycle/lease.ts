/**
 * The lease of the canary's capital: how long its bot may hold it without a request that Serin answers. The bot counts
 * it from the moment it sent its last answered request and stands down automatically; Serin counts it from the commit, so the
 * bot never stands down later than Serin says it has.
 */
import type { Facts } from './command.ts';
import { type DeploymentState, isWatched, type Watched } from './state.ts';

/** The facts that a lease is counted from. */
export type LeaseFacts = Pick<Facts, 'now' | 'metrics' | 'heartbeatAt'>;

/**
 * A lease is checked this many times, so that time in which Serin was away, or by which the clock was set, is noticed
 * before it ends a lease that a bot keeps.
 */
const CHECKS = 4;
/** The clock of a transaction that waited may be behind by this much, milliseconds. */
const JITTER_MS = 1000;

/** A lease that runs, or that ran out a moment ago. */
export interface Lease {
  readonly lastsMs: number;
  /** When the canary's bot was last heard, epoch milliseconds; null if the clock was set back, so that this is unknown. */
  readonly heardAt: number | null;
  /** When it ends, epoch milliseconds; null if that is unknown. */
  readonly endsAt: number | null;
}

/** The lease of a deployment; null if it has none, or if its canary is to hold no capital. */
export function leaseOf(state: DeploymentState, facts: LeaseFacts): Lease | null {
  const { capitalLeaseSeconds } = state.config;
  if (!isWatched(state) || capitalLeaseSeconds === null || state.allocation.canaryUsd.isZero()) return null;
  // An instant after now is from before the clock was set back.
  const known = (at: number | null) => at !== null && at <= facts.now + JITTER_MS;
  const heardAt = latest(signsOf(state, facts).filter(known));
  const { leaseFrom = null } = state.observation;
  const from = latest([heardAt, leaseFrom].filter(known));
  const lastsMs = capitalLeaseSeconds * 1000;
  return { lastsMs, heardAt, endsAt: from === null ? null : from + lastsMs };
}

/** What shows that the bot can reach Serin. The start and an import count, too: the bot has a lease to begin. */
function signsOf({ config, observation, allocation, imported }: Watched, facts: LeaseFacts) {
  const answer = allocation.acknowledged.CANARY;
  return [
    observation.startedAt,
    imported?.at ?? null,
    facts.heartbeatAt ?? null,
    answer && !answer.onBehalf ? answer.at : null,
    // What a provider measures does not show that the bot is there.
    config.metricsProvider === null ? (facts.metrics.CANARY?.reportedAt ?? null) : null,
  ];
}

function latest(instants: readonly (number | null)[]): number | null {
  const known = instants.filter((at) => at !== null);
  return known.length === 0 ? null : Math.max(...known);
}

/** When the lease ends if the bot is not heard again, epoch milliseconds; null if there is none. */
export function leaseEndsAt(state: DeploymentState, facts: LeaseFacts): number | null {
  return leaseOf(state, facts)?.endsAt ?? null;
}

/** When the lease must be checked next, epoch milliseconds; null if there is none. */
export function nextLeaseCheckAt(state: DeploymentState, facts: LeaseFacts): number | null {
  const lease = leaseOf(state, facts);
  return lease && Math.min(lease.endsAt ?? facts.now, facts.now + lease.lastsMs / CHECKS);
}

/** Whether a check of the lease comes so late that Serin was away, or the clock was set: the bot could not be heard. */
export function wasAway({ lastsMs }: Lease, lateMs: number): boolean {
  return lateMs > lastsMs / CHECKS;
}
