/** What was decided and what happened. */
import type { ReactElement } from 'react';
import type { DetailFragment } from '../api/generated/graphql';
import { Decisions } from './Decisions';
import { Timeline } from './Timeline';

export function Records({ deployment }: { readonly deployment: DetailFragment }): ReactElement {
  return (
    <div className="records">
      <Decisions deployment={deployment} />
      <Timeline deployment={deployment} />
    </div>
  );
}
