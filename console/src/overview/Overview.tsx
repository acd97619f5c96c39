/** What waits for a person, then every live canary, as cards or as a table. */
import { type ReactElement, useDeferredValue, useMemo } from 'react';
import { useSearchParams } from 'wouter';
import { serinNow } from '../api/clock';
import type { CardFragment } from '../api/generated/graphql';
import { count, usd, words } from '../format';
import { EmptyState } from '../ui/EmptyState';
import { useNow } from '../ui/useNow';
import { usePageTitle } from '../ui/usePageTitle';
import { useStored } from '../ui/useStored';
import { Card } from './Card';
import { DeploymentTable } from './DeploymentTable';
import { arrange, LIVE_STATUSES, readView, SORTS } from './filter';
import { canaryHeldUsd, waitsForPerson } from './risk';
import { useDeployments } from './useDeployments';

/** Times on cards move in steps of so many seconds, so that nothing is drawn that did not change. */
const CLOCK_STEP_MS = 1000;

export function Overview(): ReactElement {
  usePageTitle('Overview');
  const { cards, loading, error } = useDeployments();
  const [params, setParams] = useSearchParams();
  const [layout, setLayout] = useStored('serin.layout', 'cards');
  const now = Math.floor(serinNow(useNow()) / CLOCK_STEP_MS) * CLOCK_STEP_MS;
  const view = readView(params);
  const search = useDeferredValue(view.search);
  const shown = arrange(cards, { ...view, search }, now);
  const chains = useMemo(() => [...new Set(cards.map(({ chain }) => chain))].sort(), [cards]);

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
      <Totals cards={cards} />
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
      </search>
      {error ? <p className="problem">{error.message}</p> : null}
      <p className="hidden" role="status">
        {loading ? 'Loading' : `${shown.length} of ${cards.length} live deployments shown`}
      </p>
      {loading && !error ? <p className="quiet loading">Loading the live deployments …</p> : null}
      {!loading && cards.length === 0 ? (
        <EmptyState title="No canary is live">
          A bot or a program begins one with <code>createDeployment</code> and <code>deployCanary</code>.
        </EmptyState>
      ) : null}
      {!loading && cards.length > 0 && shown.length === 0 ? (
        <EmptyState title="Nothing matches">
          No live deployment matches this search and these filters.
        </EmptyState>
      ) : null}
      {layout === 'table' ? <DeploymentTable cards={shown} now={now} /> : <Cards cards={shown} now={now} />}
    </main>
  );
}

interface ListProps {
  readonly cards: readonly CardFragment[];
  readonly now: number;
}

function Cards({ cards, now }: ListProps): ReactElement {
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
          <CardGrid cards={waiting} now={now} />
        </section>
      ) : null}
      {others.length > 0 ? (
        <section aria-labelledby="running">
          <h2 id="running" className="section-title">
            Live <span className="quiet">{others.length}</span>
          </h2>
          <CardGrid cards={others} now={now} />
        </section>
      ) : null}
    </>
  );
}

function CardGrid({ cards, now }: ListProps): ReactElement {
  return (
    <ul className="cards">
      {cards.map((card) => (
        <li key={card.id}>
          <Card card={card} curves={undefined} now={now} />
        </li>
      ))}
    </ul>
  );
}

function Totals({ cards }: { readonly cards: readonly CardFragment[] }): ReactElement {
  const waiting = cards.filter(waitsForPerson).length;
  const onTrial = cards.reduce((sum, card) => sum + canaryHeldUsd(card), 0);
  const loss = cards.reduce(
    (sum, card) => sum + Math.min(0, Number(card.canaryMetrics?.metrics.netPnlUsd ?? 0)),
    0,
  );
  return (
    <dl className="totals">
      <Total label="live" value={count(cards.length)} />
      <Total label="wait for a person" value={count(waiting)} tone={waiting > 0 ? 'wait' : undefined} />
      <Total label="with canaries" value={usd(onTrial)} />
      <Total label="lost by live canaries" value={usd(loss)} tone={loss < 0 ? 'bad' : undefined} />
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
