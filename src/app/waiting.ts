/** The decisions that wait for a person. A request for a promotion is valid for a day, without the time of freezes. */
import { requestEndsAt } from '../core/lifecycle/secondPerson.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import type { Scope } from '../store/access/strategyScope.ts';
import {
  type OldRequest,
  readWaitingRows,
  type WaitingGroup,
  type WaitingKind,
} from '../store/deployments/waiting.ts';
import type { Queries } from '../store/postgres/database.ts';
import { type Freeze, readFreezes } from '../store/safety/freezes.ts';
import { promotionFrozenMs } from './freezeWindows.ts';

export interface Waiting {
  /** Deployments of each kind; one that waits for several reasons counts once. */
  readonly counts: Readonly<Record<WaitingKind, number>>;
  readonly total: number;
  /** How long the oldest of them has waited, seconds of Serin's clock; 0 if none waits. */
  readonly oldestSeconds: number;
}

/** Reads what waits for a person within a scope. */
export async function readWaiting(db: Queries, scope: Scope): Promise<Waiting> {
  const { at, groups, oldRequests } = await readWaitingRows(db, scope);
  const earliest = Math.min(...oldRequests.map(({ requestedAt }) => requestedAt));
  const freezes = oldRequests.length === 0 ? [] : await readFreezes(db, earliest);
  const waiting = [...groups, ...oldRequests.flatMap((request) => groupOf(request, freezes, at))];
  const count = (kind: WaitingKind) =>
    waiting.reduce((sum, group) => (group.kind === kind ? sum + group.count : sum), 0);
  const since = Math.min(at, ...waiting.map((group) => group.since));
  return {
    counts: {
      PROMOTION_APPROVAL: count('PROMOTION_APPROVAL'),
      DECISION: count('DECISION'),
      CONFIG_APPROVAL: count('CONFIG_APPROVAL'),
    },
    total: waiting.reduce((sum, group) => sum + group.count, 0),
    oldestSeconds: (at - since) / 1000,
  };
}

/** What a deployment with an old request waits for: its approval, if freezes have kept the request valid. */
function groupOf(request: OldRequest, freezes: readonly Freeze[], now: SerinInstant): WaitingGroup[] {
  const { requestedAt, otherwise, otherwiseSince } = request;
  const frozenMs = promotionFrozenMs(freezes, request, requestedAt, now);
  if (now < requestEndsAt({ at: requestedAt }) + frozenMs) {
    const since = Math.min(requestedAt, otherwiseSince ?? requestedAt);
    return [{ kind: 'PROMOTION_APPROVAL', count: 1, since }];
  }
  return otherwise && otherwiseSince !== null ? [{ kind: otherwise, count: 1, since: otherwiseSince }] : [];
}
