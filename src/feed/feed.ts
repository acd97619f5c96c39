/**
 * The log as streams. `follow` delivers the entries after a cursor (or from now), each exactly once: first replayed from
 * the database, then live from the tail. `watch` signals that a deployment has changed; several changes may be merged.
 */
import pLimit, { type LimitFunction } from 'p-limit';
import type { Logger } from 'pino';
import type { Scope } from '../store/access/strategyScope.ts';
import { readLog } from '../store/log/eventLog.ts';
import { currentHorizon, type Horizon, wasCommitted } from '../store/log/horizon.ts';
import type { LogEntry, LogFilter } from '../store/log/logEntry.ts';
import {
  type Cursor,
  findPosition,
  HistoryRewound,
  isAfter,
  LOG_START,
  type LogPosition,
} from '../store/log/position.ts';
import { isBehindArchive } from '../store/log/retention.ts';
import type { Queries } from '../store/postgres/database.ts';
import { shareUpcoming } from '../store/postgres/shareUpcoming.ts';
import { type Changes, watchChanges } from './changes.ts';
import { createMetricsWatch } from './metricsWatch.ts';
import { createQueue, createSignal, type Queue } from './queue.ts';
import { createRetrying } from './retrying.ts';
import { isLost, type Rewound } from './serverWatch.ts';
import { createStreams } from './streams.ts';
import type { Tail } from './tail.ts';
import { createTopics } from './topics.ts';

const REPLAY_PAGE = 500;

/** The consumer is too slow for its feed and must resume from its last cursor. */
export class FeedLagged extends Error {
  constructor() {
    super(
      'This feed was closed because its consumer is too slow: resume with `after` set to the last cursor',
    );
  }
}

/** Events that the consumer has not seen were archived: continuing would leave a gap. */
export class CursorTooOld extends Error {
  constructor() {
    super(
      'Events after this cursor were archived: read those deployments with `exportDeployment`, and start again with ' +
        '`after: "0"` (everything stored) or without a cursor (from now)',
    );
  }
}

export interface Feed {
  /**
   * Entries after a cursor, or from now when it is null, until the signal. Throws {@link FeedLagged},
   * {@link CursorTooOld} and {@link HistoryRewound}.
   */
  follow(
    filter: LogFilter,
    after: Cursor | null,
    signal: AbortSignal,
    caller?: string,
  ): AsyncGenerator<LogEntry>;
  /** Yields when a deployment has changed; several changes may be merged. */
  watch(deploymentId: string, signal: AbortSignal): AsyncGenerator<void>;
  /** Yields when a side's metrics were written, at most once per second. */
  watchMetrics(deploymentId: string, signal: AbortSignal): AsyncGenerator<void>;
  /** Tells which deployments of a scope change, until the signal. */
  watchAll(scope: Scope, signal: AbortSignal): Changes;
  /** What is committed now: a feed that starts now skips it. */
  now(): Promise<Horizon>;
  /** Milliseconds for which an open transaction has held back the end of the log; 0 if none does. */
  blockedMs(): number;
  /** Streams open now. */
  consumers(): number;
  /** Ends all streams. */
  stop(): void;
}

/** Pages of the past that are read for one caller at a time, over all of its feeds. */
const READS_OF_CALLER = 4;

/** Bounds the reads of each caller's replays, so that many feeds of one from the beginning do not delay the others. */
function createReadTurns() {
  /** Callers that read now only. */
  const callers = new Map<string, LimitFunction>();
  return async <T>(caller: string, read: () => Promise<T>): Promise<T> => {
    const limit = callers.get(caller) ?? pLimit(READS_OF_CALLER);
    callers.set(caller, limit);
    try {
      return await limit(read);
    } finally {
      if (limit.activeCount + limit.pendingCount === 0) callers.delete(caller);
    }
  };
}

export function createFeed(db: Queries, tail: Tail, log: Logger): Feed {
  const topics = createTopics();
  const stopTail = tail.subscribe((entries) => {
    for (const entry of entries) topics.publish(entry);
  });
  const stopRewinds = tail.onRewound(topics.rewound);
  const ended = new AbortController();
  const streams = createStreams();
  const retrying = createRetrying(log);
  const horizonNow = shareUpcoming(() => retrying(() => currentHorizon(db), ended.signal));
  const metrics = createMetricsWatch(db, log, ended.signal);

  const inTurn = createReadTurns();

  async function* follow(
    filter: LogFilter,
    after: Cursor | null,
    consumer: AbortSignal,
    caller = '',
  ): AsyncGenerator<LogEntry> {
    const stream = streams.open(consumer);
    const { signal } = stream;
    const queue = createQueue(signal);
    /** How far the consumer is; null before the first entry of one that begins now. */
    const consumed: { at: LogPosition | null } = { at: null };
    let isLive = after === null;
    /** What ceased to exist during a replay, which may have read it before and not handed it on yet. */
    const lost: Rewound[] = [];
    const rewound = (found: Rewound) => {
      if (consumed.at && isLost(found, consumed.at)) queue.fail(new HistoryRewound(found.lastCursor));
      if (!isLive) lost.push(found);
      queue.drop(({ position }) => isLost(found, position));
    };
    const leave = topics.join({ filter, take: queue.push, rewound });
    try {
      if (after === null) {
        const horizon = await unlessAborted(horizonNow(), signal);
        if (!horizon) return;
        for await (const entry of live(queue, ({ position }) => !wasCommitted(horizon, position))) {
          consumed.at = entry.position;
          yield entry;
        }
        return;
      }
      const begin = await retrying(() => findPosition(db, after, filter.scope ?? null), signal);
      let position = begin;
      consumed.at = begin;
      for (;;) {
        for await (const entry of replay(filter, position, begin, signal, caller)) {
          queue.check();
          position = entry.position;
          if (lost.some((each) => isLost(each, entry.position))) continue;
          consumed.at = position;
          yield entry;
        }
        // Entries that arrived during the replay were replayed too or are in the queue, unless the queue overran.
        if (!queue.overrun()) break;
        queue.reset();
      }
      isLive = true;
      const from = position;
      for await (const entry of live(queue, (entry) => isAfter(entry.position, from))) {
        consumed.at = entry.position;
        yield entry;
      }
    } finally {
      leave();
      stream.close();
    }
  }

  async function* replay(
    filter: LogFilter,
    after: LogPosition,
    begin: LogPosition,
    signal: AbortSignal,
    caller: string,
  ): AsyncGenerator<LogEntry> {
    let from: LogPosition | null = after;
    while (from && !signal.aborted) {
      const position: LogPosition = from;
      const { entries, end } = await inTurn(caller, () =>
        retrying(() => readLog(db, position, REPLAY_PAGE, filter), signal),
      );
      // Checked after the page was read, so that everything archived before the read is known.
      if (
        isAfter(begin, LOG_START) &&
        (await retrying(() => isBehindArchive(db, position, filter), signal))
      ) {
        throw new CursorTooOld();
      }
      yield* entries;
      from = end;
    }
  }

  /** Yields when what it has joined calls back; several calls may be merged. */
  async function* signalled(
    consumer: AbortSignal,
    join: (notify: () => void) => () => void,
  ): AsyncGenerator<void> {
    const stream = streams.open(consumer);
    const wakeup = createSignal(stream.signal);
    const leave = join(wakeup.notify);
    try {
      while (await wakeup.next()) yield;
    } finally {
      leave();
      stream.close();
    }
  }

  return {
    follow,
    watch: (deploymentId, consumer) =>
      signalled(consumer, (take) =>
        topics.join({ filter: { deploymentId, scope: null }, take, rewound: take }),
      ),
    watchMetrics: (deploymentId, consumer) =>
      signalled(consumer, (notify) => metrics.join(deploymentId, null, notify)),
    watchAll: (scope, consumer) => watchChanges(topics, metrics, scope, streams.open(consumer).signal),
    now: horizonNow,
    blockedMs: () => tail.blockedBy()?.ms ?? 0,
    consumers: () => topics.size() + metrics.size(),
    stop() {
      stopTail();
      stopRewinds();
      ended.abort();
      streams.end();
    },
  };
}

async function* live(queue: Queue, wanted: (entry: LogEntry) => boolean): AsyncGenerator<LogEntry> {
  for (;;) {
    queue.check();
    if (queue.overrun()) throw new FeedLagged();
    const entry = await queue.next();
    if (!entry) {
      queue.check();
      if (queue.overrun()) continue;
      return;
    }
    if (wanted(entry)) yield entry;
  }
}

/** What is promised, or null as soon as the signal is aborted. */
async function unlessAborted<T>(promised: Promise<T>, signal: AbortSignal): Promise<T | null> {
  let leave = () => {};
  const left = new Promise<null>((resolve) => {
    leave = () => resolve(null);
  });
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  return Promise.race([promised, left]).finally(() => signal.removeEventListener('abort', leave));
}
