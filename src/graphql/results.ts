/** Results of mutations: the fields that all results have, and refusals as data. */
import type { FieldMap } from '@pothos/core';
import type { Answer } from '../app/answer.ts';
import { allocationOf } from '../core/lifecycle/state.ts';
import { ZERO } from '../core/values/decimal.ts';
import type { REFUSAL_CODES, Refusal } from '../core/values/refusal.ts';
import { builder, type SchemaTypes } from './builder.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { CanaryComparison, comparisonView, DecisionType } from './metrics.ts';
import { PolicyWarningType } from './policy.ts';

const ErrorCode = builder.enumType('ErrorCode', {
  description: 'Why a mutation was refused.',
  values: {
    INVALID_INPUT: { description: 'A field is invalid; `path` leads to it.' },
    NOT_FOUND: { description: 'The requested object does not exist.' },
    INVALID_TRANSITION: { description: 'The deployment does not accept this command in its status.' },
    STRATEGY_BUSY: { description: 'The strategy has a live deployment on this chain.' },
    STALE_STABLE_VERSION: { description: "The strategy's stable version has changed." },
    REVISION_CONFLICT: { description: 'The deployment changed since `expectedRevision`.' },
    IDEMPOTENCY_KEY_REUSED: { description: 'The key was used for another request.' },
    ALREADY_EXISTS: { description: 'The id is already in use.' },
    CURSOR_TOO_OLD: { description: 'Events after the cursor were archived and can no longer be sent.' },
    HISTORY_REWOUND: {
      description:
        'The database was set back to a state before this cursor; the message names the last one that exists.',
    },
    LIMIT_REACHED: { description: 'The maximum number is reached.' },
    COUNTER_RESET: {
      description:
        'A total that can only grow has fallen: the bot restarted. Continue from `canaryMetrics`, or name a session.',
    },
    FROZEN: {
      description:
        'A freeze blocks what would raise risk. It is possible again when the freeze ends, see `freezes`.',
    },
  } satisfies Record<(typeof REFUSAL_CODES)[number], { description: string }>,
});

export const DomainError = builder.objectRef<Refusal>('DomainError').implement({
  description: 'A refusal: nothing has changed.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCode, description: 'Kind of the refusal, for programs.' }),
    message: t.exposeString('message', { description: 'What is wrong and what to do next, for people.' }),
    path: t.stringList({
      description: 'Path of the invalid field, from the root of the input; empty if no field is invalid.',
      resolve: ({ path }) => [...path],
    }),
  }),
});

/** What every result of a mutation has. */
interface Result {
  readonly refusal: Refusal | null;
  readonly replayed: boolean;
  readonly message: string;
}

/** The fields that the results of all mutations begin with. */
export const resultFields = (
  t: Pick<PothosSchemaTypes.ObjectFieldBuilder<SchemaTypes, Result>, 'boolean' | 'string' | 'field'>,
): FieldMap => ({
  success: t.boolean({
    description: 'Whether the mutation succeeded. If true, the change is on disk.',
    resolve: ({ refusal }) => refusal === null,
  }),
  replayed: t.boolean({
    description: 'Whether this is the stored result of an earlier request with the same idempotency key.',
    resolve: ({ replayed }) => replayed,
  }),
  message: t.string({
    description: 'What happened, for people.',
    resolve: ({ message }) => message,
  }),
  error: t.field({
    type: DomainError,
    nullable: true,
    description: 'Why the mutation was refused; null if it succeeded.',
    resolve: ({ refusal }) => refusal,
  }),
});

const MutationResult = builder.interfaceRef<Answer>('MutationResult').implement({
  description: 'Common fields of the results of all mutations of a deployment.',
  fields: (t) => ({
    ...resultFields(t),
    deployment: t.field({
      type: DeploymentRef,
      nullable: true,
      description: 'The deployment after the command, or its current state if refused.',
      resolve: ({ view }) => view,
    }),
  }),
});

const resultOf = (name: string, description: string) =>
  builder.objectRef<Answer>(name).implement({ description, interfaces: [MutationResult] });

export const CreateDeploymentResult = builder.objectRef<Answer>('CreateDeploymentResult').implement({
  description: 'Result of `createDeployment`.',
  interfaces: [MutationResult],
  fields: (t) => ({
    warnings: t.field({
      type: [PolicyWarningType],
      nullable: true,
      description:
        'Settings that are probably not intended: a policy that would roll back more than a fifth of identical versions, ' +
        'a step with fewer checks than `evidence.minSamples`, an observation that can only tell large differences. ' +
        'The policy is simulated when this field is requested. Null if there is no other warning and it could not be ' +
        'simulated: it is too long (use `policySimulation`), or the simulator is busy.',
      resolve: async ({ refusal, view }, _args, { app }) =>
        refusal || !view ? [] : ((await app.policyWarnings.about(view.state.config))?.slice() ?? null),
    }),
  }),
});
export const ImportDeploymentResult = resultOf('ImportDeploymentResult', 'Result of `importDeployment`.');

export const DeployCanaryResult = builder.objectRef<Answer>('DeployCanaryResult').implement({
  description: 'Result of `deployCanary`.',
  interfaces: [MutationResult],
  fields: (t) => ({
    deploymentId: t.id({
      nullable: true,
      description: 'The deployment; null if there is none.',
      resolve: ({ view }) => view?.state.id,
    }),
    canaryCapitalUsd: t.field({
      type: 'Decimal',
      description: 'Capital the canary is to hold, USD.',
      resolve: ({ view }) => (view && allocationOf(view.state)?.canaryUsd) ?? ZERO,
    }),
    stableCapitalUsd: t.field({
      type: 'Decimal',
      description: 'Capital the stable side is to hold, USD.',
      resolve: ({ view }) => (view && allocationOf(view.state)?.stableUsd) ?? ZERO,
    }),
  }),
});

export const CanaryResult = builder.objectRef<Answer>('CanaryResult').implement({
  description: 'Result of a lifecycle command.',
  interfaces: [MutationResult],
  fields: (t) => ({
    decision: t.expose('decision', {
      type: DecisionType,
      nullable: true,
      description: 'The decision recorded for the command; null if it was refused.',
    }),
    comparison: t.field({
      type: CanaryComparison,
      nullable: true,
      description: 'Canary compared with stable at the time of the command; null before it is deployed.',
      resolve: ({ view }) => view && comparisonView(view),
    }),
  }),
});
