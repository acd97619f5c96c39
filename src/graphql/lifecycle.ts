/** The mutations of the lifecycle. They translate inputs into commands; the engine decides. */

import type { LifecycleRequest } from '../app/commands.ts';
import { createDeployment } from '../app/createDeployment.ts';
import { importDeployment } from '../app/exportImport.ts';
import { builder, type InputFields } from './builder.ts';
import { CanaryConfigInputType } from './config.ts';
import { admit } from './guard.ts';
import { SideType } from './metrics.ts';
import {
  CanaryResult,
  CreateDeploymentResult,
  DeployCanaryResult,
  ImportDeploymentResult,
} from './results.ts';

export const KEY =
  'Your name for this request: a retry with the same key and input returns the first result and changes nothing again.';
const DEPLOYMENT = 'The deployment.';
const REASON = 'Why, for the record.';
const OVERRIDE =
  'Do it although a freeze blocks it. Requires the role ADMIN and a `reason`; the record says which freeze.';
const REVISION = 'Refuse the command if the deployment has another revision.';

const CreateDeploymentInput = builder.inputType('CreateDeploymentInput', {
  description: 'A new deployment.',
  fields: (t) => ({
    id: t.id({ description: 'An id of your choosing, so that you can create and deploy in one document.' }),
    strategyId: t.id({ required: true, description: 'Name of the strategy.' }),
    stableVersionId: t.string({
      description: 'The version that is live today. Default: the strategy’s current stable version.',
    }),
    canaryVersionId: t.string({ required: true, description: 'The version to try.' }),
    chain: t.string({
      description: 'Default: `unknown`. A strategy has at most one live deployment per chain.',
    }),
    config: t.field({
      type: CanaryConfigInputType,
      description: 'Configuration of the trial; every field has a default.',
    }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const DeployCanaryInput = builder.inputType('DeployCanaryInput', {
  description: 'Gives capital to the canary and starts the observation.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: DEPLOYMENT }),
    capitalUsd: t.field({
      type: 'Decimal',
      required: true,
      description: 'Capital of both sides together, USD.',
    }),
    overrideFreeze: t.boolean({ description: OVERRIDE }),
    reason: t.string({ description: REASON }),
    expectedRevision: t.int({ description: REVISION }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const ExtendObservationInput = builder.inputType('ExtendObservationInput', {
  description: 'Extends the observation.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: DEPLOYMENT }),
    minutes: t.int({ description: 'Minutes from now. Default: the length of the step.' }),
    reason: t.string({ description: REASON }),
    expectedRevision: t.int({ description: REVISION }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const AcknowledgeAllocationInput = builder.inputType('AcknowledgeAllocationInput', {
  description: 'A side acknowledges the capital it holds.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: DEPLOYMENT }),
    number: t.int({ required: true, description: 'Number of the acknowledged allocation.' }),
    side: t.field({ type: SideType, required: true, description: 'The side that acknowledges.' }),
    heldUsd: t.field({ type: 'Decimal', required: true, description: 'Capital it holds now, USD.' }),
    openExposureUsd: t.field({
      type: 'Decimal',
      description:
        'Value of its open positions now, long and short added up, USD. Required to settle where the plan is CLOSE and ' +
        'the side is to hold nothing.',
    }),
    onBehalf: t.boolean({
      description:
        'Acknowledge in place of a bot that is gone: for administrators, with a reason. It frees the strategy for the ' +
        'next canary where settlement is required.',
    }),
    reason: t.string({ description: `${REASON} Required with \`onBehalf\`.` }),
    expectedRevision: t.int({ description: REVISION }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const ImportDeploymentInput = builder.inputType('ImportDeploymentInput', {
  description: 'A deployment from a document.',
  fields: (t) => ({
    document: t.field({
      type: 'JSON',
      required: true,
      description: 'The document that `exportDeployment` returned.',
    }),
    moveStableVersion: t.boolean({
      description:
        'Whether a promotion in the document moves the strategy’s stable version here. Default: false; a new strategy gets ' +
        'the version that the document leads to.',
    }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

export const plainFields = (t: InputFields) => ({
  deploymentId: t.id({ required: true, description: DEPLOYMENT }),
  reason: t.string({ description: REASON }),
  expectedRevision: t.int({ description: REVISION }),
  idempotencyKey: t.string({ description: KEY }),
});

/** An input with only the fields that all lifecycle inputs share. */
const plainInput = (name: string, description: string) =>
  builder.inputType(name, { description, fields: plainFields });

/** The same for a command that a freeze can block. */
const riskyInput = (name: string, description: string) =>
  builder.inputType(name, {
    description,
    fields: (t) => ({ ...plainFields(t), overrideFreeze: t.boolean({ description: OVERRIDE }) }),
  });

interface LifecycleInput {
  readonly deploymentId: string;
  readonly expectedRevision?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/** The request of a lifecycle input. An idempotency key identifies the input without the key. */
export function requestOf(operation: string, given: LifecycleInput): LifecycleRequest {
  const { idempotencyKey = null, ...input } = given;
  return {
    deploymentId: input.deploymentId,
    expectedRevision: input.expectedRevision ?? null,
    idempotencyKey,
    operation,
    input,
  };
}

builder.mutationFields((t) => ({
  createDeployment: t.field({
    type: CreateDeploymentResult,
    description: 'Creates a deployment in PENDING. Nothing trades before `deployCanary`.',
    args: { input: t.arg({ type: CreateDeploymentInput, required: true, description: 'What to create.' }) },
    resolve: (_root, { input }, { app, actor }) =>
      createDeployment(
        app,
        actor,
        {
          id: input.id ?? null,
          strategyId: input.strategyId,
          stableVersionId: input.stableVersionId ?? null,
          canaryVersionId: input.canaryVersionId,
          chain: input.chain ?? null,
          config: input.config ?? {},
        },
        input.idempotencyKey ?? null,
      ),
  }),
  deployCanary: t.field({
    type: DeployCanaryResult,
    description: 'Splits the capital between the sides and starts the observation: PENDING to RUNNING.',
    args: { input: t.arg({ type: DeployCanaryInput, required: true, description: 'What to deploy.' }) },
    resolve: (_root, { input }, { commands, actor }) =>
      commands.submit(actor, requestOf('deployCanary', input), {
        type: 'DEPLOY',
        capitalUsd: input.capitalUsd,
        reason: input.reason ?? null,
        overrideFreeze: input.overrideFreeze ?? false,
      }),
  }),
  extendObservation: t.field({
    type: CanaryResult,
    description: 'Resumes observation: OBSERVATION_COMPLETE to RUNNING.',
    args: { input: t.arg({ type: ExtendObservationInput, required: true, description: 'What to extend.' }) },
    resolve: (_root, { input }, { commands, actor }) =>
      commands.submit(actor, requestOf('extendObservation', input), {
        type: 'EXTEND',
        minutes: input.minutes ?? null,
        reason: input.reason ?? null,
      }),
  }),
  acknowledgeAllocation: t.field({
    type: CanaryResult,
    description:
      'A side acknowledges the capital it holds for the latest allocation, also after the deployment has ended. Its ' +
      'returns are computed on that capital from now on. Repeating it changes nothing, another amount corrects it, and ' +
      'the number of a replaced allocation is refused.',
    args: {
      input: t.arg({ type: AcknowledgeAllocationInput, required: true, description: 'What is held.' }),
    },
    resolve: async (_root, { input }, context) => {
      const operation = 'Mutation.acknowledgeAllocation.onBehalf';
      const { commands, actor } = input.onBehalf ? await admit(operation, { input }, context) : context;
      return commands.submit(actor, requestOf('acknowledgeAllocation', input), {
        type: 'ACKNOWLEDGE',
        number: input.number,
        side: input.side,
        heldUsd: input.heldUsd,
        openExposureUsd: input.openExposureUsd ?? undefined,
        onBehalf: input.onBehalf ?? false,
        reason: input.reason,
      });
    },
  }),
  importDeployment: t.field({
    type: ImportDeploymentResult,
    description: 'Imports a deployment from a document; a live deployment continues here.',
    args: { input: t.arg({ type: ImportDeploymentInput, required: true, description: 'The document.' }) },
    resolve: (_root, { input }, { app, actor }) =>
      importDeployment(app, actor, {
        document: input.document,
        moveStableVersion: input.moveStableVersion ?? false,
        idempotencyKey: input.idempotencyKey ?? null,
      }),
  }),
}));

/** The commands that need only the deployment. */
const PLAIN = [
  {
    name: 'rollbackCanary',
    type: 'ROLLBACK',
    input: plainInput('RollbackCanaryInput', 'Returns all capital to the stable version.'),
    description: 'Returns all capital to the stable version.',
  },
  {
    name: 'cancelDeployment',
    type: 'CANCEL',
    input: plainInput('CancelDeploymentInput', 'Ends the trial without a decision.'),
    description: 'Ends the trial without a decision; all capital is returned to the stable version.',
  },
  {
    name: 'pauseDeployment',
    type: 'PAUSE',
    input: plainInput('PauseDeploymentInput', 'Stops the observation clock.'),
    description: 'Holds both allocations and stops the observation clock; guardrails stay active.',
  },
  {
    name: 'resumeDeployment',
    type: 'RESUME',
    input: plainInput('ResumeDeploymentInput', 'Restarts the observation clock.'),
    description: 'Resumes observation; the deadline moves by the time paused.',
  },
] as const;

for (const { name, type, input: inputType, description } of PLAIN) {
  builder.mutationField(name, (t) =>
    t.field({
      type: CanaryResult,
      description,
      args: { input: t.arg({ type: inputType, required: true, description: 'Which deployment, and why.' }) },
      resolve: (_root, { input }, { commands, actor }) =>
        commands.submit(actor, requestOf(name, input), { type, reason: input.reason ?? null }),
    }),
  );
}

/** The same of those that a freeze can block. */
const RISKY = [
  {
    name: 'promoteCanary',
    type: 'PROMOTE',
    input: riskyInput('PromoteCanaryInput', 'Makes the canary the stable version.'),
    description: 'Makes the canary the stable version and gives it all capital.',
  },
  {
    name: 'advanceStep',
    type: 'ADVANCE_STEP',
    input: riskyInput('AdvanceStepInput', 'Starts the next step of the ramp.'),
    description: 'Ends the current step early, or passes its manual gate: the next step begins now.',
  },
] as const;

for (const { name, type, input: inputType, description } of RISKY) {
  builder.mutationField(name, (t) =>
    t.field({
      type: CanaryResult,
      description,
      args: { input: t.arg({ type: inputType, required: true, description: 'Which deployment, and why.' }) },
      resolve: (_root, { input }, { commands, actor }) => {
        const { reason = null, overrideFreeze } = input;
        return commands.submit(actor, requestOf(name, input), {
          type,
          reason,
          overrideFreeze: overrideFreeze ?? false,
        });
      },
    }),
  );
}
