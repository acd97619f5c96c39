/** What costs money, as gauges for metrics: decisions that wait, capital at work, silent bots, freezes, halts. */
import type { FreezeBlock } from '../core/lifecycle/freeze.ts';
import { type LiveFigures, readLiveFigures } from '../store/deployments/liveFigures.ts';
import type { Queries } from '../store/postgres/database.ts';
import { readStandingFreezes } from '../store/safety/freezes.ts';
import { readUnfinishedHaltSeconds } from '../store/safety/halts.ts';
import { activeWindow } from './freezeWindows.ts';
import { readWaiting, type Waiting } from './waiting.ts';

export interface CanaryGauges extends LiveFigures {
  readonly waiting: Waiting;
  /** Freezes that block now, by what they block. */
  readonly freezes: Readonly<Record<FreezeBlock, number>>;
  /** Age of the oldest halt that was not carried out to its end, seconds of Serin's clock; 0 if there is none. */
  readonly unfinishedHaltSeconds: number;
}

export async function readCanaryGauges(db: Queries): Promise<CanaryGauges> {
  const [figures, waiting, { freezes, at }, unfinishedHaltSeconds] = await Promise.all([
    readLiveFigures(db),
    readWaiting(db, null),
    readStandingFreezes(db),
    readUnfinishedHaltSeconds(db),
  ]);
  const active = freezes.filter((freeze) => activeWindow(freeze, at));
  const blocking = (block: FreezeBlock) => active.filter(({ blocks }) => blocks.includes(block)).length;
  return {
    ...figures,
    waiting,
    freezes: { DEPLOY: blocking('DEPLOY'), STEP_UP: blocking('STEP_UP'), PROMOTE: blocking('PROMOTE') },
    unfinishedHaltSeconds,
  };
}
