/** Deployments that have ended, the latest first. */
import { useInfiniteQuery } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { Link, useSearchParams } from 'wouter';
import { request } from '../api/client';
import { type CanaryStatus, EndedDeploymentsDocument, type EndedRowFragment } from '../api/generated/graphql';
import { percentChange, words } from '../format';
import { EmptyState } from '../ui/EmptyState';
import { Instant } from '../ui/Instant';
import { StatusBadge } from '../ui/Status';
import { usePageTitle } from '../ui/usePageTitle';
import { returnOf } from './risk';

const ENDED = ['PROMOTED', 'ROLLED_BACK', 'CANCELLED', 'FAILED'] as const satisfies CanaryStatus[];
const PAGE = 50;

export default function History(): ReactElement {
  usePageTitle('History');
  const [params, setParams] = useSearchParams();
  const status = ENDED.find((each) => each === params.get('status'));
  const pattern = params.get('q') ?? '';
  const { data, error, isPending, hasNextPage, fetchNextPage } = useEnded(pattern, status);
  const rows = data?.pages.flatMap(({ nodes }) => nodes) ?? [];
  const set = (name: string, value: string) =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        if (value === '') next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  return (
    <main className="page" id="main">
      <header className="page-head">
        <h1>History</h1>
      </header>
      <search className="filters">
        <label className="field-search">
          <span className="hidden">Strategy, or a pattern</span>
          <input
            type="search"
            data-shortcut="/"
            placeholder="Strategy, or a pattern: eth-*"
            value={pattern}
            onChange={({ target }) => set('q', target.value)}
          />
        </label>
        <label>
          Ended as{' '}
          <select value={status ?? ''} onChange={({ target }) => set('status', target.value)}>
            <option value="">All</option>
            {ENDED.map((each) => (
              <option key={each} value={each}>
                {words(each)}
              </option>
            ))}
          </select>
        </label>
      </search>
      {error ? <p className="problem">{error.message}</p> : null}
      {isPending ? <p className="quiet loading">Loading …</p> : null}
      {!isPending && rows.length === 0 ? <EmptyState title="Nothing has ended that matches" /> : null}
      {rows.length > 0 ? <EndedTable rows={rows} /> : null}
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

function useEnded(pattern: string, status: CanaryStatus | undefined) {
  const text = pattern.trim();
  const filter = {
    live: false,
    ...(status ? { status: [status] } : {}),
    // A name without a star is looked for anywhere in the strategy's.
    ...(text === '' ? {} : { strategies: [text.includes('*') ? text : `*${text}*`] }),
  };
  return useInfiniteQuery({
    queryKey: ['ended', filter],
    queryFn: async ({ pageParam, signal }) =>
      (await request(EndedDeploymentsDocument, { filter, first: PAGE, after: pageParam }, signal))
        .deployments,
    initialPageParam: null as string | null,
    getNextPageParam: ({ pageInfo }) => (pageInfo.hasNextPage ? pageInfo.endCursor : null),
    placeholderData: (before) => before,
  });
}

export function EndedTable({ rows }: { readonly rows: readonly EndedRowFragment[] }): ReactElement {
  return (
    <section className="table-frame" aria-label="Ended deployments">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Strategy</th>
            <th scope="col">Versions</th>
            <th scope="col">Ended</th>
            <th scope="col">As</th>
            <th scope="col" className="number">
              Canary
            </th>
            <th scope="col" className="number">
              Stable
            </th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <th scope="row">
                <Link href={`/deployments/${encodeURIComponent(row.id)}`} className="card-link">
                  {row.strategyId}
                </Link>
                {row.chain === 'unknown' ? null : <span className="quiet"> {row.chain}</span>}
              </th>
              <td className="nowrap">
                <span className="canary-name">{row.canaryVersionId}</span> /{' '}
                <span className="stable-name">{row.stableVersionId}</span>
              </td>
              <td className="nowrap">{row.endedAt ? <Instant at={row.endedAt} /> : ''}</td>
              <td>
                <StatusBadge status={row.status} />
              </td>
              <td className="number canary-name">{percentChange(returnOf(row.canaryMetrics))}</td>
              <td className="number stable-name">{percentChange(returnOf(row.stableMetrics))}</td>
              <td>{row.headline}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
