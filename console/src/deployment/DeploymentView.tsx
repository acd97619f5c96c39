/** The page of a deployment, drawn from its newest state. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { serinNow } from '../api/clock';
import type { DetailFragment } from '../api/generated/graphql';
import { timeLeft } from '../overview/Card';
import { waitsForPerson } from '../overview/risk';
import { Sentence } from '../ui/Sentence';
import { DecisionBadge, StatusBadge } from '../ui/Status';
import { StepTrack } from '../ui/StepTrack';
import { useNow } from '../ui/useNow';
import { Actions } from './Actions';
import { Capital } from './Capital';
import { Charts } from './Charts';
import { Evidence } from './Evidence';
import { Frozen } from './Frozen';
import { Gates } from './Gates';
import { GuardrailList } from './GuardrailList';
import { MetricsTable } from './MetricsTable';
import { Records } from './Records';

interface DeploymentViewProps {
  readonly deployment: DetailFragment;
  /** Shows another state: the one that a command's answer brought. */
  readonly onState: (deployment: DetailFragment) => void;
}

export function DeploymentView({ deployment, onState }: DeploymentViewProps): ReactElement {
  const now = serinNow(useNow());
  const { comparison } = deployment;
  return (
    <main className="page deployment" id="main">
      <header className="deployment-head">
        <div className="deployment-names">
          <h1>
            <Link href={`/strategies/${encodeURIComponent(deployment.strategyId)}`}>
              {deployment.strategyId}
            </Link>
          </h1>
          <p>
            <span className="canary-name">{deployment.canaryVersionId}</span> vs{' '}
            <span className="stable-name">{deployment.stableVersionId}</span>
            {deployment.chain === 'unknown' ? null : <> on {deployment.chain}</>}{' '}
            <code className="quiet">{deployment.id}</code>
          </p>
        </div>
        <StatusBadge status={deployment.status} />
      </header>
      <section
        className={`verdict-panel ${waitsForPerson(deployment) ? 'card-waits' : ''}`}
        aria-label="What it does now"
      >
        <p className="headline">
          {comparison && deployment.endedAt === null ? (
            <DecisionBadge decision={comparison.decision} />
          ) : null}{' '}
          <Sentence text={deployment.headline} />
        </p>
        <div className="verdict-track">
          <StepTrack deployment={deployment} now={now} labels />
          <span className="nowrap">{timeLeft(deployment, now)}</span>
        </div>
        <Frozen deployment={deployment} />
        {deployment.warnings.length > 0 ? (
          <ul className="card-alerts">
            {deployment.warnings.map(({ side, message }) => (
              <li key={`${side} ${message}`}>
                <span aria-hidden="true">⚠</span> <Sentence text={message} />
              </li>
            ))}
          </ul>
        ) : null}
        <Actions deployment={deployment} onState={onState} />
      </section>
      <div className="deployment-columns">
        <div className="deployment-charts">
          <Charts deployment={deployment} />
          <MetricsTable deployment={deployment} />
        </div>
        <div className="deployment-facts">
          <Gates comparison={comparison} />
          <Evidence deployment={deployment} />
          <GuardrailList deployment={deployment} now={now} />
          <Capital deployment={deployment} />
        </div>
      </div>
      <Records deployment={deployment} />
    </main>
  );
}
