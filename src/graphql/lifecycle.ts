/** The mutations that move a deployment through its life. They translate; the engine decides. */

import type { LifecycleRequest } from '../app/commands.ts';
import { createDeployment } from '../app/createDeployment.ts';
import { importDeployment } from '../app/exportImport.ts';
import { builder } from './builder.ts';
import { CanaryConfigInputType } from './config.ts';
import { SideType } from './metrics.ts';
import {
  CanaryResult,
  CreateDeploymentResult,
  DeployCanaryResult,
  ImportDeploymentResult,
} from './results.ts';

export const KEY =
  'Your name for this request: sent again with the same input it answers as the first time and does nothing twice.';
const DEPLOYMENT = 'The deployment.';
const REASON = 'Why, for the record.';
const REVISION = 'Refuse unless the deployment is at this revision.';

const CreateDeploymentInput = builder.inputType('CreateDeploymentInput', {
  description: 'A new deployment.',
  fields: (t) => ({
    id: t.id({ description: 'An id of your choosing, so that you can create and deploy in one document.' }),
    strategyId: t.id({ required: true, description: 'The strategy, by its name.' }),
    stableVersionId: t.string({
      description: 'The version that is live today; the current one unless given.',
    }),
    canaryVersionId: t.string({ required: true, description: 'The version to try.' }),
    chain: t.string({ description: '`unknown` unless given. A strategy has one live deployment a chain.' }),
    config: t.field({ type: CanaryConfigInputType, description: 'How to try it; defaults unless given.' }),
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
    reason: t.string({ description: REASON }),
    expectedRevision: t.int({ description: REVISION }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const ExtendObservationInput = builder.inputType('ExtendObservationInput', {
  description: 'Observes for longer.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: DEPLOYMENT }),
    minutes: t.int({ description: 'How long from now; as long as the step unless given.' }),
    reason: t.string({ description: REASON }),
    expectedRevision: t.int({ description: REVISION }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const AcknowledgeAllocationInput = builder.inputType('AcknowledgeAllocationInput', {
  description: 'A side says what it holds.',
  fields: (t) => ({
    deploymentId: t.id({ required: true, description: DEPLOYMENT }),
    number: t.int({ required: true, description: 'The allocation that is answered.' }),
    side: t.field({ type: SideType, required: true, description: 'The side that answers.' }),
    heldUsd: t.field({ type: 'Decimal', required: true, description: 'What it holds now, USD.' }),
    expectedRevision: t.int({ description: REVISION }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

const ImportDeploymentInput = builder.inputType('ImportDeploymentInput', {
  description: 'A deployment from a document.',
  fields: (t) => ({
    document: t.field({ type: 'JSON', required: true, description: 'What `exportDeployment` answered.' }),
    idempotencyKey: t.string({ description: KEY }),
  }),
});

/** An input that has nothing but what all lifecycle inputs have. */
const plainInput = (name: string, description: string) =>
  builder.inputType(name, {
    description,
    fields: (t) => ({
      deploymentId: t.id({ required: true, description: DEPLOYMENT }),
      reason: t.string({ description: REASON }),
      expectedRevision: t.int({ description: REVISION }),
      idempotencyKey: t.string({ description: KEY }),
    }),
  });

interface LifecycleInput {
  readonly deploymentId: string;
  readonly expectedRevision?: number | null | undefined;
  readonly idempotencyKey?: string | null | undefined;
}

/** The request of a lifecycle input; the input without its key is what the key stands for. */
function requestOf(operation: string, given: LifecycleInput): LifecycleRequest {
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
      }),
  }),
  extendObservation: t.field({
    type: CanaryResult,
    description: 'Goes on observing: OBSERVATION_COMPLETE to RUNNING.',
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
      'A side says what it holds: it answers the latest request, also after the end. Its returns are computed on that ' +
      'from now on. The same again changes nothing, another amount corrects it, and the number of a request that has ' +
      'been replaced is refused.',
    args: {
      input: t.arg({ type: AcknowledgeAllocationInput, required: true, description: 'What is held.' }),
    },
    resolve: (_root, { input }, { commands, actor }) =>
      commands.submit(actor, requestOf('acknowledgeAllocation', input), {
        type: 'ACKNOWLEDGE',
        number: input.number,
        side: input.side,
        heldUsd: input.heldUsd,
      }),
  }),
  importDeployment: t.field({
    type: ImportDeploymentResult,
    description: 'Takes a deployment from a document; a live one goes on here.',
    args: { input: t.arg({ type: ImportDeploymentInput, required: true, description: 'The document.' }) },
    resolve: (_root, { input }, { app, actor }) =>
      importDeployment(app, actor, {
        document: input.document,
        idempotencyKey: input.idempotencyKey ?? null,
      }),
  }),
}));

/** The commands that need nothing but the deployment. */
const PLAIN = [
  {
    name: 'promoteCanary',
    type: 'PROMOTE',
    input: plainInput('PromoteCanaryInput', 'Makes the canary the stable version.'),
    description: 'Makes the canary the stable version and gives it all capital.',
  },
  {
    name: 'rollbackCanary',
    type: 'ROLLBACK',
    input: plainInput('RollbackCanaryInput', 'Takes all capital back from the canary.'),
    description: 'Gives all capital back to the stable version.',
  },
  {
    name: 'cancelDeployment',
    type: 'CANCEL',
    input: plainInput('CancelDeploymentInput', 'Ends the trial without a decision.'),
    description: 'Ends the trial without a decision; all capital goes back to the stable version.',
  },
  {
    name: 'pauseDeployment',
    type: 'PAUSE',
    input: plainInput('PauseDeploymentInput', 'Stops the observation clock.'),
    description: 'Holds both allocations and stops the observation clock; guardrails stay awake.',
  },
  {
    name: 'resumeDeployment',
    type: 'RESUME',
    input: plainInput('ResumeDeploymentInput', 'Starts the observation clock again.'),
    description: 'Goes on observing; the deadline moves by the time paused.',
  },
  {
    name: 'advanceStep',
    type: 'ADVANCE_STEP',
    input: plainInput('AdvanceStepInput', 'Goes to the next step of the ramp.'),
    description: 'Skips the rest of a step, or passes its manual gate: the next step begins now.',
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
