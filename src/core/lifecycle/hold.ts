/** What freezes do to one deployment: which commands they refuse, and what waits for their end. */
import { type Refusal, refusal } from '../values/refusal.ts';
import type { Command, Facts, Verdict } from './command.ts';
import type { EventBody } from './events.ts';
import {
  type ActiveFreeze,
  describeEnd,
  type FreezeBlock,
  type HeldTime,
  type Hold,
  raisedRisk,
} from './freeze.ts';
import { type DeploymentState, observationOf, type Watched } from './state.ts';

/** What waits for the end of a freeze; null if nothing does. */
export function holdOf(state: DeploymentState): Hold | null {
  return observationOf(state)?.held ?? null;
}

/**
 * Whether freezes can make a difference to what became of a command. If so it is decided again with `facts.freeze`, which
 * costs a lock and a read that few commands need.
 */
export function dependsOnFreezes(state: DeploymentState, command: Command, handled: Verdict): boolean {
  if (command.type === 'CHECK' && holdOf(state)) return true;
  if (!handled.accepted) return false;
  return raisedRisk(handled.events) !== null || command.type === 'PROMOTE';
}

/** What a command meets in a freeze: the refusal, or the freeze that it overrides, if any. */
export function meetFreeze(
  command: Extract<Command, { readonly overrideFreeze?: boolean | undefined }>,
  block: FreezeBlock,
  { freeze }: Facts,
): { readonly refusal: Refusal } | { readonly overrodeFreeze?: string } {
  const active = freeze?.blocking[block];
  if (!active) return {};
  if (command.overrideFreeze) return { overrodeFreeze: active.id };
  const message =
    `${ACTS[block]} frozen ${describeEnd(active.until)} by ${active.id} (${active.reason}): wait, or let an ` +
    'administrator set overrideFreeze and give a reason';
  return { refusal: refusal('FROZEN', message) };
}

const ACTS: Record<FreezeBlock, string> = {
  DEPLOY: 'Deployments are',
  STEP_UP: 'Steps of a ramp are',
  PROMOTE: 'Promotions are',
};

export function heldTime(state: Watched, watchedMs: number, { freeze }: Facts): HeldTime | null {
  const { held } = state.observation;
  return held ? { ms: Math.round(watchedMs), over: !freeze?.blocking[held.block] } : null;
}

/**
 * The event by which a deployment begins to wait; empty if it waits for this freeze already. A hold says once which freeze
 * it waits for, however many checks see it.
 */
export function hold(state: Watched, block: Hold['block'], freeze: ActiveFreeze): EventBody[] {
  if (state.observation.held?.freezeId === freeze.id) return [];
  const { id: freezeId, until, reason } = freeze;
  return [{ type: block === 'PROMOTE' ? 'PROMOTION_HELD' : 'STEP_HELD', freezeId, until, reason }];
}
