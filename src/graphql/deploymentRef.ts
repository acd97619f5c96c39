/** The name of the deployment type, for the types that lead back to it. Its fields are in `deployment.ts`. */
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { builder } from './builder.ts';

export const DeploymentRef = builder.objectRef<DeploymentView>('CanaryDeployment');
