/**
 * Sums the losses of all loss budgets twice a second and more, on one node at a time, and lets the broken ones act. Reports
 * store nothing for it and wait for nothing: a budget sees what they have stored.
 */
import type { Logger } from 'pino';
import { carryOutTrip, evaluateBudgets } from '../app/budgetTrips.ts';
import type { Commands } from '../app/commands.ts';
import type { App } from '../app/context.ts';
import {
  type BudgetAction,
  claimRound,
  claimUnfinishedTrips,
  endRound,
  type UnfinishedTrip,
} from '../store/safety/lossBudgets.ts';
import { refreshBaselines } from '../store/safety/losses.ts';
import { type Job, repeat } from './repeat.ts';

/** The pause after a round, on whichever node the next one is, real milliseconds: a budget must see a report within a second. */
const PAUSE_MS = 450;
/** How often a node asks for a round that another node has, or for the first budget. */
const POLL_MS = 200;
const IDLE_MS = 500;
const RETRY_MS = 1000;

export interface BudgetLoopParts {
  readonly app: App;
  readonly commands: Commands;
  readonly log: Logger;
  /** Called once for each trip, by the node that saw it. */
  readonly onTrip: (action: BudgetAction) => void;
}

export function startBudgetLoop({ app, commands, log, onTrip }: BudgetLoopParts): Job {
  const inFlight = new Map<string, Promise<void>>();
  const rounds = repeat(round);

  async function round(): Promise<number> {
    try {
      const claim = await claimRound(app.db);
      if (claim === 'CLAIMED') await evaluate();
      return claim === 'NONE' ? IDLE_MS : claim === 'TAKEN' ? POLL_MS : PAUSE_MS;
    } catch (error) {
      log.warn({ error }, 'the loss budgets cannot reach the database and retry');
      return RETRY_MS;
    }
  }

  async function evaluate(): Promise<void> {
    try {
      await refreshBaselines(app.db);
      await evaluateBudgets(app, {
        onTripped({ id, name, action, trips }) {
          onTrip(action);
          log.warn({ budget: id, action }, `the loss budget ${name} is broken`);
          act({ id, trips });
        },
        onFailed({ id, name }, error) {
          log.error({ error, budget: id }, `the loss budget ${name} failed and tries again`);
        },
      });
      for (const unfinished of await claimUnfinishedTrips(app.db)) act(unfinished);
    } finally {
      await endRound(app.db, PAUSE_MS);
    }
  }

  /** Alongside the rounds: other budgets are summed meanwhile. A failure leaves the rest to the next claim. */
  function act(unfinished: UnfinishedTrip): void {
    const key = `${unfinished.id} ${unfinished.trips}`;
    if (inFlight.has(key)) return;
    const work = carryOutTrip(app, commands, unfinished)
      .catch((error: unknown) => {
        log.error({ error, budget: unfinished.id }, 'a loss budget could not act and tries again');
      })
      .finally(() => inFlight.delete(key));
    inFlight.set(key, work);
  }

  return {
    async stop() {
      await rounds.stop();
      await Promise.all(inFlight.values());
    },
  };
}
