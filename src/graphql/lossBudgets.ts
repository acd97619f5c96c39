/** Loss budgets: how much the canaries of many deployments may lose together. The use cases are in `app/lossBudgets.ts`. */
import {
  createLossBudget,
  deleteLossBudget,
  type LossBudgetAnswer,
  type LossBudgetView,
  listLossBudgets,
  MAX_WINDOW_HOURS,
  seesLoss,
  updateLossBudget,
} from '../app/lossBudgets.ts';
import { overlaps } from '../store/access/strategyScope.ts';
import type {
  BUDGET_ACTIONS,
  BUDGET_COUNTS,
  BUDGET_REARMS,
  BUDGET_STATES,
} from '../store/safety/lossBudgets.ts';
import { builder } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { parseNumber } from './cursors.ts';
import { KEY } from './lifecycle.ts';
import { AFTER, FIRST, readCursor, readPage, toConnection } from './paging.ts';
import { resultFields } from './results.ts';

const ActionType = builder.enumType('LossBudgetAction', {
  description: 'What a broken loss budget does. Besides, its strategies are frozen until it is armed again.',
  values: {
    ROLLBACK_ALL: { description: 'Rolls back every live canary of its strategies.' },
    ROLLBACK_LOSERS: { description: 'Rolls back the live canaries that have lost in its window.' },
    PAUSE: {
      description: 'Pauses the running canaries: nothing is decided, and **their capital stays at work**.',
    },
    FREEZE: { description: 'Nothing more: the canaries go on with the capital that they have.' },
  } satisfies Record<(typeof BUDGET_ACTIONS)[number], { description: string }>,
});

const CountType = builder.enumType('LossBudgetCount', {
  description: 'Whether gains offset losses.',
  values: {
    NET: { description: 'What one canary has gained is set off against what another has lost.' },
    LOSERS_ONLY: { description: 'Only the canaries that have lost count.' },
  } satisfies Record<(typeof BUDGET_COUNTS)[number], { description: string }>,
});

const RearmType = builder.enumType('LossBudgetRearm', {
  description: 'Who arms a tripped budget again.',
  values: {
    MANUAL: { description: 'An administrator, by `updateLossBudget` with `rearm: true`.' },
    WINDOW: { description: 'Serin too, as soon as the loss in the window is below the maximum.' },
  } satisfies Record<(typeof BUDGET_REARMS)[number], { description: string }>,
});

const StateType = builder.enumType('LossBudgetState', {
  description: 'Whether a loss budget is broken.',
  values: {
    ARMED: { description: 'It trips when the loss in its window reaches the maximum.' },
    TRIPPED: { description: 'It was broken and has acted; its strategies are frozen.' },
  } satisfies Record<(typeof BUDGET_STATES)[number], { description: string }>,
});

const NAME = 'What people call it (1 to 100 characters).';
const WINDOW = `Length of its window in hours (1 to ${MAX_WINDOW_HOURS}), which ends now.`;
const MAXIMUM = 'A loss of this much trips it, USD.';
const ACTION = 'What it does when it is broken.';

export const LossBudgetType = builder.objectRef<LossBudgetView>('LossBudget').implement({
  description:
    'How much the canaries of some strategies may lose together in a window of time. The loss is the sum, over all ' +
    'deployments that held canary capital in the window, of what the net PnL of the canary has fallen since the window ' +
    'began, open positions included; of one that ended, until its end. It is summed at least once a second.',
  fields: (t) => ({
    id: t.id({ description: 'Readable and stable.', resolve: ({ budget }) => budget.id }),
    name: t.string({ description: NAME, resolve: ({ budget }) => budget.name }),
    strategies: t.stringList({
      description: 'Patterns of the strategies, as far as the viewer sees strategies that match.',
      resolve: ({ budget }, _args, { actor }) =>
        budget.strategies.filter((pattern) => overlaps(actor.strategies, [pattern])),
    }),
    windowHours: t.int({ description: WINDOW, resolve: ({ budget }) => budget.windowHours }),
    maxLossUsd: t.field({
      type: 'Decimal',
      description: MAXIMUM,
      resolve: ({ budget }) => budget.maxLossUsd,
    }),
    lossUsd: t.field({
      type: 'Decimal',
      nullable: true,
      description:
        'The loss in its window now, USD, at least 0. Null for a viewer who does not see all of its strategies.',
      resolve: ({ budget, lossUsd }, _args, { actor }) => (seesLoss(actor, budget) ? lossUsd : null),
    }),
    action: t.field({ type: ActionType, description: ACTION, resolve: ({ budget }) => budget.action }),
    count: t.field({
      type: CountType,
      description: 'Whether gains offset losses.',
      resolve: ({ budget }) => budget.count,
    }),
    rearm: t.field({
      type: RearmType,
      description: 'Who arms it again.',
      resolve: ({ budget }) => budget.rearm,
    }),
    state: t.field({
      type: StateType,
      description: 'Whether it is broken.',
      resolve: ({ budget }) => budget.state,
    }),
    trippedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it tripped; null while it is armed.',
      resolve: ({ budget }) => budget.trippedAt,
    }),
    trippedLossUsd: t.field({
      type: 'Decimal',
      nullable: true,
      description: 'The loss that tripped it, USD; null while it is armed, and for whom `lossUsd` is null.',
      resolve: ({ budget }, _args, { actor }) => (seesLoss(actor, budget) ? budget.trippedLossUsd : null),
    }),
    countsFrom: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it was last armed again by a person: what was lost before does not count any more.',
      resolve: ({ budget }) => budget.countsFrom,
    }),
    createdBy: t.string({ description: 'Who created it.', resolve: ({ budget }) => budget.createdBy }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was created.',
      resolve: ({ budget }) => budget.createdAt,
    }),
  }),
});

const LossBudgetConnection = connectionType('LossBudget', LossBudgetType, {
  one: 'a loss budget',
  many: 'loss budgets',
});

builder.queryField('lossBudgets', (t) =>
  t.field({
    type: LossBudgetConnection,
    description: 'Loss budgets of strategies that the viewer sees, newest first.',
    args: { first: t.arg.int({ description: FIRST }), after: t.arg.string({ description: AFTER }) },
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const before = readCursor('after', args.after, parseNumber);
      const all = await listLossBudgets(app.db, actor);
      const views = all.filter(({ budget }) => before === undefined || budget.seq < before);
      return toConnection(views.slice(0, page.limit + 1), page, args, ({ budget }) => budget.seq.toString());
    },
  }),
);

const CreateLossBudgetInput = builder.inputType('CreateLossBudgetInput', {
  description: 'A new loss budget.',
  fields: (t) => ({
    name: t.string({ required: true, description: NAME }),
    strategies: t.stringList({
      description:
        'Patterns of strategy names, `*` for any characters. Default: all strategies of the caller. Strategies that are ' +
        'created later count too.',
    }),
    windowHours: t.int({ required: true, description: WINDOW }),
    maxLossUsd: t.field({ type: 'Decimal', required: true, description: MAXIMUM }),
    action: t.field({ type: ActionType, required: true, description: ACTION }),
    count: t.field({ type: CountType, description: 'Whether gains offset losses. Default: NET.' }),
    rearm: t.field({ type: RearmType, description: 'Who arms it again. Default: MANUAL.' }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const UpdateLossBudgetInput = builder.inputType('UpdateLossBudgetInput', {
  description: 'Changes of a loss budget; what is omitted stays as it is.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The loss budget.' }),
    name: t.string({ description: NAME }),
    windowHours: t.int({ description: WINDOW }),
    maxLossUsd: t.field({ type: 'Decimal', description: MAXIMUM }),
    action: t.field({ type: ActionType, description: ACTION }),
    count: t.field({ type: CountType, description: 'Whether gains offset losses.' }),
    rearm: t.boolean({
      description:
        'True arms it again: its freeze ends, and what was lost until now does not count any more. Requires `reason`.',
    }),
    reason: t.string({ description: 'Why, for the record.' }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const DeleteLossBudgetInput = builder.inputType('DeleteLossBudgetInput', {
  description: 'Which loss budget to delete.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The loss budget.' }),
    reason: t.string({ description: 'Why, for the record.' }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const resultOf = (name: string, description: string) =>
  builder.objectRef<LossBudgetAnswer>(name).implement({
    description,
    fields: (t) => ({
      ...resultFields(t),
      lossBudget: t.expose('view', {
        type: LossBudgetType,
        nullable: true,
        description: 'The loss budget; null if there is none.',
      }),
    }),
  });

builder.mutationFields((t) => ({
  createLossBudget: t.field({
    type: resultOf('CreateLossBudgetResult', 'Result of `createLossBudget`.'),
    description:
      'Creates a loss budget. What was lost in its window before counts, so that it may trip immediately.',
    args: { input: t.arg({ type: CreateLossBudgetInput, required: true, description: 'The budget.' }) },
    resolve: (_root, { input }, { app, actor }) => {
      const { idempotencyKey = null, strategies, count, rearm, ...terms } = input;
      return createLossBudget(
        app,
        { actor, idempotencyKey },
        { ...terms, strategies: strategies ?? null, count: count ?? 'NET', rearm: rearm ?? 'MANUAL' },
      );
    },
  }),
  updateLossBudget: t.field({
    type: resultOf('UpdateLossBudgetResult', 'Result of `updateLossBudget`.'),
    description: 'Changes a loss budget, or arms one that is tripped again.',
    args: { input: t.arg({ type: UpdateLossBudgetInput, required: true, description: 'The changes.' }) },
    resolve: (_root, { input }, { app, actor }) => {
      const {
        idempotencyKey = null,
        id,
        name,
        windowHours,
        maxLossUsd,
        action,
        count,
        rearm,
        reason,
      } = input;
      return updateLossBudget(
        app,
        { actor, idempotencyKey },
        {
          id,
          ...(name == null ? {} : { name }),
          ...(windowHours == null ? {} : { windowHours }),
          ...(maxLossUsd == null ? {} : { maxLossUsd }),
          ...(action == null ? {} : { action }),
          ...(count == null ? {} : { count }),
          rearm: rearm ?? false,
          reason: reason ?? null,
        },
      );
    },
  }),
  deleteLossBudget: t.field({
    type: resultOf('DeleteLossBudgetResult', 'Result of `deleteLossBudget`.'),
    description:
      'Deletes a loss budget. If it is tripped its freeze ends; what it has begun is carried out to its end.',
    args: { input: t.arg({ type: DeleteLossBudgetInput, required: true, description: 'Which budget.' }) },
    resolve: (_root, { input }, { app, actor }) =>
      deleteLossBudget(
        app,
        { actor, idempotencyKey: input.idempotencyKey ?? null },
        { id: input.id, reason: input.reason ?? null },
      ),
  }),
}));
