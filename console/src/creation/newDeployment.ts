/** Creates a deployment and gives it capital, each under its own key: a second press goes on where the first one stopped. */
import { ApiError, isPassing, request } from '../api/client';
import {
  type CanaryConfigInput,
  type CommandAnswerFragment,
  CreateDeploymentDocument,
  type CreateDeploymentMutation,
} from '../api/generated/graphql';
import { mayBeDone } from '../api/retry';
import { giveCommand } from '../deployment/commands';

export const NAMES = [
  'strategyId',
  'canaryVersionId',
  'stableVersionId',
  'chain',
  'id',
  'capitalUsd',
] as const;
export type Name = (typeof NAMES)[number];
export type Names = Readonly<Record<Name, string>>;

export interface NewDeployment {
  readonly names: Names;
  readonly config: CanaryConfigInput;
  readonly reason: string;
  /** Names the request; another input has another key. */
  readonly key: string;
}

export interface Created {
  readonly created: CreateDeploymentMutation['answer'];
  /** Null where no capital was asked for, or nothing was created. */
  readonly deployed: CommandAnswerFragment | null;
}

/** Throws ApiError where there is no answer of the domain. */
export async function createDeployment({ names, config, reason, key }: NewDeployment): Promise<Created> {
  const given = (name: Name) => names[name].trim() || null;
  const { answer: created } = await request(CreateDeploymentDocument, {
    input: {
      id: given('id'),
      strategyId: names.strategyId.trim(),
      canaryVersionId: names.canaryVersionId.trim(),
      stableVersionId: given('stableVersionId'),
      chain: given('chain'),
      config,
      idempotencyKey: key,
    },
  });
  const capitalUsd = given('capitalUsd');
  if (!created.success || !created.deployment || capitalUsd === null) return { created, deployed: null };
  const deployed = await giveCommand('DEPLOY', {
    deploymentId: created.deployment.id,
    expectedRevision: created.deployment.revision,
    idempotencyKey: `${key}-deploy`,
    reason: reason.trim() || null,
    capitalUsd,
    minutes: null,
    overrideFreeze: false,
  }).catch((error: unknown) => {
    if (mayBeDone(error) || isPassing(error) || !(error instanceof ApiError)) throw error;
    // Refused before it began: the deployment is there, without capital.
    return { success: false, replayed: false, message: error.message, error: null };
  });
  return { created, deployed };
}
