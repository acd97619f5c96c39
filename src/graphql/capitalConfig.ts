/** The parts of a configuration that are about capital on its way, as clients read and send them. */
import type { POSITION_PLANS, RollbackPlan, SettlementConfig } from '../core/config/capital.ts';
import { builder } from './builder.ts';

const settlement = {
  tolerancePercent:
    'A side holds what it was asked to if it is off by at most this many percent of it, or 0.01 % of the total.',
  deadlineSeconds: 'An allocation that is not settled after these seconds is OVERDUE, 1 to 604,800.',
  required:
    'Whether the next step, and the next canary of the strategy on its chain, begin only when the last allocation is ' +
    'settled. Nothing that lowers risk waits for it.',
};

export const SettlementType = builder.objectRef<SettlementConfig>('Settlement').implement({
  description: 'When an allocation is carried out, and for how long that may take.',
  fields: (t) => ({
    tolerancePercent: t.expose('tolerancePercent', {
      type: 'Decimal',
      description: settlement.tolerancePercent,
    }),
    deadlineSeconds: t.exposeInt('deadlineSeconds', { description: settlement.deadlineSeconds }),
    required: t.exposeBoolean('required', { description: settlement.required }),
  }),
});

export const SettlementInput = builder.inputType('SettlementInput', {
  description: 'When an allocation is carried out; every field has a default.',
  fields: (t) => ({
    tolerancePercent: t.field({
      type: 'Decimal',
      description: `${settlement.tolerancePercent} Default: 0.5.`,
    }),
    deadlineSeconds: t.int({ description: `${settlement.deadlineSeconds} Default: 300.` }),
    required: t.boolean({ description: `${settlement.required} Default: false.` }),
  }),
});

const PositionPlanType = builder.enumType('PositionPlan', {
  description: 'What a side that is to hold less does with its open positions.',
  values: {
    HAND_OVER: { description: 'The other side takes them over.' },
    REDUCE_ONLY: { description: 'No new ones; those that are open run out.' },
    CLOSE: {
      description:
        'They are closed. A side that is to hold nothing has carried out the allocation only when it acknowledges ' +
        '`openExposureUsd: 0`.',
    },
  } satisfies Record<(typeof POSITION_PLANS)[number], object>,
});

const plan = {
  positions: 'What happens to open positions.',
  maxSlippageBps: 'The largest slippage to accept, in basis points, 0 to 10,000.',
  deadlineSeconds: 'The deadline of the allocations that carry the plan, in seconds, 1 to 604,800.',
};

export const RollbackPlanType = builder.objectRef<RollbackPlan>('RollbackPlan').implement({
  description: 'What bots do with open positions when their side is to hold less.',
  fields: (t) => ({
    positions: t.expose('positions', { type: PositionPlanType, description: plan.positions }),
    maxSlippageBps: t.expose('maxSlippageBps', {
      type: 'Decimal',
      nullable: true,
      description: `${plan.maxSlippageBps} Null: the bot's own limit.`,
    }),
    deadlineSeconds: t.exposeInt('deadlineSeconds', {
      nullable: true,
      description: `${plan.deadlineSeconds} Null: the deadline of the settlement.`,
    }),
  }),
});

export const RollbackPlanInput = builder.inputType('RollbackPlanInput', {
  description: 'What bots do with open positions when their side is to hold less.',
  fields: (t) => ({
    positions: t.field({ type: PositionPlanType, required: true, description: plan.positions }),
    maxSlippageBps: t.field({
      type: 'Decimal',
      description: `${plan.maxSlippageBps} Default: the bot's own limit.`,
    }),
    deadlineSeconds: t.int({
      description: `${plan.deadlineSeconds} Default: the deadline of the settlement.`,
    }),
  }),
});
