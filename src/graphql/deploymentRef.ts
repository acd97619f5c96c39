/** The reference to the deployment type, for types that have a field of it. Its own fields are in `deployment.ts`. */
import type { DeploymentView } from '../store/deployments/deployments.ts';
import { builder } from './builder.ts';

export const DeploymentRef = builder.objectRef<DeploymentView>('CanaryDeployment');
