/**
 * Freezes: times in which nothing that raises risk happens. A command against one is refused, an automatic action
 * is held until it ends. What lowers risk is never held up. What follows for a deployment is in `hold.ts`.
 */
import type { CanaryEvent, EventBody } from './events.ts';

/** What a freeze can block: capital for a canary, the next step of its ramp, and all capital. */
export const FREEZE_BLOCKS = ['DEPLOY', 'STEP_UP', 'PROMOTE'] as const;
export type FreezeBlock = (typeof FREEZE_BLOCKS)[number];

/** A freeze that blocks a deployment now. */
export interface ActiveFreeze {
  readonly id: string;
  /** When it ends, epoch milliseconds; null: when it is lifted. */
  readonly until: number | null;
  readonly reason: string;
}

/** What freezes mean for one deployment at one moment. */
export interface FreezeFacts {
  /** The freeze of each blocked act; of several the one that ends last. */
  readonly blocking: Readonly<Partial<Record<FreezeBlock, ActiveFreeze>>>;
  /** How long promotions have been blocked since the open request for one, milliseconds. */
  readonly requestFrozenMs: number;
}

/** An automatic action that waits for the end of a freeze. */
export interface Hold {
  readonly block: Exclude<FreezeBlock, 'DEPLOY'>;
  readonly freezeId: string;
  /** When it began to wait, epoch milliseconds. */
  readonly since: number;
  /** When the freeze ends, as far as it was known then; null: when it is lifted. */
  readonly until: number | null;
}

/** The act among events that raises risk; null if none does. */
export function raisedRisk(events: readonly EventBody[]): FreezeBlock | null {
  for (const { type } of events) {
    if (type === 'CANARY_STARTED') return 'DEPLOY';
    if (type === 'STEP_STARTED') return 'STEP_UP';
    if (type === 'CANARY_PROMOTED') return 'PROMOTE';
  }
  return null;
}

/** "until 2026-01-05T09:00:00.000Z", or that it is unknown. */
export function describeEnd(until: number | null): string {
  return until === null ? 'until it is lifted' : `until ${new Date(until).toISOString()}`;
}

/** What a check's sample says of a hold: for how long it lasted since the latest check, and whether it is over. */
export interface HeldTime {
  readonly ms: number;
  readonly over: boolean;
}

/** The hold that an event begins. */
export function holdBy(event: Extract<CanaryEvent, { type: 'PROMOTION_HELD' | 'STEP_HELD' }>): Hold {
  const { type, freezeId, until, at } = event;
  return { block: type === 'PROMOTION_HELD' ? 'PROMOTE' : 'STEP_UP', freezeId, since: at, until };
}
