/** Freezes: times in which nothing that raises risk happens. The use cases are in `app/freezes.ts`. */
import { createFreeze, type FreezeAnswer, liftFreeze, listFreezes } from '../app/freezes.ts';
import { activeWindow, concerns, nextStart } from '../app/freezeWindows.ts';
import type { FREEZE_BLOCKS, Hold } from '../core/lifecycle/freeze.ts';
import { holdOf } from '../core/lifecycle/hold.ts';
import type { SerinInstant } from '../core/values/instant.ts';
import { overlaps } from '../store/access/strategyScope.ts';
import type { Freeze, Recurrence } from '../store/safety/freezes.ts';
import { builder } from './builder.ts';
import { connectionType } from './connectionType.ts';
import { parseNumber } from './cursors.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { KEY } from './lifecycle.ts';
import { AFTER, FIRST, readCursor, readPage, toConnection } from './paging.ts';
import { resultFields } from './results.ts';

/** A freeze at a moment: what it does depends on the time. */
export interface FreezeView {
  readonly freeze: Freeze;
  /** Epoch milliseconds on Serin's clock. */
  readonly now: SerinInstant;
}

const FreezeBlockType = builder.enumType('FreezeBlock', {
  description: 'What a freeze blocks. Nothing that lowers risk can be blocked.',
  values: {
    DEPLOY: { description: '`deployCanary`, and the import of a deployment with capital.' },
    STEP_UP: { description: 'The next step of a ramp, automatic or by `advanceStep`.' },
    PROMOTE: { description: 'Promotion, automatic or by `promoteCanary`.' },
  } satisfies Record<(typeof FREEZE_BLOCKS)[number], { description: string }>,
});

const RULE =
  'Five fields of cron: minute, hour, day of the month, month, day of the week. `30 8 * * FRI#1` is every first Friday ' +
  'at 8:30, `0 21 * * FRI` every Friday at 21:00.';
const ZONE = 'IANA name of the time zone of the rule, such as `America/New_York`; summer time is kept there.';
const DURATION = 'How long it lasts each time, in minutes (1 to 10080).';

const RecurrenceType = builder.objectRef<Recurrence>('FreezeRecurrence').implement({
  description: 'When a freeze begins each time, and for how long.',
  fields: (t) => ({
    rule: t.exposeString('rule', { description: RULE }),
    timeZone: t.exposeString('timeZone', { description: ZONE }),
    durationMinutes: t.exposeInt('durationMinutes', { description: DURATION }),
  }),
});

export const FreezeType = builder.objectRef<FreezeView>('Freeze').implement({
  description:
    'A time in which nothing that raises risk happens on some strategies and chains. Commands against it are refused with ' +
    'FROZEN; what Serin would do automatically is held, and decided anew when it ends. Nothing that lowers risk is held up.',
  fields: (t) => ({
    id: t.id({ description: 'Readable and stable.', resolve: ({ freeze }) => freeze.id }),
    strategies: t.stringList({
      description: 'Patterns of the strategies, as far as the viewer sees strategies that match.',
      resolve: ({ freeze }, _args, { actor }) =>
        freeze.strategies.filter((pattern) => overlaps(actor.strategies, [pattern])),
    }),
    chains: t.stringList({
      description: 'Patterns of the chains; `*` is all.',
      resolve: ({ freeze }) => [...freeze.chains],
    }),
    from: t.field({
      type: 'DateTime',
      description: 'When it begins, or from when on its rule counts.',
      resolve: ({ freeze }) => freeze.from,
    }),
    until: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it ends for good; null: when it is lifted.',
      resolve: ({ freeze }) => freeze.until,
    }),
    recurrence: t.field({
      type: RecurrenceType,
      nullable: true,
      description: 'When it begins each time; null if it lasts from `from` to `until`.',
      resolve: ({ freeze }) => freeze.recurrence,
    }),
    blocks: t.field({
      type: [FreezeBlockType],
      description: 'What it blocks.',
      resolve: ({ freeze }) => [...freeze.blocks],
    }),
    reason: t.string({ description: 'Why, for the record.', resolve: ({ freeze }) => freeze.reason }),
    createdBy: t.string({ description: 'Who created it.', resolve: ({ freeze }) => freeze.createdBy }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was created.',
      resolve: ({ freeze }) => freeze.createdAt,
    }),
    liftedBy: t.string({
      nullable: true,
      description: 'Actor that lifted it; null if it was not lifted.',
      resolve: ({ freeze }) => freeze.liftedBy,
    }),
    liftedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it was lifted; null if it was not.',
      resolve: ({ freeze }) => freeze.liftedAt,
    }),
    lossBudgetId: t.id({
      nullable: true,
      description:
        'The loss budget that it belongs to: it stands while that is tripped. Null for any other freeze.',
      resolve: ({ freeze }) => freeze.lossBudgetId,
    }),
    activeNow: t.boolean({
      description: 'Whether it blocks now.',
      resolve: ({ freeze, now }) => activeWindow(freeze, now) !== null,
    }),
    activeUntil: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Until when it blocks now; null if it does not, or if it lasts until it is lifted.',
      resolve: ({ freeze, now }) => activeWindow(freeze, now)?.until ?? null,
    }),
    nextFrom: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it begins to block next, after now; null if it never does again.',
      resolve: ({ freeze, now }) => nextStart(freeze, now),
    }),
  }),
});

const HoldType = builder.objectRef<Hold>('DeploymentHold').implement({
  description: 'The automatic action that is held, and what it waits for.',
  fields: (t) => ({
    block: t.expose('block', { type: FreezeBlockType, description: 'What waits.' }),
    freezeId: t.exposeID('freezeId', { description: 'The freeze that it waits for.' }),
    since: t.expose('since', { type: 'DateTime', description: 'Since when it waits.' }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'When the freeze ends, as known when the wait began; null: when it is lifted.',
    }),
  }),
});

builder.objectFields(DeploymentRef, (t) => ({
  freezes: t.field({
    type: [FreezeType],
    description: 'The freezes that block it now. They are read once for all deployments of a request.',
    resolve: async ({ state }, _args, { loaders }) => {
      const { freezes, at: now } = await loaders.freezes.load('standing');
      return freezes.flatMap((freeze) =>
        concerns(freeze, state) && activeWindow(freeze, now) ? [{ freeze, now }] : [],
      );
    },
  }),
  held: t.field({
    type: HoldType,
    nullable: true,
    description: 'What waits for the end of a freeze; null if nothing does.',
    resolve: ({ state }) => holdOf(state),
  }),
}));

const FreezeConnection = connectionType('Freeze', FreezeType, { one: 'a freeze', many: 'freezes' });

builder.queryField('freezes', (t) =>
  t.field({
    type: FreezeConnection,
    description:
      'Freezes of strategies that the viewer sees, newest first; those that are over or lifted too.',
    args: {
      standing: t.arg.boolean({
        description: 'True: only those that are neither lifted nor over. They block now, or will.',
      }),
      first: t.arg.int({ description: FIRST }),
      after: t.arg.string({ description: AFTER }),
    },
    resolve: async (_root, args, { app, actor }) => {
      const page = readPage(args);
      const before = readCursor('after', args.after, parseNumber);
      const request = { limit: page.limit + 1, before, standing: args.standing ?? false };
      const { freezes, at: now } = await listFreezes(app.db, actor, request);
      const views = freezes.map((freeze): FreezeView => ({ freeze, now }));
      return toConnection(views, page, args, ({ freeze }) => freeze.seq.toString());
    },
  }),
);

const RecurrenceInput = builder.inputType('FreezeRecurrenceInput', {
  description: 'When a freeze begins each time, and for how long.',
  fields: (t) => ({
    rule: t.string({ required: true, description: RULE }),
    timeZone: t.string({ required: true, description: ZONE }),
    durationMinutes: t.int({ required: true, description: DURATION }),
  }),
});

const CreateFreezeInput = builder.inputType('CreateFreezeInput', {
  description: 'A new freeze.',
  fields: (t) => ({
    strategies: t.stringList({
      description:
        'Patterns of strategy names, `*` for any characters. Default: all strategies of the caller. Strategies that are ' +
        'created later count too.',
    }),
    chains: t.stringList({ description: 'Patterns of chains. Default: all.' }),
    from: t.field({ type: 'DateTime', description: 'When it begins. Default: now.' }),
    until: t.field({ type: 'DateTime', description: 'When it ends. Default: when it is lifted.' }),
    durationSeconds: t.int({
      description:
        'How long it lasts from its beginning, in seconds on Serin’s clock, instead of `until` (1 to 315360000). A retry ' +
        'under the same `idempotencyKey` means the same end.',
    }),
    recurrence: t.field({
      type: RecurrenceInput,
      description: 'For a freeze that comes again. Without it, it lasts from `from` to `until`.',
    }),
    blocks: t.field({ type: [FreezeBlockType], description: 'What it blocks. Default: everything.' }),
    reason: t.string({ required: true, description: 'Why: shown to everybody who is refused.' }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const LiftFreezeInput = builder.inputType('LiftFreezeInput', {
  description: 'Which freeze to lift.',
  fields: (t) => ({
    id: t.id({ required: true, description: 'The freeze.' }),
    reason: t.string({ description: 'Why, for the record.' }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const resultOf = (name: string, description: string) =>
  builder.objectRef<FreezeAnswer>(name).implement({
    description,
    fields: (t) => ({
      ...resultFields(t),
      freeze: t.field({
        type: FreezeType,
        nullable: true,
        description: 'The freeze; null if there is none.',
        resolve: ({ freeze, now }) => freeze && { freeze, now },
      }),
    }),
  });

builder.mutationFields((t) => ({
  createFreeze: t.field({
    type: resultOf('CreateFreezeResult', 'Result of `createFreeze`.'),
    description:
      'Creates a freeze. When it is answered, nothing that it blocks can begin any more, on any node. Capital that is ' +
      'already with a canary stays there: see `haltCanaries`.',
    args: { input: t.arg({ type: CreateFreezeInput, required: true, description: 'What to freeze.' }) },
    resolve: (_root, { input }, { app, actor }) => {
      const { idempotencyKey = null, ...given } = input;
      return createFreeze(
        app,
        { actor, idempotencyKey },
        {
          strategies: given.strategies ?? null,
          chains: given.chains ?? null,
          from: given.from ?? null,
          until: given.until ?? null,
          // Absent unless given: what is stored under an idempotency key names the input as it was before there was this.
          ...(given.durationSeconds == null ? {} : { durationSeconds: given.durationSeconds }),
          recurrence: given.recurrence ?? null,
          blocks: given.blocks ?? null,
          reason: given.reason,
        },
      );
    },
  }),
  liftFreeze: t.field({
    type: resultOf('LiftFreezeResult', 'Result of `liftFreeze`.'),
    description:
      'Lifts a freeze: what it held is decided anew at the next check. A freeze of somebody else requires the role ADMIN. ' +
      'Lifting it again changes nothing.',
    args: { input: t.arg({ type: LiftFreezeInput, required: true, description: 'Which freeze.' }) },
    resolve: (_root, { input }, { app, actor }) =>
      liftFreeze(
        app,
        { actor, idempotencyKey: input.idempotencyKey ?? null },
        { id: input.id, reason: input.reason ?? null },
      ),
  }),
}));
