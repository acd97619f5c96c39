/** What is frozen now, above everything else: what raises risk waits. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import { useOverview } from '../api/overview';
import { words } from '../format';
import { Instant } from '../ui/Instant';

/** More freezes than this are counted. */
const SHOWN = 3;
/** A freeze can block as many kinds of acts; one that blocks all needs not name them. */
const ACTS = 3;

export function FreezeBanner(): ReactElement | null {
  const freezes = useOverview().data?.freezes ?? [];
  if (freezes.length === 0) return null;
  return (
    <section className="freeze-banner" aria-label="Active freezes">
      {freezes.slice(0, SHOWN).map(({ id, strategies, chains, blocks, reason, activeUntil }) => (
        <p key={id}>
          <span aria-hidden="true">❄</span>{' '}
          <b>{strategies.includes('*') ? 'All strategies' : strategies.join(', ')}</b>
          {chains.includes('*') ? '' : ` on ${chains.join(', ')}`} frozen
          {blocks.length === ACTS ? '' : ` (${blocks.map((block) => words(block).toLowerCase()).join(', ')})`}{' '}
          {activeUntil ? (
            <>
              until <Instant at={activeUntil} />
            </>
          ) : (
            'until it is lifted'
          )}
          : {reason}
        </p>
      ))}
      <Link href="/safety">
        {freezes.length > SHOWN ? `${freezes.length - SHOWN} more under Safety` : 'Safety'}
      </Link>
    </section>
  );
}
