/** Changes of a live deployment's configuration: the mutation, its preview, and the change that waits for another person. */
import { approvalRuleOf } from '../app/approvalRules.ts';
import { configViolations } from '../app/configViolations.ts';
import type { ConfigEffect, ConfigFieldChange } from '../core/config/classify.ts';
import {
  type ConfigPreview,
  openConfigRequest,
  previewConfig,
  requestedChanges,
} from '../core/lifecycle/configUpdate.ts';
import { requestEndsAt } from '../core/lifecycle/secondPerson.ts';
import type { ConfigRequest } from '../core/lifecycle/state.ts';
import { invalidInput } from '../core/values/refusal.ts';
import { builder } from './builder.ts';
import { CanaryConfigInputType, CanaryConfigType } from './config.ts';
import { DeploymentRef } from './deploymentRef.ts';
import { plainFields, requestOf } from './lifecycle.ts';
import { CanaryResult, DomainError } from './results.ts';

const ConfigEffectType = builder.enumType('ConfigEffect', {
  description: 'What the change of a setting means for the risk of a live deployment.',
  values: {
    SAFER: { description: 'It can only lower the risk: it is done immediately.' },
    LOOSER: { description: 'It may raise the risk: it needs what a promotion of the deployment needs.' },
    FIXED: { description: 'The setting cannot change while the canary runs.' },
  } satisfies Record<ConfigEffect, object>,
});

export const ConfigFieldChangeType = builder.objectRef<ConfigFieldChange>('ConfigFieldChange').implement({
  description: 'One setting that a change of the configuration is about.',
  fields: (t) => ({
    field: t.exposeString('field', {
      description: 'Its path, such as `guardrails.maxLossUsd` or `steps.1.minutes`.',
    }),
    before: t.exposeString('before', {
      nullable: true,
      description: 'Its value before; null if it was off.',
    }),
    after: t.exposeString('after', { nullable: true, description: 'Its value after; null if it is off.' }),
    effect: t.expose('effect', { type: ConfigEffectType, description: 'What it means for the risk.' }),
  }),
});

const CHANGES = 'The settings that differ; empty if nothing would change.';

interface Preview {
  readonly preview: ConfigPreview;
  readonly approvalRequired: boolean;
}

const ConfigPreviewType = builder.objectRef<Preview>('ConfigPreview').implement({
  description: 'What a change of the configuration would do now.',
  fields: (t) => ({
    changes: t.field({
      type: [ConfigFieldChangeType],
      description: CHANGES,
      resolve: ({ preview }) => (preview.possible ? [...preview.changes] : []),
    }),
    approvalRequired: t.exposeBoolean('approvalRequired', {
      description: 'Whether another person must ask for the same before it is done.',
    }),
    error: t.field({
      type: DomainError,
      nullable: true,
      description: 'Why it would be refused; null if it is possible.',
      resolve: ({ preview }) => (preview.possible ? null : preview.refusal),
    }),
  }),
});

interface RequestView {
  readonly request: ConfigRequest;
  readonly changes: readonly ConfigFieldChange[];
}

const ConfigRequestType = builder.objectRef<RequestView>('ConfigRequest').implement({
  description:
    'A change of the configuration that somebody has asked for. Another person approves it with the same `updateConfig`.',
  fields: (t) => ({
    by: t.string({ description: 'Who asked for it.', resolve: ({ request }) => request.by }),
    at: t.field({ type: 'DateTime', description: 'When they did.', resolve: ({ request }) => request.at }),
    endsAt: t.field({
      type: 'DateTime',
      description: 'When it expires; after that it must be asked for again.',
      resolve: ({ request }) => requestEndsAt(request),
    }),
    config: t.field({
      type: CanaryConfigType,
      description: 'The whole configuration after it.',
      resolve: ({ request }) => request.config,
    }),
    changes: t.field({
      type: [ConfigFieldChangeType],
      description: CHANGES,
      resolve: ({ changes }) => [...changes],
    }),
  }),
});

builder.objectFields(DeploymentRef, (t) => ({
  configRequest: t.field({
    type: ConfigRequestType,
    nullable: true,
    description: 'The open request for a change of the configuration; null if there is none.',
    resolve: ({ state, now }) => {
      const request = openConfigRequest(state, now);
      return request && { request, changes: requestedChanges(state, request) };
    },
  }),
  configPreview: t.field({
    type: ConfigPreviewType,
    description: 'What `updateConfig` with the same `config` would do now. Nothing is changed.',
    args: {
      config: t.arg({ type: CanaryConfigInputType, required: true, description: 'The settings to change.' }),
    },
    resolve: (view, { config }, { app }): Preview => {
      const violations = configViolations(app, config);
      const preview: ConfigPreview =
        violations.length > 0
          ? { possible: false, refusal: invalidInput(violations) }
          : previewConfig(view.state, config);
      const needsTwo = view.state.config.requireApproval || approvalRuleOf(app, view) !== null;
      return {
        preview,
        approvalRequired: preview.possible && !preview.safer && preview.changes.length > 0 && needsTwo,
      };
    },
  }),
}));

const UpdateConfigInput = builder.inputType('UpdateConfigInput', {
  description: 'Changes the configuration of a live deployment.',
  fields: (t) => ({
    ...plainFields(t),
    config: t.field({
      type: CanaryConfigInputType,
      description:
        'The settings to change. What is left out stays; null switches a guardrail, `settlement`, `rollbackPlan` or ' +
        '`maxErrorRateRatio` off. `steps` replaces the whole ramp.',
    }),
    approve: t.string({
      description:
        'Instead of `config`: the hash of the configuration in `configRequest`, which another person asked for.',
    }),
  }),
});

builder.mutationField('updateConfig', (t) =>
  t.field({
    type: CanaryResult,
    description:
      'Changes the configuration of a live deployment. What makes it safer (tighter limits, `autoPromote: false`, a ' +
      'longer observation) is done immediately. What loosens it needs what a promotion of the deployment needs: where two ' +
      'people promote, the first call is a request, and it is done when another person asks for the same within a day. ' +
      'Settings that the error rate of the evidence rests on, and steps that have begun, cannot change while the canary ' +
      'runs. A canary that is beyond a new limit already is rolled back immediately.',
    args: { input: t.arg({ type: UpdateConfigInput, required: true, description: 'What to change.' }) },
    resolve: (_root, { input }, { commands, actor }) =>
      commands.submit(actor, requestOf('updateConfig', input), {
        type: 'UPDATE_CONFIG',
        patch: input.config ?? null,
        approve: input.approve ?? null,
        reason: input.reason ?? null,
      }),
  }),
);
