/** The commands behind the actions, each with its revision and a key, so that a second press does nothing twice. */
import { request } from '../api/client';
import {
  AdvanceStepDocument,
  type CanaryAction,
  CancelDeploymentDocument,
  DeployCanaryDocument,
  type DeploymentAnswerFragment,
  ExtendObservationDocument,
  PauseDeploymentDocument,
  PromoteCanaryDocument,
  ResumeDeploymentDocument,
  RollbackCanaryDocument,
} from '../api/generated/graphql';

/** The actions of the buttons; settings have a form of their own. */
export type PlainAction = Exclude<CanaryAction, 'UPDATE_CONFIG'>;

export interface CommandInput {
  readonly deploymentId: string;
  readonly expectedRevision: number;
  readonly idempotencyKey: string;
  readonly reason: string | null;
  /** For DEPLOY. */
  readonly capitalUsd: string;
  /** For DEPLOY, PROMOTE and ADVANCE_STEP: although a freeze blocks it. */
  readonly overrideFreeze: boolean;
  /** For EXTEND; null is as long as the step. */
  readonly minutes: number | null;
}

/** Sends a command, and answers with the state after it. Throws ApiError where there is no answer of the domain. */
export async function giveCommand(
  action: PlainAction,
  { capitalUsd, minutes, overrideFreeze, ...input }: CommandInput,
): Promise<DeploymentAnswerFragment> {
  switch (action) {
    case 'DEPLOY':
      return (await request(DeployCanaryDocument, { input: { ...input, capitalUsd, overrideFreeze } }))
        .answer;
    case 'EXTEND':
      return (await request(ExtendObservationDocument, { input: { ...input, minutes } })).answer;
    case 'PROMOTE':
      return (await request(PromoteCanaryDocument, { input: { ...input, overrideFreeze } })).answer;
    case 'ROLLBACK':
      return (await request(RollbackCanaryDocument, { input })).answer;
    case 'CANCEL':
      return (await request(CancelDeploymentDocument, { input })).answer;
    case 'PAUSE':
      return (await request(PauseDeploymentDocument, { input })).answer;
    case 'RESUME':
      return (await request(ResumeDeploymentDocument, { input })).answer;
    case 'ADVANCE_STEP':
      return (await request(AdvanceStepDocument, { input: { ...input, overrideFreeze } })).answer;
  }
}
