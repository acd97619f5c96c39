/** A member of a shared log feed: it begins now, so it skips what was committed before it joined. */
import { GraphQLError } from 'graphql';
import { FeedLagged } from '../../feed/feed.ts';
import { type Horizon, wasCommitted } from '../../store/log/eventLog.ts';
import type { LogPosition } from '../../store/log/position.ts';
import { createEnding, type Member, type Subscriber } from './sharedSubscriptions.ts';

/** Most unsent bytes per member; beyond that the member is too slow, and resumes from its cursor. */
const MAX_BACKLOG = 4_000_000;

export type LogMember = Member<LogPosition | null>;

/** @param now what is committed now; until it is known, results are buffered */
export function createLogMember(subscriber: Subscriber, now: Promise<Horizon>, leave: () => void): LogMember {
  let horizon: Horizon | null = null;
  let waiting: { readonly payload: Buffer; readonly at: LogPosition | null }[] = [];
  const { end, membership, isOver } = createEnding(() => {
    waiting = [];
    leave();
    subscriber.ended();
  });
  const take: LogMember['take'] = (payload, at) => {
    if (isOver()) return;
    if (!horizon) {
      waiting.push({ payload, at });
    } else if (at === null || !wasCommitted(horizon, at)) {
      if (subscriber.backlog() > MAX_BACKLOG) end(lagged());
      else subscriber.send(payload);
    }
  };
  now.then((found) => {
    horizon = found;
    for (const { payload, at } of waiting.splice(0)) take(payload, at);
  }, end);
  return { take, end, membership };
}

function lagged(): GraphQLError {
  return new GraphQLError(new FeedLagged().message, { extensions: { code: 'RESUME_FROM_CURSOR' } });
}
