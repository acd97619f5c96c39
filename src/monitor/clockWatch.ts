/**
 * Notices steps of Serin's clock, which is the database's: its time is compared with this process's monotonic time. A
 * step is logged, counted, shown by `/ready` for a while, and what a clock set back has put off is made due: checks, leases,
 * and deliveries to webhooks.
 */
import type { Logger } from 'pino';
import { makeDistantLeasesDue } from '../store/deployments/deadlines.ts';
import { makeDistantChecksDue } from '../store/deployments/leases.ts';
import { type Queries, readClock } from '../store/postgres/database.ts';
import { makeDistantDeliveriesDue } from '../store/webhooks/deliveries.ts';
import { type Job, repeat } from './repeat.ts';

/** Real milliseconds between two readings. */
const READ_EVERY_MS = 1000;
/** A smaller step cannot be distinguished from the duration of a reading. Real milliseconds, besides the reading itself. */
const SMALLEST_STEP_MS = 2000;
/** How long a step stays in the warnings of `/ready`, real milliseconds. */
const SHOWN_MS = 600_000;

export interface ClockWatch extends Job {
  /** The latest step as a message, for as long as it is worth a warning. */
  warning(): string | null;
}

export interface ClockWatchParts {
  readonly db: Queries;
  readonly log: Logger;
  /** Called with each step: seconds of Serin's time, negative where the clock was set back. */
  readonly onStep: (seconds: number) => void;
}

/** Where Serin's clock stood at a monotonic instant. */
interface Reading {
  readonly now: number;
  readonly rate: number;
  readonly at: number;
  /** How long the reading took, real milliseconds. */
  readonly took: number;
}

export function startClockWatch({ db, log, onStep }: ClockWatchParts): ClockWatch {
  let latest: { readonly seconds: number; readonly at: number } | null = null;
  let before: Reading | null = null;

  async function round(): Promise<number> {
    try {
      const after = await read(db);
      // At the start the clock may have been set while no node was there to see it.
      const seconds = before ? stepBetween(before, after) : null;
      if (!before || seconds !== null) {
        await makeDistantChecksDue(db);
        await makeDistantLeasesDue(db);
        await makeDistantDeliveriesDue(db, (seconds ?? 0) < 0);
      }
      if (seconds !== null) noticed(seconds);
      before = after;
    } catch {
      // The database is away, which the loop reports. Time continues meanwhile, and the next reading is compared.
    }
    return READ_EVERY_MS;
  }

  function noticed(seconds: number): void {
    latest = { seconds, at: performance.now() };
    log.warn({ seconds }, describeStep(seconds));
    onStep(seconds);
  }

  return {
    warning: () => (latest && performance.now() - latest.at < SHOWN_MS ? describeStep(latest.seconds) : null),
    ...repeat(round),
  };
}

async function read(db: Queries): Promise<Reading> {
  const began = performance.now();
  const { now, rate } = await readClock(db);
  const took = performance.now() - began;
  return { now, rate, at: began + took / 2, took };
}

/** Seconds of Serin's time by which its clock moved other than time does; null where it did not. */
function stepBetween(before: Reading, after: Reading): number | null {
  if (before.rate !== after.rate) return null;
  const step = after.now - before.now - (after.at - before.at) * after.rate;
  const uncertain = SMALLEST_STEP_MS + (before.took + after.took) / 2;
  return Math.abs(step) > uncertain * after.rate ? Math.round(step / 1000) : null;
}

function describeStep(seconds: number): string {
  const way = seconds < 0 ? 'back' : 'forward';
  return `the database's clock was set ${way} by ${Math.abs(seconds)} s`;
}
