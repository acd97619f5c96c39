/**
 * A second person for a promotion: `requireApproval` of a deployment, or a rule of its strategy or of the server, asks for
 * one. One person requests the promotion, another approves it within a day.
 */
import type { SerinInstant } from '../values/instant.ts';
import { type Refusal, refusal } from '../values/refusal.ts';
import type { Facts } from './command.ts';
import {
  type ApprovalRequest,
  type Person,
  type SecondPerson,
  secondPerson,
  validRequest,
} from './secondPerson.ts';
import type { Watched } from './state.ts';

/**
 * The open request for promotion; null if there is none or it has expired.
 * @param frozenMs how long a freeze has blocked promotions since it, milliseconds: that time does not count
 */
export function openRequest(state: Watched, now: SerinInstant, frozenMs: number): ApprovalRequest | null {
  return validRequest(state.observation.promotionRequest, now - frozenMs);
}

/** Whether a promotion of this deployment, or a looser configuration, needs two people. */
export function needsApproval(
  { config }: Pick<Watched, 'config'>,
  { mustApprove = false }: Pick<Facts, 'mustApprove'>,
): boolean {
  return config.requireApproval || mustApprove;
}

const named = (name: string): Person => ({ id: name, madeBy: null });

/** Whether the caller is the second person of a request. A program that embeds the engine names its people itself. */
export function answerOfSecond(
  request: ApprovalRequest | null,
  { person, actor }: Pick<Facts, 'person' | 'actor'>,
): SecondPerson {
  return person === undefined
    ? secondPerson(request && { ...request, person: named(request.by) }, named(actor))
    : secondPerson(request, person);
}

/** Whether a promotion by this caller happens (`PROMOTE`), becomes a request (`ASK`), or is refused. */
export function seekApproval(
  state: Watched,
  facts: Pick<Facts, 'now' | 'actor' | 'person' | 'mustApprove' | 'freeze'>,
): 'PROMOTE' | 'ASK' | Refusal {
  if (!needsApproval(state, facts)) return 'PROMOTE';
  const request = openRequest(state, facts.now, facts.freeze?.requestFrozenMs ?? 0);
  const answer = answerOfSecond(request, facts);
  if (answer === 'ASK') return 'ASK';
  if (answer === 'ACT') return 'PROMOTE';
  const message = `Somebody else must approve the promotion of ${state.id}, with promoteCanary: ${answer.why}`;
  return refusal('INVALID_TRANSITION', message);
}
