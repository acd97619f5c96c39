/** One deployment: what it does now and why, what one may do about it, and how it came to this. */
import type { ReactElement } from 'react';
import { useState } from 'react';
import { setClock } from '../api/clock';
import {
  DeploymentUpdatedDocument,
  type DetailFragment,
  MetricsUpdatedDocument,
} from '../api/generated/graphql';
import { useDeliveries } from '../api/hooks';
import { EmptyState } from '../ui/EmptyState';
import { usePageTitle } from '../ui/usePageTitle';
import { DeploymentView } from './DeploymentView';

export default function Deployment({ id }: { readonly id: string }): ReactElement {
  return <Watched key={id} id={id} />;
}

function Watched({ id }: { readonly id: string }): ReactElement {
  const [deployment, setDeployment] = useState<DetailFragment | null>(null);
  const newer = (next: DetailFragment) =>
    setDeployment((before) => (before && before.revision > next.revision ? before : next));
  const missing = useDeliveries(DeploymentUpdatedDocument, { id }, (data) => newer(data.deploymentUpdated));
  useDeliveries(MetricsUpdatedDocument, { id }, ({ metricsUpdated }) => {
    setClock(Date.parse(metricsUpdated.at));
    newer(metricsUpdated.deployment);
  });
  usePageTitle(deployment ? `${deployment.strategyId} ${deployment.canaryVersionId}` : 'Deployment');
  if (deployment) return <DeploymentView deployment={deployment} onState={newer} />;
  return (
    <main className="page" id="main">
      {missing ? (
        <EmptyState title="This deployment is not there">
          {missing.message}. It may have another id, or be outside of what your key may see.
        </EmptyState>
      ) : (
        <p className="quiet loading">Loading the deployment …</p>
      )}
    </main>
  );
}
