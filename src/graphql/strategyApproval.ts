/** Promotions that need two people: the rule of a strategy, and what holds for a deployment. */
import { approvalRuleOf, coversStrategy } from '../app/approvalRules.ts';
import { type ApprovalAnswer, setStrategyApproval } from '../app/strategyApproval.ts';
import type { ApprovalRequest } from '../core/lifecycle/secondPerson.ts';
import { requestEndsAt } from '../core/lifecycle/secondPerson.ts';
import { builder } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { DomainError } from './results.ts';
import { StrategyRef } from './strategy.ts';

const ApprovalRuleEnum = builder.enumType('ApprovalRule', {
  description: 'Whose rule requires two people for a promotion.',
  values: {
    SERVER: { description: 'The server: `SERIN_REQUIRE_APPROVAL`.' },
    STRATEGY: { description: 'The strategy: `setStrategyApproval`, or a deployment with `requireApproval`.' },
    DEPLOYMENT: { description: 'The configuration of the deployment alone.' },
  },
});

const LiftRequest = builder.objectRef<ApprovalRequest>('ApprovalLiftRequest').implement({
  description: 'A request to lift the rule of a strategy, which another person must approve.',
  fields: (t) => ({
    by: t.exposeString('by', { description: 'Who asked.' }),
    at: t.expose('at', { type: 'DateTime', description: 'When.' }),
    endsAt: t.field({
      type: 'DateTime',
      description: 'When it expires; after that it must be asked again.',
      resolve: requestEndsAt,
    }),
  }),
});

builder.objectFields(StrategyRef, (t) => ({
  approvalRule: t.field({
    type: ApprovalRuleEnum,
    nullable: true,
    description: 'Whose rule requires two people for its promotions; null if one person is enough.',
    resolve: ({ id, requireApproval }, _args, { app }) =>
      coversStrategy(app, id) ? 'SERVER' : requireApproval ? 'STRATEGY' : null,
  }),
  approvalLift: t.field({
    type: LiftRequest,
    nullable: true,
    description:
      'The latest request to lift its rule; another person approves it with `setStrategyApproval`.',
    resolve: ({ approvalLift }) => approvalLift,
  }),
}));

builder.objectField(DeploymentRef, 'approvalRule', (t) =>
  t.field({
    type: ApprovalRuleEnum,
    nullable: true,
    description: 'Whose rule requires two people for its promotion; null if one person is enough.',
    resolve: (view, _args, { app }) =>
      approvalRuleOf(app, view) ?? (view.state.config.requireApproval ? 'DEPLOYMENT' : null),
  }),
);

const SetStrategyApprovalInput = builder.inputType('SetStrategyApprovalInput', {
  description: 'Whether promotions of a strategy need two people.',
  fields: (t) => ({
    strategyId: t.id({ required: true, description: 'Name of the strategy.' }),
    required: t.boolean({ required: true, description: 'Whether two people are needed from now on.' }),
    reason: t.string({ description: 'Why, for the record.' }),
  }),
});

const SetStrategyApprovalResult = builder.objectRef<ApprovalAnswer>('SetStrategyApprovalResult').implement({
  description: 'Result of `setStrategyApproval`.',
  fields: (t) => ({
    success: t.boolean({
      description:
        'Whether the rule was changed, or the request to lift it was recorded. If true, it is on disk.',
      resolve: ({ refusal }) => refusal === null,
    }),
    message: t.exposeString('message', { description: 'What happened, for people.' }),
    error: t.expose('refusal', {
      type: DomainError,
      nullable: true,
      description: 'Why it was refused; null if it succeeded.',
    }),
    strategy: t.field({
      type: StrategyRef,
      nullable: true,
      description: 'The strategy after the change.',
      resolve: ({ strategy }) => strategy,
    }),
  }),
});

builder.mutationField('setStrategyApproval', (t) =>
  t.field({
    type: SetStrategyApprovalResult,
    description:
      'Sets or lifts the rule that promotions of a strategy need two people. One administrator sets it; lifting it is ' +
      'first a request, and another person lifts it with the same mutation within a day.',
    args: {
      input: t.arg({ type: SetStrategyApprovalInput, required: true, description: 'Which strategy.' }),
    },
    resolve: (_root, { input }, { app, actor }) =>
      setStrategyApproval(app, actor, {
        strategyId: input.strategyId,
        required: input.required,
        reason: input.reason ?? null,
      }),
  }),
);
