/** One deployment: what it does now and why, what one may do about it, and how it came to this. */
import type { ReactElement } from 'react';
import { useRef, useState } from 'react';
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

/** A node answers within this time, ms: what comes later than that was not overtaken by what is shown. */
const OVERTAKEN_WITHIN_MS = 10_000;

export default function Deployment({ id }: { readonly id: string }): ReactElement {
  return <Watched key={id} id={id} />;
}

function Watched({ id }: { readonly id: string }): ReactElement {
  const [deployment, setDeployment] = useState<DetailFragment | null>(null);
  const shown = useRef({ revision: 0, at: Number.NEGATIVE_INFINITY });
  /** Answers and deliveries overtake each other. An older state that stays is true: the database was set back to it. */
  const newer = (next: DetailFragment) => {
    const { revision, at } = shown.current;
    const now = performance.now();
    if (next.revision < revision && now - at < OVERTAKEN_WITHIN_MS) return;
    if (next.revision !== revision) shown.current = { revision: next.revision, at: now };
    setDeployment(next);
  };
  const forget = () => {
    shown.current = { revision: 0, at: Number.NEGATIVE_INFINITY };
  };
  const missing = useDeliveries(DeploymentUpdatedDocument, { id }, (data) => newer(data.deploymentUpdated), {
    interrupted: forget,
  });
  useDeliveries(MetricsUpdatedDocument, { id }, ({ metricsUpdated }) => {
    setClock(Date.parse(metricsUpdated.at));
    newer(metricsUpdated.deployment);
  });
  usePageTitle(deployment ? `${deployment.strategyId} ${deployment.canaryVersionId}` : 'Deployment');
  if (deployment) return <DeploymentView deployment={deployment} onState={newer} />;
  return (
    <main className="page" id="main">
      {missing ? (
        <EmptyState
          title={
            missing.code === 'BAD_USER_INPUT'
              ? 'This deployment is not there'
              : 'The deployment cannot be read'
          }
        >
          {missing.message}.
          {missing.code === 'BAD_USER_INPUT'
            ? ' It may have another id, or be outside of what your key may see.'
            : null}
        </EmptyState>
      ) : (
        <p className="quiet loading">Loading the deployment …</p>
      )}
    </main>
  );
}
