/**
 * What a broken loss budget does: it trips once, which freezes its strategies and lists the canaries to act on in one
 * transaction; then each of them gets an ordinary command, as in a halt. What a node that died has left, another completes.
 */
import { randomBytes } from 'node:crypto';
import pLimit from 'p-limit';
import { FREEZE_BLOCKS } from '../core/lifecycle/freeze.ts';
import { type Decimal, formatDecimal, ZERO } from '../core/values/decimal.ts';
import { ConcurrentChange } from '../store/postgres/concurrentChange.ts';
import type { LogWriteTransaction } from '../store/postgres/notifier.ts';
import { insertFreeze } from '../store/safety/freezes.ts';
import { findHalt, insertHalt } from '../store/safety/halts.ts';
import {
  type BudgetAction,
  findLossBudget,
  finishTrip,
  type LossBudget,
  lockLossBudget,
  markBudgetTripped,
  readLossBudgets,
  type UnfinishedTrip,
} from '../store/safety/lossBudgets.ts';
import { findLiveCanaries, readLosses } from '../store/safety/losses.ts';
import type { Commands } from './commands.ts';
import { type App, SERIN } from './context.ts';
import { transaction } from './execution/transaction.ts';
import { carryOutHalt, type HaltCommand } from './haltCanaries.ts';
import { armAgain, audit, describeBudget } from './lossBudgets.ts';

/** Budgets that trip or are armed again at a time: one that waits for a lock delays no other. */
const CONCURRENCY = 4;

/** Is told of each budget when it is done. */
export interface BudgetWatcher {
  onTripped(budget: LossBudget): void;
  /** It stays as it is, and is tried again in the next round. */
  onFailed(budget: LossBudget, error: unknown): void;
}

/**
 * Trips the budgets that are broken and arms those again that should be, each in a transaction of its own: one that fails
 * holds back no other.
 * @throws {Error} if the budgets or their losses cannot be read
 */
export async function evaluateBudgets(app: App, watcher: BudgetWatcher): Promise<void> {
  const [budgets, losses] = await Promise.all([readLossBudgets(app.db), readLosses(app.db)]);
  const inTurn = pLimit(CONCURRENCY);
  await inTurn.map(budgets, async (budget) => {
    try {
      const tripped = await evaluate(app, budget, isBroken(budget, losses.get(budget.id)));
      if (tripped) watcher.onTripped(tripped);
    } catch (error) {
      watcher.onFailed(budget, error);
    }
  });
}

/** Returns the budget if it has tripped. */
async function evaluate(app: App, budget: LossBudget, broken: boolean): Promise<LossBudget | null> {
  if (budget.state === 'ARMED' && broken) return transaction(app, (tx) => trip(tx, budget.id));
  if (budget.state === 'TRIPPED' && budget.rearm === 'WINDOW' && !broken) {
    await transaction(app, (tx) => armByWindow(tx, budget.id));
  }
  return null;
}

const isBroken = ({ maxLossUsd }: LossBudget, loss: Decimal = ZERO) => loss.gte(maxLossUsd);

/** Trips a budget, if it is armed and still broken: from the commit on nothing can begin on its strategies. */
async function trip(tx: LogWriteTransaction, id: string): Promise<LossBudget | null> {
  const budget = await lockLossBudget(tx, id);
  const loss = (await readLosses(tx, [id])).get(id) ?? ZERO;
  if (budget?.state !== 'ARMED' || !isBroken(budget, loss)) return null;
  const { name, strategies, action } = budget;
  const reason = reasonOf(budget);
  // A budget must not fail because of a limit on freezes.
  const freeze = await insertFreeze(
    tx,
    {
      id: `frz_${randomBytes(10).toString('hex')}`,
      strategies,
      chains: ['*'],
      blocks: FREEZE_BLOCKS,
      from: null,
      until: null,
      recurrence: null,
      reason,
      createdBy: SERIN.name,
      lossBudgetId: id,
    },
    Number.POSITIVE_INFINITY,
  );
  if (!freeze) throw new Error(`the freeze of loss budget ${id} was not created`);
  // After the freeze: no canary can be added to these.
  const deploymentIds = await targetsOf(tx, id, action);
  const tripped = await markBudgetTripped(tx, id, loss);
  const halt = await insertHalt(tx, {
    ...keyOf(tripped),
    request: action,
    deploymentIds,
    freezeId: freeze.id,
  });
  if (!halt) throw new ConcurrentChange('the budget has tripped meanwhile');
  await audit(tx, SERIN, 'LOSS_BUDGET_TRIPPED', tripped, {
    name,
    reason,
    action,
    lossUsd: formatDecimal(loss),
    maxLossUsd: formatDecimal(budget.maxLossUsd),
    windowHours: budget.windowHours,
    freezeId: freeze.id,
    deploymentIds,
  });
  return tripped;
}

/** Without the amount of the loss: those read it who see one of the strategies only. */
const reasonOf = (budget: Pick<LossBudget, 'name' | 'maxLossUsd' | 'windowHours' | 'action' | 'count'>) =>
  `loss budget ${budget.name} is broken: ${describeBudget(budget)}`;

const keyOf = ({ id, trips }: UnfinishedTrip) => ({ actor: SERIN.subject, key: `budget:${id}:${trips}` });

async function targetsOf(tx: LogWriteTransaction, id: string, action: BudgetAction): Promise<string[]> {
  if (action === 'FREEZE') return [];
  const which = { ROLLBACK_ALL: 'ALL', ROLLBACK_LOSERS: 'LOSERS', PAUSE: 'RUNNING' } as const;
  return findLiveCanaries(tx, id, which[action]);
}

/** Arms a budget again that waits for its window, if the loss in it is still below the maximum. */
async function armByWindow(tx: LogWriteTransaction, id: string): Promise<void> {
  const budget = await lockLossBudget(tx, id);
  const loss = (await readLosses(tx, [id])).get(id);
  if (budget?.state !== 'TRIPPED' || budget.rearm !== 'WINDOW' || isBroken(budget, loss)) return;
  await armAgain(tx, SERIN, budget, `the loss in ${budget.windowHours} h is below the maximum again`);
}

/** Carries out what a trip has listed: each deployment by a command with a key of its own, so that nothing is done twice. */
export async function carryOutTrip(app: App, commands: Commands, unfinished: UnfinishedTrip): Promise<void> {
  const { actor, key } = keyOf(unfinished);
  const [budget, halt] = await Promise.all([
    findLossBudget(app.db, unfinished.id),
    findHalt(app.db, actor, key),
  ]);
  if (budget && halt) {
    const reason = reasonOf(budget);
    const command: HaltCommand =
      halt.request === 'PAUSE' ? { type: 'PAUSE', reason } : { type: 'ROLLBACK', reason, cause: 'BUDGET' };
    await carryOutHalt(app, commands, SERIN, command, halt);
  }
  await finishTrip(app.db, unfinished);
}
