/** Makes values look old while the server cannot be heard: dimmed, hatched, and with a sentence that says since when. */
import type { ReactElement, ReactNode } from 'react';
import { serinNow } from '../api/clock';
import { useLink } from '../api/hooks';
import { Instant } from './Instant';
import { freshnessOf } from './Lamp';
import { useNow } from './useNow';

export function StaleFrame({ children }: { readonly children: ReactNode }): ReactElement {
  const link = useLink();
  const freshness = freshnessOf(link, useNow());
  const old = freshness === 'reconnecting' || freshness === 'stale';
  return (
    <div className="frame" data-freshness={freshness}>
      {old ? (
        <p className="stale-note">
          <span aria-hidden="true">◐</span> Not connected since{' '}
          <Instant at={new Date(serinNow(link.since)).toISOString()} short />. The values are of that time.
        </p>
      ) : null}
      {children}
    </div>
  );
}
