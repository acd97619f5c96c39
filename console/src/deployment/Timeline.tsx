/** The timeline, newest first. */
import { useQuery } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { request } from '../api/client';
import { type DetailFragment, TimelineDocument } from '../api/generated/graphql';
import { words } from '../format';
import { Instant } from '../ui/Instant';

export function Timeline({ deployment }: { readonly deployment: DetailFragment }): ReactElement {
  const { id, revision, nextCheckAt } = deployment;
  const { data } = useQuery({
    queryKey: ['timeline', id, revision, nextCheckAt],
    queryFn: async ({ signal }) =>
      (await request(TimelineDocument, { id, first: 200 }, signal)).deployment?.events.edges ?? [],
    placeholderData: (before) => before,
  });
  const events = [...(data ?? [])].reverse();
  return (
    <section className="panel" aria-labelledby="timeline">
      <h2 id="timeline">Timeline</h2>
      <ol className="timeline">
        {events.map(({ node }) => (
          <li key={node.id} className={`event event-${node.type.toLowerCase()}`}>
            <Instant at={node.at} short /> <span className="event-type">{words(node.type)}</span>
            <span className="event-text">{node.description}</span>{' '}
            {node.actor === 'serin' ? null : <span className="quiet">{node.actor}</span>}
          </li>
        ))}
      </ol>
    </section>
  );
}
