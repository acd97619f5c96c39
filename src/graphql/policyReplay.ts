/** Replay of a policy: what a configuration would have decided on the recorded samples of a deployment. */
import { type ReplayedPolicy, replayPolicy } from '../app/policyTrials.ts';
import type { EngineDecision } from '../core/policy/engineRun.ts';
import type { REPLAY_OUTCOMES } from '../core/policy/replay.ts';
import { describeViolations } from '../core/values/violation.ts';
import { builder } from './builder.ts';
import { CanaryConfigInputType, CanaryConfigType } from './config.ts';
import { DecisionCause } from './event.ts';
import { heavily } from './heavyReads.ts';
import { DecisionType } from './metrics.ts';
import { badInput } from './paging.ts';

const OutcomeType = builder.enumType('ReplayOutcome', {
  description: 'How a replayed policy ends.',
  values: {
    PROMOTED: { description: 'It would have promoted the canary.' },
    ROLLED_BACK: { description: 'It would have rolled the canary back.' },
    FAILED: { description: 'It would have failed because metrics were unavailable.' },
    WAITS_FOR_PERSON: { description: 'It would have left the decision to a person.' },
    UNDECIDED: { description: 'The record ends before it would have decided; `notes` say what is missing.' },
  } satisfies Record<(typeof REPLAY_OUTCOMES)[number], { description: string }>,
});

const ReplayedDecision = builder.objectRef<EngineDecision>('ReplayedDecision').implement({
  description: 'A decision that a policy would have made.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When, in the time of the record.' }),
    check: t.exposeInt('check', { description: 'Number of checks evaluated by then.' }),
    decision: t.field({
      type: DecisionType,
      description: 'What it would have decided.',
      resolve: ({ record }) => record.decision,
    }),
    cause: t.field({
      type: DecisionCause,
      description: 'What would have caused it.',
      resolve: ({ record }) => record.cause,
    }),
    because: t.exposeString('because', {
      nullable: true,
      description: 'The gate or guardrail that decides, INCONCLUSIVE if none does; null for a promotion.',
    }),
    reasons: t.stringList({
      description: 'Why, the deciding reason first.',
      resolve: ({ record }) => [...record.reasons],
    }),
  }),
});

const PolicyReplayType = builder.objectRef<ReplayedPolicy>('PolicyReplay').implement({
  description:
    'What a policy would have decided on the samples of a deployment, computed by the same engine. Commands of people ' +
    '(pause, resume, extend, advance) are applied where possible; their decisions are not.',
  fields: (t) => ({
    outcome: t.expose('outcome', { type: OutcomeType, description: 'How it ends.' }),
    decidedAt: t.expose('decidedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it would have ended; null if undecided.',
    }),
    decisions: t.field({
      type: [ReplayedDecision],
      description: 'All decisions in order, including the steps of a ramp; the last one is final.',
      resolve: ({ decisions }) => [...decisions],
    }),
    checks: t.exposeInt('checks', { description: 'Number of recorded checks evaluated.' }),
    recordedUntil: t.expose('recordedUntil', {
      type: 'DateTime',
      nullable: true,
      description: 'The last recorded check that was replayed; null if there was none.',
    }),
    notes: t.stringList({
      description:
        'What cannot be known from this record, and what of it is treated otherwise than it happened.',
      resolve: ({ notes }) => [...notes],
    }),
    config: t.expose('config', { type: CanaryConfigType, description: 'The policy with all defaults.' }),
  }),
});

builder.queryFields((t) => ({
  replayPolicy: t.field({
    type: PolicyReplayType,
    nullable: true,
    description:
      'What a configuration would have decided on the recorded samples of a deployment, and when. Null if there is no ' +
      'such deployment.',
    args: {
      deploymentId: t.arg.id({ required: true, description: 'The deployment whose record is replayed.' }),
      config: t.arg({ type: CanaryConfigInputType, description: 'The policy; every field has a default.' }),
      useOwnConfig: t.arg.boolean({
        description:
          'Replays the deployment’s own policy, as it is now. Then `config` must be omitted. Default: false.',
      }),
    },
    resolve: async (_root, { deploymentId, config, useOwnConfig }, context) => {
      if (useOwnConfig && config)
        throw badInput('config must be omitted with useOwnConfig: true', ['config']);
      const { app, actor, presence } = context;
      const replayed = await heavily(context, () =>
        replayPolicy(app, actor, deploymentId, useOwnConfig ? 'OWN' : (config ?? {}), presence.signal),
      );
      if (replayed.ok) return replayed.value;
      const { violations } = replayed;
      throw badInput(describeViolations(violations), violations[0]?.path ?? []);
    },
  }),
}));
