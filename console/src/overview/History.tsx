/** Deployments that have ended, the latest first. */
import { useInfiniteQuery } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { useSearchParams } from 'wouter';
import { request } from '../api/client';
import { type CanaryStatus, EndedDeploymentsDocument, type EndedRowFragment } from '../api/generated/graphql';
import { words } from '../format';
import { Instant } from '../ui/Instant';
import { ListFrame } from '../ui/ListFrame';
import { ListTable } from '../ui/ListTable';
import { Sentence } from '../ui/Sentence';
import { StatusBadge } from '../ui/Status';
import { asPages, nextPage, refreshOf } from '../ui/usePages';
import { usePageTitle } from '../ui/usePageTitle';
import { ReturnCells, StrategyCell, VersionsCell } from './cells';

const ENDED = ['PROMOTED', 'ROLLED_BACK', 'CANCELLED', 'FAILED'] as const satisfies CanaryStatus[];
const PAGE = 50;

export default function History(): ReactElement {
  usePageTitle('History');
  const [params, setParams] = useSearchParams();
  const status = ENDED.find((each) => each === params.get('status'));
  const pattern = params.get('q') ?? '';
  const pages = useEnded(pattern, status);
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
      <ListFrame pages={pages} empty="Nothing has ended that matches">
        <EndedTable label="Ended deployments" rows={pages.items} />
      </ListFrame>
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
  const query = useInfiniteQuery({
    queryKey: ['ended', filter],
    queryFn: async ({ pageParam, signal }) =>
      (await request(EndedDeploymentsDocument, { filter, first: PAGE, after: pageParam }, signal))
        .deployments,
    initialPageParam: null as string | null,
    getNextPageParam: nextPage,
    refetchInterval: refreshOf,
    placeholderData: (before) => before,
  });
  return asPages(query);
}

interface EndedTableProps {
  readonly label: string;
  readonly rows: readonly EndedRowFragment[];
}

export function EndedTable({ label, rows }: EndedTableProps): ReactElement {
  return (
    <ListTable
      label={label}
      heads={[
        'Strategy',
        'Versions',
        'Ended',
        'As',
        { name: 'Canary', number: true },
        { name: 'Stable', number: true },
        'Why',
      ]}
    >
      {rows.map((row) => (
        <tr key={row.id}>
          <StrategyCell {...row} />
          <VersionsCell {...row} />
          <td className="nowrap">{row.endedAt ? <Instant at={row.endedAt} /> : ''}</td>
          <td>
            <StatusBadge status={row.status} />
          </td>
          <ReturnCells {...row} />
          <td>
            <Sentence text={row.headline} />
          </td>
        </tr>
      ))}
    </ListTable>
  );
}
