/** What mutations answer: the fields every result has, and refusals as data. */
import type { Answer } from '../app/answer.ts';
import { allocationOf, comparisonOf } from '../core/lifecycle/state.ts';
import { ZERO } from '../core/values/decimal.ts';
import type { REFUSAL_CODES, Refusal } from '../core/values/refusal.ts';
import { builder } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { CanaryComparison, DecisionType, sideViews } from './metrics.ts';
import { PolicyWarningType } from './policy.ts';

const ErrorCode = builder.enumType('ErrorCode', {
  description: 'Why a mutation was refused.',
  values: {
    INVALID_INPUT: { description: 'A field breaks a rule; `path` leads to it.' },
    NOT_FOUND: { description: 'There is no such thing as was asked for.' },
    INVALID_TRANSITION: { description: 'The deployment does not take this command in its status.' },
    STRATEGY_BUSY: { description: 'The strategy has a live deployment on this chain.' },
    STALE_STABLE_VERSION: { description: "The strategy's stable version is another one by now." },
    REVISION_CONFLICT: { description: 'The deployment changed since `expectedRevision`.' },
    IDEMPOTENCY_KEY_REUSED: { description: 'The key was used for another request.' },
    ALREADY_EXISTS: { description: 'The id is taken.' },
    CURSOR_TOO_OLD: { description: 'Events behind the cursor were archived: they cannot be sent any more.' },
    LIMIT_REACHED: { description: 'There are as many as there may be.' },
  } satisfies Record<(typeof REFUSAL_CODES)[number], { description: string }>,
});

export const DomainError = builder.objectRef<Refusal>('DomainError').implement({
  description: 'A refusal: nothing has changed.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCode, description: 'Which kind, for programs.' }),
    message: t.exposeString('message', { description: 'What was wrong and what to do next, for people.' }),
    path: t.stringList({
      description: 'The way to the field to blame, from the root of the input; empty when none is.',
      resolve: ({ path }) => [...path],
    }),
  }),
});

const MutationResult = builder.interfaceRef<Answer>('MutationResult').implement({
  description: 'What every mutation of one deployment answers.',
  fields: (t) => ({
    success: t.boolean({
      description: 'Whether it was done. What was done is on disk.',
      resolve: ({ refusal }) => refusal === null,
    }),
    replayed: t.exposeBoolean('replayed', {
      description: 'Whether this is the first answer again, because the idempotency key was seen before.',
    }),
    message: t.exposeString('message', { description: 'What happened, for people.' }),
    error: t.expose('refusal', {
      type: DomainError,
      nullable: true,
      description: 'Why it was refused; null when it was done.',
    }),
    deployment: t.field({
      type: DeploymentRef,
      nullable: true,
      description: 'The deployment after it, or as it stands when it was refused.',
      resolve: ({ view }) => view,
    }),
  }),
});

const resultOf = (name: string, description: string) =>
  builder.objectRef<Answer>(name).implement({ description, interfaces: [MutationResult] });

export const CreateDeploymentResult = builder.objectRef<Answer>('CreateDeploymentResult').implement({
  description: 'The answer of `createDeployment`.',
  interfaces: [MutationResult],
  fields: (t) => ({
    warnings: t.field({
      type: [PolicyWarningType],
      nullable: true,
      description:
        'What is probably not meant: a policy that would roll back more than a fifth of identical versions. It is ' +
        'simulated when you ask for this field. Null when it could not be: too long a policy (ask ' +
        '`simulatePolicy`), or no time for it now.',
      resolve: async ({ refusal, view }, _args, { app }) =>
        refusal || !view ? [] : ((await app.policyWarnings.about(view.state.config))?.slice() ?? null),
    }),
  }),
});
export const ImportDeploymentResult = resultOf('ImportDeploymentResult', 'The answer of `importDeployment`.');

export const DeployCanaryResult = builder.objectRef<Answer>('DeployCanaryResult').implement({
  description: 'The answer of `deployCanary`.',
  interfaces: [MutationResult],
  fields: (t) => ({
    deploymentId: t.id({
      nullable: true,
      description: 'The deployment; null when there is none.',
      resolve: ({ view }) => view?.state.id,
    }),
    canaryCapitalUsd: t.field({
      type: 'Decimal',
      description: 'What the canary should hold, USD.',
      resolve: ({ view }) => (view && allocationOf(view.state)?.canaryUsd) ?? ZERO,
    }),
    stableCapitalUsd: t.field({
      type: 'Decimal',
      description: 'What the stable side should hold, USD.',
      resolve: ({ view }) => (view && allocationOf(view.state)?.stableUsd) ?? ZERO,
    }),
  }),
});

export const CanaryResult = builder.objectRef<Answer>('CanaryResult').implement({
  description: 'The answer of a lifecycle command.',
  interfaces: [MutationResult],
  fields: (t) => ({
    decision: t.expose('decision', {
      type: DecisionType,
      nullable: true,
      description: 'The decision the command stands for; null when it was refused.',
    }),
    comparison: t.field({
      type: CanaryComparison,
      nullable: true,
      description: 'Canary against stable as of the command; null before it is deployed.',
      resolve: ({ view }) => {
        const comparison = view && comparisonOf(view.state, view.metrics);
        const sides = view && sideViews(view.state, view.metrics, view.now);
        return comparison && sides && { comparison, sides };
      },
    }),
  }),
});
