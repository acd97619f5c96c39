/** Says whether what is on the screen is what the server says now: live, reconnecting since, or stale. */
import type { ReactElement } from 'react';
import { useLink } from '../api/hooks';
import type { Link } from '../api/link';
import { duration } from '../format';
import { useNow } from './useNow';

/** A connection that has been away so long leaves values that should not be trusted. */
const STALE_AFTER_MS = 10_000;

export type Freshness = 'connecting' | 'live' | 'reconnecting' | 'stale';

export function freshnessOf({ state, since }: Link, now: number): Freshness {
  return state === 'reconnecting' && now - since >= STALE_AFTER_MS ? 'stale' : state;
}

const SIGN: Record<Freshness, string> = { connecting: '◌', live: '●', reconnecting: '◐', stale: '○' };

export function Lamp(): ReactElement {
  const link = useLink();
  const now = useNow();
  const freshness = freshnessOf(link, now);
  const since = `since ${duration((now - link.since) / 1000)}`;
  const text = {
    connecting: 'Connecting',
    live: 'Live',
    reconnecting: `Reconnecting ${since}`,
    stale: `Stale ${since}`,
  }[freshness];
  return (
    <div className={`lamp lamp-${freshness}`}>
      <span className="lamp-sign" aria-hidden="true">
        {SIGN[freshness]}
      </span>
      <span className="lamp-text">{text}</span>
      <span className="hidden" role="status">
        {freshness === 'live'
          ? 'Connected'
          : freshness === 'stale'
            ? 'The values are stale'
            : 'Not connected'}
      </span>
    </div>
  );
}
