/** Every decision with its reasons and its record. */
import { useQuery } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { request } from '../api/client';
import { DecisionsDocument, type DetailFragment } from '../api/generated/graphql';
import { words } from '../format';
import { Instant } from '../ui/Instant';
import { DecisionBadge } from '../ui/Status';

export function Decisions({
  deployment: { id, revision },
}: {
  readonly deployment: DetailFragment;
}): ReactElement {
  const { data, error } = useQuery({
    queryKey: ['decisions', id, revision],
    queryFn: async ({ signal }) =>
      (await request(DecisionsDocument, { id }, signal)).deployment?.decisionHistory ?? [],
    placeholderData: (before) => before,
  });
  const decisions = [...(data ?? [])].reverse();
  return (
    <section className="panel" aria-labelledby="decisions">
      <h2 id="decisions">Decisions</h2>
      {!data && error ? <p className="problem">{error.message}</p> : null}
      {data && decisions.length === 0 ? <p className="quiet">No decision yet.</p> : null}
      <ol className="decisions">
        {decisions.map((decision) => (
          <li key={decision.eventNo}>
            <p>
              <DecisionBadge decision={decision.decision} /> <Instant at={decision.at} />{' '}
              <span className="quiet">
                {decision.automatic ? 'automatic' : `by ${decision.actor}`},{' '}
                {words(decision.cause).toLowerCase()}
              </span>
            </p>
            {decision.reason ? <p>“{decision.reason}”</p> : null}
            <ul>
              {decision.reasons.map((reason) => (
                <li key={reason}>{reason}</li>
              ))}
            </ul>
            <details>
              <summary>
                Record <code>{decision.configHash.slice(0, 12)}</code>
              </summary>
              <pre>{JSON.stringify(decision.record, null, 2)}</pre>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}
