/** What each side was asked to hold and says it holds. */
import type { ReactElement } from 'react';
import type { DetailFragment } from '../api/generated/graphql';
import { duration, usd, words } from '../format';
import { Instant } from '../ui/Instant';
import { Sentence } from '../ui/Sentence';

export function Capital({
  deployment: { allocation, settlement, lease },
}: {
  readonly deployment: DetailFragment;
}): ReactElement {
  return (
    <section className="panel" aria-labelledby="capital">
      <h2 id="capital">Capital</h2>
      {allocation ? (
        <>
          <table className="table-plain">
            <thead>
              <tr>
                <th scope="col">Side</th>
                <th scope="col" className="number">
                  Requested
                </th>
                <th scope="col" className="number">
                  Held
                </th>
                <th scope="col">Acknowledged</th>
              </tr>
            </thead>
            <tbody>
              {allocation.sides.map((side) => (
                <tr key={side.side}>
                  <th scope="row" className={side.side === 'CANARY' ? 'canary-name' : 'stable-name'}>
                    {words(side.side)}
                  </th>
                  <td className="number">{usd(side.requestedUsd)}</td>
                  <td className="number">{usd(side.heldUsd)}</td>
                  <td>
                    {side.unansweredSeconds > 0 ? (
                      <span className="tone-wait">
                        <span aria-hidden="true">⚠</span> not for {duration(side.unansweredSeconds)}
                      </span>
                    ) : side.acknowledgedAt ? (
                      <span>
                        <span aria-hidden="true">✓</span> <Instant at={side.acknowledgedAt} short />
                      </span>
                    ) : (
                      'never'
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {settlement ? <Settlement settlement={settlement} /> : null}
          {lease?.until ? <Lease lease={lease} until={lease.until} /> : null}
          <p className="quiet">
            Request {allocation.number} ({words(allocation.cause).toLowerCase()}) of{' '}
            <Instant at={allocation.requestedAt} />: {usd(allocation.totalUsd)} in all,{' '}
            {Number(allocation.canaryPercent)} % with the canary.
          </p>
        </>
      ) : (
        <p className="quiet">No capital has been requested yet.</p>
      )}
    </section>
  );
}

const SIGNS = {
  REQUESTED: ['○', 'wait'],
  PARTIAL: ['◐', 'wait'],
  SETTLED: ['✓', 'good'],
  OVERDUE: ['⚠', 'bad'],
  SUPERSEDED: ['–', 'quiet'],
  UNANSWERED: ['–', 'quiet'],
} as const;

/** Whether the capital is where it should be, and how long a breach took to become safe. */
function Settlement({
  settlement,
}: {
  readonly settlement: NonNullable<DetailFragment['settlement']>;
}): ReactElement {
  const { status, missing, settleBy, settledAt, overdueSince, breachToSafeSeconds, required } = settlement;
  const [sign, tone] = SIGNS[status];
  return (
    <>
      <p>
        <span className={`badge tone-${tone}`}>
          <span aria-hidden="true">{sign}</span> {words(status)}
        </span>{' '}
        {settledAt ? <Instant at={settledAt} short /> : null}
        {overdueSince ? (
          <>
            since <Instant at={overdueSince} />
          </>
        ) : settleBy ? (
          <>
            until <Instant at={settleBy} />
          </>
        ) : null}
        {required ? <span className="quiet"> · the next step waits for it</span> : null}
      </p>
      {missing ? (
        <p className="sentence">
          <Sentence text={missing} />
        </p>
      ) : null}
      {breachToSafeSeconds === null ? null : (
        <p>
          From breach to safe: {duration(breachToSafeSeconds)}
          {settledAt ? '' : ' so far'}
        </p>
      )}
    </>
  );
}

/** Until when the canary may hold its capital without a heartbeat of its bot. */
function Lease({
  lease: { heartbeatAt, expired, stoodDown },
  until,
}: {
  readonly lease: NonNullable<DetailFragment['lease']>;
  readonly until: string;
}): ReactElement {
  if (expired) {
    return (
      <p className="tone-bad">
        <span aria-hidden="true">⚠</span> The lease of the canary's capital ran out <Instant at={until} />
        {stoodDown ? '; its bot stood down' : ''}
      </p>
    );
  }
  return (
    <p className="quiet">
      The canary holds its capital until <Instant at={until} /> unless its bot sends a heartbeat
      {heartbeatAt ? (
        <>
          ; last heartbeat <Instant at={heartbeatAt} />
        </>
      ) : null}
    </p>
  );
}
