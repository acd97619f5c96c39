/**
 * The streams of a feed that are open now: each ends with its consumer, or with the feed. `AbortSignal.any` of both would
 * leave something on the feed's signal for every stream there ever was (on Node 20).
 */

export interface Stream {
  /** Aborted at the end of the stream. */
  readonly signal: AbortSignal;
  /** Ends the stream; it is forgotten. */
  close(): void;
}

export interface Streams {
  /** Opens a stream until the consumer's signal, the end of all, or its own. */
  open(consumer: AbortSignal): Stream;
  /** How many are open. */
  size(): number;
  /** Ends all streams, also those that are opened later. */
  end(): void;
}

export function createStreams(): Streams {
  const open = new Set<() => void>();
  let ended = false;
  return {
    open(consumer) {
      const stream = new AbortController();
      const close = () => {
        open.delete(close);
        consumer.removeEventListener('abort', close);
        stream.abort();
      };
      if (ended || consumer.aborted) close();
      else {
        open.add(close);
        consumer.addEventListener('abort', close, { once: true });
      }
      return { signal: stream.signal, close };
    },
    size: () => open.size,
    end() {
      ended = true;
      for (const close of open) close();
    },
  };
}
