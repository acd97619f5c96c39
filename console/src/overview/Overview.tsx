/** What waits for a person, then every live canary, as cards or as a table. */
import { type ReactElement, useDeferredValue, useMemo } from 'react';
import { Link, useSearchParams } from 'wouter';
import { serinNow } from '../api/clock';
import type { CanaryStatus, CardFragment } from '../api/generated/graphql';
import { useOverview } from '../api/overview';
import { count, usd, words } from '../format';
import { EmptyState } from '../ui/EmptyState';
import { useNow } from '../ui/useNow';
import { usePageTitle } from '../ui/usePageTitle';
import { useStored } from '../ui/useStored';
import { useMay } from '../ui/viewer';
import { Card } from './Card';
import type { Curves } from './curveStore';
import { DeploymentTable } from './DeploymentTable';
import { FreezeBanner } from './FreezeBanner';
import { arrange, LIVE_STATUSES, readView, SORTS } from './filter';
import { waitsForPerson } from './risk';
import { useCurves, useDeployments } from './useDeployments';

/** Times on cards move in such steps, so that a card is not drawn anew for every second. */
const CLOCK_STEP_MS = 5000;

export function Overview(): ReactElement {
  usePageTitle('Overview');
  const { cards: all, complete, error } = useDeployments();
  const overview = useOverview();
  // Without an overview no freeze is shown either, which must not look like none.
  const problem = error ?? overview.error;
  const cards = useMemo(() => [...all.values()], [all]);
  const loading = !complete;
  const curves = useCurves(cards);
  const [params, setParams] = useSearchParams();
  const mayCreate = useMay('OPERATOR');
  const [layout, setLayout] = useStored('serin.layout', 'cards');
  const now = Math.floor(serinNow(useNow()) / CLOCK_STEP_MS) * CLOCK_STEP_MS;
  const view = readView(params);
  const search = useDeferredValue(view.search);
  const shown = arrange(cards, { ...view, search }, now);
  // The chosen one stays in the list when its last canary ends: else it filters unseen, and cannot be changed to all.
  const chains = useMemo(
    () => [...new Set([...cards.map(({ chain }) => chain), ...(view.chain ? [view.chain] : [])])].sort(),
    [cards, view.chain],
  );

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
      <h1 className="hidden">Overview</h1>
      <FreezeBanner />
      <Totals live={loading ? null : cards.length} />
      <search className="filters">
        <label className="field-search">
          <span className="hidden">Search, or a pattern of strategies</span>
          <input
            type="search"
            data-shortcut="/"
            placeholder="Search, or a pattern: eth-*"
            value={view.search}
            onChange={({ target }) => set('q', target.value)}
          />
        </label>
        <label>
          Status{' '}
          <select value={view.status ?? ''} onChange={({ target }) => set('status', target.value)}>
            <option value="">All live</option>
            {LIVE_STATUSES.map((status) => (
              <option key={status} value={status}>
                {words(status)}
              </option>
            ))}
          </select>
        </label>
        <label>
          Chain{' '}
          <select value={view.chain ?? ''} onChange={({ target }) => set('chain', target.value)}>
            <option value="">All</option>
            {chains.map((chain) => (
              <option key={chain}>{chain}</option>
            ))}
          </select>
        </label>
        <label>
          Sort by{' '}
          <select value={view.sort} onChange={({ target }) => set('sort', target.value)}>
            {Object.entries(SORTS).map(([key, label]) => (
              <option key={key} value={key}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <fieldset className="segmented">
          <legend className="hidden">Layout</legend>
          {(['cards', 'table'] as const).map((each) => (
            <button key={each} type="button" aria-pressed={layout === each} onClick={() => setLayout(each)}>
              {words(each)}
            </button>
          ))}
        </fieldset>
        {mayCreate ? (
          <Link href="/new" className="button button-main filters-end">
            New deployment
          </Link>
        ) : null}
      </search>
      {problem ? <p className="problem">{problem.message}</p> : null}
      <p className="hidden" role="status">
        {loading ? 'Loading' : `${shown.length} of ${cards.length} live deployments shown`}
      </p>
      {loading && !error ? <p className="quiet loading">Loading the live deployments …</p> : null}
      {!loading && cards.length === 0 ? (
        <EmptyState title="No canary is live">
          {mayCreate ? (
            <>
              <Link href="/new">Create a deployment</Link>, or let a bot do it:{' '}
            </>
          ) : (
            'A bot or an operator begins one: '
          )}
          <code>serin create STRATEGY VERSION --stable VERSION --deploy 100k</code>. Its bots report, and this
          page shows it live.
        </EmptyState>
      ) : null}
      {!loading && cards.length > 0 && shown.length === 0 ? (
        <EmptyState title="Nothing matches">
          No live deployment matches this search and these filters.
        </EmptyState>
      ) : null}
      {layout === 'table' ? (
        <DeploymentTable cards={shown} now={now} />
      ) : (
        <Cards cards={shown} curves={curves} now={now} />
      )}
    </main>
  );
}

interface ListProps {
  readonly cards: readonly CardFragment[];
  readonly curves: ReadonlyMap<string, Curves>;
  readonly now: number;
}

function Cards({ cards, curves, now }: ListProps): ReactElement {
  const waiting = cards.filter(waitsForPerson);
  const others = cards.filter((card) => !waitsForPerson(card));
  return (
    <>
      {waiting.length > 0 ? (
        <section aria-labelledby="waiting">
          <h2 id="waiting" className="section-title">
            <span aria-hidden="true">⚑</span> Waits for a person{' '}
            <span className="quiet">{waiting.length}</span>
          </h2>
          <CardGrid cards={waiting} curves={curves} now={now} />
        </section>
      ) : null}
      {others.length > 0 ? (
        <section aria-labelledby="running">
          <h2 id="running" className="section-title">
            Live <span className="quiet">{others.length}</span>
          </h2>
          <CardGrid cards={others} curves={curves} now={now} />
        </section>
      ) : null}
    </>
  );
}

function CardGrid({ cards, curves, now }: ListProps): ReactElement {
  return (
    <ul className="cards">
      {cards.map((card) => (
        <li key={card.id}>
          <Card card={card} curves={curves.get(card.id)} now={now} />
        </li>
      ))}
    </ul>
  );
}

/** Counts and money; what has not come yet is no zero. */
function Totals({ live }: { readonly live: number | null }): ReactElement {
  const { data } = useOverview();
  const today = (...as: CanaryStatus[]) =>
    data?.counts.reduce((sum, each) => (as.includes(each.status) ? sum + each.count : sum), 0);
  const waiting = data?.waitingForPerson ?? 0;
  const overdue = data?.overdueAllocations ?? 0;
  const isLoss = Number(data?.lossTodayUsd ?? 0) > 0;
  return (
    <dl className="totals">
      <Total label="live" value={count(live)} />
      <Total
        label="wait for a person"
        value={count(data?.waitingForPerson)}
        tone={waiting > 0 ? 'wait' : undefined}
      />
      <Total label="on trial" value={usd(data?.capitalOnTrialUsd)} />
      <Total label="lost today" value={usd(data?.lossTodayUsd)} tone={isLoss ? 'bad' : undefined} />
      {overdue > 0 ? <Total label="capital requests overdue" value={count(overdue)} tone="wait" /> : null}
      <Total label="promoted today" value={count(today('PROMOTED'))} />
      <Total label="rolled back today" value={count(today('ROLLED_BACK', 'FAILED'))} />
    </dl>
  );
}

interface TotalProps {
  readonly label: string;
  readonly value: string;
  readonly tone?: 'wait' | 'bad' | undefined;
}

function Total({ label, value, tone }: TotalProps): ReactElement {
  return (
    <div className={tone ? `tone-${tone}` : ''}>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}
