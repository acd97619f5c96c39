/** Streams of subscriptions: they end with their consumer, and say why they end otherwise. */
import { GraphQLError } from 'graphql';
import { CursorTooOld, FeedLagged } from '../feed/feed.ts';
import { HistoryRewound } from '../store/log/position.ts';
import { historyRewound } from './paging.ts';

/**
 * A stream that ends immediately when its consumer leaves or an error occurs, even while it waits. A plain generator
 * would stay in its `await` until the next event and keep its slot of the quota indefinitely.
 */
export function closing<T>(open: (signal: AbortSignal) => AsyncGenerator<T>): AsyncIterableIterator<T> {
  const left = new AbortController();
  const stream = open(left.signal);
  return {
    next: () =>
      stream.next().catch((error) => {
        left.abort();
        return explainEnd(error);
      }),
    return: () => {
      left.abort();
      return stream.return(undefined);
    },
    throw: (error) => {
      left.abort();
      return stream.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function explainEnd(error: unknown): never {
  if (error instanceof CursorTooOld) {
    throw new GraphQLError(error.message, { extensions: { code: 'CURSOR_TOO_OLD' } });
  }
  if (error instanceof HistoryRewound) throw historyRewound(error);
  if (!(error instanceof FeedLagged)) throw error;
  throw new GraphQLError(error.message, { extensions: { code: 'RESUME_FROM_CURSOR' } });
}
