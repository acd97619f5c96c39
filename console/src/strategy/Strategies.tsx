/** All strategies with the version that is stable today. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { StrategiesDocument } from '../api/generated/graphql';
import { Instant } from '../ui/Instant';
import { ListFrame } from '../ui/ListFrame';
import { ListTable } from '../ui/ListTable';
import { StatusBadge } from '../ui/Status';
import { usePages } from '../ui/usePages';
import { usePageTitle } from '../ui/usePageTitle';

export default function Strategies(): ReactElement {
  usePageTitle('Strategies');
  const pages = usePages(StrategiesDocument, ({ strategies }) => strategies);
  return (
    <main className="page" id="main">
      <header className="page-head">
        <h1>Strategies</h1>
      </header>
      <ListFrame pages={pages} empty="No strategy is known: the first deployment of one makes it known">
        <ListTable label="Strategies" heads={['Strategy', 'Stable version', 'Since', 'On trial']}>
          {pages.items.map((strategy) => (
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
        </ListTable>
      </ListFrame>
    </main>
  );
}
