/**
 * A second person for a promotion (`requireApproval`): one asks, another approves within a day, and only then does it
 * happen. Whoever asks is known by the name that events are recorded under.
 */

import { type Refusal, refusal } from '../values/refusal.ts';
import type { Facts } from './command.ts';
import type { PromotionRequest, Watched } from './state.ts';

/** A request for promotion is good for so long. */
export const APPROVAL_HOURS = 24;

/** When a request is no longer good. */
export const requestEndsAt = ({ at }: PromotionRequest): number => at + APPROVAL_HOURS * 3_600_000;

/** The request that waits for another person; null when there is none, or it is too old. */
export function openRequest(state: Watched, now: number): PromotionRequest | null {
  const request = state.observation.promotionRequest;
  return request && now < requestEndsAt(request) ? request : null;
}

/** What a promotion by this actor is: done at once, the approval of another's request, a request, or refused. */
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
