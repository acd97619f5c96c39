/** A strategy over time: which version was stable when, and every canary that was tried. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { serinNow } from '../api/clock';
import { StrategyDocument, type StrategyQuery } from '../api/generated/graphql';
import { useApi } from '../api/hooks';
import { dateTime, duration } from '../format';
import { EndedTable } from '../overview/History';
import { EmptyState } from '../ui/EmptyState';
import { Instant } from '../ui/Instant';
import { usePageTitle } from '../ui/usePageTitle';
import { useMay } from '../ui/viewer';

const DEPLOYMENTS = 100;
const REFRESH_MS = 5_000;

type StrategyData = NonNullable<StrategyQuery['strategy']>;

export default function Strategy({ id }: { readonly id: string }): ReactElement {
  usePageTitle(id);
  const mayCreate = useMay('OPERATOR');
  const { data, error, isPending } = useApi(
    StrategyDocument,
    { id, first: DEPLOYMENTS },
    { refetchMs: REFRESH_MS },
  );
  return (
    <main className="page" id="main">
      <header className="page-head">
        <h1>{id}</h1>
        {data?.strategy ? (
          <p className="quiet">
            <span className="stable-name">{data.strategy.stableVersionId}</span> is the stable version since{' '}
            <Instant at={data.strategy.updatedAt} />
          </p>
        ) : null}
        {data?.strategy && mayCreate ? (
          <Link href={`/new?${new URLSearchParams({ strategy: id })}`} className="button">
            Try a new version
          </Link>
        ) : null}
      </header>
      {error ? <p className="problem">{error.message}</p> : null}
      {isPending ? <p className="quiet loading">Loading …</p> : null}
      {data && !data.strategy ? (
        <EmptyState title="This strategy is not known">
          No deployment names it, or it is outside of what your key may see.
        </EmptyState>
      ) : null}
      {data?.strategy ? <StrategyHistory strategy={data.strategy} /> : null}
    </main>
  );
}

function StrategyHistory({ strategy }: { readonly strategy: StrategyData }): ReactElement {
  const { stableVersions, deployments } = strategy;
  return (
    <div className="stack">
      <section className="panel" aria-labelledby="versions">
        <h2 id="versions">Stable versions</h2>
        <VersionTrack versions={stableVersions} />
        <ol className="versions">
          {[...stableVersions].reverse().map(({ versionId, since, until, deploymentId }) => (
            <li key={`${versionId} ${since}`}>
              <span className="stable-name">{versionId}</span> since <Instant at={since} />
              {until === null ? (
                ', today'
              ) : (
                <>
                  {' '}
                  until <Instant at={until} />
                </>
              )}
              {deploymentId === null ? null : (
                <>
                  , promoted by{' '}
                  <Link href={`/deployments/${encodeURIComponent(deploymentId)}`}>{deploymentId}</Link>
                </>
              )}
            </li>
          ))}
        </ol>
      </section>
      <h2>Deployments</h2>
      <EndedTable label="Deployments of the strategy" rows={deployments.nodes} />
      {deployments.pageInfo.hasNextPage ? (
        <p className="quiet">The newest {DEPLOYMENTS} are shown; more are under History.</p>
      ) : null}
    </div>
  );
}

/** The versions on a line of time, the newest at its end. */
function VersionTrack({ versions }: { readonly versions: StrategyData['stableVersions'] }): ReactElement {
  const now = serinNow();
  const lengths = versions.map(({ since, until }) =>
    Math.max(1, (until === null ? now : Date.parse(until)) - Date.parse(since)),
  );
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return (
    <div className="version-track" aria-hidden="true">
      {versions.map(({ versionId, since }, index) => (
        <span
          key={`${versionId} ${since}`}
          className="version"
          style={{ flexGrow: Math.max(0.06, (lengths[index] ?? 0) / total) }}
          title={`${versionId} from ${dateTime(since)}, ${duration((lengths[index] ?? 0) / 1000)}`}
        >
          {versionId}
        </span>
      ))}
    </div>
  );
}
