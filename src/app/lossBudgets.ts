/** The use cases of loss budgets: create, change, arm again, delete, list. What a broken one does is in `budgetTrips.ts`. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { type Decimal, formatDecimal, ZERO } from '../core/values/decimal.ts';
import { dollars } from '../core/values/format.ts';
import { invalidInput, type Refusal, refusal } from '../core/values/refusal.ts';
import type { Violation } from '../core/values/violation.ts';
import { appendAuditRecord } from '../store/access/audit.ts';
import { contains, overlaps } from '../store/access/strategyScope.ts';
import type { Queries } from '../store/postgres/database.ts';
import { liftFreezeOfBudget } from '../store/safety/freezes.ts';
import {
  type BudgetRearm,
  type BudgetTerms,
  findLossBudget,
  insertLossBudget,
  type LossBudget,
  lockLossBudget,
  markBudgetArmed,
  markBudgetDeleted,
  readLossBudgets,
  saveBudgetTerms,
} from '../store/safety/lossBudgets.ts';
import { readLosses, refreshBaselines, restartLosses } from '../store/safety/losses.ts';
import type { Actor, App } from './context.ts';
import { type AnswerCodec, type Requester, refusalCodec, runIdempotent } from './execution/idempotency.ts';
import { beyondPatterns, patternsViolations } from './freezes.ts';

/** All budgets are summed in each round. */
const MAX_BUDGETS = 100;
/** The longest window: thirty days. */
export const MAX_WINDOW_HOURS = 720;
const MAX_NAME = 100;

/** A budget with the loss in its window. */
export interface LossBudgetView {
  readonly budget: LossBudget;
  readonly lossUsd: Decimal;
}

export interface LossBudgetAnswer {
  /** Null if the use case was executed. */
  readonly refusal: Refusal | null;
  readonly message: string;
  readonly view: LossBudgetView | null;
  readonly replayed: boolean;
}

const refused = (no: Refusal): LossBudgetAnswer => ({
  refusal: no,
  message: no.message,
  view: null,
  replayed: false,
});

const invalid = (violations: readonly Violation[]): LossBudgetAnswer => refused(invalidInput(violations));

const notFound = (id: string) => refusal('NOT_FOUND', `There is no loss budget ${id}`, ['id']);

const storedCodec = z.strictObject({
  refusal: refusalCodec.nullable(),
  message: z.string(),
  budgetId: z.string().nullable(),
});

const codec: AnswerCodec<LossBudgetAnswer> = {
  encode: ({ refusal, message, view }) =>
    storedCodec.encode({ refusal, message, budgetId: view?.budget.id ?? null }),
  async decode(db, answer) {
    const { refusal, message, budgetId } = storedCodec.parse(answer);
    const budget = budgetId === null ? null : await findLossBudget(db, budgetId);
    return { refusal, message, view: budget && (await viewOf(db, budget)), replayed: true };
  },
  refused,
  visibleTo: (actor, answer) =>
    answer.view && !seesBudget(actor, answer.view.budget) ? refused(notFound(answer.view.budget.id)) : answer,
};

async function viewOf(db: Queries, budget: LossBudget): Promise<LossBudgetView> {
  const losses = await readLosses(db, [budget.id]);
  return { budget, lossUsd: losses.get(budget.id) ?? ZERO };
}

const done = async (db: Queries, message: string, budget: LossBudget): Promise<LossBudgetAnswer> => ({
  refusal: null,
  message,
  view: await viewOf(db, budget),
  replayed: false,
});

/** Whether an actor sees a budget: it may be about a strategy that the actor sees. */
function seesBudget(actor: Actor, { strategies }: Pick<LossBudget, 'strategies'>): boolean {
  return overlaps(actor.strategies, strategies);
}

/** Whether an actor sees all of a budget: the loss is a sum, also over strategies that the actor may not see. */
export function seesLoss(actor: Actor, { strategies }: Pick<LossBudget, 'strategies'>): boolean {
  return contains(actor.strategies, strategies);
}

export interface LossBudgetInput extends BudgetTerms {
  /** Patterns; null means all strategies of the caller. */
  readonly strategies: readonly string[] | null;
  readonly rearm: BudgetRearm;
}

/**
 * Creates a loss budget. It counts what was lost in its window before, so that it may trip immediately.
 * @throws {Forbidden} if its patterns reach beyond the actor's strategies
 */
export async function createLossBudget(
  app: App,
  { actor, idempotencyKey }: Requester,
  input: LossBudgetInput,
): Promise<LossBudgetAnswer> {
  const violations = [...patternsViolations('strategies', input.strategies), ...termsViolations(input)];
  if (violations.length > 0) return invalid(violations);
  const strategies = input.strategies ?? actor.strategies ?? ['*'];
  if (!contains(actor.strategies, strategies)) throw beyondPatterns(actor, strategies);
  const request = {
    actor,
    operation: 'createLossBudget',
    input: { ...input, maxLossUsd: formatDecimal(input.maxLossUsd) },
    idempotencyKey,
  };
  return runIdempotent(app, request, codec, async (tx) => {
    const id = `bud_${randomBytes(10).toString('hex')}`;
    const budget = await insertLossBudget(
      tx,
      { ...input, id, strategies, createdBy: actor.name },
      MAX_BUDGETS,
    );
    if (!budget) {
      const message = `There are ${MAX_BUDGETS} loss budgets already: delete those that are not needed`;
      return refused(refusal('LIMIT_REACHED', message));
    }
    await refreshBaselines(tx, [id]);
    await audit(tx, actor, 'LOSS_BUDGET_CREATED', budget, describeTerms(budget));
    return done(tx, `Loss budget ${id} is armed: ${describeBudget(budget)}`, budget);
  });
}

/** "less than $1,000 may be lost in 24 h". */
export const describeBudget = ({ maxLossUsd, windowHours }: BudgetTerms): string =>
  `less than ${dollars(maxLossUsd)} may be lost in ${windowHours} h`;

function describeTerms({ name, windowHours, maxLossUsd, action, count, rearm }: LossBudget) {
  return { name, windowHours, maxLossUsd: formatDecimal(maxLossUsd), action, count, rearm };
}

type BudgetAuditAction = `LOSS_BUDGET_${'CREATED' | 'UPDATED' | 'TRIPPED' | 'REARMED' | 'DELETED'}`;

/** Records what happened to a budget. */
export async function audit(
  tx: Queries,
  actor: Pick<Actor, 'name'>,
  action: BudgetAuditAction,
  { id, strategies }: LossBudget,
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  await appendAuditRecord(tx, { actor: actor.name, action, subject: id, strategies, details });
}

function termsViolations({ name, windowHours, maxLossUsd }: Partial<BudgetTerms>): Violation[] {
  const violations: Violation[] = [];
  const refuse = (field: keyof BudgetTerms, message: string) => violations.push({ path: [field], message });
  const length = name?.trim().length ?? 1;
  if (length < 1 || length > MAX_NAME) {
    refuse('name', `must have between 1 and ${MAX_NAME} characters, got ${length}`);
  } else if (name !== undefined && /\p{C}/u.test(name)) {
    refuse('name', 'must have printable characters only');
  }
  if (windowHours !== undefined && (windowHours < 1 || windowHours > MAX_WINDOW_HOURS)) {
    refuse('windowHours', `must be between 1 and ${MAX_WINDOW_HOURS}, got ${windowHours}`);
  }
  if (maxLossUsd !== undefined && !maxLossUsd.gt(0)) {
    refuse('maxLossUsd', `must be above 0, got ${formatDecimal(maxLossUsd)}`);
  }
  return violations;
}

export interface LossBudgetChange extends Partial<BudgetTerms> {
  readonly id: string;
  /** Arm it again. */
  readonly rearm: boolean;
  readonly reason: string | null;
}

/**
 * Changes a loss budget, or arms it again: what was lost until then does not count any more, and its freeze ends.
 * @throws {Forbidden} if the actor sees the budget but not all of its strategies
 */
export async function updateLossBudget(
  app: App,
  { actor, idempotencyKey }: Requester,
  change: LossBudgetChange,
): Promise<LossBudgetAnswer> {
  const { id, rearm, reason, ...terms } = change;
  const violations = termsViolations(terms);
  const isChange = Object.values(terms).some((value) => value !== undefined);
  if (!isChange && !rearm) violations.push({ path: [], message: 'changes nothing: name a field, or rearm' });
  if (rearm && !reason?.trim())
    violations.push({ path: ['reason'], message: 'must say why it is armed again' });
  if (violations.length > 0) return invalid(violations);
  const maxLossUsd = terms.maxLossUsd && formatDecimal(terms.maxLossUsd);
  const request = {
    actor,
    operation: 'updateLossBudget',
    input: { ...change, maxLossUsd },
    idempotencyKey,
  };
  return runIdempotent(app, request, codec, async (tx) => {
    const before = await lockLossBudget(tx, id);
    if (!before || !seesBudget(actor, before)) return refused(notFound(id));
    if (!seesLoss(actor, before)) throw beyondPatterns(actor, before.strategies);
    let budget = before;
    if (isChange) {
      budget = await saveBudgetTerms(tx, id, terms);
      await refreshBaselines(tx, [id]);
      await audit(tx, actor, 'LOSS_BUDGET_UPDATED', budget, { ...describeTerms(budget), reason });
    }
    if (rearm) {
      await restartLosses(tx, id);
      budget = await armAgain(tx, actor, budget, reason);
    }
    const counts = rearm ? '; what was lost until now does not count any more' : '';
    return done(
      tx,
      `Loss budget ${id} is ${budget.state.toLowerCase()}: ${describeBudget(budget)}${counts}`,
      budget,
    );
  });
}

/** Arms a budget that is locked again, and lifts its freeze. */
export async function armAgain(
  tx: Queries,
  actor: Pick<Actor, 'name'>,
  { id }: LossBudget,
  reason: string | null,
): Promise<LossBudget> {
  const armed = await markBudgetArmed(tx, id);
  await liftFreezeOfBudget(tx, id, actor.name);
  await audit(tx, actor, 'LOSS_BUDGET_REARMED', armed, { reason });
  return armed;
}

/**
 * Deletes a loss budget and lifts its freeze, if it is tripped. What it has begun is carried out to its end.
 * @throws {Forbidden} if the actor sees the budget but not all of its strategies
 */
export async function deleteLossBudget(
  app: App,
  { actor, idempotencyKey }: Requester,
  input: { readonly id: string; readonly reason: string | null },
): Promise<LossBudgetAnswer> {
  const request = { actor, operation: 'deleteLossBudget', input, idempotencyKey };
  return runIdempotent(app, request, codec, async (tx) => {
    const { id, reason } = input;
    const budget = await lockLossBudget(tx, id);
    if (!budget || !seesBudget(actor, budget)) return refused(notFound(id));
    if (!seesLoss(actor, budget)) throw beyondPatterns(actor, budget.strategies);
    const answer = await done(
      tx,
      `Loss budget ${id} is deleted`,
      await markBudgetDeleted(tx, id, actor.name),
    );
    await liftFreezeOfBudget(tx, id, actor.name);
    await audit(tx, actor, 'LOSS_BUDGET_DELETED', budget, { ...describeTerms(budget), reason });
    return answer;
  });
}

/** The budgets that an actor sees, newest first, with the losses in their windows. */
export async function listLossBudgets(db: Queries, actor: Actor): Promise<LossBudgetView[]> {
  const [budgets, losses] = await Promise.all([readLossBudgets(db), readLosses(db)]);
  return budgets
    .filter((budget) => seesBudget(actor, budget))
    .map((budget) => ({ budget, lossUsd: losses.get(budget.id) ?? ZERO }))
    .toReversed();
}
