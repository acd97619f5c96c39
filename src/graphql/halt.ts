/** `haltCanaries`: one action on many deployments. The use case is in `app/haltCanaries.ts`. */
import { type HaltAnswer, haltCanaries } from '../app/haltCanaries.ts';
import type { HALT_ACTIONS, HaltOutcome } from '../store/safety/halts.ts';
import { builder } from './builder.ts';
import { FreezeType } from './freezes.ts';
import { KEY } from './lifecycle.ts';
import { DomainError } from './results.ts';

const HaltActionType = builder.enumType('HaltAction', {
  description: 'What a halt does to each deployment.',
  values: {
    PAUSE: {
      description:
        'Stops the observation clock. Capital stays at work: nothing is made safe by a pause alone.',
    },
    ROLLBACK: { description: 'Returns all capital to the stable version.' },
    CANCEL: {
      description: 'Ends the trial, also one that waits for capital; all capital returns to stable.',
    },
  } satisfies Record<(typeof HALT_ACTIONS)[number], { description: string }>,
});

const OutcomeKind = builder.enumType('HaltOutcomeKind', {
  description: 'What became of a deployment in a halt.',
  values: {
    DONE: { description: 'The action was carried out.' },
    ALREADY: { description: 'Nothing had to be done: it was there already, has ended, or holds no capital.' },
    REFUSED: { description: 'It was refused, see `error`.' },
  } satisfies Record<HaltOutcome['outcome'], { description: string }>,
});

const HaltOutcomeType = builder.objectRef<HaltOutcome>('HaltOutcome').implement({
  description: 'What became of one deployment in a halt.',
  fields: (t) => ({
    deploymentId: t.exposeID('deploymentId', { description: 'The deployment.' }),
    outcome: t.expose('outcome', { type: OutcomeKind, description: 'What became of it.' }),
    message: t.exposeString('message', {
      description: 'The same for people; it says where capital stays at work.',
    }),
    error: t.expose('error', {
      type: DomainError,
      nullable: true,
      description: 'Why it was refused; null if it was not.',
    }),
  }),
});

const HaltCanariesResult = builder.objectRef<HaltAnswer>('HaltCanariesResult').implement({
  description: 'Result of `haltCanaries`.',
  fields: (t) => ({
    success: t.boolean({
      description: 'Whether the halt was begun. Each deployment has its own outcome.',
      resolve: ({ refusal }) => refusal === null,
    }),
    replayed: t.exposeBoolean('replayed', {
      description: 'Whether this halt was begun by an earlier request with the same idempotency key.',
    }),
    message: t.exposeString('message', { description: 'What happened, for people.' }),
    error: t.expose('refusal', {
      type: DomainError,
      nullable: true,
      description: 'Why the halt was refused; null if it was begun.',
    }),
    complete: t.exposeBoolean('complete', {
      description:
        'Whether every deployment has its outcome. If not, the rest is still carried out; the same request again shows it.',
    }),
    outcomes: t.field({
      type: [HaltOutcomeType],
      description: 'What became of each deployment.',
      resolve: ({ outcomes }) => [...outcomes],
    }),
    pending: t.idList({
      description: 'Deployments whose outcome is not known yet.',
      resolve: ({ pending }) => [...pending],
    }),
    freeze: t.field({
      type: FreezeType,
      nullable: true,
      description: 'The freeze that began with the halt; null if none was asked for.',
      resolve: ({ freeze, now }) => freeze && { freeze, now },
    }),
  }),
});

const HaltCanariesInput = builder.inputType('HaltCanariesInput', {
  description: 'What to halt, and how.',
  fields: (t) => ({
    strategies: t.stringList({
      required: true,
      description: 'Patterns of strategy names, `*` for any characters; ["*"] is everything.',
    }),
    chains: t.stringList({ description: 'Patterns of chains. Default: all.' }),
    action: t.field({
      type: HaltActionType,
      required: true,
      description: 'What to do with each deployment.',
    }),
    reason: t.string({ required: true, description: 'Why, for the record of each deployment.' }),
    freeze: t.boolean({
      description:
        'Also freeze the same strategies and chains: nothing begins before `liftFreeze`. The freeze comes first, so that no ' +
        'canary can be deployed meanwhile. Requires the right to create freezes.',
    }),
    idempotencyKey: t.string({
      description: `${KEY} A repetition works on the same deployments and completes what was not done.`,
    }),
  }),
});

builder.mutationField('haltCanaries', (t) =>
  t.field({
    type: HaltCanariesResult,
    description:
      'Pauses, rolls back or cancels all live deployments that match, each in a transaction of its own. The answer comes ' +
      'within 7 seconds, with the outcome of each.',
    args: { input: t.arg({ type: HaltCanariesInput, required: true, description: 'What to halt.' }) },
    resolve: (_root, { input }, { app, commands, actor }) => {
      const { strategies, chains = null, action, reason, freeze, idempotencyKey = null } = input;
      const given = { strategies, chains, action, reason, freeze: freeze ?? false };
      return haltCanaries(app, commands, actor, given, idempotencyKey);
    },
  }),
);
