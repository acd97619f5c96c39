/** Everything that happened, the newest first, as far back as one scrolls. */
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactElement, useEffect, useEffectEvent, useRef, useState } from 'react';
import { request } from '../api/client';
import {
  type CanaryEventType,
  type DetailFragment,
  type EventFragment,
  NewEventsDocument,
  TimelineDocument,
} from '../api/generated/graphql';
import { useDeliveries } from '../api/hooks';
import { words } from '../format';
import { Instant } from '../ui/Instant';
import { Sentence } from '../ui/Sentence';

const PAGE = 50;

type Tone = 'good' | 'bad' | 'wait' | 'live' | 'quiet';
type Sign = readonly [sign: string, tone: Tone];

/** The sign of each type of event, except the checks, which would hide the rest. */
const SIGNS: Readonly<Record<Exclude<CanaryEventType, 'CANARY_METRICS_UPDATED'>, Sign>> = {
  DEPLOYMENT_CREATED: ['·', 'quiet'],
  DEPLOYMENT_IMPORTED: ['·', 'quiet'],
  CANARY_STARTED: ['▶', 'live'],
  ALLOCATION_REQUESTED: ['$', 'quiet'],
  ALLOCATION_ACKNOWLEDGED: ['$', 'good'],
  ALLOCATION_SETTLED: ['$', 'good'],
  ALLOCATION_OVERDUE: ['$', 'bad'],
  STEP_STARTED: ['⇧', 'live'],
  STEP_HELD: ['‖', 'wait'],
  CANARY_PAUSED: ['‖', 'wait'],
  CANARY_RESUMED: ['▶', 'live'],
  WATCH_RESUMED: ['▶', 'wait'],
  GUARDRAIL_TRIPPED: ['!', 'bad'],
  COUNTER_RESET: ['!', 'wait'],
  METRICS_UNAVAILABLE: ['✕', 'bad'],
  LEASE_EXPIRED: ['✕', 'bad'],
  LEASE_RESUMED: ['▶', 'good'],
  DECISION_MADE: ['◆', 'wait'],
  RULE_CHANGED: ['·', 'quiet'],
  OBSERVATION_EXTENDED: ['+', 'quiet'],
  CONFIG_CHANGE_REQUESTED: ['⚑', 'wait'],
  CONFIG_UPDATED: ['✎', 'quiet'],
  PROMOTION_REQUESTED: ['⚑', 'wait'],
  PROMOTION_HELD: ['‖', 'wait'],
  CANARY_OBSERVATION_COMPLETE: ['⚑', 'wait'],
  CANARY_PROMOTED: ['✓', 'good'],
  CANARY_ROLLED_BACK: ['↩', 'bad'],
  CANARY_CANCELLED: ['⊘', 'quiet'],
  CANARY_FAILED: ['✕', 'bad'],
  UNKNOWN: ['·', 'quiet'],
};

const CHECK: Sign = ['·', 'quiet'];

const isShown = (type: string): type is keyof typeof SIGNS => type in SIGNS;
const WITHOUT_CHECKS: CanaryEventType[] = Object.keys(SIGNS).filter(isShown);

export function Timeline({
  deployment: { id, revision, nextCheckAt },
}: {
  readonly deployment: DetailFragment;
}): ReactElement {
  const [checks, setChecks] = useState(false);
  const types = checks ? null : WITHOUT_CHECKS;
  const queryKey = ['timeline', id, checks];
  const queries = useQueryClient();
  const { data, error, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey,
    queryFn: async ({ pageParam, signal }) => {
      const answer = await request(TimelineDocument, { id, last: PAGE, before: pageParam, types }, signal);
      return answer.deployment?.events ?? null;
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page?.pageInfo.hasPreviousPage ? page.pageInfo.startCursor : null),
  });
  const refresh = useEffectEvent(() => void queries.invalidateQueries({ queryKey }));
  useDeliveries(NewEventsDocument, { id, types }, refresh, { silentStart: true });
  // Events that came while the feed was away: the state that is delivered after that tells of them.
  const shown = useRef(`${revision} ${nextCheckAt}`);
  useEffect(() => {
    const state = `${revision} ${nextCheckAt}`;
    if (state !== shown.current) refresh();
    shown.current = state;
  }, [revision, nextCheckAt]);
  const events = new Map<string, EventFragment>();
  for (const page of data?.pages ?? []) {
    for (const event of [...(page?.nodes ?? [])].reverse()) events.set(event.id, event);
  }
  return (
    <section className="panel" aria-labelledby="timeline">
      <header className="panel-head">
        <h2 id="timeline">Timeline</h2>
        <label className="check">
          <input type="checkbox" checked={checks} onChange={({ target }) => setChecks(target.checked)} /> Show
          every check
        </label>
      </header>
      {error ? <p className="problem">{error.message}</p> : null}
      <ol className="timeline">
        {[...events.values()].map((event) => (
          <TimelineEvent key={event.id} event={event} />
        ))}
      </ol>
      {hasNextPage ? (
        <p className="more">
          <button
            type="button"
            className="button"
            disabled={isFetchingNextPage}
            onClick={() => void fetchNextPage()}
          >
            Show earlier
          </button>
        </p>
      ) : null}
    </section>
  );
}

function TimelineEvent({
  event: { at, type, description, actor },
}: {
  readonly event: EventFragment;
}): ReactElement {
  const [sign, tone] = isShown(type) ? SIGNS[type] : CHECK;
  return (
    <li className="event">
      <span className={`event-sign tone-${tone}`} aria-hidden="true">
        {sign}
      </span>
      <Instant at={at} />
      <span className="event-text">
        <span className="event-type">{words(type)}</span> <Sentence text={description} />
      </span>
      {actor === 'serin' ? null : <span className="event-actor">{actor}</span>}
    </li>
  );
}
