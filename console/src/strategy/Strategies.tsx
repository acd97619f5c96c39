/** All strategies with the version that is stable today. */
import { useInfiniteQuery } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { request } from '../api/client';
import { StrategiesDocument } from '../api/generated/graphql';
import { EmptyState } from '../ui/EmptyState';
import { Instant } from '../ui/Instant';
import { StatusBadge } from '../ui/Status';
import { usePageTitle } from '../ui/usePageTitle';

const PAGE = 50;

export default function Strategies(): ReactElement {
  usePageTitle('Strategies');
  const { data, error, isPending, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ['strategies'],
    queryFn: async ({ pageParam, signal }) =>
      (await request(StrategiesDocument, { first: PAGE, after: pageParam }, signal)).strategies,
    initialPageParam: null as string | null,
    getNextPageParam: ({ pageInfo }) => (pageInfo.hasNextPage ? pageInfo.endCursor : null),
  });
  const strategies = data?.pages.flatMap(({ nodes }) => nodes) ?? [];
  return (
    <main className="page" id="main">
      <header className="page-head">
        <h1>Strategies</h1>
      </header>
      {error ? <p className="problem">{error.message}</p> : null}
      {isPending ? <p className="quiet loading">Loading …</p> : null}
      {!isPending && strategies.length === 0 ? (
        <EmptyState title="No strategy is known">
          The first deployment of a strategy makes it known.
        </EmptyState>
      ) : null}
      {strategies.length > 0 ? (
        <section className="table-frame" aria-label="Strategies">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Strategy</th>
                <th scope="col">Stable version</th>
                <th scope="col">Since</th>
                <th scope="col">On trial</th>
              </tr>
            </thead>
            <tbody>
              {strategies.map((strategy) => (
                <tr key={strategy.id}>
                  <th scope="row">
                    <Link href={`/strategies/${encodeURIComponent(strategy.id)}`} className="card-link">
                      {strategy.id}
                    </Link>
                  </th>
                  <td className="stable-name">{strategy.stableVersionId}</td>
                  <td className="nowrap">
                    <Instant at={strategy.updatedAt} />
                  </td>
                  <td>
                    {strategy.liveDeployments.map(({ id, status, canaryVersionId }) => (
                      <span key={id} className="trial">
                        <Link href={`/deployments/${encodeURIComponent(id)}`} className="canary-name">
                          {canaryVersionId}
                        </Link>{' '}
                        <StatusBadge status={status} />
                      </span>
                    ))}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
      {hasNextPage ? (
        <p className="more">
          <button type="button" className="button" onClick={() => void fetchNextPage()}>
            Show more
          </button>
        </p>
      ) : null}
    </main>
  );
}
