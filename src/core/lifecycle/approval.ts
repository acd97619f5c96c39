/**
 * A second person for a promotion (`requireApproval`): one person requests it, another approves it within a day. People
 * are identified by the name that their events are recorded under.
 */

import { type Refusal, refusal } from '../values/refusal.ts';
import type { Facts } from './command.ts';
import type { PromotionRequest, Watched } from './state.ts';

/** How long a request for promotion is valid. */
export const APPROVAL_HOURS = 24;

/** When a request expires, epoch milliseconds. */
export const requestEndsAt = ({ at }: PromotionRequest): number => at + APPROVAL_HOURS * 3_600_000;

/** The open request for promotion; null if there is none or it has expired. */
export function openRequest(state: Watched, now: number): PromotionRequest | null {
  const request = state.observation.promotionRequest;
  return request && now < requestEndsAt(request) ? request : null;
}

/** Whether a promotion by this actor happens (`PROMOTE`), becomes a request (`ASK`), or is refused. */
export function seekApproval(
  state: Watched,
  { now, actor }: Pick<Facts, 'now' | 'actor'>,
): 'PROMOTE' | 'ASK' | Refusal {
  if (!state.config.requireApproval) return 'PROMOTE';
  const request = openRequest(state, now);
  if (!request) return 'ASK';
  if (actor !== request.by) return 'PROMOTE';
  return refusal(
    'INVALID_TRANSITION',
    `${request.by} has asked for the promotion of ${state.id} already: somebody else must approve it, with promoteCanary`,
  );
}
