/** What a freeze blocks on a deployment, and what waits for its end. */
import type { ReactElement } from 'react';
import { Link } from 'wouter';
import type { DetailFragment } from '../api/generated/graphql';
import { BLOCKS } from '../safety/NewFreeze';
import { Instant } from '../ui/Instant';

const WAITS = { DEPLOY: 'The deployment', STEP_UP: 'The next step', PROMOTE: 'The promotion' } as const;

export function Frozen({
  deployment: { held, freezes },
}: {
  readonly deployment: DetailFragment;
}): ReactElement | null {
  if (!held && freezes.length === 0) return null;
  return (
    <div className="freeze-banner" role="status">
      {held ? (
        <p>
          <span aria-hidden="true">❄</span> <b>{WAITS[held.block]} waits</b> since <Instant at={held.since} />{' '}
          for the end of a freeze
          {held.until ? (
            <>
              {' '}
              (<Instant at={held.until} />)
            </>
          ) : null}
          ; it is decided anew then.
        </p>
      ) : null}
      {freezes.map(({ id, blocks, reason, activeUntil }) => (
        <p key={id}>
          <span aria-hidden="true">❄</span> Frozen{' '}
          {activeUntil ? (
            <>
              until <Instant at={activeUntil} />
            </>
          ) : (
            'until it is lifted'
          )}
          : {blocks.map((block) => BLOCKS[block]).join(', ')} wait. {reason}
        </p>
      ))}
      <Link href="/safety">Safety</Link>
    </div>
  );
}
